//! Bytes to audit events: streams are decompressed and cut where their records end,
//! wrappers are taken off, what cannot be decoded is named.
//!
//! | what comes in | who reads it |
//! | --- | --- |
//! | a stream | [`decompress`], [`framing`] with `structural` and `header`; [`foreign`] tells what nobody reads |
//! | lines that a container runtime cut | `partial` in its own format, `rejoin` by the marks of shippers (`part_mark`) |
//! | JSON that is spread over lines, among others | `document` |
//! | a record | `unwrap`, layer by layer, with what `wrapper`, `envelope` and `log_line` know of what lies around an event |
//! | values in it that are packed | `encoded`, `packing` |
//! | another shape of an event | `restored`, `table`, `any_value`; `lifted` and `copies` tell the event from what stands beside it |
//! | text that is not one value of JSON | `pieces`, `python`, `repair`, [`escape`] |
//! | text of clients that other programs log | `doubt` by keys, `standing` in lines of text |
//! | what can only be named | `printed`, `torn`, `csv_row`, `other_log` |
//! | entries of other encodings | [`msgpack`], [`protobuf`] |
//! | what another baitline found | [`detections`] |

mod actors;
mod any_value;
mod copies;
mod csv_row;
pub mod decompress;
pub mod detections;
pub(crate) mod document;
mod doubt;
pub(crate) mod encoded;
mod envelope;
pub mod escape;
pub mod foreign;
pub mod framing;
mod header;
mod key;
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
mod rejoin;
mod repair;
mod restored;
pub(crate) mod rewrite;
mod run;
mod standing;
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
