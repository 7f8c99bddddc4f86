//! Variables of the environment in strings: `${NAME}` and its kin.
//!
//! It works on the parsed tree, so that places stay right and a value cannot inject syntax.
//!
//! | written | means |
//! | --- | --- |
//! | `$NAME`, `${NAME}` | the variable; unset is a fault |
//! | `${NAME:-text}` | `text` if it is unset or empty |
//! | `${NAME-text}` | `text` if it is unset |
//! | `${NAME:?text}` | a fault that says `text` if it is unset or empty |
//! | `${NAME?text}` | a fault that says `text` if it is unset |
//! | `$$` | a dollar sign |
//!
//! Any other `$` stays. Keys are not touched.

use super::{
    fault::{Fault, harmless},
    tree::{Node, Origin, Str, Value},
};

/// Where variables come from.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every string of the tree. A string that cannot be expanded becomes
/// [`Value::Faulty`]. Recursion is bounded: so is the depth of the tree.
pub(crate) fn interpolate(node: &mut Node, env: Environment<'_>, faults: &mut Vec<Fault>) {
    match &mut node.value {
        Value::String(text) if text.value.contains('$') => match expand(&text.value, env) {
            Ok(expanded) => *text = expanded,
            Err(messages) => {
                faults.extend(
                    messages
                        .into_iter()
                        .map(|message| Fault::at(&node.place, message)),
                );
                node.value = Value::Faulty;
            }
        },
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| interpolate(item, env, faults)),
        Value::Map(entries) => {
            entries
                .iter_mut()
                .for_each(|entry| interpolate(&mut entry.node, env, faults));
        }
        _ => {}
    }
}

/// `written` with its variables replaced, or what is wrong with them.
fn expand(written: &str, env: Environment<'_>) -> Result<Str, Vec<String>> {
    let mut value = String::with_capacity(written.len());
    let mut faults = Vec::new();
    let mut variables = 0;
    let mut verbatim = 0;
    let mut rest = written;
    while let Some(dollar) = rest.find('$') {
        value.push_str(&rest[..dollar]);
        verbatim += dollar;
        rest = &rest[dollar + 1..];
        let expanded = match rest.as_bytes().first() {
            Some(b'$') => {
                rest = &rest[1..];
                Ok(None)
            }
            Some(b'{') => braced(&mut rest).and_then(|braced| braced.resolve(env).map(Some)),
            _ => match name_length(rest) {
                0 => Ok(None),
                length => {
                    let (name, after) = rest.split_at(length);
                    rest = after;
                    let braced = Braced {
                        name,
                        rule: Rule::Required,
                    };
                    braced.resolve(env).map(Some)
                }
            },
        };
        match expanded {
            Ok(Some(text)) => {
                value.push_str(&text);
                variables += 1;
            }
            Ok(None) => {
                value.push('$');
                verbatim += 1;
            }
            Err(message) => faults.push(message),
        }
    }
    value.push_str(rest);
    verbatim += rest.len();
    if !faults.is_empty() {
        return Err(faults);
    }
    let origin = match (variables, verbatim) {
        (0, _) => Origin::Literal,
        (1, 0) => Origin::Variable(written.to_owned()),
        _ => Origin::Mixed(written.to_owned()),
    };
    Ok(Str { value, origin })
}

struct Braced<'a> {
    name: &'a str,
    rule: Rule<'a>,
}

/// What holds where the variable is unset, or, with `or_empty`, empty.
enum Rule<'a> {
    Required,
    Default { text: &'a str, or_empty: bool },
    Fail { text: &'a str, or_empty: bool },
}

/// Reads `{…}` off the front of `rest`.
fn braced<'a>(rest: &mut &'a str) -> Result<Braced<'a>, String> {
    let inside = &rest[1..];
    let Some(end) = inside.find('}') else {
        *rest = "";
        return Err("\"${\" has no \"}\"; write $${ if it stands for itself".to_owned());
    };
    let content = &inside[..end];
    *rest = &inside[end + 1..];
    let (name, rule) = content.split_at(name_length(content));
    if name.is_empty() {
        return Err(
            "no variable's name after \"${\"; write $${ if it stands for itself".to_owned(),
        );
    }
    let (or_empty, rule) = match rule.strip_prefix(':') {
        Some(rule) => (true, rule),
        None => (false, rule),
    };
    if rule.contains("${") {
        return Err(format!(
            "a variable within ${{{name}…}} cannot be expanded; use one variable"
        ));
    }
    let rule = if let Some(text) = rule.strip_prefix('-') {
        Rule::Default { text, or_empty }
    } else if let Some(text) = rule.strip_prefix('?') {
        Rule::Fail { text, or_empty }
    } else if rule.is_empty() && !or_empty {
        Rule::Required
    } else {
        return Err(format!(
            "cannot read what follows the name in ${{{name}…}}; write ${{{name}}}, \
             ${{{name}:-default}} or ${{{name}:?message}}"
        ));
    };
    Ok(Braced { name, rule })
}

