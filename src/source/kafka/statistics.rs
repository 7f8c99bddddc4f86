//! What librdkafka tells of itself every few seconds, as far as it is needed.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<i32, Partition>,
}

/// Negative while it is not known.
#[derive(Deserialize)]
struct Partition {
    hi_offset: i64,
    /// The end of what is not part of a transaction that is still open.
    ls_offset: i64,
}

impl Statistics {
    /// A broker can be reached.
    pub(super) fn is_connected(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// Where a partition ends: the offset that its next message will have.
    pub(super) fn end(&self, topic: &str, number: i32) -> Option<i64> {
        let partition = self.topics.get(topic)?.partitions.get(&number)?;
        let known = [partition.ls_offset, partition.hi_offset];
        known.into_iter().find(|offset| *offset >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_read() {
        let statistics: Statistics = serde_json::from_str(
            r#"{"name":"x","brokers":{"a":{"state":"DOWN","nodeid":-1},"b":{"state":"UP"}},"topics":{"audit":{"topic":"audit",
            "partitions":{"-1":{"hi_offset":-1001,"ls_offset":-1001},"0":{"hi_offset":9,"ls_offset":7},
            "1":{"hi_offset":9,"ls_offset":-1001}}}},"cgrp":{"state":"up"}}"#,
        )
        .unwrap();
        assert!(statistics.is_connected());
        let ends = [0, 1, -1, 5].map(|number| statistics.end("audit", number));
        assert_eq!(ends, [Some(7), Some(9), None, None]);
        assert_eq!(statistics.end("other", 0), None);
        let producer: Statistics = serde_json::from_str("{}").unwrap();
        assert!(!producer.is_connected());
    }
}
