//! The options of the source `fluent`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    Secret,
    components::DEFAULT_MAX_LINE_BYTES,
    kind::{Kind, List, Optional, Text, Word},
    notation::{FilePath, Network, Password, SocketAddress},
    number::{Bytes, Count, Seconds},
    options::{OptionDoc, Options, Scope, Section, options},
    server,
    tree::{Node, Value},
};
use crate::source::{
    Decoding,
    fluent::{Config, Mode, Security},
    server::{Address, Tls},
};

options! {
    Config {
        address: "" Address, group;
        /// Connections at a time. Who comes when there are so many takes the place of whoever has been silent, or has been sending
        /// one message, the longest; strangers go first.
        connection_limit: "connection_limit" Count<usize>, default 1024;
        /// After how long of silence TCP asks whether a client is still there.
        keepalive: "keepalive.time_secs" Seconds<false>, default Duration::from_secs(60);
        /// The size of the system's buffer for what a TCP connection has received. Without it the system's default.
        receive_buffer_bytes: "receive_buffer_bytes" Optional<Bytes>, default None;
        /// The networks from which connections are taken; an empty list for all.
        permit_origin: "permit_origin" List<Network>, default Vec::new();
        tls: "tls." Tls, group;
        security: "" Security, group;
        /// A longer message is refused, and its connection closed. Fluentd's chunks are as long as its `chunk_limit_size`,
        /// Fluent Bit's about 2 MB.
        max_message_bytes: "max_message_bytes" Bytes, default 64 << 20;
        /// Longer records are searched for decoys and reported, but not decoded.
        max_line_bytes: "max_line_bytes" Bytes, default DEFAULT_MAX_LINE_BYTES;
        /// What the records are: audit events in whatever wraps them, or detections that another
        /// baitline wrote as JSON. It is never guessed.
        decoding: "decoding.codec" Word<Decoding>, default Decoding::Audit;
    }
}

options! {
    Security {
        /// What clients must know, as in Fluentd's `<security>`. It is a secret: write `${FLUENT_SHARED_KEY}`. Without it
        /// everybody is let in.
        shared_key: "shared_key" Optional<Password>, default None;
        /// How the source calls itself to clients that use a shared key. It must not be what a client calls itself.
        self_hostname: "self_hostname" Text, default "baitline".to_owned();
        /// If there are any, clients must be one of these users as well.
        users: "users" Users, default BTreeMap::new();
    }
}

/// Where to listen, as it is written.
struct Endpoint {
    mode: Mode,
    address: Option<SocketAddr>,
    path: Option<PathBuf>,
}

options! {
    Endpoint {
        /// Whether to listen on a TCP port or on a Unix socket.
        mode: "mode" Word<Mode>, default Mode::Tcp;
        /// Where to listen, for `mode: tcp`. Shippers send to port 24224.
        address: "address" Optional<SocketAddress>, default None;
        /// The path of the socket, for `mode: unix`.
        path: "path" Optional<FilePath>, default None;
    }
}

impl Section for Address {
    fn read(options: &mut Options<'_, '_>, prefix: &str) -> Option<Self> {
        let Endpoint {
            mode,
            address,
            path,
        } = Endpoint::read(options, prefix)?;
        let message = match (mode, address, path) {
            (Mode::Tcp, Some(address), None) => return Some(Self::Socket(address)),
            (Mode::Unix, None, Some(path)) => return Some(Self::Unix(path)),
            (Mode::Tcp, None, _) => "mode tcp needs address, such as 0.0.0.0:24224",
            (Mode::Unix, _, None) => "mode unix needs path",
            (Mode::Tcp, Some(_), Some(_)) => "path is for mode unix",
            (Mode::Unix, Some(_), Some(_)) => "address is for mode tcp",
        };
        options.refuse(&["mode", "address", "path"], message);
        None
    }

    fn describe(prefix: &str, docs: &mut Vec<OptionDoc>) {
        Endpoint::describe(prefix, docs);
    }
}

/// Users with their passwords.
struct Users;

impl Kind for Users {
    type Value = BTreeMap<String, Secret>;

    fn wanted() -> String {
        "a map of users to passwords".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Self::Value> {
        let Value::Map(entries) = &node.value else {
            return scope.wrong(node, &Self::wanted());
        };
        let users: Vec<_> = entries
            .iter()
            .map(|entry| {
                let password = scope.within("user", &entry.key, |scope| {
                    scope.is_secretive = true;
                    Password::read(&entry.node, scope)
                });
                Some((entry.key.clone(), password?))
            })
            .collect();
        users.into_iter().collect()
    }

    fn show(users: &Self::Value) -> String {
        let names: Vec<_> = users.keys().map(|name| format!("{name}: ****")).collect();
        format!("{{{}}}", names.join(", "))
    }
}

/// Options that only make sense together.
pub(super) fn check(config: &Config, options: &mut Options<'_, '_>) -> Option<()> {
    let Config { security, tls, .. } = config;
    if security.shared_key.is_none() && !security.users.is_empty() {
        options.refuse(&["users"], "users need shared_key as well");
        return None;
    }
    if tls.enabled && matches!(config.address, Address::Unix(_)) {
        options.refuse(&["mode", "tls.enabled"], "a Unix socket has no TLS");
        return None;
    }
    if !config.permit_origin.is_empty() && matches!(config.address, Address::Unix(_)) {
        options.refuse(&["mode", "permit_origin"], "permit_origin is for mode tcp");
        return None;
    }
    let sent = ("max_message_bytes", config.max_message_bytes);
    server::check_lengths(sent, config.max_line_bytes, options)?;
    server::check_tls(tls, options)
}
