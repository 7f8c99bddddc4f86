//! The binary in a temporary directory: started, fed, listened to, and waited for or killed.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::told::Told;

/// How long anything may take on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The configuration that [`Setting::with`] writes.
const CONFIGURATION: &str = "baitline.json";

/// The decoy of the recordings.
pub fn decoy(whole_namespace: bool) -> Value {
    json!({
        "service_account": "honeypot/backup-sa", "secret": "backup-sa-token", "pod": "file-backup",
        "whole_namespace": whole_namespace,
    })
}

/// Standard input to the terminal, to `alert.txt`, and as JSON lines to `told.ndjson`.
pub fn configuration(decoy: Value) -> Value {
    json!({
        "decoys": [decoy],
        "sources": {"audit": {"type": "stdin"}},
        "transforms": {
            "detections": {"type": "detect", "inputs": ["audit"]},
            "incidents": {"type": "dedupe", "inputs": ["detections"]},
        },
        "sinks": {
            "terminal": {"type": "console", "inputs": ["incidents"]},
            "alert_txt": {"type": "file", "inputs": ["incidents"], "path": "alert.txt"},
            "told": {
                "type": "file", "inputs": ["detections", "incidents"], "path": "told.ndjson",
                "encoding": {"codec": "json"},
            },
        },
    })
}

/// As [`configuration`], and touches by expected actors are told as well.
pub fn with_expected(decoy: Value) -> Value {
    let mut configuration = configuration(decoy);
    configuration["transforms"]["detections"]["emit_expected"] = true.into();
    configuration
}

/// Adds a sink of each kind that shows text and is not in [`configuration`]: Slack, fast, at `slack`, and detections as
/// text in `evidence.txt`.
pub fn show_everywhere(configuration: &mut Value, slack: &str) {
    configuration["sinks"]["slack"] = json!({
        "type": "slack", "inputs": ["detections", "incidents"], "webhook_url": slack,
        "request": {"rate_limit_num": 100_000},
    });
    configuration["sinks"]["evidence_txt"] =
        json!({"type": "file", "inputs": ["detections"], "path": "evidence.txt"});
}

/// What `baitline run` makes of `input`, from its beginning to its end.
pub fn watch(configuration: &Value, input: &[u8]) -> Ran {
    let ran = Setting::with(configuration).watch(&[], input);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

/// A temporary directory in which the program is run.
#[derive(Clone)]
pub struct Setting {
    directory: Arc<TempDir>,
}

impl Setting {
    pub fn empty() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        Self {
            directory: Arc::new(directory),
        }
    }

    pub fn with(configuration: &Value) -> Self {
        let setting = Self::empty();
        setting.write(CONFIGURATION, configuration.to_string());
        setting
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("the directory is ours");
    }

    /// The program with `arguments`, and nothing of this process's environment that concerns it.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_baitline"));
        program
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["SLACK_WEBHOOK_URL", "CLUSTER", "AUDIT_LOG_DIR", "NO_COLOR"] {
            program.env_remove(name);
        }
        program
    }

    /// Runs the program with `arguments` on `input`.
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut running = self.start(&mut self.program(arguments));
        running.write(input);
        running.end()
    }

    /// `baitline run` by the configuration, with further `arguments`.
    pub fn watch(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut running = self.start_watch(arguments);
        running.write(input);
        running.end()
    }

    /// As [`Setting::watch`], still running and not yet fed.
    pub fn start_watch(&self, arguments: &[&str]) -> Running {
        let arguments = [&["run", "--config", CONFIGURATION], arguments].concat();
        self.start(&mut self.program(&arguments))
    }

    pub fn start(&self, program: &mut Command) -> Running {
        let mut child = program.spawn().expect("the program starts");
        Running {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map_or_else(Heard::nothing, Heard::of),
            stderr: child.stderr.take().map_or_else(Heard::nothing, Heard::of),
            child,
            setting: self.clone(),
        }
    }
}

