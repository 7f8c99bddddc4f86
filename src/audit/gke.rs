//! GKE's form of an audit event: an entry of Cloud Logging with a `protoPayload`.
//!
//! The shapes are those of `LogEntry` (cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry)
//! and `AuditLog` (cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog), with the
//! method and resource names of cloud.google.com/kubernetes-engine/docs/how-to/audit-logging. What an entry does not
//! have: groups, credential ids, and the URI.

use simd_json::{prelude::*, tape::Object};

use super::{
    event::{
        Annotations, Event, Json, ObjectRef, User, field, is_object_or_nothing, named_group,
        number, said,
    },
    http_code,
};

/// Where the `AuditLog` stands in an entry; the second as BigQuery has it.
pub const PAYLOADS: [&str; 2] = ["protoPayload", "protopayload_auditlog"];

/// Where it stands in what Google's libraries and Elastic's module make of an entry; what is in there has underscores in its keys.
pub const RESPELLED_PAYLOADS: [&str; 3] = ["proto_payload", "gcp.audit", "googlecloud.audit"];

/// The fields of an entry and of an `AuditLog` that are no scalars.
pub const PARTS: &[&str] = &[
    "protoPayload",
    "protopayload_auditlog",
    "labels",
    "operation",
    "resource",
    "authenticationInfo",
    "authorizationInfo",
    "requestMetadata",
    "request",
    "response",
    "requestJson",
    "responseJson",
    "status",
];

/// The fields of an entry that are looked at, beside its payload.
pub const FIELDS: &[&str] = &["insertId", "timestamp", "labels", "operation"];

/// What BigQuery calls the column of who did it, where it was picked out of entries.
pub const PRINCIPAL: &str = "principalEmail";

/// What all of Google's services call an `AuditLog`.
const AUDIT_LOG: &str = "google.cloud.audit.AuditLog";

/// An entry, or an `AuditLog` that some shipper took out of one.
pub struct Entry<'o, 'v> {
    entry: &'o Object<'v, 'v>,
    /// `None` where the entry is the `AuditLog`.
    inner: Option<Json<'v>>,
}

impl<'o, 'v> Entry<'o, 'v> {
    /// Reads `object` as an audit entry of any of Google's services. Nothing inside of one is an audit event:
    /// it holds what clients wrote.
    pub fn new(object: &'o Object<'v, 'v>) -> Option<Self> {
        let payload = PAYLOADS
            .iter()
            .find_map(|key| object.get(*key))
            .filter(|payload| payload.is_object());
        let entry = Self {
            entry: object,
            inner: payload,
        };
        let is_bare = || {
            entry.text("@type").is_some_and(is_audit_log)
                || (entry.is_kubernetes()
                    && (object.get("authenticationInfo").is_some()
                        || entry.text(PRINCIPAL).is_some()))
        };
        (payload.is_some() || is_bare()).then_some(entry)
    }

    /// Whether `object` is an entry, or would be if its payload were no text.
    pub fn is_one(object: &'o Object<'v, 'v>) -> bool {
        let is_text = |key: &&str| object.get(*key).is_some_and(|payload| payload.is_str());
        Self::new(object).is_some() || PAYLOADS.iter().any(is_text)
    }

    /// Whether it is but fields that somebody picked out of an entry, which need not be all that tell of a touch.
    pub fn is_picked(&self) -> bool {
        let marks = ["@type", "authenticationInfo"];
        self.inner.is_none() && marks.iter().all(|key| self.entry.get(*key).is_none())
    }

    /// What `object`, which is none, may be: fields that somebody picked out of an entry, but not who did it.
    pub fn without_actor(object: &'o Object<'v, 'v>) -> Option<Self> {
        let entry = Self {
            entry: object,
            inner: None,
        };
        let is_one = entry.is_kubernetes() && entry.text("resourceName").is_some();
        is_one.then_some(entry)
    }

    /// Whether it tells of a request to a Kubernetes API server.
    pub fn is_kubernetes(&self) -> bool {
        let is_service = |service: &str| service == "k8s.io" || service.ends_with(".k8s.io");
        match (self.text("serviceName"), self.method()) {
            (Some(service), _) if is_service(service) => true,
            (_, Some(method)) => method.starts_with("io.k8s."),
            // Where neither was picked.
            (None, None) => {
                let kind = self
                    .outer("resource")
                    .and_then(|resource| field(resource, "type"));
                kind == Some("k8s_cluster")
            }
            _ => false,
        }
    }

