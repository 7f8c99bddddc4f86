//! TLS with an authority of one's own, and with certificates on both sides.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

use super::*;
use crate::sink::tests::PATIENCE;

/// An authority, and the files that a sink is told of.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = Self {
            folder: TempDir::new().unwrap(),
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        };
        fs::write(authority.path("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A receiver called `name`, who asks for a certificate of `clients`, if there are any.
    fn receiver(&self, name: &str, clients: Option<&Self>) -> Receiver {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (certificate, key) = self.issue(name);
        let builder = ServerConfig::builder();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                let root: CertificateDer<'static> = clients.issuer.der().clone();
                roots.add(root).unwrap();
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = builder.with_single_cert(vec![certificate.der().clone()], key);
        Receiver::secured(config.unwrap())
    }

    /// What a sink needs that believes this authority and has a certificate of its.
    fn tls(&self) -> Tls {
        let (certificate, key) = self.issue("baitline");
        fs::write(self.path("client.pem"), certificate.pem()).unwrap();
        fs::write(self.path("client.key"), key.serialize_pem()).unwrap();
        Tls {
            ca_file: Some(self.path("ca.pem")),
            crt_file: Some(self.path("client.pem")),
            key_file: Some(self.path("client.key")),
            verify_certificate: true,
            verify_hostname: true,
        }
    }
}

fn secured(receiver: &Receiver, tls: Tls) -> Config {
    let uri = format!("https://localhost:{}/", receiver.address().port());
    Config {
        uri: template(&uri),
        tls,
        ..config(receiver, "/")
    }
}

#[tokio::test]
async fn certificates_on_both_sides() {
    let authority = Authority::new();
    let receiver = authority.receiver("localhost", Some(&authority));
    let run = deliver(secured(&receiver, authority.tls()), alerts(&["one"])).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
    assert_eq!(titles(&receiver), [["one"]]);
}

/// What is said to be wrong when `tls` is used.
async fn trouble(receiver: &Receiver, tls: Tls) -> String {
    let (outbox, counters, give_up, delivery) = delivery();
    let status = delivery.status.clone();
    outbox.push(alert("one"));
    let sink = tokio::spawn(run(secured(receiver, tls), delivery));
    let waiting = async {
        while status.trouble().is_none() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
    let reason = status.trouble().unwrap().reason;
    give_up.cancel();
    sink.await.unwrap();
    assert_eq!(counters.delivered.load(Relaxed), 0);
    assert!(receiver.received().is_empty());
    reason
}

#[tokio::test]
async fn whom_nobody_vouches_for_is_refused_unless_told_otherwise() {
    let (authority, other) = (Authority::new(), Authority::new());
    let receiver = authority.receiver("localhost", None);
    let reason = trouble(&receiver, other.tls()).await;
    assert!(reason.contains("invalid peer certificate"), "{reason}");
    let careless = Tls {
        verify_certificate: false,
        ..other.tls()
    };
    let run = deliver(secured(&receiver, careless), alerts(&["one"])).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);

    let elsewhere = authority.receiver("siem.example", None);
    let reason = trouble(&elsewhere, authority.tls()).await;
    assert!(reason.contains("not valid for name"), "{reason}");
    let careless = Tls {
        verify_hostname: false,
        ..authority.tls()
    };
    let run = deliver(secured(&elsewhere, careless), alerts(&["one"])).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
}

#[tokio::test]
async fn a_stranger_is_refused_until_its_certificate_is_renewed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let receiver = authority.receiver("localhost", Some(&authority));
    let ours = other.tls();
    let tls = Tls {
        ca_file: Some(authority.path("ca.pem")),
        ..ours
    };
    trouble(&receiver, tls.clone()).await;

    let (outbox, counters, _, delivery) = delivery();
    let status = delivery.status.clone();
    outbox.push(alert("one"));
    outbox.close();
    let sink = tokio::spawn(run(secured(&receiver, tls), delivery));
    sleep(Duration::from_millis(100)).await;
    assert!(status.trouble().is_some());
    let (certificate, key) = authority.issue("baitline");
    fs::write(other.path("client.pem"), certificate.pem()).unwrap();
    fs::write(other.path("client.key"), key.serialize_pem()).unwrap();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
    assert_eq!(counters.delivered.load(Relaxed), 1);
}

#[tokio::test]
async fn a_file_that_is_missing_is_waited_for() {
    let authority = Authority::new();
    let receiver = authority.receiver("localhost", None);
    let tls = authority.tls();
    fs::rename(authority.path("ca.pem"), authority.path("away")).unwrap();
    let reason = trouble(&receiver, tls.clone()).await;
    assert!(
        reason.starts_with("tls.ca_file cannot be read: "),
        "{reason}"
    );
    fs::write(authority.path("ca.pem"), "no certificate").unwrap();
    let reason = trouble(&receiver, tls.clone()).await;
    assert_eq!(reason, "tls.ca_file: no certificate in it");
    fs::write(authority.path("client.key"), "no key").unwrap();
    fs::rename(authority.path("away"), authority.path("ca.pem")).unwrap();
    let reason = trouble(&receiver, tls).await;
    assert!(
        reason.starts_with("tls.crt_file or tls.key_file: "),
        "{reason}"
    );
}

#[tokio::test]
async fn trust_that_is_missing_lasts_and_costs_no_retries() {
    let (authority, other) = (Authority::new(), Authority::new());
    let receiver = authority.receiver("localhost", None);
    let mut config = secured(&receiver, other.tls());
    config.request.retry_attempts = Some(0);
    let (outbox, counters, give_up, delivery) = delivery();
    let status = delivery.status.clone();
    outbox.push(alert("one"));
    let sink = tokio::spawn(run(config, delivery));
    let tried = async {
        while counters.retried.load(Relaxed) < 2 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, tried).await.unwrap();
    assert!(status.trouble().unwrap().is_lasting);
    give_up.cancel();
    sink.await.unwrap();
    assert_eq!(counters.failed.load(Relaxed), 0);
}
