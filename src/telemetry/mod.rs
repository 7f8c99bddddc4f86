//! What baitline says about itself: the log, and by HTTP `/health` and `/metrics`.
//!
//! Both are made of a [`Snapshot`](snapshot::Snapshot), which whoever knows the components takes
//! when it is asked for. Components say how they are by their [`Status`].

mod api;
mod connection;
mod health;
mod log;
mod metrics;
mod notice;
mod seldom;
pub mod snapshot;
mod status;
mod vigil;

pub use api::{Api, serve};
pub use log::{LogFormat, start_log};
pub use notice::{Occasion, heard, notice};
pub use seldom::Seldom;
pub use status::{Status, Trouble};
pub use vigil::{Failure, Life, Silence, Steps, Turn};
