//! One layer of compression.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Error, Format, Magic, recognise};

/// Compressed bytes that are read at once.
const INPUT_BYTES: usize = 64 << 10;

/// A zstd stream may ask for this much memory, as a power of two: 128 MiB, the default limit of `zstd` itself.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// What the decoder says of a stream that asks for more.
const ZSTD_WIDE_WINDOW: &str = "Frame requires too much memory for decoding";

/// The least a zstd decoder needs to begin a frame.
const ZSTD_FRAME_START_BYTES: usize = 5;

/// The decoding state of one stream.
pub(super) struct Layer {
    state: State,
    /// Read and not decoded: `input[from..to]`.
    input: Vec<u8>,
    from: usize,
    to: usize,
    /// Compressed bytes that were decoded.
    eaten: u64,
    /// The decoder filled all the room it was given, so that it may hold more.
    full: bool,
    /// Told once what was decoded before it has been handed out.
    damage: Option<Error>,
}

enum State {
    /// Bytes held back because they do not tell yet what the stream is.
    Unclear(Vec<u8>),
    Plain,
    /// Between two members or frames.
    Between(Format),
    /// Gzip, or what else deflate is wrapped in.
    Inflate(Format, Box<Decompress>),
    /// With the number of bytes that the decoder wants next.
    Zstd(Box<Decoder<'static>>, usize),
    Damaged,
}

/// What one step of a decoder did.
struct Step {
    eaten: usize,
    made: usize,
    /// The member or frame ended, or could not be decoded.
    end: Option<Result<(), String>>,
}

impl Layer {
    /// A stream of which nothing is known yet.
    pub fn new() -> Self {
        Self {
            state: State::Unclear(Vec::new()),
            input: Vec::new(),
            from: 0,
            to: 0,
            eaten: 0,
            full: false,
            damage: None,
        }
    }

    /// A stream that is known to be packed so. Of raw deflate there is one stream.
    pub fn of(format: Format) -> Self {
        let state = match format {
            Format::Gzip | Format::Zstd => State::Between(format),
            Format::Zlib | Format::Deflate => {
                let has_header = format == Format::Zlib;
                State::Inflate(format, Box::new(Decompress::new(has_header)))
            }
        };
        Self {
            state,
            ..Self::new()
        }
    }

    pub fn is_compressed(&self) -> bool {
        !matches!(self.state, State::Unclear(_) | State::Plain)
    }

    /// As [`Decompressor::read`](super::Decompressor::read).
    pub fn read(
        &mut self,
        into: &mut [u8],
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize, Error>,
    ) -> Result<usize, Error> {
        if let Some(plain) = self.begin(into, read)? {
            return Ok(plain);
        }
        if let State::Plain = self.state {
            return read(into);
        }
        loop {
            if let Some(damage) = self.damage.take() {
                return Err(damage);
            }
            if self.from == self.to && !self.full {
                self.input.resize(INPUT_BYTES, 0);
                self.from = 0;
                self.to = 0;
                self.to = read(&mut self.input)?;
                if self.to == 0 {
                    return Ok(0);
                }
            }
            let made = self.step(into);
            if made > 0 {
                return Ok(made);
            }
        }
    }

    /// As [`Decompressor::end`](super::Decompressor::end).
    pub fn end(&mut self) -> Result<Vec<u8>, Error> {
        let at = self.eaten;
        match &mut self.state {
            State::Unclear(held) => Ok(std::mem::take(held)),
            State::Plain | State::Between(_) | State::Damaged => Ok(Vec::new()),
            State::Inflate(format, _) => Err(Error::CutOff {
                format: *format,
                at,
            }),
            State::Zstd(..) => Err(Error::CutOff {
                format: Format::Zstd,
                at,
            }),
        }
    }

    /// Reads until it is clear what the stream is, if it is not. Returns the length of what was read if it turned out to be
    /// plain, or 0 if there is no more for now.
    pub fn begin(
        &mut self,
        into: &mut [u8],
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize, Error>,
    ) -> Result<Option<usize>, Error> {
        while let State::Unclear(held) = &mut self.state {
            let known = held.len();
            into[..known].copy_from_slice(held);
            let count = read(&mut into[known..])?;
            if count == 0 {
                return Ok(Some(0));
            }
            let head = &into[..known + count];
            match recognise(head) {
                Magic::Unclear => *held = head.to_vec(),
                Magic::Plain => {
                    self.state = State::Plain;
                    return Ok(Some(head.len()));
                }
                Magic::Compressed(format) => {
                    self.input = head.to_vec();
                    self.to = head.len();
                    self.state = State::Between(format);
                }
            }
        }
        Ok(None)
    }

