//! Connections, and what happens to each request before it is searched and after.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use hyper::{
    HeaderMap, Request, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_ENCODING, HeaderName, HeaderValue},
    http::request::Parts,
};
use tokio::time::timeout;

use super::{
    Config, Patience,
    answer::{Answer, Asker, FIREHOSE_ACCESS_KEY, HOOK_ORIGIN},
    beyond::SENT_PARTS,
    search::{self, Delivery, Outcome},
};
use crate::{
    audit::uri::percent_decoded,
    source::server::{
        Connection, Credentials, Refusal,
        http::{self, Reader, Refusals, Unread},
        inbox::{self, Room},
        visit,
    },
};

pub(super) type Inbox = inbox::Sender<Delivery, Outcome>;

/// One connection.
type Visit = visit::Visit<Service, Delivery, Outcome>;

/// What all connections have in common.
pub(super) struct Service {
    path: String,
    strict_path: bool,
    method: &'static str,
    credentials: Option<Credentials>,
    max_body_bytes: usize,
    answers: StatusCode,
    patience: Patience,
    /// Of the requests so far.
    numbers: AtomicU64,
    refusals: Refusals,
}

impl Service {
    pub(super) fn new(config: &Config, patience: Patience, id: Arc<str>) -> Self {
        Self {
            path: config.path.clone(),
            strict_path: config.strict_path,
            method: config.method.as_str(),
            credentials: Credentials::of(&config.auth),
            max_body_bytes: config.max_body_bytes,
            // The configuration lets no other pass.
            answers: StatusCode::from_u16(config.response_code).unwrap_or(StatusCode::OK),
            patience,
            numbers: AtomicU64::new(0),
            refusals: Refusals::of(id),
        }
    }

    /// The life of one connection.
    pub(super) async fn serve(self: Arc<Self>, connection: Connection, inbox: Inbox) {
        let answer = |visit: Arc<Visit>, request| async move { visit.answer(request).await };
        Visit::serve(self, connection, inbox, answer).await;
    }

    /// Whether `request` is for the configured path and method.
    fn route(&self, request: &Parts) -> Result<(), Refused> {
        let path = request.uri.path();
        let below =
            |rest: &str| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/');
        let is_served = match self.strict_path {
            true => path == self.path,
            false => path.strip_prefix(&*self.path).is_some_and(below),
        };
        if !is_served {
            return Err(Refused::Path);
        }
        if request.method.as_str() != self.method {
            return Err(Refused::Method);
        }
        Ok(())
    }

    fn is_admitted(&self, request: &Parts) -> bool {
        let Some(credentials) = &self.credentials else {
            return true;
        };
        let header = |name: HeaderName| request.headers.get(name).map(HeaderValue::as_bytes);
        let parameters = request.uri.query().into_iter();
        let mut parameters = parameters.flat_map(|query| query.split('&'));
        let parameter = parameters.find_map(|parameter| {
            let ours = parameter.strip_prefix("token=");
            // As the webhooks of CloudEvents have it.
            ours.or_else(|| parameter.strip_prefix("access_token="))
        });
        header(AUTHORIZATION).is_some_and(|shown| credentials.admit(shown))
            || header(FIREHOSE_ACCESS_KEY).is_some_and(|shown| credentials.admit_token(shown))
            || parameter.is_some_and(|shown| {
                // Clients encode what their users write, or not.
                credentials.admit_token(shown.as_bytes())
                    || credentials.admit_token(percent_decoded(shown).as_bytes())
            })
    }
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Path,
    Method,
    Auth,
    TooLarge,
    /// Larger than may be, and not sent yet.
    Unwanted,
    /// More came of it than the ratio allows.
    TooTight,
    TooDeep,
    /// In a coding that nobody here undoes.
    Coding,
    Overloaded,
    Slow,
    /// Its body broke off.
    Broken,
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Slow => Self::Slow,
            Unread::Broken => Self::Broken,
            Unread::Overloaded => Self::Overloaded,
        }
    }
}

impl Refused {
    /// Whether it is refused before anything of its body is read.
    fn is_unread(self) -> bool {
        matches!(
            self,
            Self::Path | Self::Method | Self::Auth | Self::Unwanted
        )
    }

    fn counted_as(self) -> Refusal {
        match self {
            Self::Path | Self::Method => Refusal::Route,
            Self::Auth => Refusal::Auth,
            Self::TooLarge | Self::Unwanted | Self::TooTight | Self::TooDeep => Refusal::TooLarge,
            Self::Coding => Refusal::Coding,
            Self::Overloaded => Refusal::Overload,
            Self::Slow => Refusal::Timeout,
            Self::Broken => Refusal::BrokenOff,
        }
    }
}

