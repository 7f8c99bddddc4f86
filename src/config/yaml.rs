//! YAML to the tree: one document, YAML 1.2 core schema, anchors within bounds.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{
    fault::{Fault, Place, harmless},
    tree::{Entry, Lines, MAX_DEPTH, Node, Str, Value},
};

/// How many values all anchors and aliases of a file together may repeat, so that a few nested ones cannot fill the memory.
const MAX_REPEATED: usize = 100_000;

/// The tree of `text`, or `None` with a fault if it is not YAML. An empty document is null.
pub(super) fn parse(text: &str, lines: &Lines<'_>, faults: &mut Vec<Fault>) -> Option<Node> {
    let mut builder = Builder {
        lines,
        faults,
        open: Vec::new(),
        anchors: HashMap::new(),
        repeated: 0,
        root: None,
    };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    loop {
        let (event, span) = match parser.next_event() {
            Some(Ok(event)) => event,
            None => break,
            Some(Err(error)) => {
                let place = builder.place(error.marker());
                let reason = harmless(error.info());
                builder
                    .faults
                    .push(Fault::at(&place, format!("not valid YAML: {reason}")));
                return None;
            }
        };
        if let Err(Refused) = builder.take(event, span) {
            return None;
        }
    }
    let empty = || Node {
        place: lines.at(1, 1),
        value: Value::Null,
    };
    Some(builder.root.unwrap_or_else(empty))
}

/// The document cannot be read on; the fault is told.
struct Refused;

/// Builds the tree from the parser's events, without recursion.
struct Builder<'a, 'f> {
    lines: &'a Lines<'a>,
    faults: &'f mut Vec<Fault>,
    /// The lists and maps that have begun and not ended, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    repeated: usize,
    root: Option<Node>,
}

struct Open {
    place: Place,
    /// The parser's number for its anchor; 0 for none.
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// The entries so far, and the key whose value is to come.
    Map(Vec<Entry>, Option<(String, Place)>),
}

impl Builder<'_, '_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refused> {
        let place = self.place(&span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => self.refuse(
                &place,
                "a second document begins here; write it to a file of its own",
            ),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), &place)?;
                self.complete(Node { place, value }, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, &place),
            Event::SequenceStart(anchor, tag) => {
                self.begin(place, anchor, tag.as_deref(), Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => self.begin(
                place,
                anchor,
                tag.as_deref(),
                Content::Map(Vec::new(), None),
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(
        &mut self,
        place: Place,
        anchor: usize,
        tag: Option<&Tag>,
        content: Content,
    ) -> Result<(), Refused> {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            return self.refuse(&place, "tags have no meaning here; remove it");
        }
        if self.expects_key() {
            return self.refuse(&place, "a key must be a word, found a list or a map");
        }
        if self.open.len() >= MAX_DEPTH {
            return self.refuse(&place, format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.open.push(Open {
            place,
            anchor,
            content,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refused> {
        let Some(Open {
            place,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map(entries, _) => Value::map(entries, self.faults),
        };
        self.complete(Node { place, value }, anchor)
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Refused> {
        if anchor != 0 {
            self.repeat(node.size(), &node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(entries, key)) => match key.take() {
                Some((key, place)) => entries.push(Entry { key, place, node }),
                None => *key = Some((key_of(&node), node.place)),
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: &Place) -> Result<(), Refused> {
        let Some(node) = self.anchors.get(&anchor) else {
            return self.refuse(
                place,
                "this alias stands inside what it names; write it out",
            );
        };
        if self.expects_key() && matches!(node.value, Value::List(_) | Value::Map(_)) {
            return self.refuse(place, "a key must be a word, found a list or a map");
        }
        let node = node.clone();
        self.repeat(node.size(), place)?;
        self.complete(node, 0)
    }

    /// Counts a copy of so many values: of each anchor there is one, and one more for each alias.
    fn repeat(&mut self, values: usize, place: &Place) -> Result<(), Refused> {
        self.repeated += values;
        match self.repeated > MAX_REPEATED {
            true => {
                let message = format!("anchors and aliases repeat more than {MAX_REPEATED} values");
                self.refuse(place, message)
            }
            false => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: &Place,
    ) -> Result<Value, Refused> {
        match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
                Ok(Value::String(Str::literal(text)))
            }
            Some(tag) if !tag.is_yaml_core_schema() => {
                self.refuse(place, "tags have no meaning here; remove it")?;
                Ok(Value::Faulty)
            }
            _ if style == ScalarStyle::Plain && !self.expects_key() => Ok(Value::of_plain(text)),
            _ => Ok(Value::String(Str::literal(text))),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: Content::Map(_, None),
                ..
            })
        )
    }

    fn refuse(&mut self, place: &Place, message: impl Into<String>) -> Result<(), Refused> {
        self.faults.push(Fault::at(place, message));
        Err(Refused)
    }

    fn place(&self, marker: &Marker) -> Place {
        self.lines.at(marker.line(), marker.col() + 1)
    }
}

/// The text of a scalar that stands as a key.
fn key_of(node: &Node) -> String {
    match &node.value {
        Value::String(text) => text.value.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(_, written) => written.clone(),
        Value::Null | Value::Faulty | Value::List(_) | Value::Map(_) => String::new(),
    }
}
