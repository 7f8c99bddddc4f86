//! What may be written of a decoy, but is unwise.

use glob::Pattern;

use super::{Expected, Written, option};
use crate::{
    config::{
        fault::{Fault, Place, quoted},
        nearest::listed,
        tree::Node,
    },
    detect::{Technique, is_common},
};

/// Words that stand in many audit events of some clusters, besides those that stand in all.
const FREQUENT: [&str; 4] = ["admin", "default", "kube-public", "token"];

/// Whether the scan would stop at `name`, which may be a glob, in many records that have nothing to do with a decoy: what is searched
/// for is the name alone, wherever it stands. A glob that could be any name is not searched for.
fn is_frequent(name: &str) -> bool {
    let is_short = name.len() < 4 && name.bytes().any(|byte| byte != b'*');
    is_short || FREQUENT.contains(&name) || is_common(name)
}

/// The verbs of requests for resources, and for other paths those of HTTP (Kubernetes 1.34,
/// `apiserver/pkg/endpoints/request/requestinfo.go`).
const VERBS: [&str; 14] = [
    "connect",
    "create",
    "delete",
    "deletecollection",
    "get",
    "head",
    "list",
    "options",
    "patch",
    "post",
    "proxy",
    "put",
    "update",
    "watch",
];

/// Resources that a touch of a decoy may be about, whose singular is easily written.
const RESOURCES: [&str; 11] = [
    "clusterrolebindings",
    "configmaps",
    "daemonsets",
    "deployments",
    "events",
    "namespaces",
    "pods",
    "rolebindings",
    "secrets",
    "serviceaccounts",
    "tokenreviews",
];

/// Says what is legal but unwise.
pub(super) fn warn(
    decoy: &Written,
    subject: &str,
    place: &Place,
    node: &Node,
    warnings: &mut Vec<Fault>,
) {
    let (namespace, name) = &decoy.service_account;
    let names = [
        ("service_account", "namespace", Some(namespace)),
        ("service_account", "name", Some(name)),
        ("secret", "secret", decoy.secret.as_ref()),
        ("pod", "pod", decoy.pod.as_ref()),
    ];
    for (key, what, name) in names {
        let Some(name) = name.filter(|name| is_frequent(name)) else {
            continue;
        };
        let message = format!(
            "{subject} has the {what} {}, a word that many records contain, so that each of them must be \
             decoded, ten times the work of passing it; a longer, rarer one costs less",
            quoted(name)
        );
        let place = option(node, key).map_or(place, |node| &node.place);
        warnings.push(Fault::at(place, message));
    }
    if decoy.whole_namespace && matches!(namespace.as_str(), "kube-system" | "default") {
        let message = format!(
            "{subject} counts any touch of the namespace {namespace}, where much else lives; \
             give it a namespace of its own, or write whole_namespace: false"
        );
        let place = option(node, "whole_namespace").map_or(place, |node| &node.place);
        warnings.push(Fault::at(place, message));
    }
    for rule in &decoy.expected {
        let place = option(node, "expected").map_or(place, |node| &node.place);
        let messages = strange_words(rule).chain(too_wide(rule, namespace, name));
        let faults =
            messages.map(|message| Fault::at(place, format!("{subject} expects {message}")));
        warnings.extend(faults);
    }
}

/// What a rule names that no request has.
fn strange_words(rule: &Expected) -> impl Iterator<Item = String> {
    let verbs = rule.verbs.iter();
    let verbs = verbs.filter(|verb| !VERBS.contains(&verb.as_str()));
    let verbs = verbs.map(|verb| {
        format!(
            "the verb {}, which no request has; known: {}",
            quoted(verb),
            listed(VERBS)
        )
    });
    let resources = rule.resources.iter().filter_map(|resource| {
        let (name, rest) = resource.split_at(resource.find('/').unwrap_or(resource.len()));
        let mut plurals = RESOURCES.iter();
        let plural = plurals.find(|plural| plural.strip_suffix('s') == Some(name))?;
        Some(format!(
            "the resource {}, which no request has; write {}",
            quoted(resource),
            quoted(&format!("{plural}{rest}"))
        ))
    });
    verbs.chain(resources)
}

/// That a rule expects so much that a theft is not alerted, if it does.
fn too_wide(rule: &Expected, namespace: &str, name: &str) -> Option<String> {
    if !rule.verbs.is_empty() || !rule.resources.is_empty() {
        return None;
    }
    let any_user = rule.user.bytes().all(|b| b == b'*');
    let user = format!("system:serviceaccount:{namespace}:{name}");
    let is_its_own = Pattern::new(&rule.user).is_ok_and(|pattern| pattern.matches(&user));
    let expects = |technique| rule.techniques.contains(&technique);
    if is_its_own && expects(Technique::TokenUse) {
        return Some(
            "its own token to be used, so that no theft of it is alerted; leave token_use out, or name the verbs and \
             resources of what uses it"
                .to_owned(),
        );
    }
    if any_user && expects(Technique::Impersonation) {
        return Some(
            "every user to impersonate it, so that nobody who does is alerted; name the users who may".to_owned(),
        );
    }
    (any_user && rule.techniques.is_empty()).then(|| {
        "every user to do anything with its objects, so that none of that is alerted; name users, verbs, resources \
         or techniques"
            .to_owned()
    })
}
