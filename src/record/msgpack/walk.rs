//! Where a value ends.

use super::{Fault, Head};

/// A walk over one value, which may be there in part. What was walked over is not looked at again when more has come, however
/// little that is. It counts what is open and knows no depth, so that nothing can be nested too deep for it.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    at: usize,
    /// Values that are still to come.
    pending: u64,
}

/// How far a [`Walk`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value ends here.
    End(usize),
    /// The value is longer than what is there: so many bytes at least.
    AtLeast(u64),
}

impl Default for Walk {
    fn default() -> Self {
        Self { at: 0, pending: 1 }
    }
}

impl Walk {
    /// Walks on in `bytes`, which begin with the value, and with all that was there before.
    ///
    /// # Errors
    /// If a byte of the value begins no value.
    pub fn on(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        while self.pending > 0 {
            let head = match Head::read(bytes.get(self.at..).unwrap_or_default()) {
                Ok(head) => head,
                // Each value takes a byte.
                Err(Fault::CutOff) => return Ok(self.at_least(bytes, self.pending)),
                Err(malformed) => return Err(malformed),
            };
            let others = (self.pending - 1).saturating_add(head.children);
            let length = head.length();
            if length > (bytes.len() - self.at) as u64 {
                return Ok(self.at_least(bytes, length.saturating_add(others)));
            }
            // It is not beyond the end of the bytes.
            self.at += length as usize;
            self.pending = others;
        }
        Ok(Step::End(self.at))
    }

    fn at_least(&self, bytes: &[u8], rest: u64) -> Step {
        let known = (self.at as u64).saturating_add(rest);
        Step::AtLeast(known.max(bytes.len() as u64 + 1))
    }
}

/// The length of the value at the beginning of `bytes`.
///
/// # Errors
/// If it is not whole.
pub fn length(bytes: &[u8]) -> Result<usize, Fault> {
    match Walk::default().on(bytes)? {
        Step::End(end) => Ok(end),
        Step::AtLeast(_) => Err(Fault::CutOff),
    }
}
