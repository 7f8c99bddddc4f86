//! The options of the sink that speaks HTTP.

use std::time::Duration;

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use super::{
    Secret,
    kind::{Flag, Kind, Optional, Text, Word},
    notation::{FilePath, Password},
    number::{Bytes, Count, Limit, Seconds},
    options::{Options, Scope, options},
    template::refuse,
    tree::{Entry, Node, Value},
};
use crate::{
    sink::{
        Field, RequestConfig, Template, Tls,
        http::{Auth, Batch, Codec, Compression, Config, Framing, Headers, Strategy, Verb},
    },
    store::BufferConfig,
};

options! {
    Config {
        /// Where messages go: an http or https URL, whole, such as `http://alertmanager:9093/api/v2/alerts`. Its path and
        /// its query may have the fields of `key_field` in them, which are escaped: `{{ cluster }}`.
        uri: "uri" UriTemplate, required;
        /// The method.
        method: "method" Word<Verb>, default Verb::Post;
        auth: "auth." Auth, group;
        tls: "tls." Tls, group;
        /// How a message is written: one JSON object, for a person, as Falco's events are, or as alerts of Alertmanager.
        codec: "encoding.codec" Word<Codec>, default Codec::Json;
        /// How the messages of a batch are told apart: each with a newline behind it, or not at all, which is one message a
        /// request. Without it JSON goes as an array, as in Vector.
        framing: "framing.method" Optional<Word<Framing>>, default None;
        /// How bodies are compressed.
        compression: "compression" Word<Compression>, default Compression::None;
        batch: "batch." Batch, group;
        /// Codec alertmanager: how often what is open is repeated. Alertmanager believes it for four times as long.
        repeat: "alertmanager.repeat_secs" Seconds<false>, default Duration::from_secs(60);
        request: "request." RequestConfig, group;
        /// Headers beside our own, a map. Their values may have fields in them, and are secrets.
        headers: "request.headers" HeaderTemplates, default Vec::new();
        /// Requests in one `rate_limit_duration_secs`, one at a time.
        rate_limit_num: "request.rate_limit_num" Limit<1>, default None;
        /// The time that `rate_limit_num` is counted in.
        rate_limit_duration: "request.rate_limit_duration_secs" Seconds<false>, default Duration::from_secs(1);
        buffer: "buffer." BufferConfig, group;
    }
}

options! {
    Auth {
        /// How baitline says who it is.
        strategy: "strategy" Optional<Word<Strategy>>, default None;
        /// With basic: who.
        user: "user" Optional<Text>, default None;
        /// With basic. It is a secret: write `${HTTP_PASSWORD}`.
        password: "password" Optional<Password>, default None;
        /// With bearer. It is a secret: write `${HTTP_TOKEN}`.
        token: "token" Optional<Password>, default None;
    }
}

options! {
    Tls {
        /// Certificates to believe, in PEM. Without it the system's. Files are read anew when a connection fails.
        ca_file: "ca_file" Optional<FilePath>, default None;
        /// baitline's own certificate, in PEM.
        crt_file: "crt_file" Optional<FilePath>, default None;
        /// Its key, in PEM, not encrypted.
        key_file: "key_file" Optional<FilePath>, default None;
        /// Refuse receivers whose certificate nobody vouches for.
        verify_certificate: "verify_certificate" Flag, default true;
        /// Refuse receivers whose certificate is another host's. Can be switched off with a `ca_file` only.
        verify_hostname: "verify_hostname" Flag, default true;
    }
}

options! {
    Batch {
        /// Messages in one request. With codec falco it is one.
        max_events: "max_events" Count<usize>, default 1_000;
        /// Bytes of messages in one request, before they are compressed; in Vector they are 10 MB by default. A larger message goes
        /// alone.
        max_bytes: "max_bytes" Bytes, default 1_000_000;
        /// How long a batch may wait for more. Vector waits a second; an alert does not. What comes while a request is on its
        /// way goes together in the next.
        timeout: "timeout_secs" Seconds<true>, default Duration::ZERO;
    }
}

/// Options that only make sense together.
pub(super) fn check(config: &Config, options: &mut Options<'_, '_>) -> Option<()> {
    let mut is_sound = true;
    let mut refuse = |paths: &[&str], message: &str| {
        options.refuse(paths, message);
        is_sound = false;
    };
    check_auth(config, &mut refuse);
    check_tls(&config.tls, &mut refuse);
    check_codec(config, &mut refuse);
    is_sound.then_some(())
}

/// Refuses the options at these paths, and says why.
type Refuse<'a> = &'a mut dyn FnMut(&[&str], &str);

fn check_auth(config: &Config, refuse: Refuse<'_>) {
    let auth = &config.auth;
    let is_user_given = auth.user.is_some() || auth.password.is_some();
    let is_user_whole = auth.user.is_some() && auth.password.is_some();
    let is_token_given = auth.token.is_some();
    let message = match auth.strategy {
        None if is_token_given => Some("auth needs auth.strategy: bearer"),
        None if is_user_given => Some("auth needs auth.strategy: basic"),
        Some(Strategy::Basic) if !is_user_whole || is_token_given => {
            Some("auth.strategy: basic takes auth.user and auth.password")
        }
        Some(Strategy::Bearer) if !is_token_given || is_user_given => {
            Some("auth.strategy: bearer takes auth.token")
        }
        _ => None,
    };
    if let Some(message) = message {
        let paths = ["auth.strategy", "auth.user", "auth.password", "auth.token"];
        refuse(&paths, message);
    }
    let has_header = config.headers.iter().any(|(name, _)| name == AUTHORIZATION);
    let ways = [
        auth.strategy.is_some(),
        has_header,
        has_user(config.uri.reveal()),
    ];
    if ways.into_iter().filter(|is_used| *is_used).count() > 1 {
        let message =
            "say who baitline is in one way: auth, a header Authorization, or a user in uri";
        refuse(&["auth.strategy", "request.headers", "uri"], message);
    }
    let token = auth.token.as_ref();
    if token.is_some_and(|token| HeaderValue::from_str(token.reveal()).is_err()) {
        let message = "auth.token has characters that no header can have (its value is not shown)";
        refuse(&["auth.token"], message);
    }
}

