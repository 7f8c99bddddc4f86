//! Who may feed the source: HELO, PING, PONG.
//!
//! Both sides show that they know the shared key, by a hash of it together with what the other side has chosen anew for
//! this connection: what was recorded of another connection opens nothing.

use std::{collections::BTreeMap, fmt::Write};

use sha2::{Digest, Sha512};

use super::reply;
use crate::{config::Secret, record::msgpack::Token};

/// Bytes of a nonce, and of a salt.
const RANDOM_BYTES: usize = 16;

/// The most that a PING may be long.
pub const MAX_PING_BYTES: usize = 8192;

/// What clients must know. Words as in Fluentd.
#[derive(Clone, Debug)]
pub struct Security {
    /// What both sides know. Without it everybody is let in.
    pub shared_key: Option<Secret>,
    /// How the source calls itself to clients. Default `baitline`.
    pub self_hostname: String,
    /// Users with their passwords. If there are any, a client must be one of them. Default none.
    pub users: BTreeMap<String, Secret>,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no PING came")]
    NoPing,
    #[error("shared_key mismatch")]
    SharedKey,
    #[error("username/password mismatch")]
    User,
}

/// What was chosen for one connection.
pub struct Challenge {
    nonce: [u8; RANDOM_BYTES],
    salt: [u8; RANDOM_BYTES],
}

impl Challenge {
    /// `None` if the system has no random numbers.
    pub fn new() -> Option<Self> {
        let provider = rustls::crypto::ring::default_provider();
        let mut challenge = Self {
            nonce: [0; RANDOM_BYTES],
            salt: [0; RANDOM_BYTES],
        };
        for bytes in [&mut challenge.nonce, &mut challenge.salt] {
            provider.secure_random.fill(bytes).ok()?;
        }
        Some(challenge)
    }

    /// The first message.
    pub fn helo(&self, security: &Security) -> Vec<u8> {
        let mut helo = vec![0x92];
        reply::text("HELO", &mut helo);
        helo.push(0x83);
        reply::text("nonce", &mut helo);
        reply::binary(&self.nonce, &mut helo);
        reply::text("auth", &mut helo);
        // Bytes even if there are none, as Fluentd has it: Go's fluent-forward-go reads nothing else there.
        match security.users.is_empty() {
            true => reply::binary(&[], &mut helo),
            false => reply::binary(&self.salt, &mut helo),
        }
        reply::text("keepalive", &mut helo);
        reply::truth(true, &mut helo);
        helo
    }

    /// What to say to `ping`, and whether its sender is let in.
    pub fn pong(
        &self,
        security: &Security,
        key: &Secret,
        ping: &[u8],
    ) -> (Vec<u8>, Result<(), Error>) {
        let read = Ping::read(ping).ok_or(Error::NoPing);
        let checked = read.and_then(|ping| self.check(security, key, &ping).map(|()| ping.salt));
        let mut pong = vec![0x95];
        reply::text("PONG", &mut pong);
        reply::truth(checked.is_ok(), &mut pong);
        let reason = checked.as_ref().err().map(ToString::to_string);
        reply::text(reason.as_deref().unwrap_or_default(), &mut pong);
        match checked {
            Ok(salt) => {
                let name = security.self_hostname.as_str();
                reply::text(name, &mut pong);
                let shown = [salt, name.as_bytes(), &self.nonce, key.reveal().as_bytes()];
                reply::text(&digest(&shown), &mut pong);
            }
            Err(_) => {
                reply::text("", &mut pong);
                reply::text("", &mut pong);
            }
        }
        (pong, checked.map(|_| ()))
    }

    fn check(&self, security: &Security, key: &Secret, ping: &Ping<'_>) -> Result<(), Error> {
        let expected = [
            ping.salt,
            ping.hostname,
            &self.nonce,
            key.reveal().as_bytes(),
        ];
        if !is_equal(ping.digest, digest(&expected).as_bytes()) {
            return Err(Error::SharedKey);
        }
        if security.users.is_empty() {
            return Ok(());
        }
        let user = std::str::from_utf8(ping.user).ok();
        let known = user.and_then(|user| security.users.get(user));
        // A user that is not known takes as long as one that is.
        let password = known.map_or("", |secret| secret.reveal().as_str());
        let expected = digest(&[&self.salt, ping.user, password.as_bytes()]);
        let is_right = is_equal(ping.password, expected.as_bytes());
        match known.is_some() && is_right {
            true => Ok(()),
            false => Err(Error::User),
        }
    }
}

/// What a client shows.
struct Ping<'b> {
    hostname: &'b [u8],
    salt: &'b [u8],
    digest: &'b [u8],
    user: &'b [u8],
    password: &'b [u8],
}

