//! Who may feed a source by HTTP.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::{audit::words, config::Secret};

/// What a request must show. As in Vector; `bearer` is baitline's own.
#[derive(Clone, Debug)]
pub struct Auth {
    /// `None` asks for nothing.
    pub strategy: Option<Strategy>,
    /// For `basic`.
    pub username: Option<String>,
    /// For `basic`.
    pub password: Option<Secret>,
    /// For `bearer`.
    pub token: Option<Secret>,
}

/// How a request shows who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// A user name and a password.
    Basic,
    /// A token.
    Bearer,
}

words!(Strategy { Basic = "basic", Bearer = "bearer" });

/// What is compared with the header of a request.
///
/// Only hashes are compared, of which nobody knows the one that is expected: how long it takes tells nothing.
#[derive(Clone)]
pub struct Credentials {
    strategy: Strategy,
    expected: [u8; 32],
}

impl Credentials {
    /// `None` if nothing is asked for.
    pub fn of(auth: &Auth) -> Option<Self> {
        let strategy = auth.strategy?;
        let expected = match strategy {
            Strategy::Basic => {
                let username = auth.username.as_deref().unwrap_or_default();
                let password = auth
                    .password
                    .as_ref()
                    .map_or("", |secret| secret.reveal().as_str());
                hash(format!("{username}:{password}").as_bytes())
            }
            Strategy::Bearer => hash(
                auth.token
                    .as_ref()
                    .map_or("", |secret| secret.reveal().as_str())
                    .as_bytes(),
            ),
        };
        Some(Self { strategy, expected })
    }

    /// Whether `authorization`, the value of the header, is what is expected.
    pub fn admit(&self, authorization: &[u8]) -> bool {
        let Some((scheme, shown)) = split(authorization) else {
            return false;
        };
        match self.strategy {
            Strategy::Basic => {
                scheme.eq_ignore_ascii_case(b"basic")
                    && STANDARD
                        .decode(shown)
                        .is_ok_and(|shown| self.is_expected(&shown))
            }
            Strategy::Bearer => scheme.eq_ignore_ascii_case(b"bearer") && self.is_expected(shown),
        }
    }

    /// Whether `token`, which stands bare in a header of its own or in a URL, is the one that is expected.
    pub fn admit_token(&self, token: &[u8]) -> bool {
        self.strategy == Strategy::Bearer && self.is_expected(token)
    }

    /// The value of `WWW-Authenticate`.
    pub fn challenge(&self) -> &'static str {
        match self.strategy {
            Strategy::Basic => "Basic realm=\"baitline\", charset=\"UTF-8\"",
            Strategy::Bearer => "Bearer realm=\"baitline\"",
        }
    }

    fn is_expected(&self, shown: &[u8]) -> bool {
        hash(shown) == self.expected
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A scheme, and what stands behind it.
fn split(authorization: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, shown) = authorization.split_at(at);
    Some((scheme, shown.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::of(&Auth {
            strategy: Some(Strategy::Basic),
            username: Some(username.to_owned()),
            password: Some(Secret::new(password.to_owned())),
            token: None,
        })
        .unwrap()
    }

    #[test]
    fn basic_takes_the_user_with_the_password_and_nobody_else() {
        let credentials = basic("apiserver", "open: sesame");
        let shown = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(credentials.admit(shown("apiserver:open: sesame").as_bytes()));
        assert!(
            credentials.admit(
                shown("apiserver:open: sesame")
                    .replace("Basic", "bAsIc  ")
                    .as_bytes()
            )
        );
        for wrong in [
            "apiserver:",
            "apiserver:open",
            "apiserver:open: sesame ",
            ":",
            "",
        ] {
            assert!(!credentials.admit(shown(wrong).as_bytes()), "{wrong}");
        }
        for wrong in [&b""[..], b"Basic", b"Basic ", b"Basic \xff", b"Bearer YTpi"] {
            assert!(!credentials.admit(wrong));
        }
        assert!(!credentials.admit_token(b"apiserver:open: sesame"));
    }

    #[test]
    fn bearer_takes_the_token_in_either_header() {
        let credentials = Credentials::of(&Auth {
            strategy: Some(Strategy::Bearer),
            username: None,
            password: None,
            token: Some(Secret::new("t0ken".to_owned())),
        })
        .unwrap();
        assert!(credentials.admit(b"Bearer t0ken"));
        assert!(credentials.admit_token(b"t0ken"));
        for wrong in [
            &b"Bearer t0keN"[..],
            b"Bearer t0ken2",
            b"Bearer",
            b"t0ken",
            b"Basic t0ken",
        ] {
            assert!(!credentials.admit(wrong));
        }
    }
}
