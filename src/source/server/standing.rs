//! Whether a source that listens takes what comes: what its status says of that.
//!
//! One stranger who is refused is nothing to speak of while others are served. If nobody is, it is: by a token, a path or a
//! certificate that is wrong a source is deaf, and looks well otherwise. What is too large is most often thrown away by who sent
//! it, and so is what was told too often to come again: that is said for a while, whoever else is served.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::Refusal;
use crate::telemetry::Status;

/// For so long nothing was taken, so that what is refused may be all there is. An API server is never quiet for so long.
const QUIET: Duration = Duration::from_secs(60);

/// How long it is said that something was refused.
const SAID: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct Standing {
    status: OnceLock<Status>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: Option<Instant>,
    /// Nothing was taken since all that came was refused.
    is_deaf: bool,
}

impl Standing {
    /// Says it by `status` from now on.
    pub(super) fn report_to(&self, status: &Status) {
        let _ = self.status.set(status.clone());
    }

    /// Something was taken.
    pub(super) fn took(&self) {
        let mut state = self.state();
        state.taken = Some(Instant::now());
        if std::mem::take(&mut state.is_deaf)
            && let Some(status) = self.status.get()
        {
            status.well();
        }
    }

    /// Something was refused.
    pub(super) fn refused(&self, why: Refusal) {
        let Some(what) = meaning(why) else { return };
        let mut state = self.state();
        let is_quiet = state.taken.is_none_or(|then| then.elapsed() >= QUIET);
        let is_lost = matches!(why, Refusal::TooLarge | Refusal::Overload);
        state.is_deaf = is_quiet && !is_lost;
        if (is_quiet || is_lost)
            && let Some(status) = self.status.get()
        {
            status.unwell_for(SAID, what);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What it guards is sound after each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it means that something is refused so; `None` if it is sent again, or means nothing by itself.
fn meaning(why: Refusal) -> Option<&'static str> {
    Some(match why {
        Refusal::TooLarge => {
            "something was refused because it is too large: what was read of it was searched, and who sent it may have thrown it away"
        }
        Refusal::Overload => {
            "too much waits to be searched or stored: some was refused for now, and who sent it may give up"
        }
        Refusal::Handshake => "all that comes is refused: no TLS handshake",
        Refusal::Auth => "all that comes is refused: credentials are missing or wrong",
        Refusal::Route => "all that comes is refused: the path or the method is not served",
        Refusal::Coding => "all that comes is refused: it is packed in a way that is not known",
        Refusal::Malformed => "all that comes is refused: it is no message of the protocol",
        Refusal::Connections | Refusal::Timeout | Refusal::BrokenOff => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(status: &Status) -> Option<String> {
        status.trouble().map(|trouble| trouble.reason)
    }

    #[test]
    fn who_is_refused_is_spoken_of_if_nobody_is_served() {
        let (standing, status) = (Standing::default(), Status::default());
        standing.report_to(&status);
        standing.refused(Refusal::Timeout);
        assert_eq!(reason(&status), None);
        standing.refused(Refusal::Auth);
        assert!(reason(&status).unwrap().contains("credentials"));
        assert!(!status.trouble().unwrap().is_lasting);
        standing.took();
        standing.refused(Refusal::Auth);
        assert_eq!(reason(&status), None, "somebody is served");
        standing.state().taken = Instant::now().checked_sub(QUIET);
        standing.refused(Refusal::Route);
        assert!(reason(&status).unwrap().contains("path"));
    }

    #[test]
    fn what_may_be_lost_is_spoken_of_whoever_else_is_served() {
        for (why, wanted) in [
            (Refusal::TooLarge, "too large"),
            (Refusal::Overload, "too much waits"),
        ] {
            let (standing, status) = (Standing::default(), Status::default());
            standing.report_to(&status);
            standing.took();
            standing.refused(why);
            standing.took();
            standing.refused(Refusal::Auth);
            standing.took();
            assert!(reason(&status).unwrap().contains(wanted));
        }
    }

    #[test]
    fn what_somebody_else_says_stays() {
        let (standing, status) = (Standing::default(), Status::default());
        standing.report_to(&status);
        status.unwell("cannot accept connections");
        standing.took();
        assert!(reason(&status).is_some());
    }
}
