//! What baitline says about itself.

mod log;
mod seldom;
mod status;

pub use log::{LogFormat, start_log};
pub use seldom::Seldom;
pub use status::{Status, Trouble};
