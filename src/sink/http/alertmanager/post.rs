//! The way to Alertmanager, and until when it is to believe what it is told.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::Notice;
use crate::{
    format::alertmanager::Incident,
    sink::{
        http::{Compression, Config, address::Address, content},
        request::{Courier, Outcome, Redacted, Refused, Request},
    },
};

/// How many times `repeat_secs` Alertmanager believes what it was told, and how many an incident goes on at least.
const BELIEVED: u32 = 4;
const AT_LEAST: u32 = 10;

/// How long it believes what is beyond what is remembered.
const BEYOND: Duration = Duration::from_secs(24 * 3600);

/// Until when an incident goes on.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// It is repeated before.
    Believed,
    /// It is not repeated.
    Beyond,
    /// It is over, but goes on for a while if Alertmanager has heard of it only now, or lately.
    Over(Option<Timestamp>),
    /// It is over.
    Now,
}

impl Ends {
    pub fn at(self, now: Timestamp, repeat: Duration) -> Timestamp {
        let after = |time: Timestamp, wait| time.saturating_add(wait).unwrap_or(now);
        match self {
            Self::Believed => after(now, repeat.saturating_mul(BELIEVED)),
            Self::Beyond => after(now, BEYOND),
            Self::Over(since) => {
                after(since.unwrap_or(now), repeat.saturating_mul(AT_LEAST)).max(now)
            }
            Self::Now => now,
        }
    }
}

/// The way to Alertmanager.
pub(super) struct Post {
    pub courier: Courier,
    pub config: Arc<Config>,
    pub address: Result<Address, &'static str>,
    pub redacted: Redacted,
}

impl Post {
    /// Sends until Alertmanager has it.
    pub async fn send(&mut self, notices: &[Notice]) -> Result<(), Refused> {
        let Self {
            courier,
            config,
            address,
            redacted,
        } = self;
        let address = match address {
            Ok(address) => address,
            Err(reason) => return Err(Refused::Unsendable((*reason).to_owned())),
        };
        let request = || {
            let posts = notices.iter().flat_map(|notice| {
                let before = notice.before.as_ref().map(|before| (before, Ends::Now));
                before.into_iter().chain([(&notice.now, notice.ends)])
            });
            request(config, address, redacted, posts)
        };
        courier.send(&mut 0, request).await.map(drop)
    }

    /// Sends once. `None` if it cannot be sent at all.
    pub async fn attempt(&mut self, incidents: &[&Incident]) -> Option<Outcome> {
        let address = self.address.as_ref().ok()?;
        let posts = incidents.iter().map(|incident| (*incident, Ends::Believed));
        let request = request(&self.config, address, &self.redacted, posts);
        Some(self.courier.attempt(request).await)
    }
}

/// The incidents as they stand at this moment.
fn request<'a>(
    config: &Config,
    address: &Address,
    redacted: &Redacted,
    posts: impl Iterator<Item = (&'a Incident, Ends)>,
) -> Request {
    let now = Timestamp::now();
    let mut body = vec![b'['];
    for (incident, ends) in posts {
        if body.len() > 1 {
            body.push(b',');
        }
        incident.write(now, ends.at(now, config.repeat), &mut body);
    }
    body.push(b']');
    let mut headers = content("application/json", Compression::None);
    headers.extend(address.headers.clone());
    Request {
        method: config.method.into(),
        url: address.url.clone(),
        headers,
        body,
        redacted: redacted.clone(),
    }
}
