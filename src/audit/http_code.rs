//! What became of a request, in the terms of HTTP.

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
