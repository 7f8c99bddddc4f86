//! What is no event, or may be a client's text that passes for one: named at most, never believed.
//!
//! Of what other programs log, `keys` judges objects of JSON and `standing` lines of text; `actors` tells of who else did something
//! beside an event of nobody, `admission` of requests that another log tells of. `printed` and `torn` are events that cannot be read, `other_log` is known to be none.

pub(super) mod actors;
pub(super) mod admission;
pub(super) mod keys;
pub(super) mod other_log;
pub(crate) mod printed;
pub(super) mod standing;
pub(super) mod torn;
