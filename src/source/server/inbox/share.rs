//! What one address may hold of the room, so that there is always some for others, whoever floods it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::Lender;

/// The shares of those who are connected.
pub struct Shares {
    /// Bytes of each: three quarters of the room. A source has twice the room that one delivery may need.
    most: usize,
    known: Mutex<HashMap<IpAddr, Weak<Lender>>>,
}

impl Shares {
    pub fn of(room: usize) -> Self {
        Self {
            most: room - room / 4,
            known: Mutex::default(),
        }
    }

    /// The share of `owner`.
    pub fn share(&self, owner: IpAddr) -> Arc<Lender> {
        // What it guards is sound after each step.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = known.get(&owner).and_then(Weak::upgrade) {
            return share;
        }
        if known.len() == known.capacity() {
            known.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Lender::new(self.most));
        known.insert(owner, Arc::downgrade(&share));
        share
    }
}

/// Whose address that of `peer` is; `None` if it comes by a Unix socket, and has none. Of IPv6 it is the network, of which anybody may
/// have as many addresses as they like.
pub fn owner(peer: &str) -> Option<IpAddr> {
    let peer: SocketAddr = peer.parse().ok()?;
    Some(match peer.ip().to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_an_address_for_as_long_as_it_is_used() {
        let shares = Shares::of(100);
        let share = |peer: &str| shares.share(owner(peer).unwrap());
        let first = share("10.0.0.1:1");
        for (peer, is_same) in [
            ("10.0.0.1:2", true),
            ("[::ffff:10.0.0.1]:2", true),
            ("10.0.0.2:1", false),
        ] {
            assert_eq!(Arc::ptr_eq(&first, &share(peer)), is_same, "{peer}");
        }
        let network = share("[2001:db8::1]:1");
        assert!(Arc::ptr_eq(&network, &share("[2001:db8::2]:1")));
        assert!(!Arc::ptr_eq(&network, &share("[2001:db8:0:1::1]:1")));
        assert!(owner("unix").is_none());
        drop((first, network));
        for number in 0..10_000 {
            let peer = format!("10.1.{}.{}:1", number / 250, number % 250);
            share(&peer);
        }
        assert!(shares.known.lock().unwrap().len() < 100);
    }
}
