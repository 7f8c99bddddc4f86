//! From bodies to blocks, on the source's thread.

use std::{fmt::Display, sync::Arc};

use super::{
    Config,
    beyond::Beyond,
    loki::{Push, begins_push},
    unpack::{Trouble, Unpacker},
    wide,
};
use crate::{
    record::packing::begins_as_text,
    source::{
        Context, Outlet, Provenance, Shape, Stop,
        payload::{Payload, Payloads, Unreadable, take},
        server::http::Limits,
    },
    telemetry::Status,
};

/// A body, and where it came from.
pub(super) struct Delivery {
    pub bytes: Vec<u8>,
    /// There was more of it than may be.
    pub is_cut: bool,
    /// What came before of the same body was searched so far.
    pub beyond: Option<Box<Beyond>>,
    /// What its headers say that it is packed in, in the order in which that was put on.
    pub codings: Vec<String>,
    pub peer: Arc<str>,
    /// Of its request, counted from the start of the source.
    pub number: u64,
}

/// What became of a body.
pub(super) enum Outcome {
    /// All of it was searched.
    Taken,
    /// It is larger than may be, and not at its end: what follows is searched with this.
    GoesOn(Box<Beyond>),
    /// It is larger than may be, or what came of it is. It was searched all the same, as far as anything is.
    TooLarge,
    /// More came of it than `max_decompression_ratio` allows. It was searched all the same, as far as anything is.
    TooTight,
    /// It is packed more often than anybody does. What can be seen of it was searched.
    TooDeep,
    /// It is packed in a way that nobody here knows, whatever its headers say.
    Unknown,
}

impl Payload for Delivery {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn provenance(&self) -> Provenance {
        format!("http:{}#{}", self.peer, self.number).into()
    }
}

/// Searches what is delivered.
pub(super) struct Searcher<'a> {
    context: &'a Context,
    max_line_bytes: usize,
    payloads: Payloads,
    limits: Limits,
    unreadable: Unreadable,
}

/// What came of taking off the layers of a body.
#[derive(Default)]
struct Stripped {
    /// The body as it was sent; `None` if it was plain.
    sent: Option<Vec<u8>>,
    /// More came of it than may be.
    is_beyond: bool,
    /// Something was found in what cannot be unpacked.
    found: bool,
}

impl<'a> Searcher<'a> {
    pub(super) fn new(config: &Config, context: &'a Context) -> Self {
        Self {
            context,
            max_line_bytes: config.max_line_bytes,
            payloads: Payloads::new(config.max_line_bytes),
            limits: Limits::new(config.max_body_bytes, config.max_decompression_ratio),
            unreadable: Unreadable::default(),
        }
    }

    /// What becomes of `delivery`, and whether anything was found in it.
    pub(super) fn search(
        &mut self,
        mut delivery: Delivery,
        outlet: &mut dyn Outlet,
    ) -> (Outcome, bool) {
        if let Some(beyond) = delivery.beyond.take() {
            return self.search_on(beyond, delivery, outlet);
        }
        let codings = std::mem::take(&mut delivery.codings);
        let mut unpacker = Unpacker::new(self.limits, delivery.bytes.len(), codings);
        let Stripped {
            sent,
            is_beyond,
            mut found,
        } = self.strip(&mut unpacker, &mut delivery, outlet);
        if let Some(trouble) = unpacker.trouble() {
            // It is not taken, but what can be seen of it is told.
            found |= take(&delivery.bytes, Shape::Lines, &delivery, outlet);
            let outcome = match trouble {
                Trouble::Unknown => Outcome::Unknown,
                Trouble::TooDeep => Outcome::TooDeep,
            };
            return (outcome, found);
        }
        if !is_beyond && !delivery.is_cut {
            found |= self.plain(&mut delivery, outlet);
            let is_read = found || !unpacker.is_unfit() || self.payloads.may_read(&delivery.bytes);
            let outcome = match is_read {
                true => Outcome::Taken,
                false => Outcome::Unknown,
            };
            return (outcome, found);
        }
        let is_whole = !delivery.is_cut;
        let formats = unpacker.formats();
        let mut beyond =
            formats.and_then(|formats| Beyond::new(formats, unpacker.most(), is_whole));
        if let Some(beyond) = &mut beyond {
            beyond.is_binary = !begins_as_text(&delivery.bytes);
        }
        if let (None, Some(beyond)) = (&sent, &mut beyond) {
            // All of it is searched here: only its end is kept.
            beyond.search(&delivery.bytes, &mut |_| {});
        }
        found |= self.plain(&mut delivery, outlet);
        if let Some(beyond) = beyond {
            delivery.bytes = sent.unwrap_or_default();
            let (outcome, more) = self.search_on(Box::new(beyond), delivery, outlet);
            found |= more;
            if let Outcome::GoesOn(_) = outcome {
                return (outcome, found);
            }
        }
        let outcome = match is_beyond && unpacker.is_most_by_ratio() {
            true => Outcome::TooTight,
            false => Outcome::TooLarge,
        };
        (outcome, found)
    }

