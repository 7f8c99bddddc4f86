//! Who really sent a request.
//!
//! `sourceIPs` holds the entries of `X-Forwarded-For`, then `X-Real-Ip`, then the TCP
//! peer. All but the last are the client's to invent, unless the last is a proxy that
//! is known to write them truthfully.

use std::net::IpAddr;

use ipnet::IpNet;

/// The last address that no untrusted party could forge, and the rest, which the
/// client merely claims. An empty one is not known, and where it is the last the one before it is none.
pub fn split_claimed<'v>(
    source_ips: &[&'v str],
    trusted_proxies: &[IpNet],
) -> (Option<&'v str>, Vec<&'v str>) {
    let is_proxy = |address: &str| {
        let is_trusted = |address: IpAddr| {
            let address = address.to_canonical();
            trusted_proxies
                .iter()
                .any(|network| network.contains(&address))
        };
        !trusted_proxies.is_empty() && address.parse().is_ok_and(is_trusted)
    };
    let Some(last) = source_ips.len().checked_sub(1) else {
        return (None, Vec::new());
    };
    let real = (0..=last)
        .rev()
        .find(|&index| !is_proxy(source_ips[index]))
        .unwrap_or(last);
    let claimed = source_ips
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != real)
        .map(|(_, address)| *address)
        .filter(|address| !address.is_empty())
        .collect();
    let real = Some(source_ips[real]).filter(|address| !address.is_empty());
    (real, claimed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(cidrs: &[&str]) -> Vec<IpNet> {
        cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect()
    }

    #[test]
    fn only_the_last_address_is_believed() {
        let forged = ["8.8.8.8", "1.1.1.1", "9.9.9.9", "10.0.3.7"];
        assert_eq!(
            split_claimed(&forged, &[]),
            (Some("10.0.3.7"), vec!["8.8.8.8", "1.1.1.1", "9.9.9.9"])
        );
        assert_eq!(split_claimed(&[], &[]), (None, vec![]));
    }

    #[test]
    fn an_empty_address_makes_no_other_the_last() {
        let proxies = networks(&["0.0.0.0/0"]);
        for proxies in [&[], &proxies[..]] {
            let told = split_claimed(&["8.8.8.8", "", ""], proxies);
            assert_eq!(told, (None, vec!["8.8.8.8"]));
            assert_eq!(split_claimed(&[""], proxies), (None, vec![]));
        }
    }

    #[test]
    fn trusted_proxies_are_walked_over_from_the_right() {
        let chain = ["6.6.6.6", "20.43.245.209", "172.31.0.9", "172.31.52.37"];
        let proxies = networks(&["172.31.0.0/16"]);
        assert_eq!(
            split_claimed(&chain, &proxies),
            (
                Some("20.43.245.209"),
                vec!["6.6.6.6", "172.31.0.9", "172.31.52.37"]
            )
        );
        let mapped = ["20.43.245.209", "::ffff:172.31.52.37"];
        assert_eq!(split_claimed(&mapped, &proxies).0, Some("20.43.245.209"));
    }

    #[test]
    fn where_all_are_proxies_the_last_counts() {
        let chain = ["172.31.0.1", "172.31.0.2"];
        let proxies = networks(&["172.31.0.0/16"]);
        assert_eq!(split_claimed(&chain, &proxies).0, Some("172.31.0.2"));
    }

    #[test]
    fn what_is_no_address_is_no_proxy() {
        let chain = ["172.31.0.1", "garbage"];
        let proxies = networks(&["0.0.0.0/0"]);
        assert_eq!(split_claimed(&chain, &proxies).0, Some("garbage"));
    }
}
