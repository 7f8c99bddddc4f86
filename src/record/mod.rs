//! Bytes to audit events: streams are decompressed and cut where their records end,
//! wrappers are taken off, what cannot be decoded is named.

mod any_value;
mod copies;
mod csv_row;
pub mod decompress;
pub mod detections;
pub(crate) mod encoded;
mod envelope;
pub mod escape;
mod flattened;
pub mod foreign;
pub mod framing;
mod header;
mod implied;
mod layer;
mod lifted;
mod log_line;
pub mod msgpack;
mod other_log;
pub(crate) mod packing;
pub(crate) mod part_mark;
pub(crate) mod partial;
mod pieces;
pub(crate) mod printed;
pub mod protobuf;
pub(crate) mod python;
mod recased;
mod rejoin;
mod repair;
mod respelled;
mod rewrite;
mod run;
mod stringified;
mod structural;
mod table;
mod torn;
mod unwrap;
mod wrapper;

pub use copies::Copies;
pub use envelope::Envelope;
pub use header::{Header, Row};
pub(crate) use pieces::begins_key;
pub use rejoin::{Given, Place, Rejoiner};
pub use unwrap::{Finding, MAX_DEPTH, MAX_LAYERS, Unwrapper};
pub use wrapper::Wrapper;
