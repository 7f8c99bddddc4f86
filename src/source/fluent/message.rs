//! The messages of Forward.

use crate::record::msgpack::{Fault, Token, length};

/// The most that a chunk's name may be long: it is given back. Fluentd's and Fluent Bit's have 24 bytes.
pub(super) const MAX_CHUNK_BYTES: usize = 4 << 10;

/// One message, as it lies in what was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Message<'b> {
    /// Nothing, by which some clients look whether anybody is there.
    Heartbeat,
    Events(Events<'b>),
}

/// A message that brings events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Events<'b> {
    /// What routes events at their sender.
    pub tag: &'b [u8],
    pub form: Form<'b>,
    pub options: Options<'b>,
}

/// How the events lie in their message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form<'b> {
    /// A time and a record: an entry without its header.
    Message(&'b [u8]),
    /// Entries, one after the other, in an array or in a string; there they may be compressed.
    Entries(&'b [u8]),
}

/// What stands behind the events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options<'b> {
    /// The value, as it is encoded, that an acknowledgement gives back.
    pub chunk: Option<&'b [u8]>,
    /// What Fluent Bit sends: 0 for logs, 1 for metrics, 2 for traces.
    pub signal: i128,
}

/// Why something is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("it is no array of tag and events")]
    Shape,
    #[error("its tag is no string")]
    Tag,
    #[error("there are no events behind its tag")]
    Events,
    #[error("its options are no map")]
    Options,
    #[error("the name of its chunk is longer than {MAX_CHUNK_BYTES} bytes")]
    Chunk,
}

/// Values that follow each other.
struct Values<'b>(&'b [u8]);

impl<'b> Values<'b> {
    fn token(&mut self) -> Result<Token<'b>, Fault> {
        let (token, length) = Token::read(self.0)?;
        self.0 = &self.0[length..];
        Ok(token)
    }

    /// A value with all it holds.
    fn value(&mut self) -> Result<&'b [u8], Fault> {
        let (value, rest) = self.0.split_at(length(self.0)?);
        self.0 = rest;
        Ok(value)
    }

    fn values(&mut self, count: u32) -> Result<&'b [u8], Fault> {
        let all = self.0;
        for _ in 0..count {
            self.value()?;
        }
        Ok(&all[..all.len() - self.0.len()])
    }
}

/// Whether a message may begin with `byte`.
pub fn may_begin(byte: u8) -> bool {
    matches!(byte, 0x92..=0x94 | 0xc0 | 0xdc | 0xdd)
}

impl<'b> Message<'b> {
    /// The message that `bytes`, one value, are.
    ///
    /// # Errors
    /// If they are none.
    pub fn read(bytes: &'b [u8]) -> Result<Self, Error> {
        let mut values = Values(bytes);
        let count = match values.token()? {
            Token::Nil => return Ok(Self::Heartbeat),
            Token::Array(count @ 2..=4) => count,
            _ => return Err(Error::Shape),
        };
        let (Token::Str(tag) | Token::Bin(tag)) = values.token()? else {
            return Err(Error::Tag);
        };
        let (form, used) = events(&mut values, count)?;
        let options = match count - used {
            0 => Options::default(),
            1 => options(&mut values)?,
            _ => return Err(Error::Shape),
        };
        Ok(Self::Events(Events { tag, form, options }))
    }
}

/// The events of a message of `count` values, and how many of these were used so far.
fn events<'b>(values: &mut Values<'b>, count: u32) -> Result<(Form<'b>, u32), Error> {
    let start = values.0;
    let events = match values.token()? {
        Token::Str(entries) | Token::Bin(entries) => (Form::Entries(entries), 2),
        // An entry is an array; a time with metadata beside it begins with a time.
        Token::Array(length) if length != 2 || !begins_with_time(values.0) => {
            (Form::Entries(values.values(length)?), 2)
        }
        Token::Array(_) | Token::Integer(_) | Token::Float(_) | Token::Ext(..) | Token::Nil
            if count > 2 =>
        {
            (Form::Message(Values(start).values(2)?), 3)
        }
        _ => return Err(Error::Events),
    };
    if let (Form::Message(entry), _) = events {
        values.0 = &start[entry.len()..];
    }
    Ok(events)
}

fn begins_with_time(bytes: &[u8]) -> bool {
    let token = Token::read(bytes).map(|(token, _)| token);
    matches!(
        token,
        Ok(Token::Integer(_) | Token::Float(_) | Token::Ext(..))
    )
}

