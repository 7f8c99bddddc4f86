//! Slack, by incoming webhook.

use std::time::Duration;

use crate::{config::Secret, store::BufferConfig};

/// Sends to a Slack incoming webhook.
#[derive(Clone, Debug)]
pub struct Config {
    /// Required; an http or https URL.
    pub webhook_url: Secret,
    pub request: RequestConfig,
    pub buffer: BufferConfig,
}

/// How HTTP requests are made (`request.*`), as in Vector.
#[derive(Clone, Debug)]
pub struct RequestConfig {
    /// `timeout_secs`: default 60 s.
    pub timeout: Duration,
    /// Retries of one message before it is given up. Default without end.
    pub retry_attempts: Option<u64>,
    /// `retry_initial_backoff_secs`: default 1 s.
    pub retry_initial_backoff: Duration,
    /// `retry_max_duration_secs`: the longest wait between two tries. Default 30 s.
    pub retry_max_duration: Duration,
    /// Requests in one `rate_limit_duration`. Default 1, which is what Slack allows a channel.
    pub rate_limit_num: u64,
    /// `rate_limit_duration_secs`: default 1 s.
    pub rate_limit_duration: Duration,
}
