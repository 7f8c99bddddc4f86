//! The state machine as a whole: its transitions, its traps, its promises.

mod floods;
mod promises;
mod stages;
pub(super) mod stream;
mod trails;
mod transitions;
