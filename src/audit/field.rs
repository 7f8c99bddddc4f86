//! The fields of an event that are known, by the names that they have.

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Kind,
    ApiVersion,
    Level,
    AuditId,
    Stage,
    RequestUri,
    Verb,
    User,
    ImpersonatedUser,
    AuthenticationMetadata,
    SourceIps,
    UserAgent,
    ObjectRef,
    ResponseStatus,
    RequestObject,
    ResponseObject,
    RequestReceived,
    StageReached,
    Annotations,
}

impl Field {
    /// The field that the API server calls `key`.
    pub fn of(key: &str) -> Option<Self> {
        Some(match key {
            "kind" => Self::Kind,
            "apiVersion" => Self::ApiVersion,
            "level" => Self::Level,
            "auditID" => Self::AuditId,
            "stage" => Self::Stage,
            "requestURI" => Self::RequestUri,
            "verb" => Self::Verb,
            "user" => Self::User,
            "impersonatedUser" => Self::ImpersonatedUser,
            "authenticationMetadata" => Self::AuthenticationMetadata,
            "sourceIPs" => Self::SourceIps,
            "userAgent" => Self::UserAgent,
            "objectRef" => Self::ObjectRef,
            "responseStatus" => Self::ResponseStatus,
            "requestObject" => Self::RequestObject,
            "responseObject" => Self::ResponseObject,
            "requestReceivedTimestamp" => Self::RequestReceived,
            "stageTimestamp" => Self::StageReached,
            "annotations" => Self::Annotations,
            _ => return None,
        })
    }

    /// The same, or the field that Azure's table `AKSAudit` calls `key`.
    pub fn of_any(key: &str) -> Option<Self> {
        Self::of(key).or_else(|| {
            Some(match key {
                "AuditId" => Self::AuditId,
                "Stage" => Self::Stage,
                "RequestUri" => Self::RequestUri,
                "Verb" => Self::Verb,
                "User" => Self::User,
                "ImpersonatedUser" => Self::ImpersonatedUser,
                "SourceIps" => Self::SourceIps,
                "UserAgent" => Self::UserAgent,
                "ObjectRef" => Self::ObjectRef,
                "ResponseStatus" => Self::ResponseStatus,
                "RequestObject" => Self::RequestObject,
                "ResponseObject" => Self::ResponseObject,
                "RequestReceivedTime" => Self::RequestReceived,
                "StageReceivedTime" => Self::StageReached,
                "Annotations" => Self::Annotations,
                _ => return None,
            })
        })
    }
}
