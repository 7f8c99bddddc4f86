//! What counts as a touch of a decoy. Pure: bytes in, detections out.

mod config;
mod detection;
mod technique;

pub use config::Config;
pub use detection::{Actor, Detection, Origin, Request, Token, TokenKind};
pub use technique::{Class, Severity, Technique, Tool};