fn options<'b>(values: &mut Values<'b>) -> Result<Options<'b>, Error> {
    let mut options = Options::default();
    let pairs = match values.token()? {
        Token::Map(pairs) => pairs,
        Token::Nil => 0,
        _ => return Err(Error::Options),
    };
    for _ in 0..pairs {
        let (key, value) = (values.value()?, values.value()?);
        match (Token::read(key)?.0, Token::read(value)?.0) {
            (
                Token::Str(b"chunk") | Token::Bin(b"chunk"),
                Token::Str(chunk) | Token::Bin(chunk),
            ) => {
                if chunk.len() > MAX_CHUNK_BYTES {
                    return Err(Error::Chunk);
                }
                options.chunk = Some(value);
            }
            (Token::Str(b"fluent_signal"), Token::Integer(signal)) => options.signal = signal,
            _ => {}
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[tag, …]` with so many values.
    fn message(values: u8, rest: &[u8]) -> Vec<u8> {
        [&[0x90 | values], b"\xa3tag".as_slice(), rest].concat()
    }

    fn read(values: u8, rest: &[u8]) -> Result<(Form<'static>, Options<'static>), Error> {
        match Message::read(message(values, rest).leak())? {
            Message::Events(events) => {
                assert_eq!(events.tag, b"tag");
                Ok((events.form, events.options))
            }
            Message::Heartbeat => panic!("events"),
        }
    }

    #[test]
    fn each_mode_is_told_from_the_others() {
        let none = Options::default();
        assert_eq!(read(3, b"\x07\x80"), Ok((Form::Message(b"\x07\x80"), none)));
        assert_eq!(
            read(4, b"\x07\x80\xc0"),
            Ok((Form::Message(b"\x07\x80"), none))
        );
        let timed = b"\xd7\x00AAAABBBB\x80";
        assert_eq!(read(3, timed), Ok((Form::Message(timed), none)));
        assert_eq!(
            read(3, b"\x92\x07\x80\x80"),
            Ok((Form::Message(b"\x92\x07\x80\x80"), none))
        );
        assert_eq!(read(2, b"\x90"), Ok((Form::Entries(b""), none)));
        assert_eq!(
            read(2, b"\x91\x92\x07\x80"),
            Ok((Form::Entries(b"\x92\x07\x80"), none))
        );
        let two = b"\x92\x07\x80\x92\x92\x08\x80\x80";
        let array = [b"\xdd\x00\x00\x00\x02".as_slice(), two, b"\x80"].concat();
        assert_eq!(read(3, &array), Ok((Form::Entries(two), none)));
        assert_eq!(read(2, b"\xc4\x03abc"), Ok((Form::Entries(b"abc"), none)));
        assert_eq!(read(2, b"\xa3abc"), Ok((Form::Entries(b"abc"), none)));
        assert_eq!(Message::read(b"\xc0"), Ok(Message::Heartbeat));
    }

    #[test]
    fn options_are_read_whatever_else_is_among_them() {
        let options = b"\x84\xa4size\x0c\xa5chunk\xa2id\xa1x\x91\x80\xadfluent_signal\x01";
        let (_, read) = read(3, &[b"\xc4\x00".as_slice(), options].concat()).unwrap();
        let chunk = b"\xa2id".as_slice();
        assert_eq!(
            read,
            Options {
                chunk: Some(chunk),
                signal: 1
            }
        );
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, error) in [
            (b"\x80".as_slice(), Error::Shape),
            (b"\x91\xa1t", Error::Shape),
            (b"\x95\xa1t\x90\xc0\xc0\xc0", Error::Shape),
            (b"\x94\xa1t\x90\xc0\xc0", Error::Shape),
            (b"\x92\x07\x90", Error::Tag),
            (b"\x92\xa1t\x07", Error::Events),
            (b"\x92\xa1t\x80", Error::Events),
            (b"\x93\xa1t\x90\x07", Error::Options),
            (b"\x93\xa1t\x90", Error::Fault(Fault::CutOff)),
        ] {
            assert_eq!(Message::read(bytes), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn no_chunk_has_a_long_name() {
        let chunk = |length: usize| {
            let head = [
                b"\xc4\x00\x81\xa5chunk\xda".as_slice(),
                &(length as u16).to_be_bytes(),
            ];
            [head.concat(), vec![b'a'; length]].concat()
        };
        assert!(read(3, &chunk(MAX_CHUNK_BYTES)).is_ok());
        assert_eq!(read(3, &chunk(MAX_CHUNK_BYTES + 1)), Err(Error::Chunk));
    }
}
