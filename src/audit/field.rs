//! The fields of an event that are known, by the names that they have.

/// Declares the fields: how the API server calls each, and how Azure's table `AKSAudit` does
/// (learn.microsoft.com/azure/azure-monitor/reference/tables/aksaudit) where it has one.
macro_rules! fields {
    (
        scalars: { $($scalar:ident = $scalar_key:literal $(| $scalar_column:literal)?,)* }
        parts: { $($part:ident = $part_key:literal | $part_column:literal,)* }
        unread: { $($unread:ident = $unread_key:literal $(| $unread_column:literal)?,)* }
    ) => {
        /// A field of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field {
            $($scalar,)*
            $($part,)*
            $($unread,)*
        }

        impl Field {
            /// Those that are looked at, as the API server calls them.
            pub const READ: &'static [&'static str] = &[$($scalar_key,)* $($part_key,)*];

            /// Those that are not.
            pub const UNREAD: &'static [&'static str] = &[$($unread_key,)*];

            /// Those that are no scalars, as the API server and as Azure calls them.
            pub const PARTS: &'static [&'static str] = &[$($part_key,)* $($part_column,)*];

            /// All that Azure has, as it calls them.
            pub const COLUMNS: &'static [&'static str] =
                &[$($($scalar_column,)?)* $($part_column,)* $($($unread_column,)?)*];

            /// The field that the API server calls `key`.
            pub fn of(key: &str) -> Option<Self> {
                Some(match key {
                    $($scalar_key => Self::$scalar,)*
                    $($part_key => Self::$part,)*
                    $($unread_key => Self::$unread,)*
                    _ => return None,
                })
            }

            /// The same, or the field that Azure calls `key`.
            pub fn of_any(key: &str) -> Option<Self> {
                Self::of(key).or_else(|| {
                    Some(match key {
                        $($($scalar_column => Self::$scalar,)?)*
                        $($part_column => Self::$part,)*
                        $($($unread_column => Self::$unread,)?)*
                        _ => return None,
                    })
                })
            }
        }
    };
}

fields! {
    scalars: {
        Kind = "kind",
        ApiVersion = "apiVersion",
        AuditId = "auditID" | "AuditId",
        Stage = "stage" | "Stage",
        RequestUri = "requestURI" | "RequestUri",
        Verb = "verb" | "Verb",
        UserAgent = "userAgent" | "UserAgent",
        RequestReceived = "requestReceivedTimestamp" | "RequestReceivedTime",
        StageReached = "stageTimestamp" | "StageReceivedTime",
    }
    parts: {
        User = "user" | "User",
        ImpersonatedUser = "impersonatedUser" | "ImpersonatedUser",
        SourceIps = "sourceIPs" | "SourceIps",
        ObjectRef = "objectRef" | "ObjectRef",
        ResponseStatus = "responseStatus" | "ResponseStatus",
        RequestObject = "requestObject" | "RequestObject",
        ResponseObject = "responseObject" | "ResponseObject",
        Annotations = "annotations" | "Annotations",
    }
    unread: {
        Level = "level" | "Level",
        AuthenticationMetadata = "authenticationMetadata",
    }
}