impl<'b> Ping<'b> {
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut token = || {
            let (token, length) = Token::read(rest).ok()?;
            rest = &rest[length..];
            Some(token)
        };
        if token()? != Token::Array(6) {
            return None;
        }
        let mut text = || match token()? {
            Token::Str(text) | Token::Bin(text) => Some(text),
            _ => None,
        };
        if text()? != b"PING" {
            return None;
        }
        Some(Self {
            hostname: text()?,
            salt: text()?,
            digest: text()?,
            user: text()?,
            password: text()?,
        })
    }
}

/// SHA-512 of all `parts`, in hexadecimal digits.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part);
    }
    let mut digits = String::new();
    for byte in hash.finalize() {
        // A string takes all.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Takes as long wherever the first difference is.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.fold(0, |sum, (one, other)| sum | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn security(users: &[(&str, &str)]) -> (Security, Secret) {
        let key = Secret::new("open sesame".to_owned());
        let users = users
            .iter()
            .map(|(user, password)| ((*user).to_owned(), Secret::new((*password).to_owned())));
        let security = Security {
            shared_key: Some(key.clone()),
            self_hostname: "baitline".to_owned(),
            users: users.collect(),
        };
        (security, key)
    }

    fn ping(challenge: &Challenge, key: &str, user: &str, password: &str) -> Vec<u8> {
        let shown = [
            b"salt",
            b"node-1".as_slice(),
            &challenge.nonce,
            key.as_bytes(),
        ];
        let mut ping = vec![0x96];
        for text in ["PING", "node-1", "salt", &digest(&shown), user] {
            reply::text(text, &mut ping);
        }
        let shown = [&challenge.salt, user.as_bytes(), password.as_bytes()];
        reply::text(&digest(&shown), &mut ping);
        ping
    }

    #[test]
    fn who_knows_the_key_is_let_in_and_nobody_else() {
        let (security, key) = security(&[]);
        let challenge = Challenge::new().unwrap();
        let try_with = |ping: &[u8]| challenge.pong(&security, &key, ping);
        let right = ping(&challenge, "open sesame", "", "");
        let (pong, outcome) = try_with(&right);
        assert_eq!(outcome, Ok(()));
        assert!(pong.starts_with(b"\x95\xa4PONG\xc3\xa0\xa8baitline\xda\x00\x80"));
        let (pong, outcome) = try_with(&ping(&challenge, "open", "", ""));
        assert_eq!(outcome, Err(Error::SharedKey));
        assert_eq!(pong, b"\x95\xa4PONG\xc2\xb3shared_key mismatch\xa0\xa0");
        for no_ping in [
            &right[..right.len() - 1],
            b"",
            b"\x92\xa3tag\x90",
            b"\x96\x01",
        ] {
            assert_eq!(try_with(no_ping).1, Err(Error::NoPing));
        }
        // The same again, on another connection.
        let outcome = Challenge::new().unwrap().pong(&security, &key, &right).1;
        assert_eq!(outcome, Err(Error::SharedKey));
    }

    /// As Fluentd has it: Go's fluent-forward-go reads nothing else.
    #[test]
    fn what_is_random_is_bytes_even_if_there_are_none() {
        let challenge = Challenge::new().unwrap();
        let helo = challenge.helo(&security(&[]).0);
        assert!(helo.starts_with(b"\x92\xa4HELO\x83\xa5nonce\xc4\x10"));
        assert!(helo.ends_with(b"\xa4auth\xc4\x00\xa9keepalive\xc3"));
        let helo = challenge.helo(&security(&[("ann", "p1")]).0);
        let salt = [b"\xa4auth\xc4\x10", &challenge.salt[..]].concat();
        assert!(helo.windows(salt.len()).any(|bytes| bytes == salt));
    }

    #[test]
    fn users_must_know_their_password_too() {
        let (security, key) = security(&[("ann", "p1"), ("bob", "p2")]);
        let challenge = Challenge::new().unwrap();
        let outcome = |key_shown: &str, user: &str, password: &str| {
            let ping = ping(&challenge, key_shown, user, password);
            challenge.pong(&security, &key, &ping).1
        };
        assert_eq!(outcome("open sesame", "ann", "p1"), Ok(()));
        assert_eq!(outcome("open sesame", "bob", "p2"), Ok(()));
        assert_eq!(outcome("open sesame", "bob", "p1"), Err(Error::User));
        assert_eq!(outcome("open sesame", "eve", ""), Err(Error::User));
        assert_eq!(outcome("open sesame", "", ""), Err(Error::User));
        assert_eq!(outcome("other", "ann", "p1"), Err(Error::SharedKey));
        assert!(!format!("{security:?}").contains("sesame"));
    }
}
