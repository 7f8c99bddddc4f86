//! What is asked of a kubelet through the API server: `nodes/NODE/proxy/…`.
//!
//! The pod stands only in the path, which is logged as the client wrote it and is
//! decoded and cleaned behind the log.

use crate::audit::{Event, uri};

/// A request to a kubelet that is about one pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KubeletPath {
    /// Runs something in the pod, or takes its memory.
    Command { namespace: String, pod: String },
    /// Reads its log.
    Logs { namespace: String, pod: String },
}

impl KubeletPath {
    pub fn namespace(&self) -> &str {
        match self {
            Self::Command { namespace, .. } | Self::Logs { namespace, .. } => namespace,
        }
    }
}

/// The kubelet's paths are those of `pkg/kubelet/server` in Kubernetes.
pub(super) fn kubelet_path(event: &Event<'_>) -> Option<KubeletPath> {
    if event.object.resource != Some("nodes") || event.object.subresource != Some("proxy") {
        return None;
    }
    let path = uri::path(event.request_uri.or(event.object_path)?);
    let mut segments = path.split('/').skip_while(|segment| *segment != "nodes");
    let behind_proxy: Vec<&str> = match (segments.next(), segments.next(), segments.next()) {
        (Some("nodes"), Some(_), Some("proxy")) => segments.collect(),
        _ => return None,
    };
    let below = behind_proxy.join("/");
    let segments = uri::resolved_segments(&below);
    if let ["logs", folder, name, ..] = segments[..] {
        let (namespace, pod) = pod_of_log(folder, name)?;
        return Some(KubeletPath::Logs { namespace, pod });
    }
    let [endpoint, namespace, pod, ..] = segments[..] else {
        return None;
    };
    let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
    match endpoint {
        "exec" | "run" | "attach" | "portForward" | "checkpoint" => {
            Some(KubeletPath::Command { namespace, pod })
        }
        "containerLogs" => Some(KubeletPath::Logs { namespace, pod }),
        _ => None,
    }
}

/// Whose log lies in `/var/log`, of which the kubelet serves the files: `pods/NAMESPACE_POD_UID/…` or
/// `containers/POD_NAMESPACE_CONTAINER-ID.log`. No name has an underscore.
fn pod_of_log(folder: &str, name: &str) -> Option<(String, String)> {
    let mut parts = name.split('_').map(str::to_owned);
    let (first, second) = (parts.next()?, parts.next()?);
    match folder {
        "pods" => Some((first, second)),
        "containers" => Some((second, first)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ObjectRef;

    fn pod_of(uri: &str) -> Option<KubeletPath> {
        kubelet_path(&Event {
            request_uri: Some(uri),
            object: ObjectRef {
                resource: Some("nodes"),
                subresource: Some("proxy"),
                name: Some("n"),
                ..ObjectRef::default()
            },
            ..Event::default()
        })
    }

    #[test]
    fn the_path_is_read_as_the_kubelet_reads_it() {
        let (namespace, pod) = ("honeypot".to_owned(), "file-backup".to_owned());
        let command = Some(KubeletPath::Command { namespace, pod });
        for path in [
            "exec/honeypot/file-backup/c?command=id",
            "run/honeypot/file-backup/uid/c",
            "portForward/honeypot/file-backup",
            "exec/%68oneypot/x/../%66ile-backup/c",
            "x/..//./exec/honeypot/file-backup/c",
            "exec%2Fhoneypot%2ffile-backup/c",
        ] {
            let uri = format!("/api/v1/nodes/n/proxy/{path}");
            assert_eq!(pod_of(&uri), command, "{uri}");
        }
        assert_eq!(
            pod_of("/api/v1/nodes/proxy/proxy/exec/honeypot/file-backup/c"),
            command
        );
        assert_eq!(
            pod_of("/api/v1/nodes/n/pr%6fxy/exec/honeypot/file-backup/c"),
            command
        );
        assert!(matches!(
            pod_of("/api/v1/nodes/n/proxy/containerLogs/honeypot/file-backup/c"),
            Some(KubeletPath::Logs { .. })
        ));
        let (namespace, pod) = ("honeypot".to_owned(), "file-backup".to_owned());
        let logs = Some(KubeletPath::Logs { namespace, pod });
        for path in [
            "pods/honeypot_file-backup_d9c73c20-9b5c-4766-a334-ed60026618c5/c/0.log",
            "pods/honeypot_file-backup_d9c73c20-9b5c-4766-a334-ed60026618c5/",
            "containers/file-backup_honeypot_c-0123456789abcdef.log",
        ] {
            let uri = format!("/api/v1/nodes/n/proxy/logs/{path}");
            assert_eq!(pod_of(&uri), logs, "{uri}");
        }
        for path in ["", "pods/", "pods/honeypot", "syslog", "journal/a_b"] {
            let uri = format!("/api/v1/nodes/n/proxy/logs/{path}");
            assert_eq!(pod_of(&uri), None, "{uri}");
        }
        assert_eq!(pod_of("/api/v1/nodes/n/proxy/pods"), None);
        assert_eq!(pod_of("/api/v1/nodes/n/proxy"), None);
    }
}
