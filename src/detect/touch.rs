//! Which technique an event is, if it touches a decoy at all.

use std::{cell::OnceCell, ops::Deref};

use super::{
    Technique,
    body::{grants_role, new_name, reviews_token, runs_as},
    decoy::Decoy,
    kubelet::{KubeletPath, kubelet_path},
};
use crate::audit::{Event, uri};

/// An event that is compared with decoys. What of it has to be worked out is so once, however many there are.
pub(super) struct Compared<'e> {
    event: &'e Event<'e>,
    kubelet_path: OnceCell<Option<KubeletPath>>,
    selected_namespaces: OnceCell<Vec<Option<String>>>,
}

/// Whether an event is one technique against one decoy.
type Check = fn(&Compared<'_>, &Decoy) -> bool;

/// The techniques that name a decoy, in the order of precedence: the first that holds counts.
const CHECKS: [(Technique, Check); 12] = [
    (Technique::TokenUse, is_token_use),
    (Technique::Impersonation, is_impersonation),
    (Technique::TokenReview, |event, decoy| {
        reviews_token(event, decoy)
    }),
    (Technique::TokenRequest, is_token_request),
    (Technique::PrivilegeGrant, |event, decoy| {
        grants_role(event, decoy)
    }),
    (Technique::ImpersonationDenied, is_impersonation_denied),
    (Technique::PodExec, is_pod_exec),
    (Technique::PodAsDecoy, |event, decoy| runs_as(event, decoy)),
    (Technique::Tamper, is_tamper),
    (Technique::SecretRead, is_secret_read),
    (Technique::Recon, is_recon),
    (Technique::NamespaceTouch, is_namespace_touch),
];

impl<'e> Compared<'e> {
    pub fn new(event: &'e Event<'e>) -> Self {
        Self {
            event,
            kubelet_path: OnceCell::new(),
            selected_namespaces: OnceCell::new(),
        }
    }

    /// How it touches `decoy`.
    pub fn technique(&self, decoy: &Decoy) -> Option<Technique> {
        CHECKS
            .iter()
            .find(|(_, holds)| holds(self, decoy))
            .map(|(technique, _)| *technique)
    }

    fn kubelet_path(&self) -> Option<&KubeletPath> {
        let path = self.kubelet_path.get_or_init(|| kubelet_path(self.event));
        path.as_ref()
    }

    /// What each field selector says of the namespace. Which of several the server takes depends
    /// on how it reads queries: each may be the one.
    fn selected_namespaces(&self) -> &[Option<String>] {
        self.selected_namespaces.get_or_init(|| {
            self.request_uri.map_or_else(Vec::new, |uri| {
                uri::field_selectors(uri, "metadata.namespace")
            })
        })
    }

    /// Of what it is about, which may be a new object.
    fn name(&self) -> Option<&str> {
        self.object.name.or_else(|| new_name(self))
    }
}

impl<'e> Deref for Compared<'e> {
    type Target = Event<'e>;

    fn deref(&self) -> &Self::Target {
        self.event
    }
}

/// Whether somebody was refused to impersonate a ServiceAccount that the API server did
/// not write down, as from Kubernetes 1.37 on.
pub(super) fn is_impersonation_unnamed(event: &Event<'_>) -> bool {
    event.code == Some(403)
        && event
            .message
            .is_some_and(|message| message.contains("cannot impersonate-on:serviceaccount"))
}

fn is_token_use(event: &Compared<'_>, decoy: &Decoy) -> bool {
    event.user.username == Some(&decoy.user)
}

fn is_impersonation(event: &Compared<'_>, decoy: &Decoy) -> bool {
    event.impersonated == Some(&decoy.user)
}

fn is_token_request(event: &Compared<'_>, decoy: &Decoy) -> bool {
    // Nothing else can be done with it, if a shipper dropped the verb.
    event.verb.is_none_or(|verb| verb == "create")
        && event.object.subresource == Some("token")
        && targets(
            event,
            "serviceaccounts",
            |name| name == decoy.service_account,
            decoy,
        )
}

/// Up to Kubernetes 1.36, and with group or extra impersonation later too, the message
/// of the refusal names the ServiceAccount:
/// `serviceaccounts "NAME" is forbidden: User … cannot impersonate … in the namespace "NS"`.
fn is_impersonation_denied(event: &Compared<'_>, decoy: &Decoy) -> bool {
    if event.refused_as == Some(&decoy.user) {
        return true;
    }
    // No other answer says so, if a shipper dropped the code.
    let may_be_refusal = event.code.is_none_or(|code| code == 403);
    let Some(message) = event.message.filter(|_| may_be_refusal) else {
        return false;
    };
    let names_it = |kind: &str| {
        message
            .strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix(" \""))
            .and_then(|rest| rest.strip_prefix(decoy.service_account.as_str()))
            .is_some_and(|rest| rest.starts_with("\" is forbidden: "))
    };
    message.contains("cannot impersonate")
        && (names_it("serviceaccounts") || names_it("serviceaccounts.authentication.k8s.io"))
        && message
            .rsplit_once("in the namespace \"")
            .and_then(|(_, rest)| rest.split('"').next())
            == Some(&decoy.namespace)
}

