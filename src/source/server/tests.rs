//! Real sockets, and a protocol of lines: each is handed in, and its answer is the line.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Instant,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use super::*;
use crate::source::{Block, Shape, Stop};

const PATIENCE: Duration = Duration::from_secs(20);

fn listen(limit: usize) -> Listen {
    Listen {
        address: Address::Socket(([127, 0, 0, 1], 0).into()),
        tls: Tls::default(),
        alpn: &[],
        connection_limit: limit,
        room: 1000,
        silence: None,
        keepalive: None,
        receive_buffer_bytes: None,
    }
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

struct Served {
    address: Address,
    counters: Arc<Counters>,
    stop: Stop,
    blocks: mpsc::Receiver<String>,
    thread: Option<JoinHandle<Result<Ended, Error>>>,
}

impl Served {
    fn new(listen: &Listen) -> Self {
        let stop = Stop::new().unwrap();
        let context = Context::new(stop.clone());
        let server = Server::bind(listen, &context).unwrap();
        let address = server.address().clone();
        let counters = context.counters.serve();
        let (found, blocks) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut outlet = move |block: &Block<'_>| {
                let _ = found.send(String::from_utf8_lossy(block.bytes).into_owned());
                true
            };
            server.run(&context, &mut outlet, lines, |line: String, outlet| {
                let holds = outlet.take(&Block {
                    bytes: line.as_bytes(),
                    shape: Shape::Lines,
                    header: None,
                    first_part: None,
                    provenance: &|_| String::new().into(),
                });
                (line, holds)
            })
        });
        Self {
            address,
            counters,
            stop,
            blocks,
            thread: Some(thread),
        }
    }

    fn socket(&self) -> SocketAddr {
        match self.address {
            Address::Socket(address) => address,
            Address::Unix(_) => panic!("a socket"),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Counters) -> bool) {
        let began = Instant::now();
        while !holds(&self.counters) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}", self.counters);
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(mut self) -> Result<Ended, Error> {
        self.stop.trigger();
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Answers each line with itself.
async fn lines(connection: Connection, inbox: inbox::Sender<String, String>) {
    let mut stream = tokio::io::BufReader::new(connection.stream);
    loop {
        let mut line = String::new();
        tokio::select! {
            read = stream.read_line(&mut line) => if read.unwrap_or(0) == 0 { return },
            () = connection.closing.cancelled() => return,
        }
        let _busy = connection.activity.begin();
        let room = inbox.room(line.len()).await;
        let Some(answer) = inbox.send(line, room).await.answer().await else {
            return;
        };
        let _ = stream.get_mut().write_all(answer.as_bytes()).await;
        let _ = stream.get_mut().flush().await;
    }
}

fn say(stream: &mut (impl Read + Write), text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard)?;
    Ok(String::from_utf8(heard).unwrap())
}

#[test]
fn what_is_sent_is_searched_and_answered_until_it_is_stopped() {
    let served = Served::new(&listen(10));
    let (mut one, mut two) = (served.connect(), served.connect());
    assert_eq!(say(&mut one, "first\n").unwrap(), "first\n");
    assert_eq!(say(&mut two, "second\n").unwrap(), "second\n");
    assert_eq!(say(&mut one, "third\n").unwrap(), "third\n");
    assert_eq!(
        served.blocks.try_iter().collect::<String>(),
        "first\nsecond\nthird\n"
    );
    served.wait_for("two are open", |counters| {
        counters.open.load(std::sync::atomic::Ordering::SeqCst) == 2
    });
    let address = served.socket();
    let began = Instant::now();
    assert_eq!(served.end().unwrap(), Ended::Stopped);
    assert!(began.elapsed() < GRACE, "idle connections hold nobody up");
    assert_eq!(one.read(&mut [0]).unwrap(), 0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_that_is_taken_is_an_error_that_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut listen = listen(10);
    listen.address = Address::Socket(taken.local_addr().unwrap());
    let context = Context::new(Stop::new().unwrap());
    let error = Server::bind(&listen, &context).map(|_| ()).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("cannot listen at 127.0.0.1:"), "{error}");
    assert!(
        error.ends_with("; write another address, or stop who listens there"),
        "{error}"
    );
}

