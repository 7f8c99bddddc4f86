use std::{
    io::{PipeWriter, Write, pipe},
    os::fd::AsFd,
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::*;

type Reader = JoinHandle<Result<Ended, Error>>;

/// A source on a thread of its own, which reads a pipe and sends what it hands on.
fn started(stop: &Stop) -> (PipeWriter, Receiver<(String, String)>, Reader) {
    let (input, writer) = pipe().unwrap();
    let (sender, receiver) = channel();
    let stop = stop.clone();
    let reader = thread::spawn(move || {
        let config = Config {
            max_line_bytes: 1 << 20,
            decoding: Decoding::Audit,
        };
        read(&config, input.as_fd(), &stop, &mut |block: &Block<'_>| {
            let text = String::from_utf8_lossy(block.bytes).into_owned();
            let position = (block.provenance)(0).position.into();
            sender.send((text, position)).unwrap();
            true
        })
    });
    (writer, receiver, reader)
}

fn next(receiver: &Receiver<(String, String)>) -> (String, String) {
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("a block")
}

#[test]
fn a_record_is_handed_on_when_its_newline_is_there() {
    let (mut writer, blocks, reader) = started(&Stop::new().unwrap());
    writer.write_all(b"one\ntw").unwrap();
    assert_eq!(next(&blocks), ("one\n".into(), "stdin:0".into()));
    writer.write_all(b"o\n").unwrap();
    assert_eq!(next(&blocks), ("two\n".into(), "stdin:4".into()));
    writer.write_all(b"the last").unwrap();
    drop(writer);
    assert_eq!(next(&blocks), ("the last".into(), "stdin:8".into()));
    assert_eq!(reader.join().unwrap().unwrap(), Ended::EndOfInput);
}

#[test]
fn stop_wakes_a_blocked_read_and_keeps_nothing_back() {
    let stop = Stop::new().unwrap();
    let (mut writer, blocks, reader) = started(&stop);
    writer.write_all(b"one\nhalf").unwrap();
    assert_eq!(next(&blocks).0, "one\n");
    stop.trigger();
    assert_eq!(reader.join().unwrap().unwrap(), Ended::Stopped);
    assert_eq!(next(&blocks), ("half".into(), "stdin:4".into()));
    drop(writer);
}

#[test]
fn compressed_input_is_recognised_and_its_damage_told() {
    let (mut writer, blocks, reader) = started(&Stop::new().unwrap());
    let mut packed = zstd::encode_all(&b"one\ntwo\n"[..], 1).unwrap();
    packed.extend(&packed.clone()[..packed.len() - 3]);
    writer.write_all(&packed).unwrap();
    drop(writer);
    let error = reader.join().unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("cut off at byte {}", packed.len())),
        "{error}"
    );
    let text: String = blocks.iter().map(|(text, _)| text).collect();
    assert!(text.starts_with("one\ntwo\n"), "{text}");
}

#[test]
fn a_byte_that_might_begin_a_compressed_stream_is_not_lost() {
    let (mut writer, blocks, reader) = started(&Stop::new().unwrap());
    writer.write_all(b"(").unwrap();
    drop(writer);
    assert_eq!(next(&blocks).0, "(");
    reader.join().unwrap().unwrap();
}

/// As `scan` of the same: who pipes what is not read must not take it for searched.
#[test]
fn what_is_in_a_form_that_is_not_read_is_an_error() {
    let (mut writer, _blocks, reader) = started(&Stop::new().unwrap());
    writer
        .write_all(b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46")
        .unwrap();
    drop(writer);
    let error = reader.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("standard input"), "{error}");
}
