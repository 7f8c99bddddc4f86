//! What counts as a touch of a decoy. Pure: bytes in, detections out.
//!
//! A [`Detector`] looks for needles in a whole block, decodes the records around them
//! and asks of each audit event which technique it is, and whether it was expected.

mod body;
mod client;
mod config;
mod decoy;
mod detection;
mod detector;
mod evidence;
mod expected;
mod kubelet;
mod needle;
mod redact;
mod technique;
mod touch;
mod undecodable;

pub use config::Config;
pub use detection::{Actor, Detection, Origin, Request, Token, TokenKind};
pub use detector::{Counts, Detector};
pub(crate) use evidence::{is_beyond_discovery, is_success};
pub use needle::is_common;
pub use technique::{Class, Severity, Technique, Tool};
pub(crate) use undecodable::excerpt;
