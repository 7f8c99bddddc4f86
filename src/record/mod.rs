//! Bytes to audit events: streams are decompressed and cut where their records end,
//! wrappers are taken off, what cannot be decoded is named.
//!
//! | what comes in | who reads it |
//! | --- | --- |
//! | a stream | `stream`: [`decompress`], then [`framing`] with what it knows of lines, documents over many lines and rows of CSV; [`foreign`] tells what nobody reads |
//! | lines that a container runtime cut | `parts`: `partial` in its own format, `rejoin` by the marks of shippers (`part_mark`) |
//! | a record | `unwrap`, layer by layer, with what `wrapper` and `envelope` know of what lies around an event; `encoded` undoes what is packed in it; `lifted` and `copies` tell the event from what stands beside it |
//! | another shape of an event | `restored` |
//! | text that is not one value of JSON | `text` |
//! | text of clients that other programs log, and what can only be named | `doubt` |
//! | entries of other encodings | [`msgpack`], [`protobuf`] |

mod block;
mod doubt;
pub(crate) mod key;
pub mod msgpack;
mod parts;
pub mod protobuf;
mod restored;
pub(crate) mod rewrite;
mod stream;
mod text;
mod unwrap;

pub use block::{Block, OVERLAP, Provenance, Shape};
pub(crate) use doubt::printed;
pub use parts::rejoin::{Given, Place, Rejoiner};
pub(crate) use parts::{part_mark, partial};
pub use stream::header::{Header, Row};
pub use stream::{decompress, foreign, framing};
pub(crate) use stream::{document, packing, whole::read_to_end};
pub use text::escape;
pub(crate) use text::{pieces::begins_key, python};
pub(crate) use unwrap::encoded;
pub use unwrap::{Copies, Envelope, Finding, MAX_DEPTH, MAX_LAYERS, Unwrapper, Wrapper};
