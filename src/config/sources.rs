//! The options of the sources that nobody connects to: standard input, files and Kafka.

use std::time::Duration;

use super::{
    components::DEFAULT_MAX_LINE_BYTES,
    kind::{List, NonEmptyList, Text, Word},
    notation::Glob,
    number::{Bytes, Milliseconds, Seconds},
    options::options,
    topics::{Reset, Topic},
};
use crate::{
    kafka::Connection,
    source,
    source::{Decoding, file::ReadFrom, kafka::AutoOffsetReset},
};

options! {
    source::stdin::Config {
        /// Longer records are searched for decoys and reported, but not decoded.
        max_line_bytes: "max_line_bytes" Bytes, default DEFAULT_MAX_LINE_BYTES;
        /// What the records are: audit events in whatever wraps them, or detections that another
        /// baitline wrote as JSON. It is never guessed.
        decoding: "decoding.codec" Word<Decoding>, default Decoding::Audit;
    }
}

options! {
    source::file::Config {
        /// The files to read.
        include: "include" NonEmptyList<Glob>, required;
        /// The files to leave out.
        exclude: "exclude" List<Glob>, default Vec::new();
        /// Where to begin in files that are there at the start. Files that appear later are
        /// read from their beginning.
        read_from: "read_from" Word<ReadFrom>, default ReadFrom::Beginning;
        /// Longer records are searched for decoys and reported, but not decoded.
        max_line_bytes: "max_line_bytes" Bytes, default DEFAULT_MAX_LINE_BYTES;
        /// What the records are: audit events in whatever wraps them, or detections that another
        /// baitline wrote as JSON. It is never guessed.
        decoding: "decoding.codec" Word<Decoding>, default Decoding::Audit;
        /// Time between two looks for new files.
        glob_minimum_cooldown: "glob_minimum_cooldown_ms" Milliseconds, default Duration::from_secs(1);
        /// How long a file that was renamed or deleted is read on after its end was reached.
        rotate_wait: "rotate_wait_secs" Seconds<true>, default Duration::from_secs(5);
    }
}

options! {
    source::kafka::Config {
        connection: "" Connection, group;
        /// The consumer group. Instances of one group share the partitions.
        group_id: "group_id" Text, required;
        /// The topics to read. What begins with `^` is a regular expression over their names.
        topics: "topics" NonEmptyList<Topic>, required;
        /// Where to begin in a partition of which the group has read nothing: at what waits there, or at what comes.
        /// librdkafka's other words for these are taken too. Vector begins at the latest: a tripwire that passes
        /// over what waits would miss it.
        auto_offset_reset: "auto_offset_reset" Reset, default AutoOffsetReset::Earliest;
        /// How long the group waits for an instance that is silent before it gives its partitions to others.
        session_timeout: "session_timeout_ms" Milliseconds, default Duration::from_secs(10);
        /// How long a broker may wait for more before it answers.
        fetch_wait_max: "fetch_wait_max_ms" Milliseconds, default Duration::from_millis(100);
        /// Time between two commits of offsets to Kafka. Only what is safe is committed.
        commit_interval: "commit_interval_ms" Milliseconds, default Duration::from_secs(5);
        /// Longer records are searched for decoys and reported, but not decoded.
        max_line_bytes: "max_line_bytes" Bytes, default DEFAULT_MAX_LINE_BYTES;
        /// What the records are: audit events in whatever wraps them, or detections that another
        /// baitline wrote as JSON. It is never guessed.
        decoding: "decoding.codec" Word<Decoding>, default Decoding::Audit;
    }
}
