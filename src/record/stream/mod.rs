//! Streams to records: what is compressed is undone, and the rest is cut where its records end.

pub(super) mod csv_row;
pub mod decompress;
pub(crate) mod document;
pub mod foreign;
pub mod framing;
pub(super) mod header;
pub(crate) mod packing;
pub(super) mod run;
mod structural;
pub(crate) mod whole;
