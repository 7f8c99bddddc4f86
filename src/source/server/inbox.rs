//! The way from the connections to the source's thread, and back.
//!
//! A connection hands in a delivery and gets a [`Receipt`]; the source's thread searches deliveries of an address in the order in which
//! they came, and addresses in turn, those first that are known to be quick. One in which nothing is found is answered at once: there
//! is nothing to keep. One in which something is found is answered when that is safe. What has come while another was searched is
//! searched with it, up to what fits into a cache, and committed together; the store goes on and writes all that waits in one
//! transaction.
//!
//! When the pipeline is full, the thread waits in the commit, the inbox fills, and whoever hands in waits too. All memory that
//! connections fill with what they read is lent by the inbox ([`Room`]) and comes back when it was searched. No address holds more
//! than three quarters of it: who floods the inbox leaves room for others.

use std::{
    future::pending,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use self::{
    queue::{Back, Front, Owner, queue},
    share::Shares,
};
use crate::source::{Outlet, Progress};

mod queue;
mod share;

/// Deliveries of one address that wait to be searched.
const DELIVERIES: usize = 64;

/// How long somebody waits for room before those who hold it are asked to give it up, again and again.
const ASK: Duration = Duration::from_millis(100);

/// Bytes that are searched before what was found in them is committed, if more waits.
const BURST_BYTES: usize = 256 << 10;

/// How long that may take.
const BURST: Duration = Duration::from_millis(20);

/// What each of these counts at least, so that there is an end of small ones too.
const MIN_BYTES: usize = 4 << 10;

/// A channel for deliveries `D`, each answered by an `A`. Connections may have read `room` bytes that are not searched.
pub(crate) fn inbox<D, A>(room: usize) -> (Sender<D, A>, Inbox<D, A>) {
    let (parcels, back) = queue();
    let most = room.min(u32::MAX as usize);
    let sender = Sender {
        parcels: Arc::new(back),
        room: Arc::new(Lender::new(most)),
        shares: Arc::new(Shares::of(most)),
        owner: None,
        share: None,
    };
    (sender, Inbox { parcels })
}

struct Parcel<D, A> {
    delivery: D,
    room: Room,
    reply: oneshot::Sender<A>,
    /// Its place in the queue.
    _place: Option<OwnedSemaphorePermit>,
}

/// Why something is not taken in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much waits to be searched")]
pub(crate) struct Overloaded;

/// The connections' end. Clones hand in at the same inbox, which ends when all are gone.
pub(crate) struct Sender<D, A> {
    parcels: Arc<Back<Parcel<D, A>>>,
    room: Arc<Lender>,
    shares: Arc<Shares>,
    /// Who hands in here.
    owner: Owner,
    /// What the peer of this connection may hold of the room, with all others at its address.
    share: Option<Arc<Lender>>,
}

impl<D, A> Clone for Sender<D, A> {
    fn clone(&self) -> Self {
        Self {
            parcels: Arc::clone(&self.parcels),
            room: Arc::clone(&self.room),
            shares: Arc::clone(&self.shares),
            owner: self.owner,
            share: self.share.clone(),
        }
    }
}

/// Who lends bytes, and places in the queue, first come, first served.
struct Lender {
    bytes: Arc<Semaphore>,
    most: usize,
    wanted: Notify,
    places: Arc<Semaphore>,
}

impl Lender {
    /// Of `most` bytes, which are a u32.
    fn new(most: usize) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(most)),
            most,
            wanted: Notify::new(),
            places: Arc::new(Semaphore::new(DELIVERIES)),
        }
    }

    /// Waits for `bytes`; more than there is at all counts as all there is.
    async fn lend(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        // What is above `most` was cut off; and nobody closes the semaphore.
        let bytes = bytes.min(self.most) as u32;
        let mut acquired = pin!(Arc::clone(&self.bytes).acquire_many_owned(bytes));
        loop {
            if let Ok(permit) = timeout(ASK, acquired.as_mut()).await {
                return permit.ok();
            }
            self.wanted.notify_waiters();
        }
    }
}

impl<D, A> Sender<D, A> {
    /// One for a connection with `peer`: `10.0.0.1:51234`, or `unix`.
    pub(crate) fn of(&self, peer: &str) -> Self {
        let owner = share::owner(peer);
        Self {
            owner,
            share: owner.map(|owner| self.shares.share(owner)),
            ..self.clone()
        }
    }

    /// Room for `bytes` that are about to be kept; waits for it. More than may be held at all counts as all that may.
    pub(crate) async fn room(&self, bytes: usize) -> Room {
        let (bytes, of_share) = match &self.share {
            Some(share) => (bytes.min(share.most), share.lend(bytes).await),
            None => (bytes, None),
        };
        Room {
            of_share,
            permit: self.room.lend(bytes).await,
        }
    }

