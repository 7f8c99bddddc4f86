//! Finds where JSON values begin and end in a stream that does not hold one value a line.
//!
//! A value at the top is cut out whole, but the elements of a top-level array, and those of the array `items` of a top-level
//! object (an `EventList`), are cut out one by one, so that a list needs no more memory than its longest element. Where an object is
//! longer than a record may be, so are those of other lists of records ([`LISTS`]), without what stands around them.
//! What stands around the list in its object is cut out as well, on either side of it: nothing but white space, commas and
//! the brackets of lists is left out, so text that is no JSON at all comes through too, line by line.
//!
//! It looks at each byte once and remembers a few numbers, however deep the brackets nest. Brackets are counted,
//! not matched. A JSON string holds no raw newline, so a newline ends any string; and a line that is just `{` or `[`,
//! or begins with something where none can stand, begins a new top-level value: after damage the cutter finds its way back.

use memchr::memchr3;

/// What happened at the byte looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It is the first byte of a value.
    Open,
    /// The value ended `back` bytes before the byte behind it. If [`Cutter::is_open`], the next value begins right there.
    Close { back: usize },
    /// It is the newline that ends the line; a value was `open`, which it cuts off.
    LineEnd { open: bool },
}

/// The state machine.
pub(super) struct Cutter {
    /// How many brackets are open.
    depth: u64,
    /// The depth at which values are cut out: 0 at the top, 1 in a top-level array, 2 in `items`.
    list: u64,
    /// A value has begun and not ended.
    open: bool,
    string: Text,
    key: Key,
    name: Name,
    /// The object at the top is too long to be one record.
    wide: bool,
    /// One of its objects is open in which a list may stand.
    in_holder: bool,
    line: Line,
    /// The last byte that is no white space; of a string, its first quote.
    last: u8,
    /// What was looked at last begins a line, and a value at the top, and is a digit.
    at_digit: bool,
    /// The stream is one line.
    one_line: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// Behind a backslash.
    Escape,
}

/// How much of a key was seen, and its colon, where those of lists stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Other,
    Within,
    Name,
    Colon,
}

/// A key, as far as it was read; one that is longer is no list's.
#[derive(Clone, Copy)]
struct Name {
    bytes: [u8; MAX_NAME_BYTES],
    length: usize,
}

/// What the current line holds so far.
#[derive(Clone, Copy)]
enum Line {
    Nothing,
    /// One opening bracket at its beginning, `length` bytes with the carriage return that may follow it.
    Bracket {
        byte: u8,
        length: usize,
    },
    More,
}

const MAX_NAME_BYTES: usize = 16;

/// Where a Kubernetes list has its elements.
const ITEMS: &[u8] = b"items";

/// Where collected pages of clouds, shippers and stores have records. An event has nothing under any of these.
const LISTS: [&[u8]; 14] = [
    b"records",
    b"Records",
    b"events",
    b"logEvents",
    b"receivedMessages",
    b"messages",
    b"results",
    b"entries",
    b"logs",
    b"value",
    b"data",
    b"resourceLogs",
    b"streams",
    b"hits",
];

/// The same in an object under such a key: Elasticsearch's `hits.hits`, Loki's `data.result`.
const INNER_LISTS: [&[u8]; 2] = [b"hits", b"result"];

impl Name {
    const NONE: Self = Self {
        bytes: [0; MAX_NAME_BYTES],
        length: 0,
    };

    fn add(&mut self, more: &[u8]) {
        let end = self.length + more.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(more);
        }
        self.length = end;
    }

    fn is(&self, name: &[u8]) -> bool {
        self.bytes.get(..self.length) == Some(name)
    }
}

impl Cutter {
    /// For a stream that goes on to its end.
    pub(super) fn stream() -> Self {
        Self {
            depth: 0,
            list: 0,
            open: false,
            string: Text::Outside,
            key: Key::Other,
            name: Name::NONE,
            wide: false,
            in_holder: false,
            line: Line::Nothing,
            last: b' ',
            at_digit: false,
            one_line: false,
        }
    }

    /// For one line: its newline is told, and ends it.
    pub(super) fn line() -> Self {
        Self {
            one_line: true,
            ..Self::stream()
        }
    }

    /// For a stream that goes on within a line.
    pub(super) fn within_line() -> Self {
        Self {
            line: Line::More,
            ..Self::stream()
        }
    }

    /// For an object at the top, from its beginning, that is longer than a record may be; `None` if what is open lies in a list.
    pub(super) fn widened(&self) -> Option<Self> {
        (self.list == 0).then(|| Self {
            wide: true,
            one_line: self.one_line,
            ..Self::within_line()
        })
    }

    /// Whether the value that has just begun, at the top, begins a line as a container runtime's do.
    pub(super) fn is_at_digit(&self) -> bool {
        self.at_digit
    }

    /// A value has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// A bracket is open.
    pub(super) fn is_nested(&self) -> bool {
        self.depth > 0
    }

    /// Looks at `bytes` up to the next cut. Returns how many it looked at, and the cut, if there was one.
    pub(super) fn next(&mut self, bytes: &[u8]) -> (usize, Option<Cut>) {
        let mut at = 0;
        while at < bytes.len() {
            if self.string != Text::Outside {
                at += self.in_string(&bytes[at..]);
                continue;
            }
            let cut = self.outside(bytes[at]);
            at += 1;
            if cut.is_some() {
                return (at, cut);
            }
        }
        (at, None)
    }

