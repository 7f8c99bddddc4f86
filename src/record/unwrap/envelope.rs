//! What wrappers tell about where an audit event comes from.
//!
//! All of it stands beside the event, or beside what holds the event: the API server writes no key of these into an event,
//! so that no client can. Of two wrappers the outer is believed, since what the inner says may be text that the outer merely
//! carries; but for the time, of which the inner is the nearer.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use jiff::{SignedDuration, Timestamp};
use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::{Json, from_epoch, from_epoch_fraction, parse_time},
    record::{rewrite, text::log_line},
};

/// What is known of the origin of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'v> {
    /// The cluster's name; Azure's in lower case, since it writes the same name in both cases.
    pub cluster: Option<Cow<'v, str>>,
    /// The machine where the event was read.
    pub node: Option<&'v str>,
    /// The pod that wrote it, which is the API server's.
    pub pod: Option<&'v str>,
    /// That pod's namespace.
    pub namespace: Option<&'v str>,
    /// The container in that pod.
    pub container: Option<&'v str>,
    /// Google's project.
    pub project: Option<&'v str>,
    /// AWS's account, Azure's subscription.
    pub account: Option<&'v str>,
    /// A region or a zone.
    pub region: Option<&'v str>,
    /// CloudWatch's group.
    pub log_group: Option<&'v str>,
    /// CloudWatch's stream.
    pub log_stream: Option<&'v str>,
    /// When the wrapper says it was written.
    pub time: Option<Timestamp>,
}

/// Where wrappers tell it: keys, or paths of keys with dots between them. The first that is there counts. `stream` has Loki's
/// labels, `resource.labels` Google's, `kubernetes` what log shippers know of a pod.
const CLUSTER: &[&str] = &[
    "cluster_name",
    "clusterName",
    "cluster",
    "k8s_cluster",
    "k8s.cluster.name",
    "cluster.name",
    "orchestrator.cluster.name",
    "kubernetes.cluster_name",
    "kubernetes.cluster",
    "resource.labels.cluster_name",
    "attributes.cluster_name",
    "kube_cluster_name",
    "_gdch_cluster",
    "cluster_id",
    "clusterId",
    "openshift.cluster_id",
    "openshift.cluster.uid",
    "stream.cluster",
    "stream.cluster_name",
    "stream.k8s_cluster_name",
    "labels.cluster",
    // What senders add to GELF begins with an underscore.
    "_cluster_name",
    "_cluster",
    // Security Lake's, and Yandex's.
    "unmapped.eks_cluster_name",
    "details.cluster_id",
    // OpenTelemetry's of what Google writes, Sentinel's, and New Relic's.
    "gcp.label.cluster_name",
    "stream.gcp_label_cluster_name",
    "ClusterName",
    "common.attributes.cluster_name",
];
const NODE: &[&str] = &[
    "kubernetes.host",
    "kubernetes.pod_node_name",
    "kubernetes.node.name",
    "kubernetes.node_name",
    "k8s.node.name",
    "node_name",
    "nodeName",
    "stream.node_name",
    "stream.node",
    "stream.k8s_node_name",
    "stream.host",
    "stream.hostname",
    "_HOSTNAME",
    "host.name",
    "host.hostname",
    "host",
    "hostname",
    "Hostname",
    "_host",
];
const POD: &[&str] = &[
    "kubernetes.pod_name",
    "kubernetes.pod.name",
    "k8s.pod.name",
    "properties.pod",
    "pod",
    "pod_s",
    "PodName",
    "podName",
    "resource.labels.pod_name",
    "stream.pod",
    "stream.k8s_pod_name",
];
const NAMESPACE: &[&str] = &[
    "kubernetes.namespace_name",
    "kubernetes.pod_namespace",
    "kubernetes.namespace",
    "k8s.namespace.name",
    "resource.labels.namespace_name",
    "stream.namespace",
    "stream.k8s_namespace_name",
];
const CONTAINER: &[&str] = &[
    "kubernetes.container_name",
    "kubernetes.container.name",
    "k8s.container.name",
    "container.name",
    "containerName",
    "resource.labels.container_name",
    "stream.container",
    "stream.k8s_container_name",
];
const PROJECT: &[&str] = &[
    "resource.labels.project_id",
    "cloud.project.id",
    "gcp.label.project_id",
    "gcp.project",
    "stream.gcp_label_project_id",
];
const ACCOUNT: &[&str] = &[
    "cloud.account.id",
    "owner",
    "@owner",
    "account",
    "AwsAccountId",
];
const REGION: &[&str] = &[
    "cloud.region",
    "awsRegion",
    "resource.labels.location",
    "region",
    "Region",
    "aws.region",
    "gcp.label.location",
    "stream.cloud_region",
];
/// Azure's, beside the id of a resource. Others have a file there, or the name of a log.
const LOCATION: &[&str] = &["location"];
pub const LOG_GROUP: &[&str] = &[
    "logGroup",
    "log_group",
    "@log_group",
    "aws.log_group",
    "awscloudwatch.log_group",
    // OpenTelemetry's of what it reads from CloudWatch, and from Firehose, and Datadog's.
    "cloudwatch.log.group.name",
    "aws.log.group.names",
    "aws.awslogs.logGroup",
];
pub const LOG_STREAM: &[&str] = &[
    "logStream",
    "logStreamName",
    "log_stream",
    "@logStream",
    "@log_stream",
    "aws.log_stream",
    "awscloudwatch.log_stream",
    "cloudwatch.log.stream",
    "aws.log.stream.names",
    "aws.awslogs.logStream",
];
/// CloudWatch Insights' `ACCOUNT:GROUP`, and Live Tail's.
const LOG: &[&str] = &["@log", "logGroupIdentifier"];
const TIME: &[&str] = &[
    "timestamp",
    "@timestamp",
    "time",
    "TimeGenerated",
    "publishTime",
    "p_event_time",
    "__REALTIME_TIMESTAMP",
    "timeUnixNano",
    "observedTimeUnixNano",
    "date",
    // Of findings of Security Command Center.
    "eventTime",
    // Splunk's, of what it exports.
    "_time",
    // Of OpenTelemetry's records in ClickHouse.
    "Timestamp",
    // Google's, of when it took an entry in.
    "receiveTimestamp",
];
pub const RESOURCE_ID: &[&str] = &[
    "resourceId",
    "ResourceId",
    "_ResourceId",
    "azure.resource.id",
    "resource_id",
    // Defender's, in CloudAuditEvents.
    "AzureResourceId",
];

