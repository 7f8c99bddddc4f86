//! The domain: audit events and who stands behind them. No IO, no clock.
//!
//! Decoded JSON comes in; an [`Event`] whose fields can be relied on goes out.

mod event;
mod field;
pub mod gke;
mod http_code;
mod id;
mod part;
pub mod repeated;
pub mod source_ip;
mod time;
pub mod uri;
mod words;

pub(crate) use event::field;
pub use event::{Annotations, Event, Json, ObjectRef, User};
pub use id::{AlertId, DetectionId, IncidentId, IncidentKey, RequestId};
pub(crate) use part::{may_be_cut_from, tells_time_finely};
pub use time::{as_server, from_epoch, from_epoch_fraction, parse_time, to_microsecond, wire_time};
pub(crate) use words::{Text, words};