#[test]
fn who_is_idle_makes_room_for_who_comes() {
    let served = Served::new(&listen(100));
    let mut idle: Vec<_> = (0..400).map(|_| served.connect()).collect();
    assert_eq!(say(&mut served.connect(), "hello\n").unwrap(), "hello\n");
    assert_eq!(idle[0].read(&mut [0]).unwrap(), 0, "the first has gone");
    served.wait_for("at most a hundred", |counters| {
        counters.open.load(std::sync::atomic::Ordering::SeqCst) <= 100
    });
    assert_eq!(served.counters.refused(Refusal::Connections), 0);
    served.end().unwrap();
}

#[test]
fn strangers_make_room_before_who_has_spoken() {
    let served = Served::new(&listen(2));
    let mut spoken = served.connect();
    assert_eq!(say(&mut spoken, "hello\n").unwrap(), "hello\n");
    thread::sleep(Duration::from_millis(50));
    let mut strangers: Vec<_> = (0..20).map(|_| served.connect()).collect();
    assert_eq!(strangers[0].read(&mut [0]).unwrap(), 0);
    assert_eq!(say(&mut served.connect(), "hello\n").unwrap(), "hello\n");
    assert_eq!(say(&mut spoken, "still here\n").unwrap(), "still here\n");
    served.end().unwrap();
}

#[test]
fn who_says_nothing_is_sent_away_and_who_has_spoken_may_be_silent_longer() {
    let mut listen = listen(10);
    listen.silence = Some(Silence {
        first: Duration::from_millis(10),
        later: PATIENCE,
    });
    let served = Served::new(&listen);
    let mut silent = served.connect();
    let mut spoken = served.connect();
    assert_eq!(say(&mut spoken, "hello\n").unwrap(), "hello\n");
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert_eq!(served.counters.refused(Refusal::Timeout), 1);
    assert_eq!(say(&mut spoken, "still here\n").unwrap(), "still here\n");
    served.end().unwrap();
}

#[test]
fn a_unix_socket_is_taken_over_from_the_dead_and_goes_with_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("forward.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut listen = listen(10);
    listen.address = Address::Unix(path.clone());
    let served = Served::new(&listen);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(say(&mut stream, "hello\n").unwrap(), "hello\n");
    let context = Context::new(Stop::new().unwrap());
    let second = Server::bind(&listen, &context).map(|_| ());
    assert!(
        second
            .unwrap_err()
            .to_string()
            .contains("stop who listens there"),
        "the living keep it"
    );
    served.end().unwrap();
    assert!(!path.exists());
}

