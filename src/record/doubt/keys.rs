//! Text of clients that other programs log: access logs, failed logins. An event that stands in such text is none.
//!
//! Most keys under which shippers keep texts are known, as are those that servers have for what a client sent. Under any
//! other key a text is believed, unless the object looks like one of a server or an application, which logs a request.

use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::Json,
    record::{
        key::{ends_with, is},
        unwrap::lifted,
    },
};

/// Keys of an object that are looked at, for each that leads to an event.
const MAX_KEYS: usize = 64;

/// How keys end, in small letters and without what joins their words, under which servers log what a client sent.
const OF_REQUESTS: [&str; 29] = [
    "useragentstring",
    "useragentoriginal",
    "agent",
    "browser",
    "referer",
    "referrer",
    "uri",
    "url",
    "path",
    "query",
    "querystring",
    "args",
    "param",
    "params",
    "parameters",
    "header",
    "headers",
    "cookie",
    "cookies",
    "forwardedfor",
    "user",
    "username",
    "login",
    "email",
    "host",
    "hostname",
    "authority",
    "request",
    "requestbody",
];

/// As those, but they end longer keys that others have.
const WHOLE_OF_REQUESTS: [&str; 1] = ["ua"];

/// Where the name of a value stands beside it, in lists of fields.
const NAMES: [&str; 3] = ["key", "name", "field"];

/// Keys under which shippers keep a record as it came, written so, beside those of [`lifted`].
const OF_RECORDS: [&str; 15] = [
    "rawdata",
    "line",
    "entry",
    "logs",
    "rawlog",
    "logtext",
    "logevents",
    "logrecords",
    "records",
    "shortmessage",
    "fullmessage",
    "textpayload",
    "jsonpayload",
    "properties",
    "frames",
];

/// How keys end, written so, under which nobody but a shipper has anything.
const ENDS_OF_RECORDS: [&str; 7] = [
    "audit",
    "auditlog",
    "auditevent",
    "eventdata",
    "rawevent",
    "rawmessage",
    "jsonmessage",
];

/// As [`OF_RECORDS`], but applications have them for other things too.
const OF_EITHER: [&str; 8] = [
    "data",
    "body",
    "payload",
    "value",
    "text",
    "content",
    "stringvalue",
    "details",
];

/// How keys end, written so, that only what logs a request has.
const OF_SERVERS: [&str; 21] = [
    "useragent",
    "referer",
    "referrer",
    "remoteaddr",
    "remoteaddress",
    "remoteip",
    "remotehost",
    "clientip",
    "clientaddr",
    "clientaddress",
    "clienthost",
    "sourceip",
    "srcip",
    "ipaddr",
    "requestmethod",
    "httpmethod",
    "statuscode",
    "downstreamstatus",
    "responsecode",
    "xforwardedfor",
    "username",
];

/// As those, but they end longer keys that others have.
const WHOLE_OF_SERVERS: [&str; 3] = ["ip", "method", "request"];

/// Where an application has the text of a log line.
const TEXTS: [&str; 4] = ["msg", "message", "MESSAGE", "Message"];

/// A key on the way to an event, in the object in which it stands.
pub struct Entry<'v> {
    object: &'v Object<'v, 'v>,
    key: &'v str,
    is_object: bool,
}

impl<'v> Entry<'v> {
    pub fn new(object: &'v Object<'v, 'v>, key: &'v str, value: Json<'_>) -> Self {
        Self {
            object,
            key,
            is_object: value.is_object(),
        }
    }

    /// Whether a shipper keeps records as they came under the key.
    pub fn is_of_record(&self) -> bool {
        is_of_record(self.key)
    }

    /// Whether what the key leads to lies in a text, by this key or by one further in.
    pub fn is_in_text(&self, in_text: bool) -> bool {
        in_text || !self.is_object
    }

    /// Whether an event that it leads to may be what a client sent; `in_text` tells whether it lies in a text further in.
    pub fn is_of_client(&self, in_text: bool) -> bool {
        let may_be_text = in_text || !(self.is_object || self.leads_to_list());
        is_of_request(self.key)
            || (may_be_text && !is_of_record(self.key) && (self.is_of_server() || self.is_field()))
    }

    /// Whether the key leads to the events of an `EventList`: Logstash's input by HTTP puts what it knows of the request beside them.
    fn leads_to_list(&self) -> bool {
        let kind = self.object.get("kind").and_then(|kind| kind.into_string());
        let items = self.object.get(self.key).and_then(|items| items.as_array());
        let are_objects = || items.is_some_and(|items| items.iter().all(|item| item.is_object()));
        self.key == "items" && kind == Some("EventList") && are_objects()
    }

    /// Whether the object is a field of a request, and has its name in it.
    fn is_field(&self) -> bool {
        let mut entries = self.object.iter().take(MAX_KEYS);
        entries.any(|(key, value)| {
            NAMES.contains(&key) && value.into_string().is_some_and(is_of_request)
        })
    }

    /// Whether the object is what a server or an application logs.
    fn is_of_server(&self) -> bool {
        self.object.iter().take(MAX_KEYS).any(|(key, value)| {
            let is_code = || {
                let text = value.into_string();
                let is_digits = |text: &str| text.parse::<u16>().is_ok();
                value.is_u64() || text.is_some_and(is_digits)
            };
            OF_SERVERS.iter().any(|end| ends_with(key, end))
                || WHOLE_OF_SERVERS.iter().any(|whole| is(key, whole))
                || (is(key, "status") && is_code())
                || (TEXTS.contains(&key) && value.into_string().is_some_and(is_words))
        })
    }
}

/// Whether `text` is what a program says, and no record that it carries.
fn is_words(text: &str) -> bool {
    text.contains(|letter: char| letter.is_ascii_alphabetic()) && !text.contains(['{', '['])
}

/// Whether a shipper keeps records as they came under `key`, in which several may be joined.
pub fn is_of_record(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    !lifted::is_of_client(key)
        && (lifted::is_of_record(last)
            || OF_RECORDS.iter().any(|record| is(last, record))
            || ENDS_OF_RECORDS.iter().any(|end| ends_with(last, end)))
}

fn is_of_request(key: &str) -> bool {
    OF_REQUESTS.iter().any(|end| ends_with(key, end))
        || WHOLE_OF_REQUESTS.iter().any(|whole| is(key, whole))
}

/// Whether something that a client sent is called `name`.
pub fn names_text_of_client(name: &str) -> bool {
    let mut known = OF_REQUESTS.iter().chain(&WHOLE_OF_REQUESTS);
    lifted::is_of_client(name) || known.any(|known| is(name, known))
}

/// Whether shippers keep texts under `key`, which is no field of an event, nor in one.
pub fn keeps_texts(key: &str) -> bool {
    lifted::field(key).is_none()
        && (is_of_record(key) || OF_EITHER.iter().any(|known| is(key, known)))
}
