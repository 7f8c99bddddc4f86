//! Files that are rotated in every way, by a source that is killed at any commit: every line is handed on, and none again
//! that was committed.

use super::{restart::Machine, *};

/// Writes lines of which some are hits, and rotates.
struct Writer<'a> {
    machine: &'a Machine,
    lines: usize,
    rotations: usize,
    /// A line that has no newline yet.
    is_open: bool,
    /// Rotated files that may be compressed.
    plain: Vec<String>,
}

impl Writer<'_> {
    fn step(&mut self) {
        match fastrand::u32(0..10) {
            0..6 => self.write(),
            6 => self.rotate(|machine, copy| {
                fs::rename(machine.path("audit.log"), machine.path(copy)).unwrap();
            }),
            7 => self.rotate(|machine, copy| machine.copy_and_truncate("audit.log", copy)),
            8 if !self.plain.is_empty() => {
                let name = self.plain.swap_remove(fastrand::usize(..self.plain.len()));
                self.machine.compress(&name);
            }
            _ => thread::sleep(Duration::from_millis(fastrand::u64(0..20))),
        }
    }

    fn write(&mut self) {
        let mut text = String::new();
        for _ in 0..fastrand::usize(1..200) {
            self.close(&mut text);
            let what = if fastrand::u32(0..20) == 0 {
                "hit"
            } else {
                "clean"
            };
            text += &format!("{:08} {what}", self.lines);
            self.lines += 1;
            self.is_open = true;
        }
        if fastrand::bool() {
            self.close(&mut text);
        }
        self.machine.append("audit.log", &text);
    }

    fn close(&mut self, text: &mut String) {
        if std::mem::take(&mut self.is_open) {
            text.push('\n');
        }
    }

    /// Whoever rotates has finished its line.
    fn rotate(&mut self, how: impl Fn(&Machine, &str)) {
        let mut text = String::new();
        self.close(&mut text);
        self.machine.append("audit.log", &text);
        let copy = format!("audit.log.{}", self.rotations);
        self.rotations += 1;
        how(self.machine, &copy);
        self.plain.push(copy);
    }
}

fn numbers(text: &str) -> Vec<usize> {
    let lines = text.lines();
    lines.map(|line| line[..8].parse().expect(line)).collect()
}

#[test]
fn every_line_is_handed_on_and_none_again_that_was_committed() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::seed(seed);
    let mut machine = Machine::new(&["audit*"]);
    machine.config.glob_minimum_cooldown = Duration::from_millis(20);
    machine.config.rotate_wait = Duration::from_millis(30);
    let mut writer = Writer {
        machine: &machine,
        lines: 0,
        rotations: 0,
        is_open: false,
        plain: Vec::new(),
    };
    for _ in 0..60 {
        for _ in 0..fastrand::u32(0..6) {
            writer.step();
        }
        machine.disk().dies_at = Some(fastrand::usize(1..12));
        let run = machine.start();
        for _ in 0..fastrand::u32(1..12) {
            writer.step();
        }
        if fastrand::u32(0..4) == 0 {
            run.stop();
        } else {
            run.kill();
        }
    }
    writer.write();
    writer.rotate(|_, _| {});
    let total = writer.lines;
    machine.disk().dies_at = None;
    let run = machine.start();
    let mut counts = BTreeMap::<usize, usize>::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while counts.len() < total && Instant::now() < deadline {
        thread::sleep(LONG_ENOUGH);
        counts.clear();
        for number in numbers(&machine.disk().committed) {
            *counts.entry(number).or_default() += 1;
        }
    }
    run.stop();
    let missed: Vec<_> = (0..total)
        .filter(|number| !counts.contains_key(number))
        .collect();
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(
        missed.is_empty() && doubled.is_empty(),
        "seed {seed}: of {total} missed {missed:?}, doubled {doubled:?}"
    );
    let files = fs::read_dir(machine.folder.path()).unwrap().count();
    let positions = machine.disk().positions.len();
    println!("{total} lines, {files} files, {positions} positions");
}
