//! Texts with fields of a message in them.

use super::{
    fault::quoted,
    kind::{Kind, Text},
    nearest::advice,
    options::Scope,
    tree::Node,
};
use crate::sink::{Field, Template, TemplateError};

/// What messages are keyed by: a text with fields in it, or as in Vector a field alone.
pub(crate) struct KeyTemplate;

impl Kind for KeyTemplate {
    type Value = Template;

    fn wanted() -> String {
        "a field, or a text with fields in it such as \"{{ cluster }}/{{ decoy }}\"".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Template> {
        let text = Text::read(node, scope)?;
        let template = match text.contains("{{") || text.contains("}}") {
            true => Template::parse(&text),
            false => Template::field(&text),
        };
        match template {
            Ok(template) => Some(template),
            Err(error) => refuse(node, scope, error, Field::ALL),
        }
    }

    fn show(value: &Template) -> String {
        value.to_string()
    }
}

/// A topic, in which a few fields may stand.
pub(crate) struct TopicTemplate;

/// Fields that keep the number of topics small.
const IN_TOPICS: &[Field] = &[Field::Type, Field::Severity];

/// A topic's name has at most 249 characters, and a field puts in at most 9.
const TOPIC_CHARACTERS: usize = 200;

impl Kind for TopicTemplate {
    type Value = Template;

    fn wanted() -> String {
        "a topic's name: letters, digits, \".\", \"_\" and \"-\"".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Template> {
        let text = Text::read(node, scope)?;
        let template = match Template::parse(&text) {
            Ok(template) => template,
            Err(error) => return refuse(node, scope, error, IN_TOPICS),
        };
        if let Some(field) = template.fields().find(|field| !IN_TOPICS.contains(field)) {
            let error = TemplateError::Unknown(field.as_str().to_owned());
            return refuse(node, scope, error, IN_TOPICS);
        }
        let is_legal = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
        let is_sound = text.len() <= TOPIC_CHARACTERS
            && text != "."
            && text != ".."
            && template
                .literals()
                .all(|literal| literal.chars().all(is_legal));
        if !is_sound {
            return scope.wrong(node, &Self::wanted());
        }
        Some(template)
    }

    fn show(value: &Template) -> String {
        value.to_string()
    }
}

/// Says what is wrong with a text with fields in it.
pub(super) fn refuse<T>(
    node: &Node,
    scope: &mut Scope<'_, '_>,
    error: TemplateError,
    known: &[Field],
) -> Option<T> {
    let is_literal = node.as_text().is_some_and(|text| text.is_literal());
    let message = match error {
        // What came from the environment is not shown.
        TemplateError::Unknown(field) if is_literal => {
            let advice = advice(&field, known.iter().map(|field| field.as_str()));
            format!("has no field {}{advice}", quoted(&field))
        }
        error => format!("must be a text with fields in it: {error}"),
    };
    scope.refuse(node, message)
}
