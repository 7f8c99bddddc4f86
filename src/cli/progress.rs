//! How far a scan has come, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const OF_ALL: &str = "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left";
/// Where nobody knows how much is to come.
const SO_FAR: &str = "{spinner} {bytes} {bytes_per_sec}";

/// How often it is drawn again while nothing happens.
const BEAT: Duration = Duration::from_millis(200);

/// A bar on standard error; nothing if that is no terminal.
#[derive(Clone)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// `is_shown`: the user has not asked for silence.
    pub fn new(is_shown: bool) -> Self {
        let target = match is_shown {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let progress = Self(ProgressBar::with_draw_target(None, target));
        progress.show(SO_FAR);
        progress
    }

    /// What there is to read is known, but perhaps not how much that is.
    pub fn begin(&self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.0.set_length(bytes);
            self.show(OF_ALL);
        }
        if !self.0.is_hidden() {
            self.0.enable_steady_tick(BEAT);
        }
    }

    fn show(&self, template: &str) {
        // A template of ours is sound.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
    }

    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Does what writes to the terminal too.
    pub fn aside(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    /// Leaves no trace.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
