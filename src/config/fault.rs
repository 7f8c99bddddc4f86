//! What is wrong with a configuration, where, and what to write instead.

use std::{collections::BTreeSet, error::Error, fmt, sync::Arc};

/// A point in a file, or the file as a whole. Ordered by file, line, column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's path as it was given, with control characters escaped.
    pub file: Arc<str>,
    /// `None` where the file as a whole is meant.
    pub position: Option<Position>,
}

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// One thing that is wrong, or unwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// `None` where no file is to blame.
    pub place: Option<Place>,
    /// What is wrong, and what to write. Never holds a secret, nor what came from the environment.
    pub message: String,
}

impl Fault {
    pub(crate) fn at(place: &Place, message: impl Into<String>) -> Self {
        Self {
            place: Some(place.clone()),
            message: message.into(),
        }
    }

    pub(super) fn forget_position(&mut self) {
        if let Some(place) = &mut self.place {
            place.position = None;
        }
    }
}

/// Everything that is wrong with a configuration: at least one fault, sorted, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Sorts `faults` by file, line and column and drops repetitions; `None` if there are none.
    pub(crate) fn of(faults: Vec<Fault>) -> Option<Self> {
        let faults = in_order(faults);
        (!faults.is_empty()).then_some(Self(faults))
    }

    /// The faults, by file, line and column.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// The same without lines and columns, for texts that no user wrote.
    pub(crate) fn without_positions(mut self) -> Self {
        self.0.iter_mut().for_each(Fault::forget_position);
        self
    }
}

/// `faults` by file, line and column, none twice.
pub(crate) fn in_order(faults: Vec<Fault>) -> Vec<Fault> {
    faults
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Error for Fault {}
impl Error for Faults {}

/// `pipelines/x.yaml:12:5`, or `pipelines/x.yaml` for the whole file.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.position {
            Some(Position { line, column }) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// `pipelines/x.yaml:12:5: what is wrong; what to write`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// One fault a line, without a newline at the end.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// Characters of a text from the configuration that a fault shows at most.
const SHOWN_CHARACTERS: usize = 60;

/// `text` from a configuration as a fault shows it: in quotes, control characters
/// escaped, cut. What follows a `://` is left out, because webhook URLs are secrets
/// and a slip of the keyboard can put one anywhere.
pub(crate) fn quoted(text: &str) -> String {
    let (text, cut) = match text.find("://") {
        Some(at) => (&text[..at + 3], true),
        None => (text, false),
    };
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None if cut => format!("{:?}", format!("{text}…")),
        None => format!("{text:?}"),
    }
}

/// `text` without quotes, control characters escaped: for file names and messages of parsers.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_faults_is_harmless_and_short() {
        assert_eq!(
            quoted("a\u{1b}[31m\u{9b}\u{202e}b"),
            r#""a\u{1b}[31m\u{9b}\u{202e}b""#
        );
        assert_eq!(
            quoted(&"é".repeat(1000)),
            format!("\"{}…\"", "é".repeat(60))
        );
        assert_eq!(
            quoted("webhook_url:https://hooks/T0/B0"),
            r#""webhook_url:https://…""#
        );
        assert_eq!(harmless("it's\n\u{1b}\\"), "it's\\n\\u{1b}\\");
    }

    #[test]
    fn faults_are_sorted_and_told_once() {
        let at = |file: &str, line, column| Place {
            file: file.into(),
            position: Some(Position { line, column }),
        };
        let faults = Faults::of(vec![
            Fault::at(&at("b", 1, 1), "x"),
            Fault::at(&at("a", 10, 1), "x"),
            Fault::at(&at("a", 9, 2), "x"),
            Fault::at(&at("a", 9, 2), "x"),
            Fault {
                place: None,
                message: "y".to_owned(),
            },
        ]);
        assert_eq!(
            faults.unwrap().to_string(),
            "y\na:9:2: x\na:10:1: x\nb:1:1: x"
        );
        assert_eq!(Faults::of(Vec::new()), None);
    }
}
