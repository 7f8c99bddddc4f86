//! Options of Vector's (0.58) that there are not here, since nothing has to be chosen or the answer is another: what to do in their
//! place. Whoever brings a configuration along reads it in place of what has a name like theirs.

use super::Role;

/// Of the components of a role, or only of some of its types: what an option is in Vector, and what to do here.
const WORDS: [(Role, &[&str], &str, &str); 17] = [
    (
        Role::Source,
        &[],
        "acknowledgements",
        "leave it out: a source always acknowledges once all that came of it is safe",
    ),
    (
        Role::Source,
        LISTENERS,
        "keepalive",
        "leave it out: who is idle makes room for who comes",
    ),
    (
        Role::Source,
        HTTP,
        "headers",
        "leave it out: headers of a request are in no detection",
    ),
    (
        Role::Source,
        HTTP,
        "query_parameters",
        "leave it out: parameters of a request are in no detection",
    ),
    (
        Role::Source,
        &[],
        "framing",
        "leave it out: records are told apart by what they are",
    ),
    (Role::Source, LISTENERS, "tls.key_pass", KEY_PASS),
    (
        Role::Source,
        LISTENERS,
        "tls.verify_hostname",
        "leave it out: clients are known by their authority, tls.ca_file",
    ),
    (
        Role::Source,
        &["fluent"],
        "socket_file_mode",
        "leave it out, and let the permissions of its directory say who may connect",
    ),
    (
        Role::Sink,
        &[],
        "acknowledgements",
        "leave it out: sources always wait for data_dir, or without one for the sinks",
    ),
    (
        Role::Sink,
        &[],
        "healthcheck",
        "leave it out: a sink that cannot deliver is told of by the others and by /health",
    ),
    (
        Role::Sink,
        &[],
        "buffer.type",
        "leave it out: what waits is on the disk if there is a data_dir, and else in memory",
    ),
    (Role::Sink, &[], "request.concurrency", CONCURRENCY),
    (Role::Sink, &[], "request.adaptive_concurrency", CONCURRENCY),
    (Role::Sink, HTTP, "payload_prefix", PAYLOAD),
    (Role::Sink, HTTP, "payload_suffix", PAYLOAD),
    (
        Role::Sink,
        HTTP,
        "retry_strategy",
        "leave it out: all is tried again but what is refused for its content",
    ),
    (Role::Sink, HTTP, "tls.key_pass", KEY_PASS),
];

const LISTENERS: &[&str] = &["http_server", "fluent", "vector"];
const HTTP: &[&str] = &["http_server", "http"];

const KEY_PASS: &str = "a key with a password is not read: take it off, with openssl pkey -in KEY -out FILE, and keep the file to its owner";
const CONCURRENCY: &str = "leave it out: one request at a time keeps the order";
const PAYLOAD: &str = "leave it out: messages go as an array, or as framing.method says";

/// What to do in place of the option `path` of a component, if it is one of Vector's.
pub(super) fn instead(role: Role, component: &str, path: &str) -> Option<&'static str> {
    let is_it = |word: &&(Role, &[&str], &str, _)| {
        word.0 == role && (word.1.is_empty() || word.1.contains(&component)) && word.2 == path
    };
    WORDS.iter().find(is_it).map(|word| word.3)
}
