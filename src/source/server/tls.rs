//! TLS of a source that listens.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use memchr::memmem;
use rustls::{
    InconsistentKeys, InvalidMessage, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

/// Encryption, and whose clients are believed. Options as in Vector.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Default false.
    pub enabled: bool,
    /// The source's certificate and those between it and the authority, in PEM.
    pub crt_file: Option<PathBuf>,
    /// Its key, in PEM.
    pub key_file: Option<PathBuf>,
    /// The authorities that vouch for clients, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Clients must show a certificate that one of these vouches for. Default false.
    pub verify_certificate: bool,
}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: pem::Error },
    #[error("{} holds no {what} in PEM", path.display())]
    Nothing { path: PathBuf, what: &'static str },
    #[error(
        "{} is encrypted, and a key with a password is not read: take it off, with openssl pkey -in KEY -out FILE, and keep the file to its owner",
        path.display()
    )]
    Encrypted { path: PathBuf },
    #[error(
        "tls.crt_file and tls.key_file are not of one another: the key is another certificate's"
    )]
    Mismatch,
    #[error("tls.crt_file and tls.key_file cannot be used: {0}")]
    Identity(#[source] rustls::Error),
    #[error("{} cannot be used: {reason}", path.display())]
    Authorities { path: PathBuf, reason: String },
}

impl Error {
    /// Whether it is only that a file is not there, or may not be read.
    pub(crate) fn may_pass(&self) -> bool {
        let cannot_open = |source: &pem::Error| matches!(source, pem::Error::Io(_));
        matches!(self, Self::Unreadable { source, .. } if cannot_open(source))
    }
}

/// What shakes hands with clients; `None` where TLS is off. `alpn` are the protocols to agree on.
pub(super) fn acceptor(tls: &Tls, alpn: &[&[u8]]) -> Result<Option<TlsAcceptor>, Error> {
    if !tls.enabled {
        return Ok(None);
    }
    let mut config = server_config(tls)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn server_config(tls: &Tls) -> Result<ServerConfig, Error> {
    // The configuration does not let TLS pass without these.
    let crt_file = tls.crt_file.clone().unwrap_or_default();
    let key_file = tls.key_file.clone().unwrap_or_default();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::Identity)?;
    let builder = match &tls.ca_file {
        Some(ca_file) if tls.verify_certificate => {
            let roots = Arc::new(authorities(ca_file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| Error::Authorities {
                path: ca_file.clone(),
                reason: error.to_string(),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    builder
        .with_single_cert(certificates(&crt_file)?, key(&key_file)?)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Error::Mismatch,
            error => Error::Identity(error),
        })
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| Error::Authorities {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |source| Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(Error::Nothing {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(certificates)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| match source {
        pem::Error::NoItemsFound | pem::Error::Base64Decode(_) if is_encrypted(path) => {
            Error::Encrypted {
                path: path.to_owned(),
            }
        }
        pem::Error::NoItemsFound => Error::Nothing {
            path: path.to_owned(),
            what: "key",
        },
        source => Error::Unreadable {
            path: path.to_owned(),
            source,
        },
    })
}

/// Whether the key has a password: as OpenSSL writes it today (PKCS #8), and as it did before.
fn is_encrypted(path: &Path) -> bool {
    let text = fs::read(path).unwrap_or_default();
    ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| memmem::find(&text, mark.as_bytes()).is_some())
}

/// Whether the files of `tls` can be read and used now.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check(tls: &Tls) -> Result<(), Error> {
    acceptor(tls, &[]).map(|_| ())
}

/// Why nobody shook hands, in words for who runs the source.
pub(super) fn fault(error: &io::Error) -> String {
    let cause = error.get_ref();
    let cause = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let no_tls = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
    let said = error.to_string();
    if cause == Some(&no_tls) {
        "it speaks none, and this port wants it".to_owned()
    } else if said.contains("UnsupportedCertVersion") {
        // What `openssl x509 -req` signs without extensions.
        "the client's certificate is of X.509 version 1, and only version 3 is read: \
         have it signed with an extension, such as extendedKeyUsage=clientAuth"
            .to_owned()
    } else {
        said
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;

    use super::*;

    #[test]
    fn who_shows_a_certificate_of_the_first_version_is_told_so() {
        let file = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
            folder.join(name)
        };
        let roots = Arc::new(authorities(&file("ca.crt")).unwrap());
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let verifier = verifier.build().unwrap();
        let said_of = |name: &str| {
            let shown = certificates(&file(name)).unwrap();
            let verdict = verifier.verify_client_cert(&shown[0], &[], UnixTime::now());
            fault(&io::Error::other(verdict.unwrap_err()))
        };
        assert!(said_of("first.crt").contains("version 1"));
        assert!(said_of("stranger.crt").contains("UnknownIssuer"));
    }
}
