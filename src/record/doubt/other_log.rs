//! Other logs that clouds deliver of a control plane by the same way as its audit log: lines in which text of clients may
//! stand.
//!
//! They are known by name, so that what has a name that is not known is searched.

use memchr::memchr;
use simd_json::{prelude::*, tape::Object};

use super::printed::has_keys;
use crate::record::{
    key::at,
    parts::partial::whole_text,
    text::pieces::holds_rest,
    unwrap::envelope::{LOG_GROUP, LOG_STREAM, RESOURCE_ID},
};

/// Azure's categories (learn.microsoft.com/azure/aks/monitor-aks-reference), but for the drivers of storage.
const CATEGORIES: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "guard",
    "cluster-autoscaler",
    "cloud-controller-manager",
];

/// Azure's drivers of storage.
const CATEGORY_HEAD: &str = "csi-";

/// How EKS begins the names of its streams (docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html); behind that is
/// a hash. The audit log's is `kube-apiserver-audit-HASH`.
const STREAM_HEADS: [&str; 5] = [
    "kube-apiserver-",
    "authenticator-",
    "kube-controller-manager-",
    "kube-scheduler-",
    "cloud-controller-manager-",
];

/// What Google calls the parts of a control plane (cloud.google.com/kubernetes-engine/docs/how-to/view-logs). Their audit log
/// is that of the cluster.
const COMPONENT: &str = "k8s_control_plane_component";

/// Whether `object` holds such lines.
pub fn is_other_log(object: &Object<'_, '_>) -> bool {
    is_of_azure(object) || is_of_eks(object) || text(object, "resource.type") == Some(COMPONENT)
}

/// The runs of lines in `text` between those that Kubernetes' own programs log, the API server among them.
pub fn without_klog(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let run = rest;
        let mut at = 0;
        while at < run.len() {
            let end = memchr(b'\n', &run[at..]).map_or(run.len(), |newline| at + newline + 1);
            if is_klog(&run[at..end]) {
                rest = &run[end..];
                return Some(&run[..at]);
            }
            at = end;
        }
        rest = &[];
        (!run.is_empty()).then_some(run)
    })
}

/// Whether `line` begins as klog's do: `I1123 17:21:08.912184       1 httplog.go:134] `. A client can make the rest of an event
/// that was cut look like that, or a line of one that was printed, but not without the rest of its keys behind it.
fn is_klog(line: &[u8]) -> bool {
    let text = whole_text(line).unwrap_or(line);
    let is_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let [b'I' | b'W' | b'E' | b'F', head @ ..] = text else {
        return false;
    };
    let mut words = head
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let mut is_next = |is: &dyn Fn(&[u8]) -> bool| words.next().is_some_and(is);
    let is_date = |word: &[u8]| word.len() == 4 && is_digits(word);
    let is_time = |word: &[u8]| {
        let count = word.split(|byte| matches!(byte, b':' | b'.')).count();
        word.contains(&b'.') && count == 4 && word.iter().all(is_of_time)
    };
    let is_place = |word: &[u8]| word.ends_with(b"]") && word.contains(&b':');
    is_next(&is_date)
        && is_next(&is_time)
        && is_next(&is_digits)
        && is_next(&is_place)
        && !holds_rest(text)
        && !has_keys(text)
}

fn is_of_time(byte: &u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b':' | b'.')
}

fn is_of_azure(object: &Object<'_, '_>) -> bool {
    let category = first(object, &["category", "Category"]);
    let is_cluster = || {
        let resource = first(object, RESOURCE_ID);
        resource.is_some_and(|id| id.to_lowercase().contains("/managedclusters/"))
    };
    category.is_some_and(|category| {
        CATEGORIES.contains(&category) || category.starts_with(CATEGORY_HEAD)
    }) && (text(object, "properties.log").is_some()
        || text(object, "log_s").is_some()
        || text(object, "Type") == Some("AKSControlPlane")
        || is_cluster())
}

fn is_of_eks(object: &Object<'_, '_>) -> bool {
    let is_hash =
        |hash: &str| !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_other = |stream: &str| {
        let mut heads = STREAM_HEADS.iter();
        heads.any(|head| stream.strip_prefix(head).is_some_and(is_hash))
    };
    first(object, LOG_STREAM).is_some_and(is_other)
        && first(object, LOG_GROUP).is_none_or(|group| group.starts_with("/aws/eks/"))
}

fn first<'v>(object: &Object<'v, 'v>, paths: &[&str]) -> Option<&'v str> {
    paths.iter().find_map(|path| text(object, path))
}

/// The text at `path`, whether its keys are nested or, as some shippers flatten them, one.
fn text<'v>(object: &Object<'v, 'v>, path: &str) -> Option<&'v str> {
    at(object, path)?.into_string()
}
