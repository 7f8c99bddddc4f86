//! Bytes to records: what a stream was packed in is taken off, and it is cut where its records end.

pub mod decompress;
pub mod framing;
mod structural;
