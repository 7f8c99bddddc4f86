//! A file that is appended to.

use super::Codec;
use crate::store::BufferConfig;

/// Appends to a file.
#[derive(Clone, Debug)]
pub struct Config {
    /// With strftime specifiers in UTC (`alerts-%Y-%m-%d.txt`). Required.
    pub path: String,
    /// `encoding.codec`. Default text.
    pub codec: Codec,
    pub buffer: BufferConfig,
}
