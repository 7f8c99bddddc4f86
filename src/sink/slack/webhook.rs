//! By incoming webhook: each message is one of its own.

use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{Config, Form, body};
use crate::{
    config::Secret,
    sink::{
        Delivery,
        request::{Client, Courier, Manners, Redacted, Refused, Request, Verdict},
    },
    store::Message,
};

const SLACK: Manners = Manners {
    name: "Slack",
    mend: "check webhook_url",
    judge,
};

/// What Slack says of a webhook or its channel, whatever the status: `user_not_found`, for one,
/// comes as a 400.
const ABOUT_THE_WEBHOOK: [&str; 12] = [
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_token",
    "no_active_hooks",
    "no_service",
    "no_service_id",
    "no_team",
    "posting_to_general_channel_denied",
    "team_disabled",
    "token_revoked",
    "user_not_found",
];

fn judge(status: StatusCode, answer: &str) -> Verdict {
    match status.is_client_error() && ABOUT_THE_WEBHOOK.contains(&answer.trim()) {
        true => Verdict::ReceiverRefused,
        false => Verdict::of(status),
    }
}

/// The way to a channel. Whoever has the URL can post: it is a secret.
pub(super) struct Webhook {
    courier: Courier,
    url: Url,
}

impl Webhook {
    /// An error says, without naming the URL, why it cannot be used at all.
    pub async fn new(url: &Secret, config: &Config, delivery: &Delivery) -> Result<Self, String> {
        let url = Url::parse(url.reveal()).ok();
        let url = url
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or("webhook_url is not an http or https URL")?;
        let client = Client::new(config.request.timeout, None).await;
        let client = client.map_err(|error| error.to_string())?;
        let request = config.request.clone();
        Ok(Self {
            courier: Courier::new(delivery, client, request, config.rate_limit(), SLACK),
            url,
        })
    }

    pub fn courier(&mut self) -> &mut Courier {
        &mut self.courier
    }

    /// Posts `message` until Slack has it.
    pub async fn send(
        &mut self,
        retries: &mut u64,
        message: &Message,
        form: Form,
    ) -> Result<(), Refused> {
        let json = HeaderValue::from_static("application/json");
        let body = body(message, form);
        let request = || Request {
            method: Method::POST,
            url: self.url.clone(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json.clone())]),
            body: body.clone().into_bytes(),
            redacted: Redacted::secret_url(&self.url),
        };
        self.courier.send(retries, request).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slack_says_of_the_webhook_is_not_about_the_message() {
        let of = |answer| judge(StatusCode::BAD_REQUEST, answer);
        for answer in ["user_not_found", " no_active_hooks\n", "no_service"] {
            assert_eq!(of(answer), Verdict::ReceiverRefused, "{answer}");
        }
        for answer in ["", "invalid_payload", "invalid_blocks", "no_text"] {
            assert_eq!(of(answer), Verdict::MessageRefused, "{answer}");
        }
        let failed = judge(StatusCode::INTERNAL_SERVER_ERROR, "rollup_error");
        assert_eq!(failed, Verdict::Unavailable);
    }
}
