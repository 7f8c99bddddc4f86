//! Who may feed it.

use std::{
    io::{Read, Write},
    iter,
};

use baitline::{config::Secret, source::server::Refusal};
use sha2::{Digest, Sha512};

use super::{Client, Mode, Source, client::strings};
use crate::msgpack::Value;

const KEY: &str = "open sesame";

fn secured(users: &[(&str, &str)]) -> Source {
    let users: Vec<_> = users
        .iter()
        .map(|(user, password)| ((*user).to_owned(), Secret::new((*password).to_owned())))
        .collect();
    Source::start(|config| {
        config.security.shared_key = Some(Secret::new(KEY.to_owned()));
        config.security.users = users.into_iter().collect();
    })
}

pub fn digest(parts: &[&[u8]]) -> String {
    let hash = Sha512::digest(parts.concat());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The nonce and the salt of a HELO, each as its bytes.
pub fn challenge(helo: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let behind = |key: &[u8]| {
        let at = helo
            .windows(key.len())
            .position(|part| part == key)
            .expect("the key");
        let value = &helo[at + key.len()..];
        match value[0] {
            0xc4 => value[2..2 + usize::from(value[1])].to_vec(),
            _ => Vec::new(),
        }
    };
    (behind(b"\xa5nonce"), behind(b"\xa4auth"))
}

pub fn ping(helo: &[u8], key: &str, (user, password): (&str, &str)) -> Vec<u8> {
    let (nonce, salt) = challenge(helo);
    let own = b"\xff\x00 salt";
    let values = vec![
        "PING".into(),
        "node-1".into(),
        Value::Str(own.to_vec()),
        digest(&[own, b"node-1", &nonce, key.as_bytes()])
            .as_str()
            .into(),
        user.into(),
        digest(&[&salt, user.as_bytes(), password.as_bytes()])
            .as_str()
            .into(),
    ];
    Value::Array(values).bytes()
}

fn enter<S: Read + Write>(client: &mut Client<S>, key: &str, user: (&str, &str)) -> Vec<String> {
    let helo = client.hear().expect("HELO");
    assert_eq!(strings(&helo)[0], "HELO");
    let (nonce, _) = challenge(&helo);
    client.send(&ping(&helo, key, user));
    let pong = client.hear().expect("PONG");
    assert_eq!(pong[6], if pong[7] == 0xa0 { 0xc3 } else { 0xc2 });
    let pong = strings(&pong);
    if pong[1].is_empty() {
        let shown = digest(&[b"\xff\x00 salt", b"baitline", &nonce, KEY.as_bytes()]);
        assert_eq!(pong[2..], ["baitline".to_owned(), shown]);
    }
    pong
}

fn message() -> Vec<u8> {
    let entry = Value::Array(vec![
        Value::Integer(1_795_455_390),
        Value::map([("log", "x".into())]),
    ]);
    Mode::Forward.messages(&[entry], Some("chunk"), &mut iter::repeat(0))
}

#[test]
fn who_knows_the_key_is_heard_and_nobody_else() {
    let source = secured(&[]);
    let mut client = source.connect();
    assert_eq!(enter(&mut client, KEY, ("", ""))[1], "");
    client.send(&message());
    assert_eq!(client.ack().as_deref(), Some("chunk"));

    let mut stranger = source.connect();
    assert_eq!(
        enter(&mut stranger, "open", ("", ""))[1],
        "shared_key mismatch"
    );
    assert_eq!(stranger.hear(), None);
    source.wait_refused(Refusal::Auth, 1);

    // Who does not ask is not heard.
    let mut rude = source.connect();
    let helo = rude.hear().expect("HELO");
    rude.send(&message());
    assert_eq!(strings(&rude.hear().expect("PONG"))[1], "no PING came");
    assert_eq!(rude.hear(), None);

    // What was right on another connection is wrong on this.
    let mut replayed = source.connect();
    replayed.hear().expect("HELO");
    replayed.send(&ping(&helo, KEY, ("", "")));
    assert_eq!(
        strings(&replayed.hear().expect("PONG"))[1],
        "shared_key mismatch"
    );

    // Garbage in place of a PING, and a length of 4 GB.
    for garbage in [
        b"\xc1".as_slice(),
        b"\xdb\xff\xff\xff\xff",
        b"\x96\xdb\xff\xff\xff\xffxx",
    ] {
        let mut client = source.connect();
        client.hear().expect("HELO");
        client.send(garbage);
        assert_eq!(client.hear(), None);
    }
    client.send(&message());
    assert_eq!(client.ack().as_deref(), Some("chunk"));
    source.end();
}

#[test]
fn users_need_their_password_too() {
    let source = secured(&[("ann", "p1"), ("bob", "p2")]);
    for (key, user, wanted) in [
        (KEY, ("ann", "p1"), ""),
        (KEY, ("bob", "p2"), ""),
        (KEY, ("bob", "p1"), "username/password mismatch"),
        (KEY, ("eve", ""), "username/password mismatch"),
        ("x", ("ann", "p1"), "shared_key mismatch"),
    ] {
        let mut client = source.connect();
        assert_eq!(enter(&mut client, key, user)[1], wanted);
        if wanted.is_empty() {
            client.send(&message());
            assert_eq!(client.ack().as_deref(), Some("chunk"));
        } else {
            assert_eq!(client.hear(), None);
        }
    }
    source.wait_refused(Refusal::Auth, 3);
    source.end();
}
