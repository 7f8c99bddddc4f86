//! The events of Vector as Vector writes them, and as nobody should.

pub mod otlp;
mod reading;
mod soundness;

use crate::msgpack;

/// A value of Vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bytes(Vec<u8>),
    /// Seconds and nanoseconds.
    Time(i64, i32),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Map(Vec<(Vec<u8>, Value)>),
    Array(Vec<Value>),
    Null,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<&msgpack::Value> for Value {
    fn from(value: &msgpack::Value) -> Self {
        use msgpack::Value as Other;
        match value {
            Other::Nil => Self::Null,
            Other::Bool(truth) => Self::Bool(*truth),
            Other::Integer(number) => Self::Integer(*number as i64),
            Other::Float(number) => Self::Float(*number),
            Other::Str(bytes) | Other::Bin(bytes) | Other::Ext(_, bytes) => {
                Self::Bytes(bytes.clone())
            }
            Other::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Other::Map(pairs) => {
                let key = |key: &Other| match key {
                    Other::Str(bytes) | Other::Bin(bytes) => bytes.clone(),
                    other => format!("{other:?}").into_bytes(),
                };
                let pairs = pairs.iter().map(|(name, value)| (key(name), value.into()));
                Self::Map(pairs.collect())
            }
        }
    }
}

/// Each byte says how many bytes longer than need be the next number is written.
type Dice<'d> = &'d mut dyn Iterator<Item = u8>;

fn shortest() -> impl Iterator<Item = u8> {
    std::iter::repeat(0)
}

fn varint(mut number: u64, dice: Dice<'_>, into: &mut Vec<u8>) {
    let length = (64 - (number | 1).leading_zeros() as usize).div_ceil(7);
    let more = usize::from(dice.next().unwrap_or(0) % 4);
    let length = (length + more).min(10);
    for place in 0..length {
        let more = if place + 1 < length { 0x80 } else { 0 };
        into.push((number & 0x7f) as u8 | more);
        number >>= 7;
    }
}

/// A field that is a number.
fn number(field: u64, number: u64, dice: Dice<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(field << 3, dice, &mut bytes);
    varint(number, dice, &mut bytes);
    bytes
}

/// A field that is a message, or text.
fn message(field: u64, body: &[u8], dice: Dice<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(field << 3 | 2, dice, &mut bytes);
    varint(body.len() as u64, dice, &mut bytes);
    bytes.extend(body);
    bytes
}

fn pairs(pairs: &[(Vec<u8>, Value)], dice: Dice<'_>) -> Vec<u8> {
    let pair = |(key, value): &(Vec<u8>, Value)| {
        let value = value.encoded(dice);
        let pair = [message(1, key, dice), message(2, &value, dice)].concat();
        message(1, &pair, dice)
    };
    pairs.iter().flat_map(pair).collect()
}

impl Value {
    pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Self {
        let pairs = pairs.map(|(key, value)| (key.as_bytes().to_vec(), value));
        Self::Map(pairs.into())
    }

    /// The body of a `Value`.
    fn encoded(&self, dice: Dice<'_>) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => message(1, bytes, dice),
            Self::Time(seconds, nanoseconds) => {
                let nanoseconds = i64::from(*nanoseconds).cast_unsigned();
                let time = [
                    number(1, seconds.cast_unsigned(), dice),
                    number(2, nanoseconds, dice),
                ];
                message(2, &time.concat(), dice)
            }
            Self::Integer(integer) => number(4, integer.cast_unsigned(), dice),
            Self::Float(float) => {
                let mut bytes = Vec::new();
                varint(5 << 3 | 1, dice, &mut bytes);
                bytes.extend(float.to_le_bytes());
                bytes
            }
            Self::Bool(truth) => number(6, u64::from(*truth), dice),
            Self::Map(fields) => {
                let fields = pairs(fields, dice);
                message(7, &fields, dice)
            }
            Self::Array(items) => {
                let item = |item: &Value| {
                    let item = item.encoded(dice);
                    message(1, &item, dice)
                };
                let items: Vec<u8> = items.iter().flat_map(item).collect();
                message(8, &items, dice)
            }
            Self::Null => number(9, 0, dice),
        }
    }

    /// The body of a log that is this: as fields if it is a map, else as Vector does that too.
    pub fn log(&self, dice: Dice<'_>) -> Vec<u8> {
        match self {
            Self::Map(fields) => pairs(fields, dice),
            other => {
                let dummy = pairs(&[(b".".to_vec(), Value::Null)], dice);
                [dummy, message(2, &other.encoded(dice), dice)].concat()
            }
        }
    }

    /// One of the events of a request.
    pub fn entry(&self, dice: Dice<'_>) -> Vec<u8> {
        let log = self.log(dice);
        entry(&log, dice)
    }
}

/// The log as one of the events of a request.
pub fn entry(log: &[u8], dice: Dice<'_>) -> Vec<u8> {
    let wrapper = message(1, log, dice);
    message(1, &wrapper, dice)
}
