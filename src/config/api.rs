//! The `api` section.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    kind::{Flag, Kind},
    notation::SocketAddress,
    options::{OptionDoc, Options, Scope, Section, options},
    tree::{Node, Value},
};

const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8686);

struct Written {
    enabled: bool,
    address: SocketAddr,
}

options! {
    Written {
        /// Serve `/health` and `/metrics` by HTTP.
        enabled: "enabled" Flag, default false;
        /// Where they are served. They ask for no password: what is not a loopback address is for
        /// a network that is trusted. Port 0 takes any free one, which the log names.
        address: "address" SocketAddress, default DEFAULT_ADDRESS;
    }
}

/// The section as a whole: where the API is served, if it is.
pub(super) struct Api;

impl Kind for Api {
    type Value = Option<SocketAddr>;

    fn wanted() -> String {
        "a map, such as { enabled: true }".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Self::Value> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return scope.wrong(node, &Self::wanted()),
        };
        let mut docs = Vec::new();
        Written::describe("", &mut docs);
        let subject = scope.option.to_owned();
        let mut options = Options::new(subject, &node.place, entries, scope.faults);
        options.refuse_unknown(&docs, &[], &|_| None);
        let Written { enabled, address } = Written::read(&mut options, "")?;
        Some(enabled.then_some(address))
    }

    fn show(address: &Self::Value) -> String {
        address.map_or_else(|| "none".to_owned(), |address| address.to_string())
    }

    fn describe(name: String, _: Option<&Self::Value>, _: &str, docs: &mut Vec<OptionDoc>) {
        Written::describe(&format!("{name}."), docs);
    }
}

/// Whether others than this machine can reach `address`.
pub(super) fn is_public(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}
