//! Bytes to audit events: wrappers are taken off, what cannot be decoded is named.

pub mod escape;
mod pieces;
mod repair;
mod unwrap;

pub use unwrap::{Finding, MAX_DEPTH, MAX_LAYERS, Unwrapper};
