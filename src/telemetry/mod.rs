//! What baitline says about itself.

mod log;
mod seldom;

pub use log::{LogFormat, start_log};
pub use seldom::Seldom;
