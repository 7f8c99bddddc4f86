//! What an error of librdkafka means for the message, and for the sink.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{
    format::visible,
    kafka::{UnreadableFile, is_lasting},
};

/// Characters of what librdkafka says that are shown.
const SHOWN: usize = 300;

/// Why nothing is sent at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// In words for a person, neutralised.
    pub reason: String,
    /// Somebody has to mend something.
    pub is_lasting: bool,
    /// Somebody has to mend something if it comes again: brokers that have just started know no topics yet.
    pub lasts_if_repeated: bool,
    /// It only follows from something else that failed, which says more.
    pub is_consequence: bool,
}

impl Failure {
    /// What may pass by itself.
    pub fn passing(reason: String) -> Self {
        Self {
            reason,
            is_lasting: false,
            lasts_if_repeated: false,
            is_consequence: false,
        }
    }

    /// A message was not delivered, for no fault of its own.
    pub fn of(error: &KafkaError) -> Self {
        use RDKafkaErrorCode::*;
        let code = error.rdkafka_error_code();
        Self {
            reason: in_words(error),
            is_lasting: is_lasting(error)
                || matches!(
                    code,
                    Some(
                        InvalidTopic
                            | TransactionalIdAuthorizationFailed
                            | UnsupportedForMessageFormat
                            | UnsupportedCompressionType
                            | UnsupportedVersion
                            | PolicyViolation
                    )
                ),
            lasts_if_repeated: matches!(
                code,
                Some(UnknownTopic | UnknownTopicOrPartition | UnknownPartition)
            ),
            is_consequence: matches!(
                code,
                Some(PurgeQueue | PurgeInflight | Fatal | InvalidDifferentRecord)
            ),
        }
    }

    /// The producer cannot go on. `reason` begins with the error's name.
    pub fn fatal(reason: &str) -> Self {
        Self {
            reason: visible(reason, SHOWN).into_owned(),
            is_lasting: reason.contains("uthorization") || reason.contains("nsupported"),
            lasts_if_repeated: false,
            // A message failed, which has a report of its own.
            is_consequence: reason.contains("gap-less"),
        }
    }

    /// No producer can be made of the settings.
    pub fn of_settings(error: &KafkaError) -> Self {
        let reason = match error {
            // The value may be a secret.
            KafkaError::ClientConfig(_, why, name, _) => format!("{name}: {why}"),
            error => error.to_string(),
        };
        Self::lasting(&reason)
    }

    /// A certificate or a key is missing. It may be mounted later.
    pub fn of_file(file: &UnreadableFile) -> Self {
        Self::lasting(&file.to_string())
    }

    fn lasting(reason: &str) -> Self {
        Self {
            reason: visible(reason, SHOWN).into_owned(),
            is_lasting: true,
            lasts_if_repeated: false,
            is_consequence: false,
        }
    }
}

/// Whether the message itself, or another in its batch, is why Kafka does not take it: another try would fare no better.
pub(super) fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::*;
    matches!(
        error.rdkafka_error_code(),
        Some(
            MessageSizeTooLarge
                | InvalidRecord
                | InvalidTimestamp
                | MessageBatchTooLarge
                | InvalidMessageSize
        )
    )
}

/// The error without what was tried: `MessageSizeTooLarge (Broker: Message size too large)`.
pub(super) fn in_words(error: &KafkaError) -> String {
    let words = error
        .rdkafka_error_code()
        .map_or_else(|| error.to_string(), |code| code.to_string());
    visible(&words, SHOWN).into_owned()
}