    /// Decodes some of the input, and returns how much that made.
    fn step(&mut self, into: &mut [u8]) -> usize {
        let input = &self.input[self.from..self.to];
        let (format, step) = match &mut self.state {
            State::Between(format) => {
                let format = *format;
                let eaten = self.next_member(format);
                self.from += eaten;
                self.eaten += eaten as u64;
                return 0;
            }
            State::Inflate(format, decoder) => (*format, inflate(decoder, input, into)),
            State::Zstd(decoder, wanted) => (Format::Zstd, unzstd(decoder, wanted, input, into)),
            // What follows the damage is skipped.
            State::Damaged | State::Plain | State::Unclear(_) => {
                self.from = self.to;
                return 0;
            }
        };
        let stuck = step.eaten == 0 && step.made == 0 && !input.is_empty();
        self.from += step.eaten;
        self.eaten += step.eaten as u64;
        self.full = step.made == into.len();
        match step.end {
            Some(Ok(())) => {
                self.full = false;
                self.state = State::Between(format);
            }
            Some(Err(reason)) if reason == ZSTD_WIDE_WINDOW => {
                self.fail(Error::WideWindow { at: self.eaten });
            }
            Some(Err(reason)) => self.damaged(format, reason),
            None if stuck => self.damaged(format, "the decoder makes no progress".into()),
            None => {}
        }
        step.made
    }

    /// Begins the next member or frame; returns how many bytes of padding come first.
    fn next_member(&mut self, format: Format) -> usize {
        let input = &self.input[self.from..self.to];
        let padding = input.iter().take_while(|byte| **byte == 0).count();
        match input.get(padding) {
            None => {}
            // Its method, deflate, stands in the lower half of the first byte.
            Some(first) if format == Format::Zlib && first & 0x0f == 8 => {
                self.state = State::Inflate(format, Box::new(Decompress::new(true)));
            }
            Some(_) if matches!(format, Format::Zlib | Format::Deflate) => {
                self.damaged(format, "something else follows".into());
            }
            Some(0x1f) => {
                let decoder = Box::new(Decompress::new_gzip(15));
                self.state = State::Inflate(Format::Gzip, decoder);
            }
            // A frame, or a skippable one.
            Some(0x28 | 0x50..=0x5f) => match zstd_decoder() {
                Ok(decoder) => {
                    self.state = State::Zstd(Box::new(decoder), ZSTD_FRAME_START_BYTES);
                }
                Err(error) => self.damaged(Format::Zstd, error.to_string()),
            },
            Some(_) => {
                self.eaten += padding as u64;
                self.damaged(format, "something else follows".into());
            }
        }
        padding
    }

    fn damaged(&mut self, format: Format, reason: String) {
        self.fail(Error::Damaged {
            format,
            at: self.eaten,
            reason,
        });
    }

    /// What follows cannot be decoded.
    fn fail(&mut self, error: Error) {
        self.full = false;
        self.damage = Some(error);
        self.state = State::Damaged;
    }
}

fn inflate(decoder: &mut Decompress, input: &[u8], into: &mut [u8]) -> Step {
    let (eaten, made) = (decoder.total_in(), decoder.total_out());
    let result = decoder.decompress(input, into, FlushDecompress::None);
    Step {
        // Both fit: they are bounded by the lengths of the two slices.
        eaten: (decoder.total_in() - eaten) as usize,
        made: (decoder.total_out() - made) as usize,
        end: match result {
            Ok(Status::Ok | Status::BufError) => None,
            Ok(Status::StreamEnd) => Some(Ok(())),
            Err(error) => Some(Err(error.to_string())),
        },
    }
}

fn zstd_decoder() -> io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
    Ok(decoder)
}

/// Gives the decoder no more than it asked for, which is a block at most: if it fails it does not tell what it had decoded in
/// the same call.
fn unzstd(decoder: &mut Decoder<'_>, wanted: &mut usize, input: &[u8], into: &mut [u8]) -> Step {
    let mut source = InBuffer::around(&input[..input.len().min(*wanted)]);
    let mut target = OutBuffer::around(into);
    let result = decoder.run(&mut source, &mut target);
    let end = match result {
        Ok(0) => Some(Ok(())),
        Ok(next) => {
            *wanted = next;
            None
        }
        Err(error) => Some(Err(error.to_string())),
    };
    Step {
        eaten: source.pos(),
        made: target.pos(),
        end,
    }
}
