//! Detections to alerts, with event time as the clock.

use jiff::{SignedDuration, Timestamp};

use super::{Error, Message, Rules, ordered::Ordered};
use crate::{
    dedupe::{Alert, Dedupe},
    detect::{Class, Detection},
};

/// How far the clock goes on where a step of the machine did not.
const STEP: SignedDuration = SignedDuration::from_secs(1);

/// Tells all that a live pipeline would have told: alerts, and each detection behind those that it gave rise to. What is open
/// at the end is closed.
pub(super) fn replay(
    found: &Ordered,
    rules: &Rules,
    tell: &mut dyn FnMut(Message<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut replay = Replay {
        dedupe: Dedupe::new(rules.dedupe.clone()),
        now: Timestamp::MIN,
        alerts: Vec::new(),
    };
    found.each(|detection, line| {
        replay.take(detection);
        for alert in replay.alerts.drain(..) {
            tell(Message::Alert(&alert))?;
        }
        if rules.emits_expected() || detection.class != Class::Expected {
            tell(Message::Detection(detection, line))?;
        }
        Ok(())
    })?;
    replay.dedupe.drain(replay.now, &mut replay.alerts);
    for alert in &replay.alerts {
        tell(Message::Alert(alert))?;
    }
    Ok(())
}

struct Replay {
    dedupe: Dedupe,
    /// The time of the latest event.
    now: Timestamp,
    /// Not told yet.
    alerts: Vec<Alert>,
}

impl Replay {
    fn take(&mut self, detection: &Detection) {
        self.pass_time(detection.time);
        self.dedupe.apply(detection, self.now, &mut self.alerts);
    }

    /// Does what is due up to `until`, each at its own time.
    fn pass_time(&mut self, until: Timestamp) {
        while let Some(due) = self.dedupe.next_tick().filter(|due| *due <= until) {
            // Every step must bring the clock forward, or this might not end.
            let least = self.now.checked_add(STEP).unwrap_or(Timestamp::MAX);
            let is_late = due <= self.now;
            if is_late && least > until {
                break;
            }
            self.now = if is_late { least } else { due };
            self.dedupe.tick(self.now, &mut self.alerts);
        }
        self.now = self.now.max(until);
    }
}
