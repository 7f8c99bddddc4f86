//! The domain: audit events and who stands behind them. No IO, no clock.

mod id;
mod time;
mod words;

pub use id::{AlertId, DetectionId, IncidentId, IncidentKey, RequestId};
pub use time::wire_time;
pub(crate) use words::words;
