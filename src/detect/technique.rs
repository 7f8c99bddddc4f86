//! The words of a detection: how a decoy was touched, how grave that is, what becomes of it.

use crate::audit::words;

/// How a decoy was touched. Declared in the order of precedence: of all that hold
/// for an event or a request, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Technique {
    /// The decoy's own token was used.
    TokenUse,
    /// Somebody acted as the decoy by impersonation.
    Impersonation,
    /// The decoy's token was shown to the kubelet or another service.
    TokenReview,
    /// A token of the decoy was minted.
    TokenRequest,
    /// The decoy was bound to a role.
    PrivilegeGrant,
    /// Somebody was refused to impersonate the decoy.
    ImpersonationDenied,
    /// Exec, attach, port-forward, proxy or debug in the decoy's pod.
    PodExec,
    /// Another pod runs as the decoy or mounts its Secret.
    PodAsDecoy,
    /// The decoy's objects were written or deleted.
    Tamper,
    /// The decoy's Secret was read.
    SecretRead,
    /// A record names the decoy and cannot be decoded.
    Undecodable,
    /// The decoy's ServiceAccount, pod or log was looked at.
    Recon,
    /// Anything else in the decoy's namespace.
    NamespaceTouch,
    /// Somebody was refused to impersonate a ServiceAccount that was not written down.
    ImpersonationUnnamed,
}

words!(Technique {
    TokenUse = "token_use",
    Impersonation = "impersonation",
    TokenReview = "token_review",
    TokenRequest = "token_request",
    PrivilegeGrant = "privilege_grant",
    ImpersonationDenied = "impersonation_denied",
    PodExec = "pod_exec",
    PodAsDecoy = "pod_as_decoy",
    Tamper = "tamper",
    SecretRead = "secret_read",
    Undecodable = "undecodable",
    Recon = "recon",
    NamespaceTouch = "namespace_touch",
    ImpersonationUnnamed = "impersonation_unnamed",
});

impl Technique {
    /// How grave a touch of this kind is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::TokenUse
            | Self::Impersonation
            | Self::TokenReview
            | Self::TokenRequest
            | Self::PrivilegeGrant => Severity::Critical,
            Self::ImpersonationDenied
            | Self::PodExec
            | Self::PodAsDecoy
            | Self::Tamper
            | Self::SecretRead
            | Self::Undecodable => Severity::High,
            Self::Recon => Severity::Medium,
            Self::NamespaceTouch | Self::ImpersonationUnnamed => Severity::Low,
        }
    }

    /// The MITRE ATT&CK techniques it is evidence of.
    pub const fn attack(self) -> &'static [&'static str] {
        match self {
            Self::TokenUse => &["T1528", "T1550.001"],
            Self::Impersonation
            | Self::TokenReview
            | Self::ImpersonationDenied
            | Self::ImpersonationUnnamed => &["T1550.001"],
            Self::TokenRequest => &["T1528"],
            Self::PrivilegeGrant => &["T1098.006"],
            Self::PodExec => &["T1609"],
            Self::PodAsDecoy => &["T1610"],
            Self::Tamper => &["T1562.001", "T1485"],
            Self::SecretRead => &["T1552.007"],
            Self::Undecodable => &[],
            Self::Recon | Self::NamespaceTouch => &["T1613"],
        }
    }
}

/// How grave a detection or an incident is, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

words!(Severity { Low = "low", Medium = "medium", High = "high", Critical = "critical" });

/// What becomes of a detection. Ordered by strength: a request takes the strongest
/// class that any of its events had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// An expected actor touched an object: counted, never alerted.
    Expected,
    /// Evidence whose decoy is unknown: kept in the trail, never an alert of its own.
    Record,
    /// A hit.
    Detect,
}

words!(Class { Expected = "expected", Record = "record", Detect = "detect" });

/// The program that a user agent claims to be. Attackers choose their user agent:
/// this is a hint for the reader, never a ground for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    Kubectl,
    Curl,
    Python,
    GoClient,
    Peirates,
    Kubeletctl,
    Stratus,
    Browser,
    Unknown,
}

words!(Tool {
    Kubectl = "kubectl",
    Curl = "curl",
    Python = "python",
    GoClient = "go-client",
    Peirates = "peirates",
    Kubeletctl = "kubeletctl",
    Stratus = "stratus",
    Browser = "browser",
    Unknown = "unknown",
});