/// Datadog's texts of the form `KEY:VALUE`, and the keys of the cluster among them (docs.datadoghq.com/containers/kubernetes/tag).
const TAGS: &str = "tags";
const CLUSTER_TAGS: [&str; 2] = ["kube_cluster_name:", "cluster_name:"];

/// Beside an entry that Promtail packed stand its labels; `logcli` writes a line, and its labels in an object.
const PACKED: &str = "_entry";
const LABELS: (&str, &str) = ("line", "labels");

/// Loki's labels of what stands in `paths`.
fn labels(paths: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    paths.iter().filter_map(|path| path.strip_prefix("stream."))
}

/// Objects in which shippers and stores keep what is known of the origin of logs, under the same keys: OpenTelemetry's resource,
/// as stores call it, and what is sent beside an event to Splunk's collector.
const ORIGINS: [&str; 7] = [
    "resource",
    "Resource",
    "ResourceAttributes",
    "resource_attributes",
    "resources",
    "resources_string",
    "fields",
];

/// Within them OpenTelemetry's list `[{"key":…,"value":{"stringValue":…}}]`, or the object that stores make of it.
const ATTRIBUTES: &str = "attributes";

const PATHS: [&[&str]; 14] = [
    CLUSTER,
    NODE,
    POD,
    NAMESPACE,
    CONTAINER,
    PROJECT,
    ACCOUNT,
    REGION,
    LOCATION,
    LOG_GROUP,
    LOG_STREAM,
    LOG,
    TIME,
    RESOURCE_ID,
];

/// The keys of an object with which one of the paths begins, or which are one.
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let paths = PATHS.into_iter().flatten().copied();
    let first = |path: &'static str| path.split_once('.').map_or(path, |(key, _)| key);
    let beside = [PACKED, LABELS.0, TAGS]
        .into_iter()
        .chain(PATHS.into_iter().flat_map(labels));
    let paths = paths.flat_map(|path| [path, first(path)]);
    Keys::new(paths.chain(beside).collect())
});

/// Some keys. Whether another is among them costs next to nothing: most are none.
struct Keys {
    /// The lengths of those that begin with each byte, a bit for each.
    lengths: [u64; 256],
    all: HashSet<&'static str>,
}

impl Keys {
    fn new(all: HashSet<&'static str>) -> Self {
        let mut lengths = [0; 256];
        for key in &all {
            lengths[usize::from(key.as_bytes()[0])] |= 1 << (key.len() % 64);
        }
        Self { lengths, all }
    }

    fn contains(&self, key: &str) -> bool {
        let Some(first) = key.as_bytes().first() else {
            return false;
        };
        let may_be_one = self.lengths[usize::from(*first)] >> (key.len() % 64) & 1 == 1;
        may_be_one && self.all.contains(key)
    }
}

/// Arrays so long may begin with a time: Loki's `[time, line]`, behind which its labels may stand.
const TIMED_ITEMS: [usize; 2] = [2, 3];

