//! The options of the `detect` transform.

use ipnet::IpNet;

/// Finds touches of the decoys in the records of its inputs.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Networks of proxies and load balancers whose `X-Forwarded-For` is to be believed. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Let touches by expected actors into the evidence stream. Default false.
    pub emit_expected: bool,
}