    /// Whether what says who did what is an object, where it is there at all. A shipper may have made a string of it.
    pub fn is_readable(&self) -> bool {
        ["authenticationInfo", "requestMetadata", "status"]
            .iter()
            .filter_map(|key| self.get(key))
            .all(is_object_or_nothing)
    }

    /// The entry as the API server would have logged it. All of it comes from the entry's own fields; the bodies are
    /// handed on as they are.
    pub fn event(&self) -> Event<'v> {
        let authentication = self.get("authenticationInfo");
        let metadata = self.get("requestMetadata");
        let progress = Progress::read(self.outer("operation"));
        let method = self.method().map(Method::parse).unwrap_or_default();
        let mut annotations = self.annotations();
        let answer = self.body("response", "responseJson");
        let is_allowed = annotations.decision == Some("allow");
        let code = self.code(&method, &progress, is_allowed, answer);
        // The authorizer has the last word on whether a request was let in.
        let code = match annotations.decision {
            Some("forbid") if code == Some(200) => Some(403),
            _ => code,
        };
        let told = Some("forbid").filter(|_| code == Some(403));
        annotations.decision = annotations.decision.or(told);
        let message = self.message(answer);
        // Of fields that were picked one by one the path is not known.
        let picked = |part: Option<Json<'v>>, key: &str| {
            part.map_or_else(|| self.text(key), |part| field(part, key))
        };
        let selected = picked(authentication, "authoritySelector");
        let is_refused = code == Some(403) && message.is_some_and(refuses_impersonation);
        let time = self.outer("timestamp").and_then(said);
        let path = self
            .text("resourceName")
            .or_else(|| self.authorization("resource"))
            .or(method.path);
        let object = object(path, &method);
        Event {
            audit_id: progress
                .id
                // The id of an entry that is one of several for one request ends with its number.
                .or_else(|| field(self.outer("split")?, "uid"))
                .or_else(|| self.outer("insertId").and_then(said)),
            stage: progress.stage(),
            verb: method.verb,
            user: User {
                username: picked(authentication, PRINCIPAL)
                    .or_else(|| picked(authentication, "principalSubject")),
                ..User::default()
            },
            impersonated: selected.filter(|_| !is_refused),
            refused_as: selected.filter(|_| is_refused),
            source_ips: picked(metadata, "callerIp")
                .or_else(|| picked(metadata, "callerIP"))
                .into_iter()
                .collect(),
            user_agent: picked(metadata, "callerSuppliedUserAgent"),
            object_path: path.filter(|_| is_kubelet(&object) || object.resource.is_none()),
            object,
            code,
            message,
            // A request that tells its beginning and its end apart has two times.
            received: time.filter(|_| progress.id.is_none()),
            stage_time: time,
            annotations,
            request_object: self.body("request", "requestJson"),
            response_object: answer,
            ..Event::default()
        }
    }

    /// What the request was answered in words, above all if it was not let act as somebody: the status may say no more than that it
    /// is one.
    fn message(&self, answer: Option<Json<'v>>) -> Option<&'v str> {
        let status = self.get("status");
        let told = status.and_then(|status| field(status, "message"));
        let mut messages = told.into_iter().chain(answer.and_then(refusal));
        let first = messages.clone().next();
        messages.find(|text| refuses_impersonation(text)).or(first)
    }

    /// What became of the request, in the terms of HTTP.
    fn code(
        &self,
        method: &Method<'_>,
        progress: &Progress<'_>,
        is_allowed: bool,
        answer: Option<Json<'v>>,
    ) -> Option<u16> {
        let of_answer = || {
            let code = number(answer.filter(|answer| is_status(*answer))?, "code")?;
            u16::try_from(code).ok()
        };
        let Some(status) = self.get("status").filter(|status| !status.is_null()) else {
            // BigQuery has a column for it, which is empty where protobuf has left out OK; and some stores drop what is empty. Of
            // fields that were picked it may be one that was not.
            let is_whole = || {
                ["logName", "receiveTimestamp"]
                    .iter()
                    .any(|key| self.outer(key).is_some())
            };
            let is_dropped = is_allowed && is_whole() && !method.opens_stream();
            let is_left_out = self.get("status").is_some() || is_dropped;
            let is_ok = progress.is_last || (is_left_out && !progress.is_first);
            return of_answer().or(is_ok.then_some(200));
        };
        if method.opens_stream() && is_unknown(status) {
            return None;
        }
        let said = status.get("code").filter(|code| !code.is_null());
        match said {
            // Protobuf leaves out what is zero, and OK is zero; and OK says no more.
            None if field(status, "message").is_some() => of_answer(),
            None => of_answer().or(Some(200)),
            Some(_) if number(status, "code") == Some(0) => of_answer().or(Some(200)),
            Some(code) => number(status, "code")
                .map(http_code::from_grpc)
                .or_else(|| http_code::from_grpc_name(code.into_string()?))
                .or_else(of_answer),
        }
    }

    fn annotations(&self) -> Annotations<'v> {
        let labels = self.outer("labels").map(Annotations::from_value);
        let mut annotations = labels.unwrap_or_default();
        let grants: Vec<bool> = self
            .get("authorizationInfo")
            .and_then(|all| {
                all.as_array()
                    .map(|all| all.iter().filter_map(granted).collect())
            })
            .unwrap_or_default();
        let told = match grants.as_slice() {
            [] => None,
            grants if grants.contains(&true) => Some("allow"),
            _ => Some("forbid"),
        };
        annotations.decision = annotations.decision.or(told);
        annotations
    }

    fn method(&self) -> Option<&'v str> {
        self.text("methodName")
            .or_else(|| self.authorization("permission"))
    }

    /// What was asked for, as it was authorized.
    fn authorization(&self, key: &str) -> Option<&'v str> {
        field(self.get("authorizationInfo")?.get_idx(0)?, key)
    }

    fn text(&self, key: &str) -> Option<&'v str> {
        self.get(key).and_then(said)
    }

    /// The body under `key`, or under the name that BigQuery has for it.
    fn body(&self, key: &str, in_bigquery: &str) -> Option<Json<'v>> {
        self.get(key)
            .filter(|body| !body.is_null())
            .or_else(|| self.get(in_bigquery))
            .map(body)
    }

    /// A field of the `AuditLog`.
    fn get(&self, key: &str) -> Option<Json<'v>> {
        match self.inner {
            Some(payload) => payload.get(key),
            None => self.entry.get(key),
        }
    }

    /// A field of the entry around it.
    fn outer(&self, key: &str) -> Option<Json<'v>> {
        self.inner.and_then(|_| self.entry.get(key))
    }
}

