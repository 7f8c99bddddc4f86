//! The events that Vector sends: its `event.proto`, as far as logs have to do with it.
//!
//! | message | fields |
//! | --- | --- |
//! | `PushEventsRequest` | `events = 1`, many: the entries |
//! | `EventWrapper` | `log = 1`; `metric = 2`, `trace = 3` and what is not known are passed |
//! | `Log` | `fields = 1`, a map; or `value = 2`, where the event is none (then the map has a null under `.`); `metadata = 3`, `metadata_full = 4` |
//! | `Metadata` | `value = 1`; secrets and the rest are passed |
//! | a pair of a map | `key = 1`, `value = 2`, in this order |
//! | `Value` | one of `raw_bytes = 1`, `timestamp = 2`, `integer = 4`, `float = 5`, `boolean = 6`, `map = 7`, `array = 8`, `null = 9` |
//! | `ValueMap`, `ValueArray` | `fields = 1`, a map; `items = 1` |
//!
//! Inside of a value nothing is passed: what has another form there is a fault, since nobody can say what it means.

use jiff::Timestamp;

use super::{Fault, Field, Value};

/// Maps and arrays in one another, at most: more than are searched, and more than Vector itself takes.
const MAX_DEPTH: usize = 128;

/// What a log is made of, in the order in which it would stand in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'b> {
    MapBegins,
    MapEnds,
    ArrayBegins,
    ArrayEnds,
    /// In a map, before its value.
    Key(Span<'b>),
    /// Text, which ought to be UTF-8.
    Text(Span<'b>),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// `None` if it is out of range.
    Time(Option<Timestamp>),
    Null,
    /// The value that follows is no part of the log, but was kept beside it.
    Metadata,
}

/// Bytes of an entry, and where they begin in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<'b> {
    pub bytes: &'b [u8],
    pub start: usize,
}

/// An entry cannot be read on from a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}, {at} bytes into an event")]
pub struct Broken {
    pub at: usize,
    pub fault: Fault,
}

/// Whether `entry` is a log, or cannot be read so far.
pub fn is_log(entry: &[u8]) -> bool {
    let log = Span::of(entry).parts().find(|part| match part {
        Ok(Part {
            number: 1,
            held: Held::Message(wrapper),
            ..
        }) => {
            let mut events = wrapper.parts();
            events.any(|event| event.map_or(true, |event| event.number == 1))
        }
        Ok(Part { number, .. }) => *number == 1,
        Err(_) => true,
    });
    log.is_some()
}

/// Tells `say` what the log in `entry` is made of; nothing if it is none.
///
/// # Errors
/// Where it cannot be read. What stands before that has been told.
pub fn walk<'b>(entry: &'b [u8], say: &mut dyn FnMut(Token<'b>)) -> Result<(), Broken> {
    let mut walker = Walker { say };
    for part in Span::of(entry).parts() {
        let part = part?;
        if part.number == 1 {
            walker.wrapper(part.message()?)?;
        }
    }
    Ok(())
}

/// A field of an entry.
#[derive(Clone, Copy)]
struct Part<'b> {
    number: u32,
    held: Held<'b>,
    /// Where it begins.
    at: usize,
}

#[derive(Clone, Copy)]
enum Held<'b> {
    Number(Value<'b>),
    /// A message, or text.
    Message(Span<'b>),
}

impl<'b> Span<'b> {
    fn of(entry: &'b [u8]) -> Self {
        Self {
            bytes: entry,
            start: 0,
        }
    }

    /// The fields of the message that this is; at last what is none. Of one that is cut off there is first what is there.
    fn parts(self) -> impl Iterator<Item = Result<Part<'b>, Broken>> {
        let (mut at, mut is_cut_off) = (0, false);
        std::iter::from_fn(move || {
            let begin = self.start + at;
            if is_cut_off {
                is_cut_off = false;
                return Some(Err(Broken {
                    at: begin,
                    fault: Fault::CutOff,
                }));
            }
            let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let cut_off = |fault| {
                is_cut_off = true;
                let field = Field::cut_off(rest).filter(|_| fault == Fault::CutOff);
                field.map(|field| (field, rest.len())).ok_or(fault)
            };
            Some(match Field::read(rest).or_else(cut_off) {
                Ok((Field { number, value }, length)) => {
                    at += length;
                    let held = match value {
                        Value::Bytes(bytes) => Held::Message(Span {
                            bytes,
                            start: self.start + at - bytes.len(),
                        }),
                        value => Held::Number(value),
                    };
                    Ok(Part {
                        number,
                        held,
                        at: begin,
                    })
                }
                Err(fault) => {
                    (at, is_cut_off) = (self.bytes.len(), false);
                    Err(Broken { at: begin, fault })
                }
            })
        })
    }
}

impl<'b> Part<'b> {
    fn message(self) -> Result<Span<'b>, Broken> {
        match self.held {
            Held::Message(message) => Ok(message),
            Held::Number(_) => Err(self.malformed()),
        }
    }

    fn malformed(self) -> Broken {
        Broken {
            at: self.at,
            fault: Fault::Malformed,
        }
    }
}

