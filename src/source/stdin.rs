//! Standard input: any shipper's pipe.

/// Reads records from standard input until it ends.
#[derive(Clone, Debug)]
pub struct Config {
    /// Longer records are searched for decoys and reported, but not decoded. Default 16 MiB.
    pub max_line_bytes: usize,
}