fn granted(authorization: Json<'_>) -> Option<bool> {
    let granted = authorization.get("granted")?;
    granted
        .as_bool()
        .or_else(|| granted.into_string()?.parse().ok())
}

fn is_audit_log(kind: &str) -> bool {
    kind.ends_with(AUDIT_LOG)
}

/// Which of the entries of one request this is.
#[derive(Default)]
struct Progress<'v> {
    is_first: bool,
    is_last: bool,
    /// What joins the entries of a request that has more than one.
    id: Option<&'v str>,
}

impl<'v> Progress<'v> {
    fn read(operation: Option<Json<'v>>) -> Self {
        let Some(operation) = operation else {
            return Self::default();
        };
        let holds = |key: &str| {
            operation.get(key).is_some_and(|value| {
                value
                    .as_bool()
                    .unwrap_or_else(|| value.into_string() == Some("true"))
            })
        };
        let (is_first, is_last) = (holds("first"), holds("last"));
        Self {
            is_first,
            is_last,
            id: field(operation, "id").filter(|_| is_first != is_last),
        }
    }

    fn stage(&self) -> Option<&'static str> {
        match (self.is_first, self.is_last) {
            (_, true) => Some("ResponseComplete"),
            (true, false) => Some("ResponseStarted"),
            (false, false) => None,
        }
    }
}

/// `io.k8s.GROUP.VERSION.RESOURCE[.SUBRESOURCE].VERB`, in which a group may have dots.
#[derive(Default)]
struct Method<'v> {
    group: Option<&'v str>,
    resource: Option<&'v str>,
    subresource: Option<&'v str>,
    verb: Option<&'v str>,
    /// Of what is no resource.
    path: Option<&'static str>,
}