fn client_config(identity: Option<&str>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(file("ca.crt")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = vec![CertificateDer::from_pem_file(file(&format!("{name}.crt"))).unwrap()];
            let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

/// What comes back through TLS of a line, for a client that shows the certificate of a name.
fn say_secretly(served: &Served, identity: Option<&str>) -> std::io::Result<String> {
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(client_config(identity), name).unwrap();
    say(&mut StreamOwned::new(client, served.connect()), "secret\n")
}

#[test]
fn tls_with_and_without_certificates_of_clients() {
    let mut listen = listen(10);
    listen.tls = Tls {
        enabled: true,
        crt_file: Some(file("server.crt")),
        key_file: Some(file("server.key")),
        ca_file: None,
        verify_certificate: false,
    };
    let open = Served::new(&listen);
    listen.tls.ca_file = Some(file("ca.crt"));
    listen.tls.verify_certificate = true;
    let mutual = Served::new(&listen);

    assert_eq!(say_secretly(&open, None).unwrap(), "secret\n");
    assert_eq!(say_secretly(&mutual, Some("client")).unwrap(), "secret\n");
    assert!(say_secretly(&mutual, None).is_err());
    assert!(say_secretly(&mutual, Some("stranger")).is_err());
    mutual.wait_for("two refusals", |counters| {
        counters.refused(Refusal::Handshake) == 2
    });
    // No TLS at all, and somebody who says nothing: others are served on.
    let _silent = open.connect();
    let mut plain = open.connect();
    plain.write_all(b"secret\nsecret\nsecret\n").unwrap();
    let mut heard = String::new();
    let _ = BufReader::new(plain).read_line(&mut heard);
    assert!(!heard.contains("secret"));
    assert_eq!(say_secretly(&open, None).unwrap(), "secret\n");
    open.wait_for("a refusal", |counters| {
        counters.refused(Refusal::Handshake) == 1
    });
    open.end().unwrap();
    mutual.end().unwrap();
}

#[test]
fn certificates_that_are_renewed_are_shown_and_those_that_cannot_be_used_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let renew = |name: &str, from: &str| {
        std::fs::copy(file(from), at(name)).unwrap();
        // The clock of a file system may stand still between two writes.
        let later = std::time::SystemTime::now() + Duration::from_secs(fastrand::u64(1..1_000_000));
        let file = std::fs::File::options().append(true).open(at(name));
        file.unwrap().set_modified(later).unwrap();
    };
    // A client's certificate, which clients do not believe a server.
    renew("tls.crt", "client.crt");
    renew("tls.key", "client.key");
    let mut listen = listen(10);
    listen.tls = Tls {
        enabled: true,
        crt_file: Some(at("tls.crt")),
        key_file: Some(at("tls.key")),
        ca_file: None,
        verify_certificate: false,
    };
    let served = Served::new(&listen);
    assert!(say_secretly(&served, None).is_err());
    renew("tls.crt", "server.crt");
    assert!(
        say_secretly(&served, None).is_err(),
        "the key is the old one's"
    );
    renew("tls.key", "server.key");
    assert_eq!(say_secretly(&served, None).unwrap(), "secret\n");
    std::fs::write(at("tls.crt"), "nothing of the kind").unwrap();
    assert_eq!(say_secretly(&served, None).unwrap(), "secret\n");
    std::fs::remove_file(at("tls.key")).unwrap();
    assert_eq!(say_secretly(&served, None).unwrap(), "secret\n");
    served.end().unwrap();
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let sound = Tls {
        enabled: true,
        crt_file: Some(file("server.crt")),
        key_file: Some(file("server.key")),
        ca_file: Some(file("ca.crt")),
        verify_certificate: true,
    };
    assert!(check(&sound).is_ok());
    let broken = |change: &dyn Fn(&mut Tls)| {
        let mut tls = sound.clone();
        change(&mut tls);
        check(&tls).unwrap_err().to_string()
    };
    let missing = broken(&|tls| tls.crt_file = Some("/nowhere/tls.crt".into()));
    assert!(
        missing.starts_with("/nowhere/tls.crt cannot be read: "),
        "{missing}"
    );
    let no_key = broken(&|tls| tls.key_file = Some(empty.clone()));
    assert!(
        no_key.ends_with("empty.pem holds no key in PEM"),
        "{no_key}"
    );
    let no_roots = broken(&|tls| tls.ca_file = Some(empty.clone()));
    assert!(
        no_roots.ends_with("empty.pem holds no certificate in PEM"),
        "{no_roots}"
    );
    let others = broken(&|tls| tls.key_file = Some(file("client.key")));
    assert!(others.contains("are not of one another"), "{others}");
    let packed = directory.path().join("packed.pem");
    for key in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n\
         MAAA\n-----END RSA PRIVATE KEY-----\n",
    ] {
        std::fs::write(&packed, key).unwrap();
        let encrypted = broken(&|tls| tls.key_file = Some(packed.clone()));
        assert!(encrypted.contains("is encrypted"), "{encrypted}");
    }
    let may_pass = |name: &Path| {
        let tls = Tls {
            key_file: Some(name.to_owned()),
            ..sound.clone()
        };
        check(&tls).unwrap_err().may_pass()
    };
    assert!(may_pass(Path::new("/nowhere/tls.key")));
    assert!(!may_pass(&file("client.key")) && !may_pass(&packed));
}
