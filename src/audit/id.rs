//! Identifiers: 128 bits of SHA-256 over length-prefixed parts, shown as 32 hex digits.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

use super::Text;

/// Hashes `parts` so that no two different lists of parts give the same input:
/// each part is preceded by its length.
fn digest(parts: &[&[u8]]) -> u128 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut first_half = [0; 16];
    first_half.copy_from_slice(&hasher.finalize()[..16]);
    u128::from_be_bytes(first_half)
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The identifier of `parts`, in this order.
            pub fn of(parts: &[&[u8]]) -> Self {
                Self(digest(parts))
            }

            /// The sixteen bytes of the identifier, to be hashed into another.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The identifier that is shown as `digits`: 32 hex digits.
            pub fn from_hex(digits: &str) -> Option<Self> {
                let is_shown = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_shown.then(|| u128::from_str_radix(digits, 16).ok().map(Self)).flatten()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let Text(digits) = Deserialize::deserialize(deserializer)?;
                Self::from_hex(&digits).ok_or_else(|| D::Error::custom("an id is 32 hex digits"))
            }
        }
    )*};
}

identifiers! {
    /// One request to one API server: a hash of cluster, auditID,
    /// requestReceivedTimestamp, user, verb, URI and peer, since the client may
    /// choose the auditID.
    RequestId,
    /// One audit event that touches one decoy: request, stage and decoy.
    DetectionId,
    /// What hits are grouped by: cluster, decoy, token and source address.
    IncidentKey,
    /// One incident: its key and the time of its first hit.
    IncidentId,
    /// One alert: its incident, its sequence number and its content.
    AlertId,
}