fn is_pod_exec(event: &Compared<'_>, decoy: &Decoy) -> bool {
    if let Some(KubeletPath::Command { namespace, pod }) = event.kubelet_path() {
        return *namespace == decoy.namespace && decoy.is_pod(pod);
    }
    // Before there was a subresource of that name, `proxy` was a verb; it is still read as one.
    let verb = event.verb.filter(|verb| *verb == "proxy");
    match event.object.subresource.or(verb) {
        // A look at the containers of a debugger runs nothing.
        Some("ephemeralcontainers") if event.verb.is_some() && is_read(event) => false,
        Some("exec" | "attach" | "portforward" | "ephemeralcontainers") => {
            targets(event, "pods", |name| decoy.is_pod(name), decoy)
        }
        Some("proxy") => targets(
            event,
            "pods",
            |name| decoy.is_pod(proxied_name(name)),
            decoy,
        ),
        _ => false,
    }
}

/// The NAME of `[scheme:]NAME[:port]`; two parts are NAME and port.
fn proxied_name(name: &str) -> &str {
    let mut parts = name.split(':');
    match (parts.next(), parts.next(), parts.next()) {
        (_, Some(middle), Some(_)) => middle,
        (first, ..) => first.unwrap_or(name),
    }
}

fn is_tamper(event: &Compared<'_>, decoy: &Decoy) -> bool {
    if !is_write(event) {
        return false;
    }
    let clears = event.verb == Some("deletecollection")
        && event.object.name.is_none()
        && decoy.holds(&event.object)
        && matches!(
            event.object.resource,
            Some("secrets" | "serviceaccounts" | "pods")
        );
    clears
        || targets(
            event,
            "serviceaccounts",
            |name| name == decoy.service_account,
            decoy,
        )
        || targets(event, "secrets", |name| decoy.is_secret(name), decoy)
        || targets(event, "pods", |name| decoy.is_pod(name), decoy)
        || is_namespace_object(event, decoy)
}

fn is_secret_read(event: &Compared<'_>, decoy: &Decoy) -> bool {
    is_read(event)
        && (targets(event, "secrets", |name| decoy.is_secret(name), decoy)
            || decoy.whole_namespace
                && is_core(event, "secrets")
                && (decoy.holds(&event.object) || selects_namespace(event, decoy)))
}

fn is_recon(event: &Compared<'_>, decoy: &Decoy) -> bool {
    if let Some(KubeletPath::Logs { namespace, pod }) = event.kubelet_path() {
        return *namespace == decoy.namespace && decoy.is_pod(pod);
    }
    is_read(event)
        && (targets(
            event,
            "serviceaccounts",
            |name| name == decoy.service_account,
            decoy,
        ) || targets(event, "pods", |name| decoy.is_pod(name), decoy)
            || decoy.whole_namespace && is_namespace_object(event, decoy))
}

fn is_namespace_touch(event: &Compared<'_>, decoy: &Decoy) -> bool {
    decoy.whole_namespace
        && (decoy.holds(&event.object)
            || is_namespace_object(event, decoy)
            || selects_namespace(event, decoy)
            || event
                .kubelet_path()
                .is_some_and(|path| path.namespace() == decoy.namespace))
}

fn is_write(event: &Compared<'_>) -> bool {
    matches!(
        event.verb,
        Some("create" | "update" | "patch" | "delete" | "deletecollection")
    )
}

/// Every request that does not write reads, or tries to: `OPTIONS` has an empty verb, and
/// shippers drop fields.
fn is_read(event: &Compared<'_>) -> bool {
    !is_write(event)
}

/// Whether the event is about the core group's `resource`: another group may have one
/// of the same name.
fn is_core(event: &Compared<'_>, resource: &str) -> bool {
    event.object.resource == Some(resource) && event.object.api_group.is_none()
}

/// Whether the event is about an object in the decoy's namespace whose name `is_name`
/// knows. With a field selector on the name the API server puts that name into the
/// event, but no namespace if the list goes over all of them.
fn targets(
    event: &Compared<'_>,
    resource: &str,
    is_name: impl Fn(&str) -> bool,
    decoy: &Decoy,
) -> bool {
    is_core(event, resource)
        && event.name().is_some_and(is_name)
        && match event.object.namespace {
            Some(namespace) => namespace == decoy.namespace,
            None => {
                let selected = event.selected_namespaces();
                selected.is_empty()
                    || selected.iter().any(|selected| {
                        selected
                            .as_ref()
                            .is_none_or(|selected| *selected == decoy.namespace)
                    })
            }
        }
}

fn is_namespace_object(event: &Compared<'_>, decoy: &Decoy) -> bool {
    is_core(event, "namespaces") && event.name() == Some(&decoy.namespace)
}

fn selects_namespace(event: &Compared<'_>, decoy: &Decoy) -> bool {
    event.object.namespace.is_none()
        && event
            .selected_namespaces()
            .iter()
            .flatten()
            .any(|selected| *selected == decoy.namespace)
}
