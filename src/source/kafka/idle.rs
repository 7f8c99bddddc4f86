//! A member that holds no partition.
//!
//! It reads nothing, and what it does not read may be read by nobody: that is a trouble, unless the others of its group
//! hold all there are. Then it stands by, which is how groups with more members than partitions are meant to be.

use std::time::{Duration, Instant};

use tracing::info;

use super::{Config, client::Client, group};
use crate::format::visible;

/// How long a group that comes together, or anew, may take.
const COMES_TOGETHER: Duration = Duration::from_secs(5);

/// Time between two questions to the brokers.
const LOOK: Duration = Duration::from_secs(10);

/// Characters of topics' names that are shown.
const SHOWN: usize = 200;

#[derive(Default)]
pub(super) struct Idle {
    /// Since when nothing has been held while brokers could be reached.
    since: Option<Instant>,
    next_look: Option<Instant>,
    stands_by: bool,
}

impl Idle {
    /// Partitions are held, or nobody can say.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Nothing is held though brokers can be reached: what is wrong, in words, if anything is.
    pub(super) fn look(&mut self, id: &str, client: &Client, config: &Config) -> Option<String> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if now - since < COMES_TOGETHER {
            return None;
        }
        if self.next_look.is_none_or(|next| now >= next) {
            self.next_look = Some(now + LOOK);
            let stands_by = group::holds_all(client, config);
            if stands_by && !self.stands_by {
                let group = &config.group_id;
                info!(
                    source = id,
                    group, "others hold all partitions, this one stands by"
                );
            }
            self.stands_by = stands_by;
        }
        let topics = config.topics.join(", ");
        (!self.stands_by).then(|| format!("holds no partition of {}", visible(&topics, SHOWN)))
    }
}
