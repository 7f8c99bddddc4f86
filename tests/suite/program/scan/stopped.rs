//! A search that is told to stop tells what it found.

use std::{fs::OpenOptions, io::Write, process::Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Setting, clean, hit};
use crate::program::{
    harness::{Ran, Running},
    life_cycle::undo_nohup,
    told::Told,
};

/// More than a reader holds back.
fn much_with_a_hit() -> Vec<u8> {
    let hit = hit(1, "2026-11-23T17:21:08.912184Z");
    [hit, clean().repeat(50_000)].concat()
}

/// Sends a signal while more of standard input, or of a FIFO, is waited for.
fn stopped(running: Running, signal: &str) -> Ran {
    running.wait_until_it_heeds_signals();
    running.signal(signal);
    let ran = running.wait();
    assert_eq!(ran.code, Some(1), "{signal}: {}", ran.stderr);
    let named = format!("SIG{signal}: stopping");
    for told in [&*named, "stopped: what was not read"] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    ran
}

#[test]
fn what_was_found_is_told_though_the_rest_is_not_read() {
    undo_nohup();
    for signal in ["INT", "TERM", "HUP"] {
        let setting = Setting::empty();
        let mut running = setting.start(&mut setting.program(&["scan", "--json", "-"]));
        running.write(&much_with_a_hit());
        let told = Told::read(&stopped(running, signal).stdout);
        let kinds: Vec<_> = told.alerts.iter().map(|alert| &alert["kind"]).collect();
        assert_eq!(kinds, ["opened", "closed"], "{signal}");
    }
}

#[test]
fn a_fifo_that_nobody_writes_to_holds_no_search_up() {
    undo_nohup();
    let setting = Setting::empty();
    mknodat(CWD, setting.path("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a new FIFO");
    let mut program = setting.program(&["scan", "fifo"]);
    let running = setting.start(program.stdin(Stdio::null()));
    stopped(running, "TERM");
    // Who comes late is waited for.
    let mut program = setting.program(&["scan", "fifo"]);
    let running = setting.start(program.stdin(Stdio::null()));
    running.wait_until_it_heeds_signals();
    let mut fifo = OpenOptions::new()
        .write(true)
        .open(setting.path("fifo"))
        .expect("a reader is there");
    fifo.write_all(&hit(1, "2026-11-23T17:21:08.912184Z"))
        .expect("it reads");
    drop(fifo);
    let ran = running.wait();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
