//! baitline: the tripwire for stolen Kubernetes tokens.
//!
//! It plants decoy ServiceAccounts that nothing legitimate ever touches, reads Kubernetes
//! audit events from any log pipeline, and tells people within milliseconds that somebody
//! used one: once, at once, with what the intruder did, and never a flood.
//!
//! ```text
//!  bytes ──source──▶ Block ──detect──▶ Detection ──dedupe──▶ Alert ──store──▶ outbox ──sink──▶ Slack, Kafka, files
//!                     (needle scan on raw bytes;   (pure state   (one transaction: incidents,
//!                      decode candidates only)      machine)       outboxes, positions)
//! ```
//!
//! The modules stand in the order in which data meets them:
//!
//! | module | what it does |
//! | --- | --- |
//! | [`cli`] | one file per verb: parse, call the library, print |
//! | [`config`] | text to a validated pipeline, all faults at once with line and column |
//! | [`topology`] | a pipeline to running threads, tasks and channels; start, drain |
//! | [`scan`] | files and archives to what a pipeline would have told of them |
//! | [`source`] | bytes in: standard input, files that rotate, HTTP, Forward, Vector, Kafka |
//! | [`record`] | bytes to audit events: framing, decompression, wrappers |
//! | [`audit`] | the domain: events, users, credentials, source addresses; no IO |
//! | [`detect`] | the needle scan, decoys, techniques, severity; pure |
//! | [`enrich`] | what can be said beyond the event: tool fingerprints |
//! | [`dedupe`] | incidents: the state machine from detections to alerts; pure, takes `now` |
//! | [`store`] | the one durable thing: incidents, each sink's outbox, positions, in one transaction |
//! | [`sink`] | deliver from the outbox: console, file, Slack, Kafka, HTTP |
//! | [`kafka`] | how a cluster is reached, for the source and the sink |
//! | [`mod@format`] | alert to text, JSON, Slack blocks, Falco's and Alertmanager's words; pure |
//! | [`telemetry`] | the log; health and metrics by HTTP |
//!
//! `audit`, `detect`, `dedupe` and `format` do no IO, read no clock and spawn nothing: time
//! comes in as an argument. `source` and `sink` know nothing of each other; only `topology`
//! knows both. Nothing below `cli` prints.
//!
//! The interface that is kept stable is the program's: its options, its words on the wire
//! and its exit codes. This library is there for the program, its tests and its fuzz targets.

#![deny(unsafe_code)]

pub mod audit;
pub mod cli;
pub mod config;
pub mod dedupe;
pub mod detect;
pub mod enrich;
pub mod format;
pub mod kafka;
pub mod record;
pub mod scan;
pub mod sink;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod topology;
