//! Names of Kubernetes objects: DNS-1123 labels and subdomains.

use super::{
    fault::quoted,
    kind::{Kind, Text},
    options::Scope,
    tree::Node,
};

/// Longest name of a namespace.
const LABEL_CHARACTERS: usize = 63;

/// Longest name of a ServiceAccount, a Secret or a pod.
const SUBDOMAIN_CHARACTERS: usize = 253;

const LABEL: &str = "a namespace: at most 63 of a-z, 0-9 and \"-\", the first and last no \"-\"";

const SUBDOMAIN: &str =
    "a name: at most 253 of a-z, 0-9, \"-\" and \".\", each part's first and last no \"-\"";

/// Whether `name` is a DNS-1123 label.
fn is_label(name: &str) -> bool {
    name.len() <= LABEL_CHARACTERS && is_part(name)
}

/// Whether `name` is a DNS-1123 subdomain.
fn is_subdomain(name: &str) -> bool {
    name.len() <= SUBDOMAIN_CHARACTERS && name.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}

/// `; did you mean …?` if the usual slips explain why `name` is not sound.
fn repaired(name: &str, is_sound: fn(&str) -> bool) -> String {
    let repaired = name.trim().to_lowercase().replace(['_', ' '], "-");
    match is_sound(&repaired) {
        true => format!("; did you mean {}?", quoted(&repaired)),
        false => String::new(),
    }
}

/// The ServiceAccount that is the decoy: `namespace/name`.
pub(super) struct ServiceAccount;

impl Kind for ServiceAccount {
    /// Namespace and name.
    type Value = (String, String);

    fn wanted() -> String {
        "namespace/name".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<(String, String)> {
        let text = Text::read(node, scope)?;
        let literal = node.as_text().is_some_and(|text| text.is_literal());
        let found = node.found();
        let Some((namespace, name)) = text.split_once('/') else {
            let user = text.strip_prefix("system:serviceaccount:");
            let meant = user
                .and_then(|user| user.split_once(':'))
                .filter(|_| literal);
            let meant = meant.map_or_else(String::new, |(namespace, name)| {
                format!("; did you mean {}?", quoted(&format!("{namespace}/{name}")))
            });
            let wanted = Self::wanted();
            return scope.refuse(node, format!("must be {wanted}, found {found}{meant}"));
        };
        for (part, is_sound, wanted) in [
            (namespace, is_label as fn(&str) -> bool, LABEL),
            (name, is_subdomain, SUBDOMAIN),
        ] {
            if !is_sound(part) {
                let meant = if literal {
                    repaired(part, is_sound)
                } else {
                    String::new()
                };
                let side = if wanted == LABEL { "before" } else { "after" };
                return scope.refuse(
                    node,
                    format!("must have, {side} the \"/\", {wanted}; found {found}{meant}"),
                );
            }
        }
        Some((namespace.to_owned(), name.to_owned()))
    }

    fn show(value: &(String, String)) -> String {
        format!("{}/{}", value.0, value.1)
    }
}

/// The name of an object.
pub(super) struct ObjectName;

impl Kind for ObjectName {
    type Value = Option<String>;

    fn wanted() -> String {
        SUBDOMAIN.to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Option<String>> {
        read_name(node, scope, is_subdomain, SUBDOMAIN)
    }

    fn show(value: &Option<String>) -> String {
        value.clone().unwrap_or_else(|| "none".to_owned())
    }
}

/// The name of a pod, or a pattern for the names of a Deployment's.
pub(super) struct PodName;

const POD: &str = "a pod's name, or a pattern for it: a-z, 0-9, \"-\" and \".\", \
                   with the wildcards *, ? and […]";

impl Kind for PodName {
    type Value = Option<String>;

    fn wanted() -> String {
        POD.to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Option<String>> {
        read_name(node, scope, is_pod_pattern, POD)
    }

    fn show(value: &Option<String>) -> String {
        ObjectName::show(value)
    }
}

/// Whether `name` is a pod's name, or a pattern whose other characters a pod's name may have.
fn is_pod_pattern(name: &str) -> bool {
    if !name.contains(['*', '?', '[']) {
        return is_subdomain(name);
    }
    let mut in_brackets = false;
    let is_legal = |c: char| {
        let wildcard = match c {
            '[' => !std::mem::replace(&mut in_brackets, true),
            ']' => std::mem::replace(&mut in_brackets, false),
            '!' => in_brackets,
            _ => c == '*' || c == '?',
        };
        wildcard || c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.'
    };
    name.len() <= SUBDOMAIN_CHARACTERS
        && name.chars().all(is_legal)
        && glob::Pattern::new(name).is_ok()
}

fn read_name(
    node: &Node,
    scope: &mut Scope<'_, '_>,
    is_sound: fn(&str) -> bool,
    wanted: &str,
) -> Option<Option<String>> {
    let name = Text::read(node, scope)?;
    if is_sound(&name) {
        return Some(Some(name));
    }
    let literal = node.as_text().is_some_and(|text| text.is_literal());
    // Everything belongs to the decoy's namespace, so a namespace in front is a likely slip.
    let bare = name
        .rsplit_once('/')
        .map_or(name.as_str(), |(_, bare)| bare);
    let meant = if literal {
        repaired(bare, is_sound)
    } else {
        String::new()
    };
    scope.refuse(
        node,
        format!("must be {wanted}; found {}{meant}", node.found()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_subdomains_are_told_apart() {
        assert!(is_label("a") && is_label("0-9") && is_label(&"a".repeat(63)));
        assert!(!is_label(&"a".repeat(64)) && !is_label("a.b") && !is_label(""));
        assert!(!is_label("-a") && !is_label("a-") && !is_label("A") && !is_label("a_b"));
        assert!(is_subdomain("a.b-c.d") && is_subdomain(&"a".repeat(253)));
        assert!(!is_subdomain(&"a".repeat(254)) && !is_subdomain("a..b") && !is_subdomain("a.-b"));
    }

    #[test]
    fn pods_may_be_patterns() {
        assert!(is_pod_pattern("file-backup") && is_pod_pattern("file-backup-*"));
        assert!(is_pod_pattern("backup-[!a-f]?"));
        assert!(
            !is_pod_pattern("Backup-*") && !is_pod_pattern("backup-[") && !is_pod_pattern("a/b*")
        );
        assert!(!is_pod_pattern("backup!-*") && !is_pod_pattern("backup]*"));
        assert!(!is_pod_pattern("backup!") && !is_pod_pattern("backup-**"));
        assert!(!is_pod_pattern("backup-") && is_pod_pattern("backup-*"));
    }
}
