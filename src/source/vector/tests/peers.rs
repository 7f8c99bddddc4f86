//! Who may call, and who only disturbs.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::*;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

fn tls(verify_certificate: bool) -> Config {
    let mut config = config();
    config.tls = Tls {
        enabled: true,
        crt_file: Some(file("server.crt")),
        key_file: Some(file("server.key")),
        ca_file: verify_certificate.then(|| file("ca.crt")),
        verify_certificate,
    };
    config
}

/// A client that shows the certificate of a name, if any, and speaks one protocol.
fn client(identity: Option<&str>, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(file("ca.crt")).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::from_pem_file(file(&format!("{name}.crt"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// What a client is answered; nothing, if it is not let in.
fn push(served: &Served, client: Arc<ClientConfig>) -> Option<u16> {
    let caller = Caller::connect_by_tls(served.address, client).ok()?;
    let call = caller.begin(PUSH_EVENTS, &[], frame(false, &found()), false);
    caller
        .end(call)
        .ok()
        .and_then(|answer: Answer| answer.status)
}

#[test]
fn tls_with_and_without_certificates_of_clients() {
    let (open, mutual) = (Served::new(&tls(false)), Served::new(&tls(true)));
    assert_eq!(push(&open, client(None, b"h2")), Some(0));
    assert_eq!(push(&mutual, client(Some("client"), b"h2")), Some(0));
    assert_eq!(push(&mutual, client(None, b"h2")), None);
    assert_eq!(push(&mutual, client(Some("stranger"), b"h2")), None);
    // A client hears that it is refused before that is counted.
    mutual.wait_for("both to be refused", |served| {
        served.refused(Refusal::Handshake) == 2
    });
    assert_eq!(mutual.pipeline.text().as_bytes(), found());
    // Another protocol, and no TLS at all.
    assert_eq!(push(&open, client(None, b"http/1.1")), None);
    let plain = Caller::connect(open.address);
    let call = plain.map(|caller| caller.end(caller.begin(PUSH_EVENTS, &[], Vec::new(), false)));
    assert!(!matches!(call, Ok(Ok(_))));
    assert_eq!(push(&open, client(None, b"h2")), Some(0));
    open.end();
    mutual.end();
}

#[test]
fn no_garbage_on_the_wire_disturbs_others() {
    let served = Served::new(&config());
    let caller = served.caller();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let settings = [preface, b"\0\0\0\x04\0\0\0\0\0"].concat();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x00\x01\x02 garbage\r\n\r\n",
        preface,
        &[preface, b"\xff\xff\xff\x00\x00\x00\x00\x00\x00"].concat(),
        // Headers that cannot be decoded, data for a stream that is not open, a frame that is cut off.
        &[
            &settings,
            &b"\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff"[..],
        ]
        .concat(),
        &[&settings, &b"\0\0\x01\0\0\0\0\0\x05x"[..]].concat(),
        &[&settings, &b"\0\x40\0\0\0\0\0\0\x01x"[..]].concat(),
    ] {
        served.exchange(bytes, true);
    }
    assert_eq!(caller.push(&clean()), Some(0));
    assert_eq!(served.caller().push(&clean()), Some(0));
    served.end();
}

#[test]
fn many_call_at_once_by_many_connections() {
    let served = Served::new(&config());
    let callers: Vec<_> = (0..8).map(|_| served.caller()).collect();
    let calls: Vec<_> = callers
        .iter()
        .flat_map(|caller| std::iter::repeat_n(caller, 40))
        .map(|caller| {
            (
                caller,
                caller.begin(PUSH_EVENTS, &[], frame(false, &found()), false),
            )
        })
        .collect();
    for (caller, call) in calls {
        assert_eq!(caller.end(call).unwrap().status, Some(0));
    }
    assert_eq!(served.pipeline.text().matches("decoy").count(), 320);
    served.end();
}
