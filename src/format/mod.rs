//! Alerts and detections as somebody reads them. Pure: no IO, no clock.
//!
//! User agents, URIs, names and messages are the attacker's text. Each format makes
//! them harmless for the place where they are shown: [`text`] for a terminal or a file,
//! [`timeline`] for one who looks back, [`json`] for machines and for terminals all the same, [`slack`] for Slack,
//! [`falco`] and [`alertmanager`] for tools that pass them on to who knows where.

pub mod alertmanager;
mod amounts;
#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
pub(crate) mod example;
mod facts;
pub mod falco;
pub mod json;
mod names;
mod neutralise;
pub mod slack;
pub mod text;
pub mod timeline;

pub(crate) use amounts::{clock, date, grouped, span};
pub(crate) use facts::reason;
pub use neutralise::visible;
