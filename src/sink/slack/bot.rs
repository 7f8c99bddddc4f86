//! By the token of a bot: an incident is one message, edited in place as it goes on, and its alerts are the thread below.
//!
//! The first alert of an incident is posted to the channel (`chat.postMessage`). Each that follows stands in the thread, and
//! the first message is made to show the incident as it now stands, with its totals (`chat.update`). An escalation is shown in
//! the channel as well, since nobody is told of an edit. What belongs to no incident is a message of its own.

use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Config, Form, body,
    threads::{Thread, Threads},
};
use crate::{
    dedupe::{Alert, AlertKind},
    sink::{
        Delivery,
        request::{Client, Courier, Manners, Redacted, Refused, Request, Verdict},
    },
    store::Message,
};

const SLACK: Manners = Manners {
    name: "Slack",
    mend: "check bot_token and channel, and that the bot is in the channel",
    judge,
};

/// What Slack says of the one message, beside what it says of the [thread](ABOUT_THE_THREAD).
const ABOUT_THE_MESSAGE: [&str; 8] = [
    "attachment_payload_limit_exceeded",
    "invalid_arguments",
    "invalid_array_arg",
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
];

/// What Slack says of a thread whose first message is gone, or is no longer ours to edit, or that takes no replies.
const ABOUT_THE_THREAD: [&str; 7] = [
    "cannot_reply_to_message",
    "cant_update_message",
    "edit_window_closed",
    "message_not_found",
    "restricted_action_non_threadable_channel",
    "restricted_action_thread_locked",
    "thread_not_found",
];

/// What Slack says of a channel. If a thread is in another than the configured one, which may only be called so since, it is
/// the thread that is gone.
const ABOUT_THE_CHANNEL: [&str; 3] = ["channel_not_found", "is_archived", "not_in_channel"];

/// What passes by itself.
const TROUBLE: [&str; 7] = [
    "fatal_error",
    "internal_error",
    "message_limit_exceeded",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "update_failed",
];

/// What Slack answers, whatever the method.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
}

/// Slack answers 200 to nearly everything, and says in the body what it means.
fn judge(status: StatusCode, answer: &str) -> Verdict {
    if !status.is_success() {
        return match Verdict::of(status) {
            Verdict::MessageRefused => Verdict::ReceiverRefused,
            verdict => verdict,
        };
    }
    match serde_json::from_str::<Answer>(answer) {
        Ok(answer) if answer.ok => Verdict::Delivered,
        Ok(answer) => match &*answer.error {
            "ratelimited" | "rate_limited" => Verdict::Throttled,
            error if ABOUT_THE_MESSAGE.contains(&error) || ABOUT_THE_THREAD.contains(&error) => {
                Verdict::MessageRefused
            }
            error if TROUBLE.contains(&error) => Verdict::Unavailable,
            _ => Verdict::ReceiverRefused,
        },
        // Something on the way answered in Slack's place.
        Err(_) => Verdict::Unavailable,
    }
}

/// As [`judge`], for what is said to a thread in another channel.
fn judge_elsewhere(status: StatusCode, answer: &str) -> Verdict {
    let said = serde_json::from_str::<Answer>(answer).ok();
    let said = said.filter(|answer| status.is_success() && !answer.ok);
    match said.is_some_and(|answer| ABOUT_THE_CHANNEL.contains(&&*answer.error)) {
        true => Verdict::MessageRefused,
        false => judge(status, answer),
    }
}

/// The way to a channel, and the threads in it.
pub(super) struct Bot {
    courier: Courier,
    post: Url,
    update: Url,
    headers: HeaderMap,
    redacted: Redacted,
    channel: String,
    threads: Threads,
}

