//! Whom to believe, and who we are, by TLS.

use std::{fs, io, path::PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};

use super::client::SetUpError;
use crate::format::visible;

/// Characters of a path that are shown.
const SHOWN: usize = 200;

/// How `https` is spoken (`tls.*`).
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates to believe, in PEM. Without it the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, in PEM, and its key.
    pub crt_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// Default true.
    pub verify_certificate: bool,
    /// Default true. False only with a `ca_file`.
    pub verify_hostname: bool,
}

impl Tls {
    /// The first file that cannot be read: the option that names it, and why.
    pub fn check_files(&self) -> Result<(), SetUpError> {
        let files = [
            ("tls.ca_file", &self.ca_file),
            ("tls.crt_file", &self.crt_file),
            ("tls.key_file", &self.key_file),
        ];
        for (option, path) in files {
            if let Some(path) = path {
                read(option, path)?;
            }
        }
        Ok(())
    }

    /// Has `builder` speak TLS so. Reads files: it may block.
    pub(super) fn set_up(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, SetUpError> {
        let wrong = |option: &str, error: reqwest::Error| {
            SetUpError(format!("{option}: {}", super::client::chain(error)))
        };
        if let Some(path) = &self.ca_file {
            let pem = read("tls.ca_file", path)?;
            let authorities = Certificate::from_pem_bundle(&pem);
            let authorities = authorities.map_err(|error| wrong("tls.ca_file", error))?;
            if authorities.is_empty() {
                return Err(SetUpError("tls.ca_file: no certificate in it".to_owned()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let (Some(certificate), Some(key)) = (&self.crt_file, &self.key_file) {
            let mut pem = read("tls.crt_file", certificate)?;
            pem.push(b'\n');
            pem.extend(read("tls.key_file", key)?);
            let identity = Identity::from_pem(&pem);
            builder = builder
                .identity(identity.map_err(|error| wrong("tls.crt_file or tls.key_file", error))?);
        }
        if !self.verify_certificate {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if !self.verify_hostname {
            builder = builder.tls_danger_accept_invalid_hostnames(true);
        }
        Ok(builder)
    }
}

fn read(option: &str, path: &std::path::Path) -> Result<Vec<u8>, SetUpError> {
    fs::read(path).map_err(|error: io::Error| {
        let path = path.display().to_string();
        SetUpError(format!(
            "{option} cannot be read: {}: {error}",
            visible(&path, SHOWN)
        ))
    })
}