struct Walker<'b, 's> {
    say: &'s mut dyn FnMut(Token<'b>),
}

impl<'b> Walker<'b, '_> {
    fn wrapper(&mut self, wrapper: Span<'b>) -> Result<(), Broken> {
        for part in wrapper.parts() {
            let part = part?;
            if part.number == 1 {
                self.log(part.message()?)?;
            }
        }
        Ok(())
    }

    fn log(&mut self, log: Span<'b>) -> Result<(), Broken> {
        let mut is_map_open = false;
        for part in log.parts() {
            let part = part?;
            if is_map_open && part.number != 1 {
                is_map_open = false;
                (self.say)(Token::MapEnds);
            }
            match part.number {
                1 => {
                    if !is_map_open {
                        is_map_open = true;
                        (self.say)(Token::MapBegins);
                    }
                    self.pair(part.message()?, 1)?;
                }
                2 => self.value(part.message()?, 0)?,
                3 => {
                    (self.say)(Token::Metadata);
                    self.value(part.message()?, 0)?;
                }
                4 => self.metadata(part.message()?)?,
                _ => {}
            }
        }
        if is_map_open {
            (self.say)(Token::MapEnds);
        }
        Ok(())
    }

    fn metadata(&mut self, metadata: Span<'b>) -> Result<(), Broken> {
        for part in metadata.parts() {
            let part = part?;
            if part.number == 1 {
                (self.say)(Token::Metadata);
                self.value(part.message()?, 0)?;
            }
        }
        Ok(())
    }

    /// What is not written is what protobuf has for nothing: no text, no value.
    fn pair(&mut self, pair: Span<'b>, depth: usize) -> Result<(), Broken> {
        let nothing = Span {
            bytes: &[],
            start: pair.start,
        };
        let mut parts = pair.parts();
        let mut next = parts.next().transpose()?;
        match next {
            Some(part) if part.number == 1 => {
                (self.say)(Token::Key(part.message()?));
                next = parts.next().transpose()?;
            }
            _ => (self.say)(Token::Key(nothing)),
        }
        match next {
            None => (self.say)(Token::Null),
            Some(part) if part.number == 2 => self.value(part.message()?, depth)?,
            Some(part) => return Err(part.malformed()),
        }
        last(parts)
    }

    /// Of a value that lies in `depth` others.
    fn value(&mut self, value: Span<'b>, depth: usize) -> Result<(), Broken> {
        let mut parts = value.parts();
        let Some(part) = parts.next().transpose()? else {
            (self.say)(Token::Null);
            return Ok(());
        };
        match (part.number, part.held) {
            (1, Held::Message(text)) => (self.say)(Token::Text(text)),
            (2, Held::Message(time)) => (self.say)(Token::Time(timestamp(time)?)),
            (4, Held::Number(Value::Varint(number))) => {
                (self.say)(Token::Integer(number.cast_signed()));
            }
            (5, Held::Number(Value::Fixed64(bits))) => {
                (self.say)(Token::Float(f64::from_bits(bits)));
            }
            (6, Held::Number(Value::Varint(truth))) => (self.say)(Token::Bool(truth != 0)),
            (7 | 8, Held::Message(_)) if depth == MAX_DEPTH => return Err(part.malformed()),
            (7, Held::Message(map)) => {
                (self.say)(Token::MapBegins);
                for pair in map.parts() {
                    self.pair(element(pair?)?, depth + 1)?;
                }
                (self.say)(Token::MapEnds);
            }
            (8, Held::Message(array)) => {
                (self.say)(Token::ArrayBegins);
                for item in array.parts() {
                    self.value(element(item?)?, depth + 1)?;
                }
                (self.say)(Token::ArrayEnds);
            }
            (9, Held::Number(Value::Varint(_))) => (self.say)(Token::Null),
            _ => return Err(part.malformed()),
        }
        last(parts)
    }
}

/// Nothing may follow.
fn last<'b>(mut parts: impl Iterator<Item = Result<Part<'b>, Broken>>) -> Result<(), Broken> {
    match parts.next().transpose()? {
        None => Ok(()),
        Some(part) => Err(part.malformed()),
    }
}

/// One of many, which are all that their message has.
fn element(part: Part<'_>) -> Result<Span<'_>, Broken> {
    match part.number {
        1 => part.message(),
        _ => Err(part.malformed()),
    }
}

/// `google.protobuf.Timestamp`: seconds and nanoseconds.
fn timestamp(time: Span<'_>) -> Result<Option<Timestamp>, Broken> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for part in time.parts() {
        let part = part?;
        match (part.number, part.held) {
            (1, Held::Number(Value::Varint(number))) => seconds = number.cast_signed(),
            (2, Held::Number(Value::Varint(number))) => nanoseconds = number.cast_signed(),
            _ => return Err(part.malformed()),
        }
    }
    let nanoseconds = i32::try_from(nanoseconds).ok();
    Ok(nanoseconds.and_then(|nanoseconds| Timestamp::new(seconds, nanoseconds).ok()))
}
