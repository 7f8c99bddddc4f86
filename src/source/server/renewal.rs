//! Certificates that are renewed while a source serves.
//!
//! What issues certificates to machines does so every few weeks, and replaces the files. A tripwire that went on showing the
//! old one would be blind the day it runs out.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::tls::{self, Error, Tls};
use crate::telemetry::Seldom;

/// The least time between two looks at the files.
const LOOK: Duration = match cfg!(test) {
    true => Duration::ZERO,
    false => Duration::from_secs(10),
};

/// What shakes hands with clients, by the files as they are.
pub(super) struct Acceptor {
    tls: Tls,
    alpn: &'static [&'static [u8]],
    /// The source's id.
    source: Arc<str>,
    present: Mutex<Present>,
}

struct Present {
    acceptor: TlsAcceptor,
    /// When its files were last written.
    written: Vec<Option<SystemTime>>,
    next_look: Instant,
    warning: Seldom,
}

impl Acceptor {
    /// `None` where TLS is off. `alpn` are the protocols to agree on.
    pub(super) fn new(
        tls: &Tls,
        alpn: &'static [&'static [u8]],
        source: Arc<str>,
    ) -> Result<Option<Self>, Error> {
        let written = written(tls);
        let Some(acceptor) = tls::acceptor(tls, alpn)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            tls: tls.clone(),
            alpn,
            source,
            present: Mutex::new(Present {
                acceptor,
                written,
                next_look: Instant::now() + LOOK,
                warning: Seldom::default(),
            }),
        }))
    }

    /// For the next connection. Files that cannot be used, as while they are replaced one by one, change nothing.
    pub(super) fn present(&self) -> TlsAcceptor {
        // What it guards is sound after each step.
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() < present.next_look {
            return present.acceptor.clone();
        }
        present.next_look = Instant::now() + LOOK;
        let written = written(&self.tls);
        if written == present.written {
            return present.acceptor.clone();
        }
        let source = &*self.source;
        match tls::acceptor(&self.tls, self.alpn) {
            Ok(Some(acceptor)) => {
                info!(source, "certificates were renewed");
                present.acceptor = acceptor;
                present.written = written;
            }
            // Never `None`: TLS is on.
            Ok(None) => {}
            Err(error) if present.warning.is_due() => {
                warn!(
                    source,
                    "new certificates cannot be used, the old are kept: {error}"
                );
            }
            Err(_) => {}
        }
        present.acceptor.clone()
    }
}

/// When each file was last written, as far as that can be told.
fn written(tls: &Tls) -> Vec<Option<SystemTime>> {
    let files: [&Option<PathBuf>; 3] = [&tls.crt_file, &tls.key_file, &tls.ca_file];
    let written = |file: &PathBuf| fs::metadata(file).ok()?.modified().ok();
    files
        .into_iter()
        .map(|file| file.as_ref().and_then(written))
        .collect()
}