    /// Goes on in a string; returns how many bytes that took. The newline of a broken string is left.
    fn in_string(&mut self, bytes: &[u8]) -> usize {
        if self.string == Text::Escape {
            self.string = Text::Inside;
            return usize::from(bytes[0] != b'\n');
        }
        let found = memchr3(b'"', b'\\', b'\n', bytes);
        let run = &bytes[..found.unwrap_or(bytes.len())];
        if self.key == Key::Within {
            self.name.add(run);
        }
        let Some(at) = found else {
            return bytes.len();
        };
        match bytes[at] {
            b'"' => {
                self.string = Text::Outside;
                let is_name = self.key == Key::Within && self.is_of_list();
                self.key = if is_name { Key::Name } else { Key::Other };
                at + 1
            }
            b'\\' => {
                self.string = Text::Escape;
                self.key = Key::Other;
                at + 1
            }
            _ => {
                self.string = Text::Outside;
                self.key = Key::Other;
                at
            }
        }
    }

    /// Whether records stand in a list under the key that was read.
    fn is_of_list(&self) -> bool {
        let is_any = |names: &[&[u8]]| names.iter().any(|name| self.name.is(name));
        match self.in_holder {
            true => is_any(&INNER_LISTS),
            false => self.name.is(ITEMS) || self.wide && is_any(&LISTS),
        }
    }

    fn outside(&mut self, byte: u8) -> Option<Cut> {
        if byte == b'\n' {
            return self.newline();
        }
        let is_first = matches!(self.line, Line::Nothing);
        if is_first && self.is_out_of_place(byte) {
            return self.start_over(byte);
        }
        self.at_digit = is_first && !self.one_line && self.depth == 0 && byte.is_ascii_digit();
        if !matches!(byte, b' ' | b'\t' | b'\r') {
            self.last = byte;
        }
        self.line = match (self.line, byte) {
            (Line::Nothing, b'{' | b'[') if self.depth > 0 => Line::Bracket { byte, length: 1 },
            (Line::Bracket { byte, length: 1 }, b'\r') => Line::Bracket { byte, length: 2 },
            _ => Line::More,
        };
        match byte {
            b' ' | b'\t' | b'\r' => None,
            b'{' | b'[' => self.opening(byte),
            b'}' | b']' => self.closing(),
            b',' => self.comma(),
            b'"' => {
                let at_key = self.list == 0 && self.depth == 1 + u64::from(self.in_holder);
                self.key = if at_key { Key::Within } else { Key::Other };
                self.name = Name::NONE;
                self.string = Text::Inside;
                self.begin()
            }
            b':' => {
                self.key = match self.key {
                    Key::Name => Key::Colon,
                    _ => Key::Other,
                };
                self.begin()
            }
            _ => {
                self.key = Key::Other;
                self.begin()
            }
        }
    }

    /// Whether `byte`, which begins a line, cannot stand there in the value that is open. What is no bracket may be the rest of
    /// a string that was cut off by a raw newline.
    fn is_out_of_place(&self, byte: u8) -> bool {
        !self.one_line
            && self.depth > self.list
            && match byte {
                b'{' | b'[' => !matches!(self.last, b':' | b'[' | b','),
                b' ' | b'\t' | b'\r' | b'"' | b'}' | b']' | b',' | b':' => false,
                _ => matches!(self.last, b'{' | b'}' | b']'),
            }
    }

    /// Ends what is open before `byte`, which begins a top-level value.
    fn start_over(&mut self, byte: u8) -> Option<Cut> {
        let was_open = self.open;
        *self = Self::stream();
        let begun = self.outside(byte);
        match was_open {
            true => Some(Cut::Close { back: 1 }),
            false => begun,
        }
    }

    fn newline(&mut self) -> Option<Cut> {
        let line = std::mem::replace(&mut self.line, Line::Nothing);
        if self.one_line {
            return Some(Cut::LineEnd {
                open: std::mem::take(&mut self.open),
            });
        }
        if let Line::Bracket { byte, length } = line {
            let was_open = self.open;
            *self = Self {
                depth: 1,
                line: Line::Nothing,
                ..Self::stream()
            };
            self.open = byte == b'{';
            self.list = u64::from(byte == b'[');
            return was_open.then_some(Cut::Close { back: length + 1 });
        }
        if self.depth == self.list {
            self.end(1)
        } else {
            None
        }
    }

    fn opening(&mut self, byte: u8) -> Option<Cut> {
        let is_named = self.key == Key::Colon;
        let is_list = byte == b'[' && self.list == 0 && (self.depth == 0 || is_named);
        self.in_holder |= self.wide && byte == b'{' && self.depth == 1 && is_named;
        self.key = Key::Other;
        let at_cut = self.depth == self.list;
        self.depth += 1;
        if is_list {
            self.list = self.depth;
            return self.end(1);
        }
        if at_cut && self.open {
            // Something that is no container ends here, where the container begins.
            return Some(Cut::Close { back: 1 });
        }
        self.begin()
    }

    fn closing(&mut self) -> Option<Cut> {
        self.key = Key::Other;
        if self.depth == 0 {
            return self.end(1);
        }
        self.depth -= 1;
        self.in_holder &= self.depth > 1;
        self.wide &= self.depth > 0;
        if self.depth < self.list {
            self.list = 0;
            return self.end(1);
        }
        if self.depth == self.list {
            self.end(0)
        } else {
            None
        }
    }

    fn comma(&mut self) -> Option<Cut> {
        self.key = Key::Other;
        if self.list > 0 && self.depth == self.list {
            self.end(1)
        } else {
            None
        }
    }

    fn begin(&mut self) -> Option<Cut> {
        (!std::mem::replace(&mut self.open, true)).then_some(Cut::Open)
    }

    fn end(&mut self, back: usize) -> Option<Cut> {
        std::mem::take(&mut self.open).then_some(Cut::Close { back })
    }
}

#[cfg(test)]
mod tests;
