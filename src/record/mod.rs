//! Bytes to audit events: streams are decompressed and cut where their records end,
//! wrappers are taken off, what cannot be decoded is named.

pub mod decompress;
pub mod detections;
pub mod escape;
pub mod framing;
pub(crate) mod partial;
mod pieces;
mod repair;
mod structural;
mod unwrap;

pub use unwrap::{Finding, MAX_DEPTH, MAX_LAYERS, Unwrapper};
