//! Other logs that clouds deliver of a control plane by the same way as its audit log: lines in which text of clients may
//! stand.
//!
//! They are known by name, so that what has a name that is not known is searched.

use simd_json::{prelude::*, tape::Object};

use super::envelope::{LOG_GROUP, LOG_STREAM, RESOURCE_ID};

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
    let nested = || {
        let (key, inner) = path.split_once('.')?;
        object.get(key)?.get(inner)
    };
    object.get(path).or_else(nested)?.into_string()
}
