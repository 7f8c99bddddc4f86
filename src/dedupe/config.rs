//! The options of the `dedupe` transform.

use crate::audit::words;

/// Groups detections into incidents and says when to tell of them.
#[derive(Clone, Debug)]
pub struct Config {
    /// `fields.match`: what an incident is grouped by beside cluster and decoy. Default token, source_ip.
    pub fields: Vec<Field>,
    /// Seconds without a hit after which an incident is closed. Default 900.
    pub idle_secs: u64,
    /// Seconds until the first digest; doubles with each. Default 60.
    pub digest_secs: u64,
    /// Most seconds between two digests. Default 3600.
    pub digest_max_secs: u64,
    /// `rate_limit.threshold`: alerts per decoy and severity in a window, and as many of what was refused. Default 20, at least 1.
    pub threshold: u32,
    /// `rate_limit.window_secs`: the window. Default 60, at least 1.
    pub window_secs: u64,
    /// `cache.num_events`: most incidents held at a time. Default 5000, at least 1.
    pub num_events: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            fields: vec![Field::Token, Field::SourceIp],
            idle_secs: 900,
            digest_secs: 60,
            digest_max_secs: 3600,
            threshold: 20,
            window_secs: 60,
            num_events: 5000,
        }
    }
}

/// What detections can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Token,
    SourceIp,
    Username,
    UserAgent,
    Technique,
}

words!(Field {
    Token = "token",
    SourceIp = "source_ip",
    Username = "username",
    UserAgent = "user_agent",
    Technique = "technique",
});