impl<'v> Envelope<'v> {
    /// This, with what `object` adds, which stands further in.
    pub fn around(&self, object: &Object<'v, 'v>) -> Self {
        let mut all = self.clone();
        let told = Told::by(object);
        if told.0.is_empty() {
            return all;
        }
        let text = |known: Option<&'v str>, paths: &[&str]| known.or_else(|| told.text(paths));
        all.node = text(self.node, NODE);
        all.pod = text(self.pod, POD);
        all.namespace = text(self.namespace, NAMESPACE);
        all.container = text(self.container, CONTAINER);
        all.project = text(self.project, PROJECT);
        all.account = text(self.account, ACCOUNT);
        all.region = text(self.region, REGION);
        all.log_group = text(self.log_group, LOG_GROUP);
        all.log_stream = text(self.log_stream, LOG_STREAM);
        if let Some((account, group)) = told.text(LOG).and_then(|log| log.split_once(':')) {
            let known = |text: &'v str| Some(text).filter(|text| !text.is_empty());
            all.account = all.account.or(known(account));
            all.log_group = all.log_group.or(known(group));
        }
        let resource = told.text(RESOURCE_ID);
        all.region = all.region.or_else(|| resource.and(told.text(LOCATION)));
        all.account = all.account.or_else(|| behind(resource?, "subscriptions"));
        all.cluster = all
            .cluster
            .or_else(|| told.text(CLUSTER).map(Cow::Borrowed))
            .or_else(|| {
                let mut tags = CLUSTER_TAGS.iter();
                tags.find_map(|key| told.tag(key)).map(Cow::Borrowed)
            })
            .or_else(|| {
                let mut kinds = ["managedClusters", "connectedClusters"].iter();
                let name = kinds.find_map(|kind| behind(resource?, kind))?;
                Some(name.to_lowercase().into())
            })
            .or_else(|| cluster_of_group(all.log_group?).map(Cow::Borrowed));
        all.time = told.values(TIME).find_map(time).or(self.time);
        if told.get(PACKED).is_some() {
            all.label(|name| told.get(name)?.into_string());
        } else if told.get(LABELS.0).is_some()
            && let Some(labels) = told.get(LABELS.1)
        {
            all.label(|name| labels.get(name)?.into_string());
        }
        all
    }

    /// Adds what Loki's labels tell.
    fn label(&mut self, label: impl Fn(&str) -> Option<&'v str>) {
        let label = |name: &str| label(name).filter(|text| !text.is_empty());
        let told = |known: Option<&'v str>, paths| known.or_else(|| labels(paths).find_map(&label));
        self.node = told(self.node, NODE);
        self.pod = told(self.pod, POD);
        self.namespace = told(self.namespace, NAMESPACE);
        self.container = told(self.container, CONTAINER);
        let cluster = self.cluster.take();
        self.cluster = cluster.or_else(|| told(None, CLUSTER).map(Cow::Borrowed));
    }

    /// This, with what the items of `array` add to each other.
    pub fn among(&self, array: &simd_json::tape::Array<'v, 'v>) -> Self {
        let is_timed = TIMED_ITEMS.contains(&array.len());
        let first = array.iter().next();
        let first = first.filter(|first| is_timed && first.is_str());
        let mut all = Self {
            time: first.and_then(time).or(self.time),
            ..self.clone()
        };
        if let Some(metadata) = first.and_then(|_| array.iter().nth(2)) {
            // Of two kinds, where who asked wanted them apart.
            let metadata = metadata.get("structuredMetadata").unwrap_or(metadata);
            all.label(|name| metadata.get(name)?.into_string());
        }
        all
    }

    /// This, with what the beginning of a log line adds, which the event stands behind.
    pub fn behind(&self, head: &'v [u8]) -> Self {
        let head = log_line::Head::read(head);
        let mut all = Self {
            node: self.node.or(head.host),
            log_stream: self.log_stream.or(head.stream),
            time: head.time.or(self.time),
            ..self.clone()
        };
        all.label(|name| head.label(name));
        all
    }
}

/// Whether `array` is one of Loki's lines: `["1795454468000000000","…"]`, perhaps with its labels.
pub fn is_line_of_loki(array: &simd_json::tape::Array<'_, '_>) -> bool {
    let time = array.iter().next().and_then(|first| first.into_string());
    let is_nano = |time: &str| time.len() > 18 && time.bytes().all(|byte| byte.is_ascii_digit());
    TIMED_ITEMS.contains(&array.len()) && time.is_some_and(is_nano)
}

/// EKS writes to `/aws/eks/NAME/cluster`; Container Insights to groups of its own.
fn cluster_of_group(group: &str) -> Option<&str> {
    ["/aws/eks/", "/aws/containerinsights/"]
        .iter()
        .find_map(|folder| group.strip_prefix(folder)?.split('/').next())
        .filter(|name| !name.is_empty())
}

