//! Detections that are not as this version writes them: a later one's, damaged ones, torn ones. What of them can be understood
//! is a detection; what they say that is new is passed over.

use std::{borrow::Cow, collections::HashMap};

use jiff::Timestamp;
use memchr::memmem;
use serde::{
    Deserialize, Deserializer as _,
    de::{MapAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

use crate::{
    audit::{DetectionId, IncidentKey, RequestId, Text, to_microsecond},
    detect::{
        Actor, Class, Detection, Origin, Request, Severity, Technique, Token, TokenKind, Tool,
        excerpt,
    },
    record::{MAX_LAYERS, escape::unescaped},
};

const TYPE: &str = "\"type\"";
const DETECTION: &str = "\"detection\"";

/// Reads of `line` whatever says that it is a detection, at most `most`: the line itself, an object in it, or, where nothing is
/// whole, what stands behind each place that says so. Of an alert it reads none.
///
/// | what is not understood | stands for |
/// | --- | --- |
/// | an id | a hash of what was read |
/// | the class | `detect`, so that somebody is told |
/// | the technique | `undecodable`, with what stood there as excerpt |
/// | the severity | the technique's, at least `high` |
/// | the tool, the kind of token | the word for those that are not known |
/// | the time | `arrival` |
/// | anything else | what is unknown |
pub fn read_in_part(line: &[u8], arrival: Timestamp, most: usize) -> Vec<Detection> {
    if memmem::find(line, b"detection").is_none() {
        return Vec::new();
    }
    let mut text = String::from_utf8_lossy(line);
    for _ in 0..=MAX_LAYERS {
        let outer = Fields::of(&text[text.find('{').unwrap_or(text.len())..]);
        match outer.text("type").as_deref() {
            Some("alert") => return Vec::new(),
            Some("detection") if outer.is_all => return vec![outer.detection(arrival)],
            _ => {}
        }
        let starts: Vec<usize> = starts(&text).take(most).collect();
        if !starts.is_empty() {
            let ends = starts.iter().copied().skip(1).chain([text.len()]);
            let pieces = starts
                .iter()
                .zip(ends)
                .map(|(start, end)| &text[*start..end]);
            return pieces
                .map(|piece| Fields::of(piece).detection(arrival))
                .collect();
        }
        if !text.contains('\\') {
            break;
        }
        text = Cow::Owned(unescaped(&text));
    }
    Vec::new()
}

/// Where in `text` the objects begin that say they are a detection.
fn starts(text: &str) -> impl Iterator<Item = usize> {
    let mut from = 0;
    text.match_indices(DETECTION).filter_map(move |(at, word)| {
        let before = text[from..at].trim_end().strip_suffix(':')?;
        let before = before.trim_end().strip_suffix(TYPE)?;
        let start = from + before.rfind('{').unwrap_or(before.len());
        from = at + word.len();
        Some(start)
    })
}

/// The fields of an object up to where it is torn. Of two of one name the first counts.
struct Fields<'l> {
    text: &'l str,
    all: HashMap<Cow<'l, str>, &'l RawValue>,
    /// Nothing is torn, and nothing stands behind it.
    is_all: bool,
}

impl<'l> Fields<'l> {
    fn of(text: &'l str) -> Self {
        let mut all = HashMap::new();
        let mut read = Deserializer::from_str(text);
        let is_whole = read.deserialize_map(Collect(&mut all)).is_ok();
        Self {
            text,
            all,
            is_all: is_whole && read.end().is_ok(),
        }
    }

    fn get<T: Deserialize<'l>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.all.get(name)?.get()).ok()
    }

    fn text(&self, name: &str) -> Option<Cow<'l, str>> {
        self.get(name).map(|Text(text)| text)
    }

    fn within(&self, name: &str) -> Self {
        Self::of(self.all.get(name).map_or("", |object| object.get()))
    }

    fn detection(&self, arrival: Timestamp) -> Detection {
        let technique = self.get("technique").unwrap_or(Technique::Undecodable);
        let request = self.request();
        let request_id = self.get("request_id");
        let request_id =
            request_id.unwrap_or_else(|| RequestId::of(&[b"undecodable", self.text.as_bytes()]));
        let bytes = |name: &str| {
            self.text(name)
                .unwrap_or_default()
                .into_owned()
                .into_bytes()
        };
        let token = self.token();
        let stage = request.stage.as_deref().unwrap_or_default();
        let ids = [&request_id.to_bytes(), stage.as_bytes(), &bytes("decoy")];
        let key = || {
            let token = token.id.as_deref().unwrap_or_default();
            let parts = [
                &bytes("cluster"),
                &bytes("decoy"),
                token.as_bytes(),
                &bytes("source_ip"),
            ];
            IncidentKey::of(&parts)
        };
        Detection {
            detection_id: self
                .get("detection_id")
                .unwrap_or_else(|| DetectionId::of(&ids)),
            request_id,
            incident_key: self.get("incident_key").unwrap_or_else(key),
            class: self.get("class").unwrap_or(Class::Detect),
            technique,
            severity: self
                .get("severity")
                .unwrap_or(technique.severity().max(Severity::High)),
            decoy: self.get("decoy"),
            cluster: self.get("cluster"),
            time: self.get("time").unwrap_or(to_microsecond(arrival)),
            stage_time: self.get("stage_time"),
            actor: self.actor().into(),
            source_ip: self.get("source_ip"),
            claimed_ips: self.get("claimed_ips").unwrap_or_default(),
            user_agent: self.get("user_agent"),
            tool: self.get("tool").unwrap_or(Tool::Unknown),
            issued_credential_id: self.get("issued_credential_id"),
            granted: self.get("granted").unwrap_or_default(),
            excerpt: self.excerpt(),
            origin: self.origin(),
            labels: self.get("labels").unwrap_or_default(),
            token,
            request,
        }
    }

    /// What it says of a technique that is not known; if it says none, what there is.
    fn excerpt(&self) -> Option<String> {
        match self.all.get("technique") {
            Some(_) if self.get::<Technique>("technique").is_some() => self.get("excerpt"),
            Some(technique) => Some(excerpt(&format!("technique {technique}"))),
            None => Some(excerpt(self.text)),
        }
    }

    fn actor(&self) -> Actor {
        let actor = self.within("actor");
        Actor {
            username: actor.get("username"),
            uid: actor.get("uid"),
            groups: actor.get("groups").unwrap_or_default(),
            impersonated: actor.get("impersonated"),
            credential_id: actor.get("credential_id"),
            pod: actor.get("pod"),
            node: actor.get("node"),
        }
    }

    fn token(&self) -> Token {
        let token = self.within("token");
        Token {
            kind: token.get("kind").unwrap_or(TokenKind::Other),
            id: token.get("id"),
        }
    }

    fn request(&self) -> Request {
        let request = self.within("request");
        Request {
            audit_id: request.get("audit_id"),
            stage: request.get("stage"),
            verb: request.get("verb"),
            uri: request.get("uri"),
            resource: request.get("resource"),
            subresource: request.get("subresource"),
            namespace: request.get("namespace"),
            name: request.get("name"),
            code: request.get("code"),
            decision: request.get("decision"),
        }
    }

    fn origin(&self) -> Origin {
        let origin = self.within("origin");
        Origin {
            source: origin.get("source").unwrap_or_default(),
            position: origin.get("position"),
            key: origin.get("key"),
            headers: origin.get("headers").unwrap_or_default(),
            cluster: origin.get("cluster"),
            node: origin.get("node"),
            pod: origin.get("pod"),
            namespace: origin.get("namespace"),
            container: origin.get("container"),
            project: origin.get("project"),
            account: origin.get("account"),
            region: origin.get("region"),
            log_group: origin.get("log_group"),
            log_stream: origin.get("log_stream"),
            time: origin.get("time"),
        }
    }
}

/// Keeps what was read before an error.
struct Collect<'f, 'l>(&'f mut HashMap<Cow<'l, str>, &'l RawValue>);

impl<'l> Visitor<'l> for Collect<'_, 'l> {
    type Value = ();

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'l>>(self, mut fields: M) -> Result<(), M::Error> {
        while let Some((Text(name), value)) = fields.next_entry()? {
            self.0.entry(name).or_insert(value);
        }
        Ok(())
    }
}
