//! Incidents: the state machine that turns detections into alerts.
//!
//! In come [`Detection`](crate::detect::Detection)s in any order, with repetitions, and the
//! time; out go [`Alert`]s. Pure: no IO, no clock, no randomness, so that the same input
//! always gives the same alerts with the same ids.
//!
//! - A **hit** is a request. Its stages are folded by a memory of requests that outlives incidents.
//! - Hits of one key that lie close together in *event time* are an **incident**; the wall
//!   clock (`now`) only says when a digest or the end of it is told.
//! - Openings, digests and endings spend a **budget** per decoy and severity; what strangers can make, another one. A key that
//!   its budget has no room for is counted in the decoy's **flood**, an incident of its own.
//! - Over all alerts of an incident the `count`s add up to its `total`, and over all alerts
//!   after [`Dedupe::drain`] to the number of hits.
//!
//! Everything that is remembered is bounded: incidents by `num_events`, requests by four
//! times that and no fewer than 65,536, the trail, each list and each string by the constant
//! beside it. Decoys and clusters are not: they come from the configuration, from the
//! operator's wrappers, and from other baitlines, whose new ones are held back before.

mod act;
mod alert;
mod budget;
mod config;
mod distinct;
mod encoding;
mod flood;
mod incident;
mod key;
mod ledger;
mod machine;
mod noted;
mod requests;
mod restore;
mod rows;
mod saved;
mod schedule;
mod scope;
mod sketch;
mod techniques;
mod tell;
#[cfg(test)]
mod tests;
mod text;
mod title;
mod touch;
mod trail;

pub(crate) use act::act;
pub use alert::{
    Alert, AlertKind, Component, ComponentKind, Flood, RequestCount, SourceCount, TrailEntry,
};
pub use config::{Config, Field};
pub(crate) use key::incident_key;
pub use machine::{Counts, Dedupe};
pub use saved::{Change, Part, RestoreError};
pub(crate) use text::{cut, grouped};
