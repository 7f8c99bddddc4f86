//! The state machine as a whole: its transitions, its traps, its promises.

mod floods;
mod histories;
mod promises;
mod restarts;
mod rows;
mod stages;
pub(super) mod stream;
mod trails;
mod transitions;
