//! Options that sources which listen have in common.

use super::{
    kind::{Flag, Optional, Text, Word},
    notation::{FilePath, Password},
    options::{Options, options},
};
use crate::source::server::{Auth, Exposure, Strategy, Tls};

options! {
    Tls {
        /// Encrypt the connections of clients.
        enabled: "enabled" Flag, default false;
        /// The certificate that is shown to clients, and those between it and its authority, in PEM.
        crt_file: "crt_file" Optional<FilePath>, default None;
        /// Its key, in PEM.
        key_file: "key_file" Optional<FilePath>, default None;
        /// The authorities whose clients are let in, in PEM.
        ca_file: "ca_file" Optional<FilePath>, default None;
        /// Let in only clients that show a certificate of `ca_file`.
        verify_certificate: "verify_certificate" Flag, default false;
    }
}

options! {
    Auth {
        /// What a request must show: a user with a password, or a token. Without it everybody is let in.
        strategy: "strategy" Optional<Word<Strategy>>, default None;
        /// The user, for `basic`.
        username: "username" Optional<Text>, default None;
        /// It is a secret: write `${HTTP_PASSWORD}`.
        password: "password" Optional<Password>, default None;
        /// For `bearer`. Firehose shows it as its access key, and who can set no header, as Pub/Sub, behind the path: `?token=…`. It is
        /// a secret: write `${HTTP_TOKEN}`.
        token: "token" Optional<Password>, default None;
    }
}

/// The most that may be allowed of what is sent in one piece. Two of them are counted as one u32.
const MAX_SENT_BYTES: usize = 2 << 30;

/// How long what is sent in one piece may be, by the option `name`, and the records in it.
pub(super) fn check_lengths(
    (name, sent): (&str, usize),
    line: usize,
    options: &mut Options<'_, '_>,
) -> Option<()> {
    let (names, message) = if sent > MAX_SENT_BYTES {
        let message = format!("{name} ({sent}) must not be above 2GiB");
        (&[name][..], message)
    } else if sent < line {
        let message = format!("{name} ({sent}) must not be below max_line_bytes ({line})");
        (&["max_line_bytes", name][..], message)
    } else {
        return Some(());
    };
    options.refuse(names, &message);
    None
}

/// Options of `tls.` that only make sense together.
pub(super) fn check_tls(tls: &Tls, options: &mut Options<'_, '_>) -> Option<()> {
    let names = [
        "tls.crt_file",
        "tls.key_file",
        "tls.ca_file",
        "tls.verify_certificate",
    ];
    let is_meant = tls.crt_file.is_some() || tls.key_file.is_some() || tls.ca_file.is_some();
    let message = if tls.enabled && (tls.crt_file.is_none() || tls.key_file.is_none()) {
        "tls.enabled needs tls.crt_file and tls.key_file"
    } else if !tls.enabled && (is_meant || tls.verify_certificate) {
        "nothing is encrypted without tls.enabled: true"
    } else if tls.verify_certificate && tls.ca_file.is_none() {
        "tls.verify_certificate needs tls.ca_file: who vouches for clients"
    } else if tls.ca_file.is_some() && !tls.verify_certificate {
        "clients are asked for a certificate of tls.ca_file only with tls.verify_certificate: true"
    } else {
        return Some(());
    };
    options.refuse(&[&["tls.enabled"], &names[..]].concat(), message);
    None
}

/// Options of `auth.` that only make sense together.
pub(super) fn check_auth(auth: &Auth, options: &mut Options<'_, '_>) -> Option<()> {
    let is_meant = auth.username.is_some() || auth.password.is_some() || auth.token.is_some();
    let message = match auth.strategy {
        None if auth.token.is_some() => {
            "nobody is asked for anything without auth.strategy; write auth.strategy: bearer"
        }
        None if is_meant => {
            "nobody is asked for anything without auth.strategy; write auth.strategy: basic, as it is in Vector without one"
        }
        Some(Strategy::Basic) if auth.username.is_none() || auth.password.is_none() => {
            "auth.strategy basic needs auth.username and auth.password"
        }
        Some(Strategy::Basic) if auth.token.is_some() => "auth.token is for auth.strategy bearer",
        Some(Strategy::Bearer) if auth.token.is_none() => "auth.strategy bearer needs auth.token",
        Some(Strategy::Bearer) if auth.username.is_some() || auth.password.is_some() => {
            "auth.username and auth.password are for auth.strategy basic"
        }
        // It ends at the first colon, and the password begins.
        Some(Strategy::Basic)
            if auth
                .username
                .as_deref()
                .is_some_and(|name| name.contains(':')) =>
        {
            "auth.username must have no colon in it"
        }
        _ => return Some(()),
    };
    options.refuse(
        &[
            "auth.strategy",
            "auth.username",
            "auth.password",
            "auth.token",
        ],
        message,
    );
    None
}

/// What is to be said of a source that others may reach, after its name.
pub(super) fn warning(exposure: &Exposure) -> Option<String> {
    if !exposure.is_public {
        return None;
    }
    let guard = exposure.guard;
    let (what, advice) = match (exposure.is_encrypted, exposure.is_guarded) {
        (true, true) => return None,
        (true, false) => ("asks nobody who they are", format!("write {guard}")),
        (false, true) => (
            "does not encrypt",
            "write tls: { enabled: true, crt_file: …, key_file: … }".to_owned(),
        ),
        (false, false) => (
            "neither encrypts nor asks anybody who they are",
            format!("write tls: {{ enabled: true, crt_file: …, key_file: … }} and {guard}"),
        ),
    };
    Some(format!(
        "listens on an address that other machines may reach, and {what}; {advice}, or let it listen on 127.0.0.1"
    ))
}