fn check_tls(tls: &Tls, refuse: Refuse<'_>) {
    if tls.crt_file.is_some() != tls.key_file.is_some() {
        let message = "tls.crt_file and tls.key_file go together";
        refuse(&["tls.crt_file", "tls.key_file"], message);
    }
    if !tls.verify_hostname && tls.ca_file.is_none() && tls.verify_certificate {
        let message = "tls.verify_hostname: false needs tls.ca_file";
        refuse(&["tls.verify_hostname"], message);
    }
}

fn check_codec(config: &Config, refuse: Refuse<'_>) {
    let codec = config.codec;
    if matches!(codec, Codec::Falco | Codec::Alertmanager) {
        let name = codec.as_str();
        if config.framing.is_some() {
            let message = format!("framing goes with the codecs json and text, not with {name}");
            refuse(&["framing.method"], &message);
        }
        if config.compression != Compression::None {
            let message = format!("who takes the codec {name} takes no compressed body");
            refuse(&["compression"], &message);
        }
    }
    if codec == Codec::Alertmanager {
        let values = config.headers.iter().map(|(_, value)| value);
        let mut templates = std::iter::once(&config.uri).chain(values);
        if templates.any(|template| template.reveal().fields().next().is_some()) {
            let message = "with codec alertmanager, uri and headers can have no fields in them";
            refuse(&["request.headers", "uri"], message);
        }
    }
}

/// A URL, in whose path and query fields may stand: a secret, which no fault shows.
struct UriTemplate;

impl Kind for UriTemplate {
    type Value = Secret<Template>;

    fn wanted() -> String {
        "an http or https URL with a host, in whose path and query fields may stand".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Self::Value> {
        let Some(text) = node.as_text() else {
            return scope.wrong(node, &Self::wanted());
        };
        let template = match Template::parse(&text.value) {
            Ok(template) => template,
            Err(error) => return refuse(node, scope, error, Field::ALL),
        };
        if !is_sound(&template) {
            return scope.refuse(
                node,
                format!("must be {} (its value is not shown)", Self::wanted()),
            );
        }
        Some(Secret::new(template))
    }

    fn show(_: &Self::Value) -> String {
        "****".to_owned()
    }
}

/// Whether it is a URL whatever the fields hold, and of one host.
fn is_sound(uri: &Template) -> bool {
    let with = |field: &str| Url::parse(&uri.render_with(|_| field.to_owned())).ok();
    // What a field cannot hold in the place of a host, and what it can.
    let origin = |url: Url| (url.scheme().to_owned(), url.authority().to_owned());
    let [Some(first), Some(second)] = [with("a"), with("b")] else {
        return false;
    };
    matches!(first.scheme(), "http" | "https")
        && first.host_str().is_some_and(|host| !host.is_empty())
        && origin(first) == origin(second)
}

/// Whether it has the name of a user before its host, or a password.
fn has_user(uri: &Template) -> bool {
    let url = Url::parse(&uri.render_with(|_| "a".to_owned()));
    url.is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// Headers, each with a text in which fields may stand. The values are secrets.
struct HeaderTemplates;

/// Headers that say what baitline does.
const OURS: [&str; 6] = [
    "connection",
    "content-encoding",
    "content-length",
    "idempotency-key",
    "te",
    "transfer-encoding",
];

impl Kind for HeaderTemplates {
    type Value = Headers;

    fn wanted() -> String {
        "a map of names of headers to strings".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Headers> {
        let Value::Map(entries) = &node.value else {
            return scope.wrong(node, &Self::wanted());
        };
        let read = |entry: &Entry| scope.within("header", &entry.key, |scope| header(entry, scope));
        let headers: Vec<Option<_>> = entries.iter().map(read).collect();
        headers.into_iter().collect()
    }

    fn show(value: &Headers) -> String {
        let names: Vec<String> = value
            .iter()
            .map(|(name, _)| format!("{name}: ****"))
            .collect();
        format!("{{{}}}", names.join(", "))
    }
}

fn header(entry: &Entry, scope: &mut Scope<'_, '_>) -> Option<(HeaderName, Secret<Template>)> {
    let name = HeaderName::from_bytes(entry.key.as_bytes()).ok();
    let Some(name) = name.filter(|name| !OURS.contains(&name.as_str())) else {
        return scope.refuse(
            &entry.node,
            "is no header, or one that baitline sets itself",
        );
    };
    let text = Text::read(&entry.node, scope)?;
    let template = match Template::parse(&text) {
        Ok(template) => template,
        Err(error) => return refuse(&entry.node, scope, error, Field::ALL),
    };
    let is_legal = |literal: &str| HeaderValue::from_str(literal).is_ok();
    if !template.literals().all(is_legal) {
        let message = "has characters that no header can have (its value is not shown)";
        return scope.refuse(&entry.node, message);
    }
    Some((name, Secret::new(template)))
}
