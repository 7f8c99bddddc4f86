//! Signals by which a process is told to stop.

use std::{
    fs,
    future::poll_fn,
    io,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, warn};

use super::FAILED;

/// Signals that come so soon after the first are the same order: `timeout` sends its own to its child and to the group.
const SAME_ORDER: Duration = Duration::from_secs(1);

const ORDERS: [(&str, SignalKind); 3] = [
    ("SIGINT", SignalKind::interrupt()),
    ("SIGTERM", SignalKind::terminate()),
    ("SIGHUP", SignalKind::hangup()),
];

/// Has `stop` heed the first order to stop, of which it gets the name. A second one leaves at once.
pub async fn heed(stop: impl FnOnce(&str)) {
    let mut orders = match Orders::heard() {
        Ok(orders) => orders,
        Err(error) => {
            warn!("signals cannot be heard, and a stop will not drain: {error}");
            return;
        }
    };
    let first = orders.next().await;
    let heard = Instant::now();
    stop(first);
    let mut second = orders.next().await;
    while heard.elapsed() < SAME_ORDER {
        second = orders.next().await;
    }
    error!("{second}: told to stop a second time, leaving at once");
    std::process::exit(FAILED.into());
}

/// The signals that are heard, by their names.
struct Orders(Vec<(&'static str, Signal)>);

impl Orders {
    /// But for those that whoever started the process had it ignore, as `nohup` does.
    fn heard() -> io::Result<Self> {
        let ignored = ignored();
        let heard = ORDERS
            .into_iter()
            .filter(|(_, kind)| ignored >> (kind.as_raw_value() - 1) & 1 == 0);
        heard
            .map(|(name, kind)| Ok((name, signal(kind)?)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The name of the next that comes.
    async fn next(&mut self) -> &'static str {
        poll_fn(|context| {
            let next = self.0.iter_mut().find_map(|(name, order)| {
                let has_come = order.poll_recv(context).is_ready();
                has_come.then_some(*name)
            });
            next.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The signals that are ignored, a bit for each from number one on, as far as the system tells.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