    /// Returns when somebody has waited for a while for room that is held here. Who holds some for long gives it up then.
    pub(crate) async fn wanted(&self) {
        let of_share = async {
            match &self.share {
                Some(share) => share.wanted.notified().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.room.wanted.notified() => {}
            () = of_share => {}
        }
    }

    /// Hands in `delivery`; waits while the inbox is full. The receipt of one that is never searched, since the source
    /// ends, gives nothing.
    pub(crate) async fn send(&self, delivery: D, room: Room) -> Receipt<A> {
        let (reply, receipt) = oneshot::channel();
        let lender = self.share.as_ref().unwrap_or(&self.room);
        // Nobody closes the semaphore.
        let place = Arc::clone(&lender.places).acquire_owned().await.ok();
        let parcel = Parcel {
            delivery,
            room,
            reply,
            _place: place,
        };
        // If nobody receives any more, the reply is dropped, and the receipt knows.
        self.parcels.push(self.owner, parcel);
        Receipt(receipt)
    }

    /// As [`room`](Self::room), but waits no longer than `patience`.
    pub(crate) async fn room_within(
        &self,
        patience: Duration,
        bytes: usize,
    ) -> Result<Room, Overloaded> {
        let room = timeout(patience, self.room(bytes)).await;
        room.map_err(|_| Overloaded)
    }

    /// As [`send`](Self::send), but waits no longer than `patience`.
    pub(crate) async fn send_within(
        &self,
        patience: Duration,
        delivery: D,
        room: Room,
    ) -> Result<Receipt<A>, Overloaded> {
        let receipt = timeout(patience, self.send(delivery, room)).await;
        receipt.map_err(|_| Overloaded)
    }
}

/// Memory that was lent for bytes which are not searched yet. Dropped, it is given back.
#[derive(Debug, Default)]
pub(crate) struct Room {
    permit: Option<OwnedSemaphorePermit>,
    /// As much of the share of its address.
    of_share: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(crate) fn bytes(&self) -> usize {
        self.permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes in more, of the same connection.
    pub(crate) fn add(&mut self, more: Self) {
        let add = |held: &mut Option<OwnedSemaphorePermit>, more| match (held, more) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        };
        add(&mut self.permit, more.permit);
        add(&mut self.of_share, more.of_share);
    }
}

/// What a connection holds until its delivery is safe.
pub(crate) struct Receipt<A>(oneshot::Receiver<A>);

impl<A> Receipt<A> {
    /// The answer, once all that came of the delivery is safe; `None` if that cannot be told any more.
    pub(crate) async fn answer(self) -> Option<A> {
        self.0.await.ok()
    }
}

/// The source's end.
pub(crate) struct Inbox<D, A> {
    parcels: Front<Parcel<D, A>>,
}

impl<D: Send + 'static, A: Send + 'static> Inbox<D, A> {
    /// Searches what comes until all senders are gone. `search` gives the answer, and whether `outlet` holds anything
    /// that was found.
    pub(crate) fn serve(
        self,
        outlet: &mut dyn Outlet,
        mut search: impl FnMut(D, &mut dyn Outlet) -> (A, bool),
    ) {
        let mut found = Vec::new();
        while let Some(first) = self.parcels.wait() {
            let (mut next, mut bytes, began) = (Some(first), 0, Instant::now());
            while let Some(parcel) = next {
                bytes += parcel.room.bytes().max(MIN_BYTES);
                let start = Instant::now();
                let (answer, holds) = search(parcel.delivery, outlet);
                self.parcels.done(start.elapsed());
                drop(parcel.room);
                if holds {
                    found.push((parcel.reply, answer));
                } else {
                    // Whoever has gone away need not be answered.
                    let _ = parcel.reply.send(answer);
                }
                next = (bytes < BURST_BYTES && began.elapsed() < BURST)
                    .then(|| self.parcels.try_next())
                    .flatten();
            }
            commit(std::mem::take(&mut found), outlet);
        }
    }
}

/// Has what was found stored, and answers then.
fn commit<A: Send + 'static>(found: Vec<(oneshot::Sender<A>, A)>, outlet: &mut dyn Outlet) {
    if found.is_empty() {
        return;
    }
    let answer_all = move || {
        for (reply, answer) in found {
            let _ = reply.send(answer);
        }
    };
    outlet.commit(Progress {
        positions: Vec::new(),
        acknowledge: Some(Box::new(answer_all)),
    });
}

#[cfg(test)]
mod tests;
