//! The options of the transforms.

use super::{
    kind::{Flag, List, Word},
    notation::Network,
    number::{Count, WholeSeconds},
    options::{Options, Section, options},
};
use crate::{dedupe, detect};

options! {
    detect::Config {
        /// Proxies and load balancers whose `X-Forwarded-For` is to be believed.
        trusted_proxies: "trusted_proxies" List<Network>, default Vec::new();
        /// Let touches by expected actors into the evidence stream.
        emit_expected: "emit_expected" Flag, default false;
    }
}

options! {
    dedupe::Config {
        /// What an incident is grouped by beside cluster and decoy.
        fields: "fields.match" List<Word<dedupe::Field>>, default dedupe::Config::default().fields;
        /// Seconds without a hit after which an incident is closed.
        idle_secs: "idle_secs" WholeSeconds, default dedupe::Config::default().idle_secs;
        /// Seconds until the first digest of an incident. Doubles with each.
        digest_secs: "digest_secs" WholeSeconds, default dedupe::Config::default().digest_secs;
        /// Most seconds between two digests.
        digest_max_secs: "digest_max_secs" WholeSeconds, default dedupe::Config::default().digest_max_secs;
        /// Alerts per decoy and severity in a window, and as many of what strangers can make: requests that were refused. What goes beyond is told as one flood.
        threshold: "rate_limit.threshold" Count<u32>, default dedupe::Config::default().threshold;
        /// The window.
        window_secs: "rate_limit.window_secs" WholeSeconds, default dedupe::Config::default().window_secs;
        /// Most incidents held at a time. The eldest is closed early.
        num_events: "cache.num_events" Count<usize>, default dedupe::Config::default().num_events;
    }
}

/// Digests must be able to grow towards their limit.
pub(super) fn dedupe(options: &mut Options<'_, '_>) -> Option<dedupe::Config> {
    let config = dedupe::Config::read(options, "")?;
    if config.digest_secs > config.digest_max_secs {
        options.refuse(
            &["digest_secs", "digest_max_secs"],
            &format!(
                "digest_secs ({}) must not be above digest_max_secs ({})",
                config.digest_secs, config.digest_max_secs
            ),
        );
        return None;
    }
    Some(config)
}
