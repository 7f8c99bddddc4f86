//! Where a message goes, and what stands in the headers beside it.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use super::{Auth, Config, Headers, Strategy};
use crate::{
    config::Secret,
    sink::{Template, request::Redacted},
    store::Message,
};

/// Characters of a header that come of one field.
const HEADER: usize = 256;

/// A URL and headers. Messages of one batch have the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Address {
    pub url: Url,
    pub headers: HeaderMap,
}

/// What the addresses of messages are made of.
pub(super) struct Addresses {
    uri: Secret<Template>,
    headers: Headers,
    authorization: Option<HeaderValue>,
    /// What the receiver might repeat of them.
    secrets: Redacted,
}

impl Addresses {
    pub fn new(config: &Config) -> Self {
        let (authorization, mut secrets) = authorization(&config.auth);
        for (_, value) in &config.headers {
            for literal in value.reveal().literals() {
                secrets.add_header(literal);
            }
        }
        Self {
            uri: config.uri.clone(),
            headers: config.headers.clone(),
            authorization,
            secrets,
        }
    }

    /// Where `message` goes; an error says why that is nowhere.
    pub fn of(&self, message: &Message) -> Result<Address, &'static str> {
        let uri = self.uri.reveal().render_escaped(message, in_uri);
        let value = |template: &Template| template.render_escaped(message, in_header);
        self.address(&uri, value)
    }

    /// Where everything goes, if there are no fields in it.
    pub fn fixed(&self) -> (Result<Address, &'static str>, Redacted) {
        let uri = self.uri.reveal().render_with(|_| String::new());
        let address = self.address(&uri, |template| template.render_with(|_| String::new()));
        let redacted = address.as_ref().map(|address| self.redacted(address));
        let redacted = redacted.unwrap_or_default();
        (address, redacted)
    }

    /// What is not to be shown of what `address` answers.
    pub fn redacted(&self, address: &Address) -> Redacted {
        let mut redacted = self.secrets.clone();
        redacted.add_url(&address.url);
        redacted
    }

    fn address(
        &self,
        uri: &str,
        value: impl Fn(&Template) -> String,
    ) -> Result<Address, &'static str> {
        let url = Url::parse(uri).map_err(|_| "its uri is no URL")?;
        let mut headers = HeaderMap::new();
        for (name, template) in &self.headers {
            let value = HeaderValue::from_str(&value(template.reveal()));
            let value = value.map_err(|_| "one of its headers is none")?;
            headers.append(name.clone(), value);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(Address { url, headers })
    }
}

/// The header that tells who baitline is, and what of it nobody may see.
fn authorization(auth: &Auth) -> (Option<HeaderValue>, Redacted) {
    let mut secrets = Redacted::default();
    let reveal = |secret: &Option<Secret>| {
        secret
            .as_ref()
            .map_or_else(String::new, |s| s.reveal().clone())
    };
    let text = match auth.strategy {
        None => return (None, secrets),
        Some(Strategy::Basic) => {
            let user = auth.user.as_deref().unwrap_or_default();
            let password = reveal(&auth.password);
            let encoded = STANDARD.encode(format!("{user}:{password}"));
            secrets.add_user(user, &password);
            format!("Basic {encoded}")
        }
        Some(Strategy::Bearer) => {
            let token = reveal(&auth.token);
            secrets.add(&token);
            format!("Bearer {token}")
        }
    };
    let mut value = HeaderValue::from_str(&text).ok();
    if let Some(value) = &mut value {
        value.set_sensitive(true);
    }
    (value, secrets)
}

/// A field in a URI: whatever is not unreserved is escaped, and no dots name another directory, not even for a receiver
/// that undoes the escapes before it looks for them.
fn in_uri(field: &str) -> String {
    let field = match field {
        "." => "_".to_owned(),
        field => field.replace("..", "__"),
    };
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    field.bytes().map(escaped).collect()
}

/// A field in a header: visible ASCII, so that none begins another.
fn in_header(field: &str) -> String {
    let is_safe = |char: char| char.is_ascii_graphic() || char == ' ';
    let safe = |char| if is_safe(char) { char } else { '?' };
    field.chars().take(HEADER).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::example;

    fn addresses(uri: &str, header: &str) -> Addresses {
        Addresses {
            uri: Secret::new(Template::parse(uri).unwrap()),
            headers: vec![(
                "x-cluster".parse().unwrap(),
                Secret::new(Template::parse(header).unwrap()),
            )],
            authorization: None,
            secrets: Redacted::default(),
        }
    }

    fn of(cluster: &str) -> (String, String) {
        let mut alert = example::opened();
        alert.cluster = Some(cluster.into());
        let message = Message::Alert(Arc::new(alert));
        let addresses = addresses(
            "http://a.example/{{ cluster }}/x?y={{ decoy }}",
            "c={{ cluster }}",
        );
        let address = addresses.of(&message).unwrap();
        let header = address.headers["x-cluster"].to_str().unwrap().to_owned();
        (address.url.to_string(), header)
    }

    #[test]
    fn fields_are_escaped_where_they_stand() {
        assert_eq!(
            of("prod-eu"),
            (
                "http://a.example/prod-eu/x?y=honeypot%2Fbackup-sa".to_owned(),
                "c=prod-eu".to_owned()
            )
        );
        for (cluster, path) in [
            ("../../admin", "__%2F__%2Fadmin"),
            ("..", "__"),
            (".", "_"),
            ("v1.2", "v1.2"),
            ("a?b#c", "a%3Fb%23c"),
            ("x\r\nhost: evil", "x%0D%0Ahost%3A%20evil"),
        ] {
            let (url, header) = of(cluster);
            assert_eq!(
                url,
                format!("http://a.example/{path}/x?y=honeypot%2Fbackup-sa")
            );
            assert!(!header.contains(['\r', '\n']));
        }
    }

    #[test]
    fn no_credential_is_shown() {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let auth = Auth {
            strategy: Some(Strategy::Basic),
            user: Some("siem".into()),
            password: secret("hunter22"),
            token: None,
        };
        let (header, secrets) = authorization(&auth);
        assert_eq!(header.as_ref().unwrap(), "Basic c2llbTpodW50ZXIyMg==");
        assert_eq!(
            secrets.show("no hunter22 (Basic c2llbTpodW50ZXIyMg==)"),
            "no **** (Basic ****)"
        );
        assert_eq!(format!("{header:?}"), "Some(Sensitive)");
    }
}