impl Visit {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (request, mut body) = request.into_parts();
        let asker = Asker::of(&request.headers, request.uri.path());
        match self.take(&request, &mut body, &asker).await {
            Ok(answer) => answer,
            Err(refused) => {
                let (why, refusals) = (refused.counted_as(), &self.service.refusals);
                // Load balancers and probes ask for what is served nowhere.
                match why == Refusal::Route && request.method.as_str() != self.service.method {
                    true => refusals.tell_probe(why, &self.peer, &self.counters),
                    false => refusals.tell(why, &self.peer, &self.counters),
                }
                let is_gone = matches!(refused, Refused::Slow | Refused::Broken);
                let is_held = refused.is_unread() && http::awaits_invitation(&request.headers);
                if !is_gone && !is_held {
                    http::forget(&mut body).await;
                }
                let service = &self.service;
                asker.refusal(refused, service.credentials.as_ref(), service.method)
            }
        }
    }

    async fn take(
        &self,
        request: &Parts,
        body: &mut Incoming,
        asker: &Asker,
    ) -> Result<Answer, Refused> {
        if let Some(answer) = self.answer_question(request)? {
            return Ok(answer);
        }
        let service = &*self.service;
        let (most, patience) = (service.max_body_bytes, service.patience);
        let searched = most.saturating_mul(SENT_PARTS);
        if http::need_not_come(&request.headers, body, searched) {
            return Err(Refused::Unwanted);
        }
        let mut reader = Reader::new(body, patience);
        let mut text = reader.read(most, &self.activity, &self.inbox).await?;
        let answer = asker.acceptance(service.answers, &text.bytes);
        if text.bytes.is_empty() {
            return Ok(answer);
        }
        let number = service.numbers.fetch_add(1, Relaxed) + 1;
        let mut beyond = None;
        loop {
            let delivery = Delivery {
                bytes: text.bytes,
                is_cut: text.is_cut,
                beyond,
                codings: codings(&request.headers),
                peer: Arc::clone(&self.peer),
                number,
            };
            match self.deliver(delivery, text.room).await? {
                Outcome::Taken => return Ok(answer),
                Outcome::GoesOn(so_far) => {
                    beyond = Some(so_far);
                    text = reader.read(most, &self.activity, &self.inbox).await?;
                }
                Outcome::TooLarge => return Err(Refused::TooLarge),
                Outcome::TooTight => return Err(Refused::TooTight),
                Outcome::TooDeep => return Err(Refused::TooDeep),
                Outcome::Unknown => return Err(Refused::Coding),
            }
        }
    }

    /// The answer to a request that asks whether it may post, or whether its token is right; `None` for one that posts.
    fn answer_question(&self, request: &Parts) -> Result<Option<Answer>, Refused> {
        let service = &*self.service;
        let route = service.route(request);
        if let (Err(Refused::Method), "OPTIONS", Some(origin)) = (
            route,
            request.method.as_str(),
            request.headers.get(HOOK_ORIGIN),
        ) {
            // It shows no token: the handshake says nothing of who may send, but keeps a sender from being made to flood who expects
            // nothing of it (CloudEvents' http-webhook.md, version 1.0.2, section 4). What is posted then has to show one.
            return Ok(Some(Asker::welcome(origin, service.method)));
        }
        // Who is well here asks so before it posts: Vector's `healthcheck.uri`.
        let is_question = request.method == "HEAD" && route == Err(Refused::Method);
        if !is_question {
            route?;
        }
        if !service.is_admitted(request) {
            return Err(Refused::Auth);
        }
        Ok(is_question.then(|| Asker::Anybody.acceptance(service.answers, b"")))
    }

    /// What becomes of `delivery`, once what was found in it is safe.
    async fn deliver(&self, delivery: Delivery, room: Room) -> Result<Outcome, Refused> {
        let patience = self.service.patience;
        let receipt = self.inbox.send_within(patience.room, delivery, room).await;
        let receipt = receipt.map_err(|_| Refused::Overloaded)?;
        let outcome = timeout(patience.answer, receipt.answer()).await;
        // It may be safe later, and is sent again.
        outcome.ok().flatten().ok_or(Refused::Overloaded)
    }
}

/// The codings of a body, in the order in which they were put on.
fn codings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let text = values.filter_map(|value| value.to_str().ok());
    text.flat_map(search::codings).collect()
}