    /// Takes off `delivery` what it is packed in. What cannot be unpacked is searched as it is.
    fn strip(
        &self,
        unpacker: &mut Unpacker,
        delivery: &mut Delivery,
        outlet: &mut dyn Outlet,
    ) -> Stripped {
        let mut stripped = Stripped::default();
        while let Some(unpacked) = unpacker.next(&delivery.bytes) {
            if let Some(error) = unpacked.error {
                if !delivery.is_cut && !stripped.is_beyond {
                    self.say_damaged(delivery, &error);
                }
                // What can be read of it is, packed or not.
                stripped.found |= take(&delivery.bytes, Shape::Lines, delivery, outlet);
            }
            stripped.is_beyond |= unpacked.is_beyond;
            let packed = std::mem::replace(&mut delivery.bytes, unpacked.bytes);
            stripped.sent.get_or_insert(packed);
        }
        stripped
    }

    /// Searches what comes behind the limit in the next bytes of a body.
    fn search_on(
        &mut self,
        mut beyond: Box<Beyond>,
        mut delivery: Delivery,
        outlet: &mut dyn Outlet,
    ) -> (Outcome, bool) {
        let (mut found, bytes) = (false, std::mem::take(&mut delivery.bytes));
        let is_binary = beyond.is_binary;
        let goes_on = beyond.search(&bytes, &mut |part| {
            delivery.bytes = part.to_vec();
            found |= self.plain(&mut delivery, outlet)
                || is_binary && self.payloads.take_as_binary(&delivery, outlet);
        });
        if !goes_on {
            let what = "a body is so much longer than max_body_bytes that its end was not searched";
            self.unreadable.tell(&delivery, &what, None, self.context);
        }
        let outcome = match goes_on && delivery.is_cut {
            true => Outcome::GoesOn(beyond),
            false => Outcome::TooLarge,
        };
        (outcome, found)
    }

    /// Searches what no layer is left of.
    fn plain(&mut self, delivery: &mut Delivery, outlet: &mut dyn Outlet) -> bool {
        if begins_push(&delivery.bytes) {
            return self.push(delivery, outlet);
        }
        let mut found = false;
        if let Some(text) = wide::narrow(&delivery.bytes) {
            // Whatever it was taken for, what stands there is seen.
            found |= take(&delivery.bytes, Shape::Lines, delivery, outlet);
            delivery.bytes = text;
        }
        if !delivery.bytes.is_empty() {
            let bodies = std::slice::from_ref(delivery);
            found |= self.payloads.search(bodies, self.context, outlet);
        }
        found
    }

    fn push(&mut self, delivery: &Delivery, outlet: &mut dyn Outlet) -> bool {
        let mut found = false;
        let mut push = Push {
            max_line_bytes: self.max_line_bytes,
            take: &mut |bytes, shape| found |= take(bytes, shape, delivery, outlet),
        };
        let searched = push.search(&delivery.bytes);
        if let Err(fault) = searched
            && !delivery.is_cut
        {
            self.say_damaged(delivery, &fault);
        }
        found
    }

    fn say_damaged(&self, delivery: &Delivery, error: &dyn Display) {
        let what = "a body cannot be read to its end";
        self.unreadable
            .tell(delivery, &what, Some(error), self.context);
    }
}

/// Searches `body`, which a request says to be in `content_encoding`, as a source of this configuration does. For tests
/// and fuzz targets.
pub fn search(
    config: &Config,
    body: &[u8],
    content_encoding: &str,
    outlet: &mut dyn Outlet,
) -> bool {
    let Ok(stop) = Stop::new() else { return false };
    let context = Context {
        id: "body".into(),
        stop,
        positions: Vec::new(),
        counters: Arc::default(),
        status: Status::default(),
    };
    let delivery = Delivery {
        bytes: body.to_vec(),
        is_cut: false,
        beyond: None,
        codings: codings(content_encoding).collect(),
        peer: "nobody".into(),
        number: 1,
    };
    let (outcome, _) = Searcher::new(config, &context).search(delivery, outlet);
    matches!(outcome, Outcome::Taken)
}

/// The codings in a header, in the order in which they were put on.
pub(super) fn codings(header: &str) -> impl Iterator<Item = String> {
    header
        .split(',')
        .map(|coding| coding.trim().to_ascii_lowercase())
}
