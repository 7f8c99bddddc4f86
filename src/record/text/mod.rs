//! Text that is not one value of JSON, but may have some in it: behind the beginning of a log line, in pieces, cut off, with
//! doubled backslashes, or as Python prints it.

pub(super) mod backslashed;
pub mod escape;
pub(super) mod extent;
pub(super) mod legacy;
pub(super) mod log_line;
pub(super) mod own;
pub(super) mod pieces;
pub(crate) mod python;
pub(super) mod repair;
