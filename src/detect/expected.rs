//! Legitimate touches: the control plane's own, and those that the user names.

use super::{Technique, decoy::Decoy, decoy::ExpectedRule};
use crate::audit::Event;

/// Members of the control plane that have a user name of their own.
const CONTROL_PLANE: [&str; 3] = [
    "system:apiserver",
    "system:kube-controller-manager",
    "system:kube-scheduler",
];

/// ServiceAccounts in `kube-system` under which kube-controller-manager runs its
/// controllers (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy` in Kubernetes).
const CONTROLLERS: [&str; 42] = [
    "attachdetach-controller",
    "bootstrap-signer",
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "device-taint-eviction-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "legacy-service-account-token-cleaner",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "podcertificaterequestcleaner-controller",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "resource-claim-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "route-controller",
    "selinux-warning-controller",
    "service-account-controller",
    "service-cidrs-controller",
    "service-controller",
    "statefulset-controller",
    "storage-version-migrator-controller",
    "taint-eviction-controller",
    "token-cleaner",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
];

/// Whether the touch of `decoy` by `technique` is one that is to be expected.
pub(super) fn is_expected(event: &Event<'_>, technique: Technique, decoy: &Decoy) -> bool {
    let Some(user) = event.user.username else {
        return false;
    };
    technique != Technique::TokenReview
        && (is_built_in(event, user, technique)
            || decoy
                .expected
                .iter()
                .any(|rule| rule_holds(rule, event, user, technique)))
}

/// A request that was refused, or that impersonates, is never one of the control plane's.
fn is_built_in(event: &Event<'_>, user: &str, technique: Technique) -> bool {
    let is_on_object = !matches!(
        technique,
        Technique::TokenUse
            | Technique::Impersonation
            | Technique::ImpersonationDenied
            | Technique::PrivilegeGrant
            | Technique::PodExec
    );
    if !is_on_object || event.is_forbidden() || event.impersonates() {
        return false;
    }
    if user.starts_with("system:node:") {
        return is_kubelet_duty(event, technique);
    }
    let controller = user.strip_prefix("system:serviceaccount:kube-system:");
    CONTROL_PLANE.contains(&user)
        || controller.is_some_and(|controller| CONTROLLERS.contains(&controller))
}

/// What a kubelet does for the pods on its node. A stolen node credential must not do more, nor be used by another program.
fn is_kubelet_duty(event: &Event<'_>, technique: Technique) -> bool {
    let object = &event.object;
    if !event.user_agent.is_none_or(is_of_kubelet) {
        return false;
    }
    match technique {
        Technique::Recon | Technique::SecretRead | Technique::TokenRequest => true,
        Technique::Tamper | Technique::NamespaceTouch => match object.resource {
            Some("pods") => matches!(object.subresource, None | Some("status")),
            Some("events") => true,
            // Every pod's projected volume holds the cluster's public CA bundle.
            Some("configmaps") => {
                matches!(event.verb, Some("get" | "list" | "watch"))
                    && object.name == Some("kube-root-ca.crt")
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether a program that is or has a kubelet calls itself so: client-go begins with the name of the executable (`rest.DefaultKubernetesUserAgent`
/// in k8s.io/client-go), which is `kubelet.exe` on Windows, `k3s`, MicroK8s' `kubelite`, and KubeEdge's `edgecore`.
fn is_of_kubelet(user_agent: &str) -> bool {
    let name = user_agent.split('/').next().unwrap_or_default();
    name.contains("kubelet") || matches!(name, "k3s" | "kubelite" | "edgecore" | "hyperkube")
}

/// A rule of the user's speaks of token use and impersonation only where it names them.
fn rule_holds(
    ExpectedRule {
        user: pattern,
        rule,
    }: &ExpectedRule,
    event: &Event<'_>,
    user: &str,
    technique: Technique,
) -> bool {
    let is_impersonation = matches!(
        technique,
        Technique::Impersonation | Technique::ImpersonationDenied
    );
    let names_technique = rule.techniques.contains(&technique);
    let is_meant = if rule.techniques.is_empty() {
        technique != Technique::TokenUse && !is_impersonation
    } else {
        names_technique
    };
    is_meant
        && (is_impersonation || !event.impersonates())
        && pattern.matches(user)
        && any_or_one(&rule.verbs, |verb| Some(verb) == event.verb)
        && any_or_one(&rule.resources, |resource| is_resource(event, resource))
}

fn any_or_one(list: &[String], is_it: impl Fn(&str) -> bool) -> bool {
    list.is_empty() || list.iter().any(|item| item == "*" || is_it(item))
}

/// Whether the event is about `resource`, or about `resource/subresource`.
fn is_resource(event: &Event<'_>, resource: &str) -> bool {
    let (wanted, subresource) = match resource.split_once('/') {
        Some((wanted, subresource)) => (wanted, Some(subresource)),
        None => (resource, None),
    };
    event.object.resource == Some(wanted)
        && (subresource == Some("*") || event.object.subresource == subresource)
}
