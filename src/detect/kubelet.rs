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
        assert_eq!(pod_of("/api/v1/nodes/n/proxy/pods"), None);
        assert_eq!(pod_of("/api/v1/nodes/n/proxy"), None);
    }
}
