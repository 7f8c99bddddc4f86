//! What baitline says about itself.

mod log;
mod notice;
mod seldom;
mod status;
mod vigil;

pub use log::{LogFormat, start_log};
pub use notice::{Occasion, notice};
pub use seldom::Seldom;
pub use status::{Status, Trouble};
pub use vigil::{Failure, Life, Silence, Steps, Turn};
