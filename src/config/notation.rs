//! Strings in a notation of their own: patterns, networks, paths with times, URLs.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;

use super::{
    Secret,
    fault::harmless,
    kind::{Kind, Text},
    options::Scope,
    tree::Node,
};

/// A pattern with `*`, `?` and `[…]`.
pub(crate) struct Glob;

impl Kind for Glob {
    type Value = String;

    fn wanted() -> String {
        "a string, in which *, ? and […] are wildcards".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let pattern = Text::read(node, scope)?;
        match glob::Pattern::new(&pattern) {
            Ok(_) => Some(pattern),
            Err(error) => {
                let shown = node.found();
                scope.refuse(
                    node,
                    format!("must be a pattern, found {shown}: {}", error.msg),
                )
            }
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// A network in CIDR notation, or one address.
pub(crate) struct Network;

impl Kind for Network {
    type Value = IpNet;

    fn wanted() -> String {
        "a network such as 10.0.0.0/8 or an address".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<IpNet> {
        let Some(text) = node.as_text() else {
            return scope.wrong(node, &Self::wanted());
        };
        let address = text.value.parse::<IpAddr>().map(IpNet::from).ok();
        match address.or_else(|| text.value.parse().ok()) {
            Some(network) if network.trunc() == network => Some(network),
            Some(network) if text.is_literal() => {
                let (whole, one) = (network.trunc(), network.addr());
                scope.refuse(
                    node,
                    format!(
                        "has host bits set: {network}; write {whole} for the network, or {one} for the address"
                    ),
                )
            }
            Some(_) => scope.refuse(node, "has host bits set"),
            None => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &IpNet) -> String {
        value.to_string()
    }
}

/// An address of this machine, and a port.
pub(crate) struct SocketAddress;

impl Kind for SocketAddress {
    type Value = SocketAddr;

    fn wanted() -> String {
        "an IP address and a port, such as 127.0.0.1:8686".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<SocketAddr> {
        let address = node.as_text().and_then(|text| text.value.parse().ok());
        address.or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &SocketAddr) -> String {
        value.to_string()
    }
}

/// A path in a URL.
pub(crate) struct UrlPath;

impl Kind for UrlPath {
    type Value = String;

    fn wanted() -> String {
        "a path that begins with /, such as /audit".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let path = Text::read(node, scope)?;
        let is_sound = path.starts_with('/')
            && path.bytes().all(|byte| byte.is_ascii_graphic())
            && !path.contains(['?', '#']);
        if !is_sound {
            return scope.wrong(node, &Self::wanted());
        }
        Some(path)
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// Only shells know what `~` stands for: a folder of that name would be made.
fn refuse_home(node: &Node, path: &str, scope: &mut Scope<'_, '_>) -> Option<()> {
    if path != "~" && !path.starts_with("~/") {
        return Some(());
    }
    scope.refuse(
        node,
        "begins with ~, which only a shell knows; write \"${HOME}/…\", or the path as it is",
    )
}

/// A path that means the same everywhere.
fn path(node: &Node, scope: &mut Scope<'_, '_>) -> Option<PathBuf> {
    let path = Text::read(node, scope)?;
    refuse_home(node, &path, scope)?;
    Some(path.into())
}

/// The directory that everything is kept in.
pub(crate) struct DataDir;

impl Kind for DataDir {
    type Value = PathBuf;

    fn wanted() -> String {
        "the path of a directory".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<PathBuf> {
        path(node, scope)
    }

    fn show(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// The path of a file.
pub(crate) struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn wanted() -> String {
        "the path of a file".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<PathBuf> {
        path(node, scope)
    }

    fn show(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// A password: a secret, which no fault shows.
pub(crate) struct Password;

impl Kind for Password {
    type Value = Secret;

    fn wanted() -> String {
        "a string".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Secret> {
        match node.as_text() {
            Some(text) if !text.value.is_empty() => Some(Secret::new(text.value.clone())),
            _ => scope.refuse(
                node,
                "must be a string that is not empty (its value is not shown)",
            ),
        }
    }

    fn show(_: &Secret) -> String {
        "****".to_owned()
    }
}

/// The path of a file, in which strftime specifiers stand for the time in UTC.
pub(crate) struct PathTemplate;

impl Kind for PathTemplate {
    type Value = String;

    fn wanted() -> String {
        "a path, in which strftime specifiers such as %Y-%m-%d stand for the time".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let path = Text::read(node, scope)?;
        if path.ends_with('/') || path.contains('\0') {
            return scope.wrong(node, "the path of a file");
        }
        if path.contains("{{") {
            return scope.refuse(
                node,
                "is one path for all messages, and has no fields; leave out what stands in {{ … }}: each message tells it",
            );
        }
        refuse_home(node, &path, scope)?;
        match jiff::fmt::strtime::format(&path, jiff::Timestamp::UNIX_EPOCH) {
            Ok(_) => Some(path),
            Err(error) => {
                let error = harmless(&error.to_string());
                let found = node.found();
                scope.refuse(
                    node,
                    format!("must be a path, found {found}: {error}; %% is a %"),
                )
            }
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// The URL of a webhook: a secret, which no fault shows.
pub(crate) struct WebhookUrl;

impl Kind for WebhookUrl {
    type Value = Secret;

    fn wanted() -> String {
        "an http or https URL with a host".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Secret> {
        let Some(text) = node.as_text() else {
            return scope.wrong(node, &Self::wanted());
        };
        let sound = reqwest::Url::parse(&text.value).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|h| !h.is_empty())
        });
        if !sound {
            return scope.refuse(
                node,
                format!("must be {} (its value is not shown)", Self::wanted()),
            );
        }
        Some(Secret::new(text.value.clone()))
    }

    fn show(_: &Secret) -> String {
        "****".to_owned()
    }
}
