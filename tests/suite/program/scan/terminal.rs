//! How far a scan has come, as a terminal shows it.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::Path,
    process::{Command, Stdio},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{Setting, clean};

/// What `program` writes to a terminal of this kind that is its standard error.
fn shown(mut program: Command, terminal_kind: &str) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("it is ours");
    unlockpt(&terminal).expect("it is ours");
    let name = ptsname(&terminal, Vec::new()).expect("a name");
    let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let other_end = OpenOptions::new()
        .write(true)
        .custom_flags(OpenptFlags::NOCTTY.bits() as i32)
        .open(name)
        .expect("it is there");
    program
        .env("TERM", terminal_kind)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut running = program.stderr(other_end).spawn().expect("it starts");
    // Or the terminal would never end.
    drop(program);
    let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
    // The end is an error: nobody writes any more.
    while let Ok(count @ 1..) =
        File::from(terminal.try_clone().expect("it is open")).read(&mut bytes)
    {
        text.extend_from_slice(&bytes[..count]);
    }
    assert!(running.wait().expect("it ran").success());
    String::from_utf8(text).expect("text")
}

#[test]
fn a_bar_has_the_rate_and_the_time_that_is_left() {
    let setting = Setting::empty();
    let mut log = File::create(setting.path("log")).expect("a new file");
    let lines = clean().repeat(20_000);
    // A second's work without optimisation.
    for _ in 0..50 {
        log.write_all(&lines).expect("room");
    }
    let bar = shown(setting.program(&["scan", "log"]), "xterm");
    for part in [" of ", "/s, ", " left", "\r"] {
        assert!(bar.contains(part), "{part:?} in {bar:?}");
    }
    // What stays is the last line, and no bar.
    let last = bar.rsplit('\r').find(|line| !line.trim().is_empty());
    assert!(last.is_some_and(|line| !line.contains(" left")), "{bar:?}");
    let quiet = shown(setting.program(&["-q", "scan", "log"]), "xterm");
    assert_eq!(quiet, "");
    let plain = shown(setting.program(&["scan", "log"]), "dumb");
    assert!(
        plain.contains("searched") && !plain.contains('\u{1b}'),
        "{plain:?}"
    );
}