impl<'v> Method<'v> {
    fn parse(name: &'v str) -> Self {
        let Some((head, verb)) = name.rsplit_once('.') else {
            return Self::default();
        };
        if let Some(method) = Self::of_health(name) {
            return method;
        }
        let verb = Some(verb).filter(|verb| !verb.is_empty());
        let path = head.strip_prefix("io.k8s.").unwrap_or(head);
        let parts: Vec<&str> = path.split('.').collect();
        let Some(version) = parts.iter().position(|part| is_version(part)) else {
            return Self {
                verb,
                ..Self::default()
            };
        };
        let part = |at: usize| parts.get(at).copied().filter(|part| !part.is_empty());
        let group_end: usize = parts[..version].iter().map(|part| part.len() + 1).sum();
        Self {
            group: path
                .get(..group_end.saturating_sub(1))
                .and_then(named_group),
            resource: part(version + 1),
            subresource: part(version + 2),
            verb,
            path: None,
        }
    }

    /// Of a path that is no resource's: `io.k8s.readyz`, or as if it were one, `io.k8s.core.v1.readyz.get`.
    fn of_health(name: &str) -> Option<Self> {
        let name = name.strip_prefix("io.k8s.")?;
        let of_core = name
            .strip_prefix("core.v1.")
            .and_then(|name| name.strip_suffix(".get"));
        let path = match of_core.unwrap_or(name) {
            "healthz" => "/healthz",
            "livez" => "/livez",
            "readyz" => "/readyz",
            "version" => "/version",
            _ => return None,
        };
        Some(Self {
            verb: Some("get"),
            path: Some(path),
            ..Self::default()
        })
    }

    /// Whether the answer to it, if it succeeds, is the switch to another protocol.
    fn opens_stream(&self) -> bool {
        matches!(self.subresource, Some("exec" | "attach" | "portforward"))
    }
}

/// What GKE writes where the answer is 101, for which gRPC has no code.
fn is_unknown(status: Json<'_>) -> bool {
    number(status, "code") == Some(2) && field(status, "message") == Some("UNKNOWN")
}

/// Whether a request goes through the API server to a kubelet, so that the path alone tells what about.
fn is_kubelet(object: &ObjectRef<'_>) -> bool {
    object.resource == Some("nodes") && object.subresource == Some("proxy")
}

/// `v1`, `v1beta2`: neither a group nor a resource is called so.
fn is_version(part: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(version) = part.strip_prefix('v') else {
        return false;
    };
    ["alpha", "beta"]
        .iter()
        .find_map(|kind| version.split_once(kind))
        .map_or(is_number(version), |(major, minor)| {
            is_number(major) && is_number(minor)
        })
}

/// What `path`, as in `core/v1/namespaces/NAMESPACE/pods/NAME/exec`, is about; where it tells nothing, what `method` is about.
/// The subresource in a path is as a client encoded it, that of the method is the API server's own.
fn object<'v>(path: Option<&'v str>, method: &Method<'v>) -> ObjectRef<'v> {
    let path = path.and_then(|path| path.split('?').next());
    let segments: Vec<&str> = path
        .unwrap_or_default()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let segments = segments.strip_prefix(&["apis"]).unwrap_or(&segments);
    let mut object = match segments {
        [group, version, rest @ ..] if is_version(version) => {
            ObjectRef::from_segments(named_group(group), rest)
        }
        other => {
            let start = other.iter().position(|part| *part == "namespaces");
            ObjectRef::from_segments(method.group, &other[start.unwrap_or(other.len())..])
        }
    };
    if object.resource.is_none() {
        object.api_group = method.group;
        object.resource = method.resource;
    }
    if object.resource == method.resource {
        object.subresource = method.subresource.or(object.subresource);
    }
    object
}

/// `… is forbidden: User "jane" cannot impersonate …`. Go quotes names, so that none of them can say this.
fn refuses_impersonation(message: &str) -> bool {
    message
        .match_indices("\" cannot impersonate")
        .any(|(at, _)| !message[..at].ends_with('\\'))
}

/// What `answer` says, if it is the API server's own, that there is none.
fn refusal(answer: Json<'_>) -> Option<&str> {
    field(answer, "message").filter(|_| is_status(answer))
}

fn is_status(answer: Json<'_>) -> bool {
    field(answer, "@type").is_some_and(|kind| kind.ends_with("/v1.Status"))
}

/// Protobuf's `Any` keeps what is no object, such as a JSON patch, under `value`.
fn body(body: Json<'_>) -> Json<'_> {
    let list = body.get("value").filter(|value| value.is_array());
    list.filter(|_| body.get("@type").is_some()).unwrap_or(body)
}

#[cfg(test)]
mod tests;
