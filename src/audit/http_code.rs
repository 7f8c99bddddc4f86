//! What became of a request, in the terms of HTTP.

/// gRPC's codes by their numbers (google.rpc.Code).
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// As [`from_grpc`], of a code that is called by its name.
pub fn from_grpc_name(name: &str) -> Option<u16> {
    let mut codes = GRPC.iter().zip(0..);
    codes.find_map(|(known, code)| (*known == name).then(|| from_grpc(code)))
}

/// The status that the API server answers for `reason`, a `metav1.StatusReason`
/// (k8s.io/apimachinery/pkg/apis/meta/v1); `None` for those that stand for more than one.
pub fn from_reason(reason: &str) -> Option<u16> {
    Some(match reason {
        "BadRequest" => 400,
        "Unauthorized" => 401,
        "Forbidden" => 403,
        "NotFound" => 404,
        "MethodNotAllowed" => 405,
        "NotAcceptable" => 406,
        "AlreadyExists" | "Conflict" => 409,
        "Gone" | "Expired" => 410,
        "RequestEntityTooLarge" => 413,
        "UnsupportedMediaType" => 415,
        "Invalid" => 422,
        "TooManyRequests" => 429,
        "InternalError" => 500,
        "ServiceUnavailable" => 503,
        "Timeout" => 504,
        _ => return None,
    })
}

/// The status that a gRPC code stands for (google.rpc.Code names it for each): 200 for OK, 500 for what is unknown.
pub fn from_grpc(code: u64) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        // Some entries have the API server's own code there.
        100..=599 => u16::try_from(code).unwrap_or(500),
        _ => 500,
    }
}
