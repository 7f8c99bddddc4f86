//! baitline: the tripwire for stolen Kubernetes tokens.

pub mod audit;
pub mod config;
pub mod dedupe;
pub mod detect;
pub mod enrich;
pub mod format;
pub mod record;
pub mod sink;
pub mod source;
pub mod store;