/// The program while it runs. Killed if it is dropped.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    pub stdout: Heard,
    pub stderr: Heard,
    setting: Setting,
}

impl Running {
    /// Writes to its standard input, which stays open. A reader that is gone is no fault.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("there is a shell").success());
    }

    /// Waits until it has handlers of its own for the signals that end a process.
    pub fn wait_until_it_heeds_signals(&self) {
        let (hangup, interrupt, terminate) = (1, 1 << 1, 1 << 14);
        let all = hangup | interrupt | terminate;
        let caught = || u64::from_str_radix(&self.status("SigCgt"), 16).expect("a mask");
        while caught() & all != all {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The most memory it has had so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let peak = self.status("VmHWM");
        let number = peak.strip_suffix(" kB");
        number
            .and_then(|number| number.parse().ok())
            .expect("a number of kB")
    }

    /// What the system tells of the process.
    fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("the program runs");
        let mut fields = status.lines().filter_map(|line| line.split_once(':'));
        let value = fields.find_map(|(name, value)| (name == field).then_some(value));
        value.expect("such a field").trim().to_owned()
    }

    /// Closes its standard input and waits until it has ended.
    pub fn end(mut self) -> Ran {
        self.close_stdin();
        self.wait()
    }

    /// Waits until it has ended; its standard input stays open.
    pub fn wait(mut self) -> Ran {
        self.stderr
            .wait_until("the end of the program", |heard| heard.ended);
        let status = self.child.wait().expect("it is our child");
        // What it started itself, and so could still write, does not exist.
        self.stdout
            .wait_until("the end of standard output", |heard| heard.ended);
        Ran {
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            setting: self.setting.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a stream of the program has said, while it goes on.
#[derive(Clone)]
pub struct Heard(Arc<(Mutex<SoFar>, Condvar)>);

/// What has been said so far.
#[derive(Default)]
pub struct SoFar {
    bytes: Vec<u8>,
    pub ended: bool,
}

impl SoFar {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Heard {
    fn nothing() -> Self {
        let ended = SoFar {
            ended: true,
            ..SoFar::default()
        };
        Self(Arc::new((Mutex::new(ended), Condvar::new())))
    }

    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let heard = Self(Arc::default());
        let writer = heard.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let count = stream.read(&mut buffer).unwrap_or(0);
                let mut so_far = writer.so_far();
                so_far.bytes.extend_from_slice(&buffer[..count]);
                so_far.ended = count == 0;
                writer.0.1.notify_all();
                if count == 0 {
                    break;
                }
            }
        });
        heard
    }

    pub fn text(&self) -> String {
        let bytes = self.so_far().bytes.clone();
        String::from_utf8(bytes).expect("all output is UTF-8")
    }

    /// Waits until `text` has been said.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |heard| heard.text().contains(text));
    }

    pub fn wait_until(&self, what: &str, holds: impl Fn(&SoFar) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut so_far = self.so_far();
        while !holds(&so_far) {
            let rest = deadline.saturating_duration_since(Instant::now());
            assert!(
                !rest.is_zero() && !so_far.ended,
                "waited in vain for {what}; said so far:\n{}",
                so_far.text()
            );
            let waited = self.0.1.wait_timeout(so_far, rest);
            so_far = waited.expect("no listener panicked").0;
        }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.0.0.lock().expect("no listener panicked")
    }
}

/// A run that has ended.
pub struct Ran {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    setting: Setting,
}

impl Ran {
    /// What stands in a file that it wrote; empty if there is none.
    pub fn file(&self, name: &str) -> String {
        let bytes = fs::read(self.setting.path(name)).unwrap_or_default();
        String::from_utf8(bytes).expect("all output is UTF-8")
    }

    /// What it told as JSON lines.
    pub fn told(&self) -> Told {
        Told::read(&self.file("told.ndjson"))
    }
}
