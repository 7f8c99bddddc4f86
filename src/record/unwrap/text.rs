//! Text that is more, or less, than one JSON value.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::{
    Aim, Finding, Inner, Layer, MAX_DECOMPRESSED_BYTES, MAX_RATIO, Nested, Search, Wrapper,
    encoded, holds_json, printed_lines::PrintedLines, trimmed, watched,
};
use crate::record::{
    doubt::{
        other_log, printed,
        standing::{Lines, string_length},
    },
    msgpack,
    parts::{
        part_mark::{Part, may_be_joined},
        partial::open_part,
    },
    stream::{csv_row::WholeEvents, document::without_colours},
    text::{
        escape::{undoubled, unescaped, without_entities},
        legacy,
        own::is_own,
        pieces::{Piece, Taken, first_mark_end, pieces},
    },
};

impl Search<'_> {
    pub(super) fn text(&mut self, layers: &mut [Layer], text: &[u8], wrapper: &dyn Wrapper) {
        if self.whole_text(layers, text, wrapper) {
            return;
        }
        match without_colours(text) {
            None => self.lines_of_text(layers, text, wrapper),
            Some(plain) if self.whole_text(layers, &plain, wrapper) => {}
            Some(plain) => self.lines_of_text(layers, &plain, wrapper),
        }
    }

    /// Whether `text` is one value of JSON, which is searched then, or lies too deep to be looked at.
    fn whole_text(&mut self, layers: &mut [Layer], text: &[u8], wrapper: &dyn Wrapper) -> bool {
        let text = trimmed(text);
        if let Aim::Inside(copies, is_timed) = self.aim {
            copies.add(text, is_timed);
        }
        let Some((layer, deeper)) = layers.split_first_mut() else {
            (self.found)(Finding::Broken(text, wrapper));
            return true;
        };
        matches!(text.first(), Some(b'{' | b'['))
            && layer.decode(text, &mut |value| {
                self.decoded(deeper, value, text, wrapper)
            })
    }

    /// Searches text that is no JSON value from its first byte to its last.
    fn lines_of_text(&mut self, layers: &mut [Layer], text: &[u8], wrapper: &dyn Wrapper) {
        let text = trimmed(text);
        let Some((layer, deeper)) = layers.split_first_mut() else {
            return;
        };
        let wrapper = &Nested::new(wrapper, Inner::Line(text));
        if let Some(part) = open_part(text) {
            return self.part(deeper, Part::Open, part, wrapper);
        }
        for lines in other_log::without_klog(text) {
            match legacy::may_be_in(lines) {
                true => self.legacy_lines(layer, deeper, lines, wrapper),
                false => self.lines(layer, deeper, lines, wrapper),
            }
        }
    }

    /// Searches lines that are no JSON value from their first byte to their last.
    fn lines(
        &mut self,
        layer: &mut Layer,
        deeper: &mut [Layer],
        text: &[u8],
        wrapper: &dyn Wrapper,
    ) {
        let places = Lines::new(text);
        if !printed::bears_marks(text) {
            return pieces(text, &mut |piece| {
                self.piece(layer, deeper, &places, piece, wrapper)
            });
        }
        let (mut printed, broken) = self.beside_printed(layer, deeper, &places, text, wrapper);
        for piece in broken {
            let is_held = matches!(piece, Piece::Broken(bytes) if printed.hold(bytes));
            if !is_held {
                self.broken(deeper, &places, &piece, wrapper);
            }
        }
        for line in printed.iter() {
            (self.found)(Finding::Broken(line, wrapper));
        }
    }

    /// Searches what is whole in lines of which some may be events that something printed. Gives these, and what is broken.
    fn beside_printed<'t>(
        &mut self,
        layer: &mut Layer,
        deeper: &mut [Layer],
        places: &Lines<'t>,
        text: &'t [u8],
        wrapper: &dyn Wrapper,
    ) -> (PrintedLines<'t>, Vec<Piece<'t>>) {
        // What stands in JSON is judged there.
        let (mut rest, mut broken) = (text.to_vec(), Vec::new());
        let mut whole = WholeEvents::new(text);
        pieces(text, &mut |piece| {
            if let Piece::Broken(_) | Piece::Strings(..) = piece {
                broken.push(piece);
                return Taken::Undecoded;
            }
            let is_certain = piece.has_certain_end();
            let start = piece.text().as_ptr().addr() - text.as_ptr().addr();
            let place = start..start + piece.text().len();
            let found = &mut *self.found;
            let mut watch = |finding: Finding<'_>| {
                let (Finding::Event(event, _) | Finding::Doubtful(event, ..)) = finding else {
                    return found(finding);
                };
                if whole.note(event, &place, &rest) {
                    found(finding);
                }
            };
            let taken = watched(&mut watch, &mut self.room, self.aim, |search| {
                search.piece(layer, deeper, places, piece, wrapper)
            });
            if taken == Taken::Event || (taken == Taken::Decoded && is_certain) {
                rest[place].fill(b' ');
            }
            taken
        });
        (PrintedLines::new(text, &rest, &whole), broken)
    }

    /// Searches lines of which some may be in the API server's legacy format.
    fn legacy_lines(
        &mut self,
        layer: &mut Layer,
        deeper: &mut [Layer],
        text: &[u8],
        wrapper: &dyn Wrapper,
    ) {
        let places = Lines::new(text);
        // What no legacy line stands between belongs together.
        let (mut others, mut at) = (0, 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let start = at;
            at += line.len();
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let Some((head, json)) = legacy::event(line) else {
                continue;
            };
            self.lines(layer, deeper, &text[others..start], wrapper);
            others = at;
            let standing = places.standing(&Piece::Value(&line[head..]));
            let wrapper = &Nested::new(wrapper, Inner::Piece(standing));
            let is_decoded = layer.decode_mended(&json, &mut |value| {
                self.decoded(deeper, value, line, wrapper);
            });
            if !is_decoded {
                (self.found)(Finding::Broken(line, wrapper));
            }
        }
        self.lines(layer, deeper, &text[others..], wrapper);
    }

    /// Searches a piece of the text of `places`.
    fn piece(
        &mut self,
        layer: &mut Layer,
        deeper: &mut [Layer],
        places: &Lines<'_>,
        piece: Piece<'_>,
        wrapper: &dyn Wrapper,
    ) -> Taken {
        if let Piece::Broken(_) | Piece::Strings(..) = piece {
            self.broken(deeper, places, &piece, wrapper);
            return Taken::Undecoded;
        }
        let (mut tells, text, is_certain) = (false, piece.text(), piece.has_certain_end());
        let found = &mut *self.found;
        let mut watch = |finding: Finding<'_>| {
            tells |= matches!(finding, Finding::Event(..));
            found(finding);
        };
        let is_decoded = watched(&mut watch, &mut self.room, self.aim, |search| {
            search.whole(layer, deeper, places, piece, wrapper)
        });
        if is_decoded && is_certain {
            places.pass(text);
        }
        match (is_decoded, tells) {
            (false, _) => Taken::Undecoded,
            (true, false) => Taken::Decoded,
            (true, true) => Taken::Event,
        }
    }

    /// Searches a piece that is whole; whether it could be decoded.
    fn whole(
        &mut self,
        layer: &mut Layer,
        deeper: &mut [Layer],
        places: &Lines<'_>,
        piece: Piece<'_>,
        wrapper: &dyn Wrapper,
    ) -> bool {
        let wrapper = &Nested::new(wrapper, Inner::Piece(places.standing(&piece)));
        match piece {
            Piece::Value(bytes) | Piece::Item(bytes) => {
                return layer.decode_mended(bytes, &mut |value| {
                    self.decoded(deeper, value, bytes, wrapper);
                });
            }
            Piece::Python(_, json) => return self.python(layer, deeper, &json, wrapper),
            Piece::Backslashed(_, json) => self.text(deeper, &json, wrapper),
            Piece::Doubled(bytes) => self.text(deeper, &undoubled(bytes), wrapper),
            Piece::Entities(bytes) => self.text(deeper, &without_entities(bytes), wrapper),
            Piece::Broken(_) | Piece::Strings(..) => {}
        }
        true
    }

    /// Searches what Python printed. If something in it cannot be searched, it may be an excerpt of baitline's own, which has single quotes:
    /// it is not told as a whole, or that excerpt would be.
    fn python(
        &mut self,
        layer: &mut Layer,
        deeper: &mut [Layer],
        json: &[u8],
        wrapper: &dyn Wrapper,
    ) -> bool {
        let found = &mut *self.found;
        let mut inside = |finding: Finding<'_>| match finding {
            Finding::Broken(bytes, _) if std::ptr::eq(bytes, json) => {}
            other => found(other),
        };
        watched(&mut inside, &mut self.room, self.aim, |search| {
            layer.decode_mended(json, &mut |value| {
                search.decoded(deeper, value, json, wrapper);
            })
        })
    }

    /// Where a wrapper is cut off behind a string that holds an event, that event is still
    /// whole, but its quotes are escaped, or it is base64.
    fn broken(
        &mut self,
        deeper: &mut [Layer],
        places: &Lines<'_>,
        piece: &Piece<'_>,
        wrapper: &dyn Wrapper,
    ) {
        let bytes = piece.text();
        if let Piece::Strings(_, at) = piece
            && !deeper.is_empty()
        {
            let (before, strings) = bytes.split_at(*at);
            let inside = self.strings(deeper, places, strings, wrapper);
            if inside.tells {
                let broken = inside.broken.iter();
                broken.for_each(|bytes| (self.found)(Finding::Broken(bytes, wrapper)));
            } else if inside.own.is_empty() {
                (self.found)(Finding::Broken(bytes, wrapper));
            } else {
                let mut others = bytes.to_vec();
                for own in inside.own {
                    others[before.len()..][own].fill(b' ');
                }
                (self.found)(Finding::Broken(&others, wrapper));
            }
            return;
        }
        (self.found)(Finding::Broken(bytes, wrapper));
        // Behind the mark of an event it may be a part of a body.
        let marked = first_mark_end(bytes).unwrap_or(bytes.len());
        for (_, value) in encoded::base64_values(bytes).take_while(|(at, _)| *at < marked) {
            self.base64(deeper, value, wrapper);
        }
    }

    /// Searches strings of which the first begins with `bytes`, and what stands between them.
    fn strings(
        &mut self,
        deeper: &mut [Layer],
        places: &Lines<'_>,
        bytes: &[u8],
        wrapper: &dyn Wrapper,
    ) -> Strings {
        let mut strings = Strings::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (string, behind) = rest.split_at(string_length(rest, b'"'));
            let standing = places.standing(&Piece::Broken(string));
            let plain = unescaped(&String::from_utf8_lossy(string));
            let inside = &Nested::new(wrapper, Inner::Piece(standing));
            let behind = behind.get(1..).unwrap_or_default();
            let (between, others) = behind.split_at(escaped_start(behind));
            let found = &mut *self.found;
            let mut watch = |finding: Finding<'_>| match finding {
                Finding::Broken(bytes, _)
                    if plain.as_bytes().as_ptr_range().contains(&bytes.as_ptr()) =>
                {
                    strings.broken.push(bytes.to_vec());
                }
                other => {
                    strings.tells |= matches!(other, Finding::Event(..));
                    found(other);
                }
            };
            watched(&mut watch, &mut self.room, self.aim, |search| {
                search.text(deeper, plain.as_bytes(), inside);
                if holds_json(between) {
                    search.text(deeper, between, wrapper);
                }
            });
            if is_own(trimmed(plain.as_bytes())) {
                let start = bytes.len() - rest.len();
                strings.own.push(start..start + string.len());
            }
            rest = others;
        }
        strings
    }

    /// Searches text that may be a part of an event. Of the last part, what stands from a bracket to its end is one whole value
    /// only if it is no part at all: the end of an event closes brackets that stand in the parts before.
    pub(super) fn part(
        &mut self,
        deeper: &mut [Layer],
        part: Part,
        text: &[u8],
        wrapper: &dyn Wrapper,
    ) {
        let text = trimmed(text);
        if !holds_json(text) {
            return;
        }
        let is_value = |start: &usize| matches!(text.get(*start), Some(b'{' | b'['));
        let starts = [Some(0), memmem::find(text, b"{\"")];
        let is_joined = match part {
            Part::Last => true,
            Part::Open => may_be_joined(text.len()),
            Part::Cut => false,
        };
        let is_whole = is_joined
            && starts.into_iter().flatten().filter(is_value).any(|start| {
                let value = &text[start..];
                deeper.split_first_mut().is_some_and(|(layer, deeper)| {
                    layer.decode_mended(value, &mut |decoded| {
                        self.decoded(deeper, decoded, value, wrapper);
                    })
                })
            });
        if !is_whole && !is_own(text) {
            (self.found)(Finding::Broken(text, wrapper));
        }
    }

    /// What of it is damaged, cut off or beyond the limit is counted as broken, and searched as far as it goes.
    pub(super) fn base64(&mut self, deeper: &mut [Layer], text: &[u8], wrapper: &dyn Wrapper) {
        let own = self.room.min(MAX_RATIO * text.len());
        self.room -= own;
        let decoded = encoded::decoded(text, own.min(MAX_DECOMPRESSED_BYTES));
        let mut rest = own.saturating_sub(decoded.made);
        if let Aim::Inside(copies, _) = self.aim
            && !decoded.is_whole
        {
            copies.pass_over();
        }
        let entries = msgpack::entries_as_json(&decoded.bytes);
        let text = entries.as_deref().unwrap_or(&decoded.bytes);
        if holds_json(text) {
            let aim = self.aim.in_packed();
            watched(self.found, &mut rest, aim, |search| {
                search.text(deeper, text, wrapper);
            });
        }
        if !decoded.is_whole {
            (self.found)(Finding::Broken(&decoded.damaged, wrapper));
        }
    }
}

/// What was found in strings.
#[derive(Default)]
struct Strings {
    /// Whether they tell an event. Else they are parts of what was cut off.
    tells: bool,
    /// What in them is broken, and is not told.
    broken: Vec<Vec<u8>>,
    /// Where baitline's own output stands in them, which tells nothing.
    own: Vec<Range<usize>>,
}

/// Where the first brackets in `text` stand that are in a string, before an escape.
fn escaped_start(text: &[u8]) -> usize {
    let is_bracket = |byte: &&u8| matches!(byte, b'{' | b'[');
    let mut starts = memchr_iter(b'\\', text).filter_map(|at| {
        let brackets = text[..at].iter().rev().take_while(is_bracket).count();
        (brackets > 0).then(|| at - brackets)
    });
    starts.next().unwrap_or(text.len())
}
