//! How a Kafka cluster is reached: the options that the source and the sink have in common.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig,
    client::{Client, DefaultClientContext},
    config::RDKafkaLogLevel,
    error::KafkaError,
    types::RDKafkaType,
};

use super::{
    decoys::Labels,
    fault::{harmless, quoted},
    kind::{Flag, Kind, Optional, Text, Word},
    notation::{FilePath, Password},
    number::Milliseconds,
    options::{Options, Scope, options},
    tree::Node,
};
use crate::kafka::{CONNECTION_SETTINGS, Connection, Mechanism, Sasl, Tls};

options! {
    Sasl {
        /// Authenticate to the brokers.
        enabled: "enabled" Flag, default false;
        /// How.
        mechanism: "mechanism" Word<Mechanism>, default Mechanism::ScramSha512;
        /// As whom.
        username: "username" Optional<Text>, default None;
        /// It is a secret: write `${KAFKA_PASSWORD}`.
        password: "password" Optional<Password>, default None;
    }
}

options! {
    Tls {
        /// Encrypt the connections to the brokers.
        enabled: "enabled" Flag, default false;
        /// Certificates to believe, in PEM. Without it the system's.
        ca_file: "ca_file" Optional<FilePath>, default None;
        /// baitline's own certificate, in PEM.
        crt_file: "crt_file" Optional<FilePath>, default None;
        /// Its key, in PEM.
        key_file: "key_file" Optional<FilePath>, default None;
        /// The password of the key. It is a secret: write `${KAFKA_KEY_PASS}`.
        key_pass: "key_pass" Optional<Password>, default None;
        /// Refuse brokers whose certificate nobody vouches for.
        verify_certificate: "verify_certificate" Flag, default true;
        /// Refuse brokers whose certificate is another host's.
        verify_hostname: "verify_hostname" Flag, default true;
    }
}

/// Brokers to ask first.
pub(crate) struct BootstrapServers;

impl Kind for BootstrapServers {
    type Value = String;

