//! What librdkafka tells while it works.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};
use tracing::{debug, trace, warn};

use super::SHOWN;
use crate::{format::visible, telemetry::Status};

/// What librdkafka says goes to the log, and what is wrong with the cluster to the component's status.
pub(crate) struct Events {
    /// The component's id in the configuration.
    pub id: Arc<str>,
    pub status: Status,
    /// What went wrong last with one of the brokers, since something was well.
    last_error: Mutex<Option<String>>,
}

impl Events {
    pub fn new(id: Arc<str>, status: Status) -> Self {
        Self {
            id,
            status,
            last_error: Mutex::default(),
        }
    }

    /// One broker of several that goes away is no trouble yet, but it is what to tell once there is.
    pub fn note(&self, reason: &str) {
        *self.last_error() = Some(visible(reason, SHOWN).into_owned());
    }

    /// What went wrong last with one of the brokers, since something was well.
    pub fn last_error(&self) -> MutexGuard<'_, Option<String>> {
        // What it guards is sound after each step.
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything works. True if that is news.
    pub fn well(&self) -> bool {
        *self.last_error() = None;
        let is_news = self.status.trouble().is_some();
        if is_news {
            self.status.well();
        }
        is_news
    }

    /// Something that is asked of the cluster is not to be had. True if that is another trouble than before; the log has
    /// it then, and not each time that it is found again.
    pub fn trouble(&self, kind: &str, reason: &str, is_lasting: bool) -> bool {
        let known = self.status.trouble();
        if is_lasting {
            self.status.broken(reason);
        } else {
            self.status.unwell(reason);
        }
        let is_new = known.is_none_or(|known| !known.reason.starts_with(kind));
        if is_new {
            warn!(component = &*self.id, "Kafka: {reason}");
        }
        is_new
    }

    /// librdkafka tells of an error. That all brokers are down says nothing without what happened to the last of them. True
    /// as in [`trouble`](Self::trouble).
    pub fn failed(&self, error: &KafkaError, reason: &str) -> bool {
        let kind = error.to_string();
        let mut reason = format!("{kind}: {}", visible(reason, SHOWN));
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
            && let Some(last) = &*self.last_error()
        {
            reason = format!("{reason}: {last}");
        }
        self.trouble(&kind, &reason, is_lasting(error))
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (id, message) = (&*self.id, visible(message, SHOWN));
        match level {
            // What goes wrong comes once more, as an error.
            RDKafkaLogLevel::Debug => trace!(component = id, facility, "librdkafka: {message}"),
            _ => debug!(component = id, facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.failed(&error, reason);
    }
}

/// Whether somebody has to mend something before it works.
pub(crate) fn is_lasting(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SSL
        )
    )
}
