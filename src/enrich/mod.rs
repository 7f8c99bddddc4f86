//! What can be said about an event beyond what stands in it.

mod tool;

pub use tool::tool;