    fn wanted() -> String {
        "host:port, or several with commas between them".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let text = Text::read(node, scope)?;
        let is_sound = |server: &str| {
            let server = server.trim();
            let (host, port) = server.rsplit_once(':').unwrap_or((server, "9092"));
            !host.is_empty()
                && !host.contains(|char: char| char.is_whitespace() || char == '/')
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if !text.split(',').all(is_sound) {
            return scope.wrong(node, &Self::wanted());
        }
        Some(text.split(',').map(str::trim).collect::<Vec<_>>().join(","))
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// Settings in librdkafka's own words. What baitline sets by an option of its own, and what its promises rest
/// on, is refused.
pub(crate) struct LibrdkafkaOptions;

/// Settings that baitline's promises rest on, and why it sets them itself.
const OURS: [(&str, &str); 25] = [
    ("group.id", "write group_id"),
    (
        "group.instance.id",
        "baitline's groups have no static members",
    ),
    ("auto.offset.reset", "write auto_offset_reset"),
    ("session.timeout.ms", "write session_timeout_ms"),
    ("fetch.wait.max.ms", "write fetch_wait_max_ms"),
    ("auto.commit.interval.ms", "write commit_interval_ms"),
    (
        "group.protocol",
        "baitline's members must all use cooperative-sticky",
    ),
    (
        "statistics.interval.ms",
        "baitline reads its lag and its health from the statistics",
    ),
    (
        "enable.partition.eof",
        "baitline never takes a partition for ended",
    ),
    (
        "partition.assignment.strategy",
        "baitline's members must all use cooperative-sticky",
    ),
    (
        "enable.auto.commit",
        "baitline commits what it has stored, and nothing else",
    ),
    (
        "enable.auto.offset.store",
        "baitline commits what it has stored, and nothing else",
    ),
    ("enable.idempotence", "baitline always writes idempotently"),
    ("acks", "baitline always waits for all replicas"),
    (
        "request.required.acks",
        "baitline always waits for all replicas",
    ),
    ("compression.codec", "write compression"),
    ("compression.type", "write compression"),
    ("message.timeout.ms", "write message_timeout_ms"),
    ("delivery.timeout.ms", "write message_timeout_ms"),
    ("retries", "baitline tries until it succeeds"),
    (
        "message.send.max.retries",
        "baitline tries until it succeeds",
    ),
    (
        "enable.gapless.guarantee",
        "baitline keeps messages of one key in order",
    ),
    (
        "queuing.strategy",
        "baitline keeps messages of one key in order",
    ),
    (
        "delivery.report.only.error",
        "baitline needs to know what has arrived",
    ),
    ("transactional.id", "baitline writes without transactions"),
];

impl Kind for LibrdkafkaOptions {
    type Value = BTreeMap<String, String>;

    fn wanted() -> String {
        "a map of librdkafka's settings to strings".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Self::Value> {
        let settings = Labels::read(node, scope)?;
        let mut is_sound = true;
        for (name, value) in &*settings {
            let wrong = match whose(name) {
                Some(advice) => Some(format!("must not have {}: {advice}", quoted(name))),
                None => fault(name, value),
            };
            if let Some(wrong) = wrong {
                scope.refuse::<()>(node, wrong);
                is_sound = false;
            }
        }
        is_sound.then(|| (*settings).clone())
    }

    fn show(value: &Self::Value) -> String {
        // Any of them may be a secret.
        let names: Vec<String> = value.keys().map(|name| format!("{name}: ****")).collect();
        format!("{{{}}}", names.join(", "))
    }
}

/// What to do instead, if `name` is not for the user to set.
fn whose(name: &str) -> Option<String> {
    let ours = OURS.iter().find(|(ours, _)| *ours == name);
    let connection = || CONNECTION_SETTINGS.iter().find(|(ours, _)| *ours == name);
    ours.map(|(_, why)| (*why).to_owned())
        .or_else(|| connection().map(|(_, option)| format!("write {option}")))
}

/// What librdkafka has against a setting. The value is not shown: it may be a secret.
fn fault(name: &str, value: &str) -> Option<String> {
    if name.contains(':') {
        return Some(
            "has a setting with a colon in its name; write a space behind the colon".to_owned(),
        );
    }
    let mut client = ClientConfig::new();
    client.set(name, value);
    let error = client.create_native_config().err()?;
    let error = error.to_string();
    let error = match value {
        "" => harmless(&error),
        value => harmless(&error.replace(value, "****")),
    };
    Some(format!("cannot have {}: {error}", quoted(name)))
}

options! {
    Connection {
        /// Brokers to ask first, as `host:port`.
        bootstrap_servers: "bootstrap_servers" BootstrapServers, required;
        sasl: "sasl." Sasl, group;
        tls: "tls." Tls, group;
        /// How long one request to a broker may take.
        socket_timeout: "socket_timeout_ms" Milliseconds, default Duration::from_secs(60);
        /// Anything else that librdkafka can be told, in its own words.
        librdkafka_options: "librdkafka_options" LibrdkafkaOptions, default BTreeMap::new();
    }
}

/// Options that only make sense together.
pub(super) fn check(connection: &Connection, options: &mut Options<'_, '_>) -> Option<()> {
    let Connection { sasl, tls, .. } = connection;
    if sasl.enabled && (sasl.username.is_none() || sasl.password.is_none()) {
        let message = "sasl.enabled needs sasl.username and sasl.password";
        options.refuse(&["sasl.enabled"], message);
        return None;
    }
    if tls.crt_file.is_some() != tls.key_file.is_some() {
        let message = "tls.crt_file and tls.key_file go together";
        options.refuse(&["tls.crt_file", "tls.key_file"], message);
        return None;
    }
    Some(())
}

/// Settings that librdkafka takes one by one and refuses together. A client is made of them that knows no brokers, so that
/// it speaks to nobody; and no certificates, which may be there only where the pipeline runs.
pub(super) fn check_together(
    mut settings: ClientConfig,
    kind: RDKafkaType,
    options: &mut Options<'_, '_>,
) -> Option<()> {
    for (name, option) in CONNECTION_SETTINGS {
        if option != "socket_timeout_ms" {
            settings.remove(name);
        }
    }
    // Nobody need read that it has no brokers.
    settings.set_log_level(RDKafkaLogLevel::Emerg);
    let native = settings.create_native_config();
    let made = native.and_then(|native| Client::new(&settings, native, kind, DefaultClientContext));
    let Err(error) = made else {
        return Some(());
    };
    let why = match error {
        KafkaError::ClientCreation(why) => why,
        error => error.to_string(),
    };
    let message = format!("librdkafka refuses the settings: {}", harmless(&why));
    options.refuse(&["session_timeout_ms", "librdkafka_options"], &message);
    None
}
