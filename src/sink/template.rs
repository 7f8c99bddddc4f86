//! Text with fields of the message in it: `{{ cluster }}/{{ decoy }}`.

use std::{borrow::Cow, fmt};

use crate::{audit::words, store::Message};

/// What every message has, whether it is an alert or a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Cluster, decoy, token and source address: all of one incident.
    IncidentKey,
    Cluster,
    /// `namespace/name`.
    Decoy,
    SourceIp,
    Severity,
    /// `alert` or `detection`.
    Type,
}

words!(Field {
    IncidentKey = "incident_key",
    Cluster = "cluster",
    Decoy = "decoy",
    SourceIp = "source_ip",
    Severity = "severity",
    Type = "type",
});

impl Field {
    /// What the field holds; empty where that is unknown.
    fn value(self, message: &Message) -> Cow<'_, str> {
        let shared = match (self, message) {
            (Self::IncidentKey, Message::Alert(alert)) => {
                return alert.incident_key.to_string().into();
            }
            (Self::IncidentKey, Message::Detection(detection)) => {
                return detection.incident_key.to_string().into();
            }
            (Self::Cluster, Message::Alert(alert)) => alert.cluster.as_deref(),
            (Self::Cluster, Message::Detection(detection)) => detection.cluster.as_deref(),
            (Self::Decoy, Message::Alert(alert)) => alert.decoy.as_deref(),
            (Self::Decoy, Message::Detection(detection)) => detection.decoy.as_deref(),
            (Self::SourceIp, Message::Alert(alert)) => alert.source_ip.as_deref(),
            (Self::SourceIp, Message::Detection(detection)) => detection.source_ip.as_deref(),
            (Self::Severity, Message::Alert(alert)) => Some(alert.severity.as_str()),
            (Self::Severity, Message::Detection(detection)) => Some(detection.severity.as_str()),
            (Self::Type, Message::Alert(_)) => Some("alert"),
            (Self::Type, Message::Detection(_)) => Some("detection"),
        };
        shared.unwrap_or_default().into()
    }
}

/// A text, parts of which are fields. Its `Display` is how it would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("a \"{{{{\" has no \"}}}}\" behind it")]
    Open,
    #[error("a \"}}}}\" has no \"{{{{\" before it")]
    Stray,
    /// There is no such field.
    #[error("there is no such field")]
    Unknown(String),
}

impl Template {
    /// Reads `{{ field }}` in `text`, with or without a dot before the field, as Vector writes it.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, behind)) = rest.split_once("{{") {
            let (name, behind) = behind.split_once("}}").ok_or(TemplateError::Open)?;
            parts.extend(Part::literal(literal)?);
            parts.push(Part::field(name)?);
            rest = behind;
        }
        parts.extend(Part::literal(rest)?);
        Ok(Self(parts))
    }

    /// One field and nothing else.
    pub(crate) fn field(name: &str) -> Result<Self, TemplateError> {
        Part::field(name).map(|part| Self(vec![part]))
    }

    /// The text for `message`. A field that is unknown is left out.
    pub(super) fn render(&self, message: &Message) -> String {
        self.render_with(|field| field.value(message).into_owned())
    }

    /// As [`render`](Self::render), with what the fields hold as `escape` writes it.
    pub(super) fn render_escaped(&self, message: &Message, escape: fn(&str) -> String) -> String {
        self.render_with(|field| escape(&field.value(message)))
    }

    /// The text with `value` in place of every field.
    pub(crate) fn render_with(&self, value: impl Fn(Field) -> String) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(field) => text.push_str(&value(*field)),
            }
        }
        text
    }

    /// The fields in it.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Field(field) => Some(*field),
        })
    }

    /// What stands in it as it is.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(literal) => Some(literal.as_str()),
            Part::Field(_) => None,
        })
    }
}

impl From<Field> for Template {
    fn from(field: Field) -> Self {
        Self(vec![Part::Field(field)])
    }
}

impl Part {
    fn literal(text: &str) -> Result<Option<Self>, TemplateError> {
        if text.contains("}}") {
            return Err(TemplateError::Stray);
        }
        Ok((!text.is_empty()).then(|| Self::Literal(text.to_owned())))
    }

    fn field(name: &str) -> Result<Self, TemplateError> {
        let name = name.trim();
        let name = name.strip_prefix('.').unwrap_or(name);
        Field::from_name(name)
            .map(Self::Field)
            .ok_or_else(|| TemplateError::Unknown(name.to_owned()))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Literal(literal) => f.write_str(literal),
            Part::Field(field) => write!(f, "{{{{ {field} }}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{format::example, sink::tests::detection};

    #[test]
    fn a_template_is_filled_from_alerts_and_from_detections() {
        let template =
            Template::parse("{{type}}:{{ .cluster }}/{{ decoy }}@{{source_ip}} {{severity}}")
                .unwrap();
        let alert = example::opened();
        assert_eq!(
            template.render(&Message::Alert(alert.clone().into())),
            "alert:prod-eu/honeypot/backup-sa@10.0.3.7 critical"
        );
        assert_eq!(
            template.render(&detection()),
            "detection:prod-eu/honeypot/backup-sa@10.0.3.7 critical"
        );
        let key = Template::from(Field::IncidentKey);
        assert_eq!(
            key.render(&Message::Alert(alert.clone().into())),
            alert.incident_key.to_string()
        );
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let mut alert = example::opened();
        alert.cluster = None;
        let template = Template::parse("x{{ cluster }}y").unwrap();
        assert_eq!(template.render(&Message::Alert(alert.into())), "xy");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let error = |text| Template::parse(text).unwrap_err();
        assert_eq!(error("a{{ cluster"), TemplateError::Open);
        assert_eq!(error("a }} {{ cluster }}"), TemplateError::Stray);
        assert_eq!(error("{{ cluster }}}}"), TemplateError::Stray);
        assert_eq!(
            error("{{ clutser }}"),
            TemplateError::Unknown("clutser".to_owned())
        );
        assert_eq!(error("{{}}"), TemplateError::Unknown(String::new()));
        assert_eq!(error("{{ a }} }}").to_string(), "there is no such field");
        assert_eq!(error("{{").to_string(), r#"a "{{" has no "}}" behind it"#);
        assert_eq!(error("}}").to_string(), r#"a "}}" has no "{{" before it"#);
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            "[a-z/{} é-]{1,8}"
                .prop_filter("has no field in it", |text| !text.contains("{{")
                    && !text.contains("}}"))
                .prop_map(Part::Literal),
            proptest::sample::select(Field::ALL).prop_map(Part::Field),
        ]
    }

    proptest! {
        #[test]
        fn a_template_is_read_as_it_is_written(parts in proptest::collection::vec(part(), 0..6)) {
            let written = Template(parts).to_string();
            // Two braces of two parts may meet and mean something else.
            if let Ok(template) = Template::parse(&written) {
                prop_assert_eq!(template.to_string(), written);
            }
        }

        #[test]
        fn any_text_is_a_template_or_refused(text in "([{} .]|cluster|decoy|[a-z]){0,12}") {
            if let Ok(template) = Template::parse(&text) {
                let again = Template::parse(&template.to_string());
                prop_assert_eq!(again.as_ref(), Ok(&template));
                // Without its fields nothing is left of the braces.
                let rendered = template.render(&detection());
                prop_assert!(!rendered.contains("{{") && !rendered.contains("}}"), "{}", rendered);
            }
        }
    }
}
