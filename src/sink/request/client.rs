//! One request, and what came of it.

use std::{error::Error, io, time::Duration};

use jiff::Timestamp;
use reqwest::{
    ClientBuilder, Method, Response, StatusCode, Url,
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};

use super::{
    Redacted,
    answer::{Verdict, retry_after},
    tls::Tls,
};

/// Bytes of an answer that are read. Slack repeats the message in its own.
const ANSWER_BYTES: usize = 128 << 10;

/// Why HTTP cannot be set up. Names no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetUpError(pub(super) String);

/// What is sent.
pub(in crate::sink) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// What is not to be shown of what the receiver says.
    pub redacted: Redacted,
}

/// What came of one request.
#[derive(Debug)]
pub(in crate::sink) struct Outcome {
    pub verdict: Verdict,
    /// It was a 409.
    pub is_conflict: bool,
    /// The beginning of the answer's body, as it came.
    pub answer: String,
    /// The status and what the receiver said, or what went wrong on the way: cut and
    /// neutralised, and without secrets.
    pub reason: String,
    /// The wait that the receiver asked for.
    pub retry_after: Option<Duration>,
}

/// Sends requests. Connections are kept for the next.
pub(in crate::sink) struct Client {
    client: reqwest::Client,
    timeout: Duration,
    tls: Option<Tls>,
}

impl Client {
    /// `timeout` is for a whole request, from the connection to the end of the answer.
    pub async fn new(timeout: Duration, tls: Option<Tls>) -> Result<Self, SetUpError> {
        // An error means that another sink was first: it is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = set_up(timeout, tls.clone()).await?;
        Ok(Self {
            client,
            timeout,
            tls,
        })
    }

    /// Reads certificates anew, since they may have been renewed. With what cannot be used it goes on as before.
    async fn renew(&mut self) {
        if self.tls.is_some()
            && let Ok(client) = set_up(self.timeout, self.tls.clone()).await
        {
            self.client = client;
        }
    }

    /// Sends `request`, and has `judge` say what the answer means.
    pub async fn send(
        &mut self,
        request: Request,
        judge: fn(StatusCode, &str) -> Verdict,
    ) -> Outcome {
        #[cfg(test)]
        let _clock = tests::stand_still();
        let Request {
            method,
            url,
            headers,
            body,
            redacted,
        } = request;
        let sent = self.client.request(method, url).headers(headers).body(body);
        match sent.send().await {
            Ok(response) => outcome(response, &redacted, judge).await,
            Err(error) => {
                if !error.is_timeout() {
                    self.renew().await;
                }
                let verdict = match is_about_trust(&error) {
                    true => Verdict::ReceiverRefused,
                    false => Verdict::Unavailable,
                };
                Outcome {
                    verdict,
                    is_conflict: false,
                    answer: String::new(),
                    reason: redacted.show(&chain(error)),
                    retry_after: None,
                }
            }
        }
    }
}

async fn set_up(timeout: Duration, tls: Option<Tls>) -> Result<reqwest::Client, SetUpError> {
    let set_up = move || {
        let mut builder = builder()
            .user_agent(concat!("baitline/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(timeout);
        if let Some(tls) = tls {
            builder = tls.set_up(builder)?;
        }
        builder
            .build()
            .map_err(|error| SetUpError(format!("cannot set up HTTP: {}", chain(error))))
    };
    // Certificates are read from files.
    let done = tokio::task::spawn_blocking(set_up).await;
    done.unwrap_or_else(|panic| Err(SetUpError(panic.to_string())))
}

async fn outcome(
    response: Response,
    redacted: &Redacted,
    judge: fn(StatusCode, &str) -> Verdict,
) -> Outcome {
    let status = response.status();
    let header = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|value| retry_after(value, Timestamp::now()));
    let answer = beginning(response).await;
    let reason = match answer.trim() {
        "" => status.to_string(),
        answer => format!("{status}: {}", redacted.show(answer)),
    };
    Outcome {
        verdict: judge(status, &answer),
        is_conflict: status == StatusCode::CONFLICT,
        answer,
        reason,
        retry_after,
    }
}

/// HTTP as it is set up by default, with the proxies that the environment names.
#[cfg(not(test))]
fn builder() -> ClientBuilder {
    reqwest::Client::builder()
}

/// Tests talk to this machine alone, whatever the environment names.
#[cfg(test)]
fn builder() -> ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

/// As much of the answer as is worth reading. What a receiver says after its status
/// changes nothing, so that an answer that breaks off is no fault.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - bytes.len())]);
        if bytes.len() == ANSWER_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether one of us does not believe the other's certificate. That lasts until somebody mends it.
fn is_about_trust(error: &reqwest::Error) -> bool {
    use rustls::AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, UnknownCA, UnsupportedCertificate,
    };
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidCertificate(_) => true,
                rustls::Error::AlertReceived(alert) => matches!(
                    alert,
                    AccessDenied
                        | BadCertificate
                        | CertificateExpired
                        | CertificateRequired
                        | CertificateRevoked
                        | CertificateUnknown
                        | UnknownCA
                        | UnsupportedCertificate
                ),
                _ => false,
            };
        }
        // An io::Error passes over what it wraps.
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

/// An error with its causes, without the URL: `error sending request: client error: connection refused`.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    /// A paused clock, which else would leap to the end of the timeout, stands still until this
    /// is dropped: a blocking task runs.
    pub(super) fn stand_still() -> std::sync::mpsc::Sender<()> {
        let (until, dropped) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || dropped.recv());
        until
    }
}
