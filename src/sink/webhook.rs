//! One POST to a URL that is a secret.
//!
//! Whoever has the URL can post: it stands in no log, no error and no answer that is shown.

use std::{error::Error as _, time::Duration};

use jiff::Timestamp;
use reqwest::{
    Client, ClientBuilder, Response, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};

use super::answer::{Verdict, retry_after};
use crate::{config::Secret, format::visible};

/// Bytes of an answer that are read, and characters of it that are shown.
const ANSWER_BYTES: usize = 4096;
const ANSWER_SHOWN: usize = 200;

/// Why a webhook cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("webhook_url is not an http or https URL")]
    Url,
    #[error("cannot set up HTTP: {0}")]
    Client(reqwest::Error),
}

/// What came of one POST.
pub(super) struct Outcome {
    pub verdict: Verdict,
    /// The status and what the receiver said, or what went wrong on the way: cut and
    /// neutralised, and without the URL.
    pub reason: String,
    /// The wait that the receiver asked for.
    pub retry_after: Option<Duration>,
}

pub(super) struct Webhook {
    client: Client,
    url: Url,
}

impl Webhook {
    /// `timeout` is for a whole request, from the connection to the end of the answer.
    pub fn new(url: &Secret, timeout: Duration) -> Result<Self, Error> {
        let url = Url::parse(url.reveal()).map_err(|_| Error::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Url);
        }
        // An error means that another sink was first: it is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = builder()
            .user_agent(concat!("baitline/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(timeout)
            .build()
            .map_err(|error| Error::Client(error.without_url()))?;
        Ok(Self { client, url })
    }

    /// Posts a JSON body.
    pub async fn post(&self, body: String) -> Outcome {
        #[cfg(test)]
        let _clock = tests::stand_still();
        let request = self.client.post(self.url.clone());
        match request
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
        {
            Ok(response) => self.outcome(response).await,
            Err(error) => Outcome {
                verdict: Verdict::Unavailable,
                reason: self.shown(&chain(error.without_url())),
                retry_after: None,
            },
        }
    }

    async fn outcome(&self, response: Response) -> Outcome {
        let status = response.status();
        let header = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| retry_after(value, Timestamp::now()));
        let answer = beginning(response).await;
        let reason = match answer.trim() {
            "" => status.to_string(),
            answer => format!("{status}: {}", self.shown(answer)),
        };
        Outcome {
            verdict: Verdict::of(status, &answer),
            reason,
            retry_after,
        }
    }

    /// `text` fit for the log. Error pages like to repeat the path they were asked for, and
    /// the path is the secret: each part of it is taken out.
    fn shown(&self, text: &str) -> String {
        let parts = self.url.path_segments().into_iter().flatten();
        let mut secrets: Vec<&str> = parts.chain(self.url.query()).collect();
        secrets.extend([self.url.as_str(), self.url.path(), self.url.username()]);
        secrets.extend(self.url.password());
        // The longest first, or a part of it would be found before the whole. What is
        // shorter is no secret, and could stand in any text.
        secrets.retain(|secret| secret.len() >= 4);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let text = secrets.iter().fold(text.to_string(), |text, secret| {
            text.replace(secret, "****")
        });
        visible(&text, ANSWER_SHOWN).into_owned()
    }
}

/// HTTP as it is set up by default, with the proxies that the environment names.
#[cfg(not(test))]
fn builder() -> ClientBuilder {
    Client::builder()
}

/// Tests talk to this machine alone, whatever the environment names.
#[cfg(test)]
fn builder() -> ClientBuilder {
    Client::builder().no_proxy()
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

/// An error with its causes: `error sending request: client error: connection refused`.
fn chain(error: reqwest::Error) -> String {
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
    use super::*;

    /// A paused clock, which else would leap to the end of the timeout, stands still until this
    /// is dropped: a blocking task runs.
    pub(super) fn stand_still() -> std::sync::mpsc::Sender<()> {
        let (until, dropped) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || dropped.recv());
        until
    }

    #[test]
    fn only_an_http_url_will_do_and_no_error_repeats_it() {
        for url in [
            "",
            "hooks.slack.com/T0SECRET",
            "file:///T0SECRET",
            "http://[T0SECRET",
        ] {
            let error = Webhook::new(&Secret::new(url.into()), Duration::from_secs(1)).err();
            let text = error.unwrap().to_string();
            assert_eq!(text, "webhook_url is not an http or https URL");
        }
    }

    #[test]
    fn what_a_receiver_says_is_shown_without_the_url_and_without_tricks() {
        let url =
            Secret::new("https://u5er:pa55@hooks.example/services/T0AB/B0CD/s3cr3t?k=v4lue".into());
        let webhook = Webhook::new(&url, Duration::from_secs(1)).unwrap();
        let said = "no route\x1b[2J to /services/T0AB/B0CD/s3cr3t or B0CD, k=v4lue, u5er:pa55";
        assert_eq!(
            webhook.shown(said),
            r"no route\u{1b}[2J to **** or ****, ****, ****:****"
        );
        assert_eq!(
            webhook.shown(&"x".repeat(5_000)).chars().count(),
            ANSWER_SHOWN
        );
    }
}
