//! The life of one connection: it is served, and watched meanwhile.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::source::server::{Connection, Refusal, Stream, connection::Activity, places::Place};

/// How often it is looked whether a connection is idle.
const LOOK: Duration = Duration::from_secs(1);

/// A connection that has read at its requests for so long, and none of them has ended, may be taken for an idle one.
const STUCK: Duration = Duration::from_secs(5);

/// A stranger who has been silent for so long has nothing in flight, and one who has been sending a request for so long is no better:
/// either goes at once if the place is wanted, or a burst of half requests would keep everybody out until they are stuck.
pub(super) const SILENT: Duration = Duration::from_millis(250);

/// How long a connection that is asked to end may go on.
const LEAVE: Duration = Duration::from_secs(5);

/// A connection, as the listener knows it.
pub(super) struct Guest {
    pub(super) number: u64,
    pub(super) shared: Arc<Shared>,
    pub(super) activity: Arc<Activity>,
    pub(super) closing: CancellationToken,
    pub(super) _place: Place,
}

impl Guest {
    /// The life of the connection.
    pub(super) async fn stay<C: Future<Output = ()>>(
        self,
        stream: Stream,
        peer: Arc<str>,
        connect: impl Fn(Connection) -> C,
    ) {
        let serve = async {
            let stream = tokio::select! {
                stream = self.shared.shake_hands(stream, &peer) => stream,
                () = self.closing.cancelled() => None,
            };
            let Some(stream) = stream else { return };
            connect(Connection {
                stream,
                peer,
                closing: self.closing.clone(),
                activity: Arc::clone(&self.activity),
                counters: Arc::clone(&self.shared.counters),
            })
            .await;
        };
        tokio::select! {
            () = serve => {}
            () = self.watch() => {}
        }
    }

    /// Returns when the connection has been idle too long, or has been asked to end and does not.
    async fn watch(&self) {
        loop {
            let asked = tokio::select! {
                () = sleep(LOOK) => false,
                () = self.closing.cancelled() => true,
            };
            let is_silent = || self.activity.idle().is_some_and(|idle| idle >= SILENT);
            if asked && !self.activity.is_proven() && is_silent() {
                return;
            }
            if asked && stuck(&self.activity).is_some() {
                self.shared.counters.refuse(Refusal::Timeout);
                return;
            }
            let longest = match asked {
                true => LEAVE,
                false => match self.shared.silence {
                    Some(silence) if self.activity.is_new() => silence.first,
                    Some(silence) => silence.later,
                    None => continue,
                },
            };
            if asked {
                sleep(SILENT).await;
            }
            if self.activity.idle().is_some_and(|idle| idle > longest) {
                if !asked && self.activity.is_new() {
                    self.shared.counters.refuse(Refusal::Timeout);
                }
                return;
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.open().remove(&self.number);
        self.shared.counters.open.fetch_sub(1, Relaxed);
    }
}

/// How long a connection has been reading at its requests, if it may be taken for an idle one by now.
pub(super) fn stuck(activity: &Activity) -> Option<Duration> {
    let least = match activity.is_proven() {
        true => STUCK,
        false => SILENT,
    };
    activity.stuck().filter(|stuck| *stuck >= least)
}
