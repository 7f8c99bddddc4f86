//! MessagePack as shippers write it, and as nobody should.

pub mod bodies;
mod reading;
pub mod soundness;

use serde_json::Value as Json;

/// A value of MessagePack.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Str(Vec<u8>),
    Bin(Vec<u8>),
    Ext(i8, Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.as_bytes().to_vec())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Integer(number.into()),
                (None, Some(number)) => Self::Integer(number.into()),
                (None, None) => Self::Float(number.as_f64().expect("it is no integer")),
            },
            Json::String(text) => text.as_str().into(),
            Json::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Json::Object(entries) => {
                let pair = |(key, value): (&String, &Json)| (key.as_str().into(), value.into());
                Self::Map(entries.iter().map(pair).collect())
            }
        }
    }
}

impl Value {
    pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value));
        Self::Map(pairs.collect())
    }

    /// Fluentd's EventTime.
    pub fn time(seconds: u32, nanoseconds: u32) -> Self {
        let bytes = [seconds.to_be_bytes(), nanoseconds.to_be_bytes()];
        Self::Ext(0, bytes.concat())
    }

    /// In the shortest form.
    pub fn bytes(&self) -> Vec<u8> {
        self.encoded(&mut std::iter::repeat(0))
    }

    /// Each length and number in the shortest form, or, as `dice` say, in one of those that are up to three steps longer.
    pub fn encoded(&self, dice: &mut dyn Iterator<Item = u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(dice, &mut bytes);
        bytes
    }

    fn write(&self, dice: &mut dyn Iterator<Item = u8>, into: &mut Vec<u8>) {
        let step = usize::from(dice.next().unwrap_or(0) % 4);
        match self {
            Self::Nil => into.push(0xc0),
            Self::Bool(truth) => into.push(0xc2 + u8::from(*truth)),
            Self::Integer(number) => integer(*number, step, into),
            // An f32 where it says the same.
            Self::Float(number) if step == 1 && f64::from(*number as f32) == *number => {
                into.push(0xca);
                into.extend((*number as f32).to_be_bytes());
            }
            Self::Float(number) => {
                into.push(0xcb);
                into.extend(number.to_be_bytes());
            }
            Self::Str(bytes) => {
                sized(
                    bytes.len(),
                    Some((0xa0, 31)),
                    &[0xd9, 0xda, 0xdb],
                    step,
                    into,
                );
                into.extend(bytes);
            }
            Self::Bin(bytes) => {
                sized(bytes.len(), None, &[0xc4, 0xc5, 0xc6], step, into);
                into.extend(bytes);
            }
            Self::Ext(kind, bytes) => {
                match [1, 2, 4, 8, 16]
                    .iter()
                    .position(|length| *length == bytes.len())
                {
                    Some(place) if step == 0 => into.push(0xd4 + place as u8),
                    _ => sized(bytes.len(), None, &[0xc7, 0xc8, 0xc9], step, into),
                }
                into.push(kind.cast_unsigned());
                into.extend(bytes);
            }
            Self::Array(items) => {
                sized(items.len(), Some((0x90, 15)), &[0, 0xdc, 0xdd], step, into);
                items.iter().for_each(|item| item.write(dice, into));
            }
            Self::Map(pairs) => {
                sized(pairs.len(), Some((0x80, 15)), &[0, 0xde, 0xdf], step, into);
                for (key, value) in pairs {
                    key.write(dice, into);
                    value.write(dice, into);
                }
            }
        }
    }
}

/// A header with a length of no, one, two or four bytes; which of the last three there are, say the first bytes.
fn sized(
    length: usize,
    fixed: Option<(u8, usize)>,
    firsts: &[u8; 3],
    step: usize,
    into: &mut Vec<u8>,
) {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    if let Some((first, _)) = fixed.filter(|(_, most)| length <= *most) {
        forms.push(vec![first | length as u8]);
    }
    for (first, width) in firsts.iter().zip([1, 2, 4]) {
        if *first != 0 && length < 1 << (8 * width) {
            let digits = (length as u32).to_be_bytes();
            forms.push([&[*first], &digits[4 - width..]].concat());
        }
    }
    into.extend(&forms[step.min(forms.len() - 1)]);
}

fn integer(number: i128, step: usize, into: &mut Vec<u8>) {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    if (-32..128).contains(&number) {
        forms.push(vec![(number as i8).cast_unsigned()]);
    }
    for (place, width) in [1, 2, 4, 8].into_iter().enumerate() {
        let digits = &number.to_be_bytes()[16 - width..];
        let bits = 8 * width as u32;
        if (0..1 << bits).contains(&number) {
            forms.push([&[0xcc + place as u8], digits].concat());
        }
        if (-(1 << (bits - 1))..1 << (bits - 1)).contains(&number) {
            forms.push([&[0xd0 + place as u8], digits].concat());
        }
    }
    into.extend(&forms[step.min(forms.len() - 1)]);
}