impl Bot {
    /// An error says, without naming the token, why it cannot be used at all.
    pub async fn new(config: &Config, delivery: &Delivery) -> Result<Self, String> {
        let access = &config.access;
        let method = |name: &str| {
            let url = Url::parse(&format!("{}/{name}", access.endpoint));
            url.map_err(|_| "endpoint is no URL".to_owned())
        };
        let token = access.bot_token.as_ref();
        let token = token.map_or("", |token| token.reveal().as_str());
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "bot_token has characters that no token has")?;
        authorization.set_sensitive(true);
        let mut redacted = Redacted::default();
        redacted.add(token);
        let client = Client::new(config.request.timeout, None).await;
        let client = client.map_err(|error| error.to_string())?;
        let request = config.request.clone();
        let channel = access.channel.clone().unwrap_or_default();
        Ok(Self {
            courier: Courier::new(delivery, client, request, config.rate_limit(), SLACK),
            post: method("chat.postMessage")?,
            update: method("chat.update")?,
            headers: HeaderMap::from_iter([
                (AUTHORIZATION, authorization),
                (
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/json; charset=utf-8"),
                ),
            ]),
            redacted,
            threads: Threads::open(delivery, &channel).await,
            channel,
        })
    }

    /// Sends `message` until Slack has it.
    pub async fn send(
        &mut self,
        retries: &mut u64,
        message: &Message,
        form: Form,
    ) -> Result<(), Refused> {
        let body: Value = serde_json::from_str(&body(message, form)).unwrap_or_default();
        let Message::Alert(alert) = message else {
            return self.post(retries, &body).await.map(drop);
        };
        if let Some(thread) = self.threads.get(alert.incident_id).cloned()
            && self.go_on(retries, alert, &body, &thread).await?
        {
            if alert.kind.ends_incident() {
                self.threads.forget(alert.incident_id).await;
            }
            return Ok(());
        }
        let thread = self.post(retries, &body).await?;
        if !alert.kind.ends_incident() {
            self.threads.remember(alert.incident_id, thread).await;
        }
        Ok(())
    }

    /// Brings the first message up to date and adds to its thread. False if the first message is gone.
    async fn go_on(
        &mut self,
        retries: &mut u64,
        alert: &Alert,
        body: &Value,
        thread: &Thread,
    ) -> Result<bool, Refused> {
        // Blocks that are not named stay as they are.
        let blocks = body.get("blocks").cloned().unwrap_or_else(|| json!([]));
        let edited = json!({
            "channel": thread.channel, "ts": thread.ts, "text": body["text"], "blocks": blocks,
        });
        let mut reply = body.clone();
        reply["thread_ts"] = thread.ts.clone().into();
        reply["reply_broadcast"] = (alert.kind == AlertKind::Escalated).into();
        // To edit twice changes nothing: so what may stand there twice comes last.
        let is_elsewhere = thread.channel != self.channel;
        if is_elsewhere {
            self.courier.judge_by(judge_elsewhere);
        }
        let edited = self.call(retries, self.update.clone(), &edited).await;
        self.courier.judge_by(judge);
        let told = match edited {
            Ok(_) => self.post(retries, &reply).await.map(drop),
            refused => refused.map(drop),
        };
        match told {
            Ok(()) => Ok(true),
            Err(Refused::Content(reason)) if is_about_the_thread(&reason, is_elsewhere) => {
                Ok(false)
            }
            Err(refused) => Err(refused),
        }
    }

    pub fn courier(&mut self) -> &mut Courier {
        &mut self.courier
    }

    /// Posts to the channel: where it stands.
    async fn post(&mut self, retries: &mut u64, body: &Value) -> Result<Thread, Refused> {
        let mut body = body.clone();
        body["channel"] = self.channel.clone().into();
        let Answer { channel, ts, .. } = self.call(retries, self.post.clone(), &body).await?;
        Ok(Thread {
            channel,
            ts,
            configured: self.channel.clone(),
        })
    }

    async fn call(&mut self, retries: &mut u64, url: Url, body: &Value) -> Result<Answer, Refused> {
        let request = || Request {
            method: Method::POST,
            url: url.clone(),
            headers: self.headers.clone(),
            body: body.to_string().into_bytes(),
            redacted: self.redacted.clone(),
        };
        let answer = self.courier.send(retries, request).await?;
        // It was read before, or it would not have been taken for delivered.
        serde_json::from_str(&answer).map_err(|error| Refused::Content(error.to_string()))
    }
}

fn is_about_the_thread(reason: &str, is_elsewhere: bool) -> bool {
    let channel = ABOUT_THE_CHANNEL.iter().filter(|_| is_elsewhere);
    let mut errors = ABOUT_THE_THREAD.iter().chain(channel);
    errors.any(|error| reason.contains(error))
}
