//! Incidents: the state machine that turns detections into alerts. Pure; time is an argument.

mod alert;
mod config;

pub use alert::{Alert, AlertKind, Flood, RequestCount, SourceCount, TrailEntry};
pub use config::{Config, Field};
