//! How a Kafka cluster is reached: what the source and the sink have in common.

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use rustix::fs::{Access, access};

use crate::{audit::words, config::Secret, format::visible};

mod events;

pub(crate) use events::{Events, is_lasting};

/// Characters of what librdkafka says that are shown.
const SHOWN: usize = 300;

/// Where the brokers are, and how baitline shows who it is. Options as in Vector.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    pub sasl: Sasl,
    pub tls: Tls,
    /// How long one request may take (`socket_timeout_ms`). Default 60 s.
    pub socket_timeout: Duration,
    /// Set last, in librdkafka's own words. None of them is one that baitline sets.
    pub librdkafka_options: BTreeMap<String, String>,
}

/// Authentication.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// Default false.
    pub enabled: bool,
    /// Default SCRAM-SHA-512.
    pub mechanism: Mechanism,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

/// A way to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

words!(Mechanism {
    Plain = "PLAIN",
    ScramSha256 = "SCRAM-SHA-256",
    ScramSha512 = "SCRAM-SHA-512",
});

/// Encryption, and who is believed.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Default false.
    pub enabled: bool,
    /// Certificates to believe, in PEM. Default the system's.
    pub ca_file: Option<PathBuf>,
    /// baitline's own certificate, in PEM.
    pub crt_file: Option<PathBuf>,
    /// Its key, in PEM.
    pub key_file: Option<PathBuf>,
    /// The password of the key.
    pub key_pass: Option<Secret>,
    /// Default true.
    pub verify_certificate: bool,
    /// Default true.
    pub verify_hostname: bool,
}

/// librdkafka's words for what the options of [`Connection`] say.
pub(crate) const CONNECTION_SETTINGS: [(&str, &str); 14] = [
    ("bootstrap.servers", "bootstrap_servers"),
    ("metadata.broker.list", "bootstrap_servers"),
    ("security.protocol", "tls.enabled and sasl.enabled"),
    ("sasl.mechanism", "sasl.mechanism"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("sasl.username", "sasl.username"),
    ("sasl.password", "sasl.password"),
    ("ssl.ca.location", "tls.ca_file"),
    ("ssl.certificate.location", "tls.crt_file"),
    ("ssl.key.location", "tls.key_file"),
    ("ssl.key.password", "tls.key_pass"),
    (
        "enable.ssl.certificate.verification",
        "tls.verify_certificate",
    ),
    (
        "ssl.endpoint.identification.algorithm",
        "tls.verify_hostname",
    ),
    ("socket.timeout.ms", "socket_timeout_ms"),
];

impl Connection {
    /// The settings that reach the cluster, and on them `librdkafka_options`. What else the source or the sink
    /// needs is to be set on top.
    pub fn client(&self) -> ClientConfig {
        let Self {
            bootstrap_servers,
            sasl,
            tls,
            socket_timeout,
            librdkafka_options,
        } = self;
        let mut client = ClientConfig::new();
        client
            .set("client.id", "baitline")
            .set("bootstrap.servers", bootstrap_servers)
            .set("security.protocol", protocol(tls.enabled, sasl.enabled))
            .set("socket.timeout.ms", socket_timeout.as_millis().to_string())
            // Its own log lines go through `Events`.
            .set_log_level(RDKafkaLogLevel::Info);
        if sasl.enabled {
            client.set("sasl.mechanism", sasl.mechanism.as_str());
            let password = sasl.password.as_ref().map(Secret::reveal);
            set(&mut client, "sasl.username", sasl.username.as_deref());
            set(&mut client, "sasl.password", password);
        }
        if tls.enabled {
            let path =
                |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
            set(&mut client, "ssl.ca.location", path(&tls.ca_file));
            set(&mut client, "ssl.certificate.location", path(&tls.crt_file));
            set(&mut client, "ssl.key.location", path(&tls.key_file));
            let key_pass = tls.key_pass.as_ref().map(Secret::reveal);
            set(&mut client, "ssl.key.password", key_pass);
            let verify = tls.verify_certificate.to_string();
            client.set("enable.ssl.certificate.verification", verify);
            let identification = if tls.verify_hostname { "https" } else { "none" };
            client.set("ssl.endpoint.identification.algorithm", identification);
        }
        for (name, value) in librdkafka_options {
            client.set(name, value);
        }
        client
    }
}

fn protocol(is_encrypted: bool, is_authenticated: bool) -> &'static str {
    match (is_encrypted, is_authenticated) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    }
}

fn set(client: &mut ClientConfig, name: &str, value: Option<impl Into<String>>) {
    if let Some(value) = value {
        client.set(name, value);
    }
}

/// A file that a client of the cluster needs, and cannot read.
#[derive(Debug, thiserror::Error)]
#[error("{option} cannot be read: {path}: {source}")]
pub struct UnreadableFile {
    /// The option that names it.
    pub option: &'static str,
    /// Neutralised.
    pub path: String,
    pub source: io::Error,
}

/// librdkafka's settings that name files.
const FILES: [&str; 3] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
];

/// Looks for the files that `settings` name: librdkafka says neither which one is missing nor why.
pub(crate) fn check_files(settings: &ClientConfig) -> Result<(), UnreadableFile> {
    let named = CONNECTION_SETTINGS
        .iter()
        .filter(|(setting, _)| FILES.contains(setting));
    for (setting, option) in named {
        if let Some(path) = settings.get(setting)
            && let Err(error) = access(path, Access::READ_OK)
        {
            return Err(UnreadableFile {
                option,
                path: visible(path, SHOWN).into_owned(),
                source: error.into(),
            });
        }
    }
    Ok(())
}
