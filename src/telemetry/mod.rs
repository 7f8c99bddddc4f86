//! What baitline says about itself.

mod log;

pub use log::{LogFormat, start_log};
