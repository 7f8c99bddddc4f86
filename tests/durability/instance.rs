//! One baitline that is started, killed, stopped and started again.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;

/// How long any step may take on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A baitline with its configuration, in a directory of its own.
pub struct Instance {
    pub directory: PathBuf,
    child: Option<Child>,
}

impl Instance {
    pub fn new(directory: &Path, configuration: &Value) -> Self {
        fs::create_dir_all(directory).expect("the directory is ours");
        fs::write(directory.join("baitline.json"), configuration.to_string())
            .expect("the directory is ours");
        Self {
            directory: directory.into(),
            child: None,
        }
    }

    pub fn start(&mut self) {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.directory.join("log.txt"))
            .expect("the directory is ours");
        self.child = Some(
            self.program(&["run", "--config", "baitline.json"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("the program starts"),
        );
    }

    /// The program in the instance's directory.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_baitline"));
        program.args(arguments).current_dir(&self.directory);
        program
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An instance that has ended by itself is a fault, and is told by its log.
            let ended = child.try_wait().expect("it is our child");
            assert!(
                ended.is_none(),
                "it ended by itself: {ended:?}\n{}",
                self.log()
            );
            child.kill().expect("it runs");
            child.wait().expect("it is our child");
        }
    }

    /// Stops it, as SIGTERM does, and gives its exit code.
    pub fn end(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        self.signal_to(&child, Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it, as a debugger does, and waits until it stands still.
    pub fn stand_still(&self) {
        self.signal(Signal::STOP);
        let child = Pid::from_child(self.child.as_ref().expect("it runs"));
        let stopped = waitpid(Some(child), WaitOptions::UNTRACED).expect("it is our child");
        let (_, status) = stopped.expect("it was waited for");
        assert!(status.stopped(), "{status:?}");
    }

    pub fn signal(&self, signal: Signal) {
        self.signal_to(self.child.as_ref().expect("it runs"), signal);
    }

    fn signal_to(&self, child: &Child, signal: Signal) {
        let pid = Pid::from_child(child);
        kill_process(pid, signal).expect("it is our child");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log.txt")).unwrap_or_default()
    }

    /// Waits until `holds`.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        self.wait_for_all(what, 1, || holds().into());
    }

    /// Waits until there are `all`, for as long as their `count` grows.
    pub fn wait_for_all(&self, what: &str, all: usize, mut count: impl FnMut() -> usize) {
        let (mut most, mut deadline) = (0, Instant::now() + PATIENCE);
        loop {
            let now = count();
            if now >= all {
                return;
            }
            if now > most {
                (most, deadline) = (now, Instant::now() + PATIENCE);
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}, {now} of {all}; the log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Syncs nothing: what matters here is the death of processes.
pub fn append(path: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("the directory is ours")
}