impl Braced<'_> {
    fn resolve(&self, env: Environment<'_>) -> Result<String, String> {
        let name = self.name;
        let value = env(name);
        match &self.rule {
            Rule::Required => value.ok_or_else(|| {
                format!("the variable {name} is not set; set it, or write ${{{name}:-default}}")
            }),
            Rule::Default { text, or_empty } => Ok(value
                .filter(|value| !(*or_empty && value.is_empty()))
                .unwrap_or_else(|| (*text).to_owned())),
            Rule::Fail { text, or_empty } => {
                let missing = if value.is_some() { "empty" } else { "not set" };
                value
                    .filter(|value| !(*or_empty && value.is_empty()))
                    .ok_or_else(|| {
                        let text = if text.is_empty() { "set it" } else { text };
                        format!("the variable {name} is {missing}: {}", harmless(text))
                    })
            }
        }
    }
}

/// How many bytes at the front of `text` are a variable's name.
fn name_length(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(b'0'..=b'9') | None => 0,
        _ => text
            .bytes()
            .position(|b| !(b.is_ascii_alphanumeric() || b == b'_'))
            .unwrap_or(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "EMPTY" => Some(String::new()),
            "EVIL" => Some("${A}\"\n: $$".to_owned()),
            _ => None,
        }
    }

    fn expanded(written: &str) -> String {
        expand(written, &env).map_or_else(|faults| faults.join(" | "), |text| text.value)
    }

    #[test]
    fn every_form_expands() {
        for (written, value) in [
            ("${A}", "alpha"),
            ("$A", "alpha"),
            ("<$A-${A}>", "<alpha-alpha>"),
            ("${A:-x}${A-x}${A:?x}${A?x}", "alphaalphaalphaalpha"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY-x}", ""),
            ("${EMPTY?x}", ""),
            ("${NONE:-x y}", "x y"),
            ("${NONE-}", ""),
            ("$$A $${A} $$$$", "$A ${A} $$"),
            ("$$$A", "$alpha"),
            ("cost 5$, $1, $-, $", "cost 5$, $1, $-, $"),
            ("${EVIL}", "${A}\"\n: $$"),
        ] {
            assert_eq!(expanded(written), value, "{written}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_says_what_to_write() {
        for (written, message) in [
            (
                "${NONE}",
                "the variable NONE is not set; set it, or write ${NONE:-default}",
            ),
            (
                "$NONE",
                "the variable NONE is not set; set it, or write ${NONE:-default}",
            ),
            (
                "${NONE:?ask\u{1b} ops}",
                "the variable NONE is not set: ask\\u{1b} ops",
            ),
            ("${EMPTY:?}", "the variable EMPTY is empty: set it"),
            (
                "${A",
                "\"${\" has no \"}\"; write $${ if it stands for itself",
            ),
            (
                "${}",
                "no variable's name after \"${\"; write $${ if it stands for itself",
            ),
            (
                "${1}",
                "no variable's name after \"${\"; write $${ if it stands for itself",
            ),
            (
                "${A:+x}",
                "cannot read what follows the name in ${A…}; write ${A}, ${A:-default} or ${A:?message}",
            ),
            (
                "${A–b}",
                "cannot read what follows the name in ${A…}; write ${A}, ${A:-default} or ${A:?message}",
            ),
            (
                "${A:-${B}}",
                "a variable within ${A…} cannot be expanded; use one variable",
            ),
            (
                "${X} ${Y?}",
                "the variable X is not set; set it, or write ${X:-default} | the variable Y is not set: set it",
            ),
        ] {
            assert_eq!(expanded(written), message, "{written}");
        }
    }

    #[test]
    fn the_origin_is_kept() {
        let origin = |written| expand(written, &env).unwrap().origin;
        assert!(matches!(origin("$$"), Origin::Literal));
        assert!(matches!(origin("${A}"), Origin::Variable(_)));
        assert!(matches!(origin("${A}${A}"), Origin::Mixed(_)));
        assert!(matches!(origin("x$A"), Origin::Mixed(_)));
    }

    proptest! {
        #[test]
        fn nothing_panics(written in r"(\$|\{|\}|:|-|\?|A|NONE|é|.){0,30}") {
            let _ = expand(&written, &env);
        }

        #[test]
        fn doubled_dollars_give_back_the_text(text in r"(\$|\{|\}|A|.){0,30}") {
            prop_assert_eq!(expanded(&text.replace('$', "$$")), text);
        }
    }
}
