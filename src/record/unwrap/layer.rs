//! The working memory in which one layer of a record is decoded.

use simd_json::{Buffers, tape::Tape};

use crate::{audit::Json, record::text::repair::repaired};

/// Working memory above this is given back after a record that needed it.
const KEPT_BYTES: usize = 1 << 20;

/// The working memory of one layer: simd-json writes into what it reads, so each layer
/// has a copy.
pub struct Layer {
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Layer {
    fn default() -> Self {
        Self {
            copy: Vec::new(),
            buffers: Buffers::default(),
            tape: Tape(Vec::new()),
        }
    }
}

impl Layer {
    /// Decodes `text` and calls `visit` with it; false if it is not one JSON value.
    pub fn decode(&mut self, text: &[u8], visit: &mut dyn FnMut(Json<'_>)) -> bool {
        self.copy.clear();
        self.copy.extend_from_slice(text);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let decoded = simd_json::fill_tape(&mut self.copy, &mut self.buffers, &mut tape).is_ok();
        if decoded {
            visit(tape.as_value());
        }
        self.tape = tape.reset();
        decoded
    }

    /// As [`Layer::decode`], and mends what the API server may well write and the parser refuses.
    pub fn decode_mended(&mut self, text: &[u8], visit: &mut dyn FnMut(Json<'_>)) -> bool {
        self.decode(text, visit) || self.decode(&repaired(text), visit)
    }

    /// Keeps no more memory than most records need.
    pub fn give_back(&mut self) {
        if self.copy.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
    }
}