/// What follows `segment` in one of Azure's resource ids, whose case may be any.
fn behind<'v>(resource: &'v str, segment: &str) -> Option<&'v str> {
    let mut segments = resource.split('/');
    segments.find(|part| part.eq_ignore_ascii_case(segment))?;
    segments.next().filter(|name| !name.is_empty())
}

/// What may tell something of all that an object has: the objects of an event have many keys, none of which does.
struct Told<'v>(Vec<(&'v str, Json<'v>)>);

impl<'v> Told<'v> {
    fn by(object: &Object<'v, 'v>) -> Self {
        let mut told = Self(Vec::new());
        let mut origins = Vec::new();
        for (key, value) in object.iter() {
            told.tell(key, value);
            if ORIGINS.contains(&key) {
                origins.extend([Some(value), value.get(ATTRIBUTES)].into_iter().flatten());
            }
        }
        // What stands nearest counts.
        for origin in origins {
            for (key, value) in origin.as_object().iter().flat_map(|all| all.iter()) {
                told.tell(key, value);
            }
            for attribute in origin.as_array().iter().flat_map(|all| all.iter()) {
                let key = attribute.get("key").and_then(|key| key.into_string());
                let value = attribute.get("value").and_then(string_value);
                if let (Some(key), Some(value)) = (key, value) {
                    told.tell(key, value);
                }
            }
        }
        told
    }

    /// Of two the first counts.
    fn tell(&mut self, key: &'v str, value: Json<'v>) {
        if KEYS.contains(key) && self.get(key).is_none() {
            self.0.push((key, value));
        }
    }

    /// The first text that is not empty.
    fn text(&self, paths: &[&str]) -> Option<&'v str> {
        self.values(paths)
            .filter_map(|value| rewrite::single(value).into_string())
            .find(|text| !text.is_empty())
    }

    /// What stands behind `key` in the first of Datadog's tags that begins with it.
    fn tag(&self, key: &str) -> Option<&'v str> {
        let tags = self.get(TAGS)?.as_array()?;
        let mut values = tags
            .iter()
            .filter_map(|tag| tag.into_string()?.strip_prefix(key));
        values.find(|value| !value.is_empty())
    }

    fn values<'o>(&'o self, paths: &'o [&str]) -> impl Iterator<Item = Json<'v>> + use<'o, 'v> {
        paths.iter().filter_map(|path| self.value(path))
    }

    /// What stands at `path`, whether its keys are nested or, as some shippers flatten them, one.
    fn value(&self, path: &str) -> Option<Json<'v>> {
        self.get(path).or_else(|| {
            let (key, mut rest) = path.split_once('.')?;
            let mut inner = self.get(key)?;
            while let Some((key, deeper)) = rest.split_once('.') {
                match inner.get(rest) {
                    Some(value) => return Some(value),
                    None => (inner, rest) = (inner.get(key)?, deeper),
                }
            }
            inner.get(rest)
        })
    }

    fn get(&self, key: &str) -> Option<Json<'v>> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == key)?;
        Some(*value)
    }
}

/// The text that is the value of an attribute, or the one item of the list that it is.
fn string_value<'v>(value: Json<'v>) -> Option<Json<'v>> {
    value.get("stringValue").or_else(|| {
        let items = value.get("arrayValue")?.get("values")?.as_array()?;
        items
            .get(0)
            .filter(|_| items.len() == 1)?
            .get("stringValue")
    })
}

/// Keys that stand around a time.
const TIME_KEYS: [&str; 2] = ["value", "$date"];

/// A `google.protobuf.Timestamp`, whose seconds some libraries write as text.
fn of_protobuf(seconds: Json<'_>, nanos: Option<Json<'_>>) -> Option<Timestamp> {
    let of_text = || seconds.into_string()?.parse().ok();
    let start = Timestamp::from_second(seconds.as_i64().or_else(of_text)?).ok()?;
    let nanos = nanos.and_then(|nanos| nanos.as_i64()).unwrap_or(0);
    start.checked_add(SignedDuration::from_nanos(nanos)).ok()
}

fn time(value: Json<'_>) -> Option<Timestamp> {
    let value = rewrite::single(value);
    // Of BigQuery's client for Node, and of MongoDB.
    let inner = TIME_KEYS.iter().find_map(|key| value.get(*key));
    let value = inner.unwrap_or(value);
    if let Some(text) = value.into_string() {
        return parse_time(text);
    }
    if let Some(seconds) = value.get("seconds") {
        return of_protobuf(seconds, value.get("nanos"));
    }
    let fraction = || value.as_f64().and_then(from_epoch_fraction);
    value.as_i64().map_or_else(fraction, from_epoch)
}

#[cfg(test)]
mod tests;
