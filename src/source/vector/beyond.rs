//! A request that is too large: it is refused, but a decoy that it names is told of.
//!
//! Vector keeps it and sends it again, but nobody would see what stands behind the limit until that is raised. So it is searched as
//! well, part by part, and never held whole: event by event, as far as they fit into a part, and otherwise by their texts.

use std::sync::Arc;

use super::{
    grpc::Message,
    search::{Delivery, Extent},
    service::{Refused, Visit},
};
use crate::{
    record::protobuf::entries,
    source::{
        OVERLAP,
        server::{http::Reader, inbox::Room},
    },
};

/// Parts of `max_body_bytes` that are searched of a request, at most.
const PARTS: usize = 16;

impl Visit {
    /// Searches `part`, the beginning of a request that is too large and not packed, and what follows of it.
    ///
    /// # Errors
    /// Always: it is refused.
    pub(super) async fn search_on(
        &self,
        reader: &mut Reader<'_>,
        mut part: Delivery,
        mut room: Room,
    ) -> Result<(), Refused> {
        let service = &*self.service;
        for _ in 1..PARTS {
            part.extent = Extent::Part;
            let (peer, number) = (Arc::clone(&part.peer), part.number);
            let (kept, is_torn) = keep_back(&mut part);
            match self.deliver(part, room).await {
                Err(Refused::TooLarge) => {}
                other => return other,
            }
            let lent = self.inbox.room_within(service.patience.room, kept.len());
            room = lent.await.map_err(|_| Refused::Overloaded)?;
            let more = service.max_body_bytes.saturating_sub(kept.len()).max(1);
            let text = reader.read(more, &self.activity, &self.inbox).await?;
            room.add(text.room);
            part = Delivery {
                message: Message::of(&kept, &text.bytes),
                extent: match text.is_cut {
                    true => Extent::Beginning,
                    false => Extent::Part,
                },
                is_torn,
                packing: None,
                peer,
                number,
            };
            if !text.is_cut {
                break;
            }
        }
        self.deliver(part, room).await
    }
}

/// Takes from the end of `part` what begins the next: the event that is not whole; or, within one that is longer than a part, so much
/// that no name is cut in two.
fn keep_back(part: &mut Delivery) -> (Vec<u8>, bool) {
    let whole = match part.is_torn {
        true => 0,
        false => {
            let events = entries(part.message.bytes()).map_while(Result::ok);
            events.map(<[u8]>::len).sum()
        }
    };
    match whole {
        0 => (part.message.end(OVERLAP).to_vec(), true),
        _ => (part.message.split_off(whole), false),
    }
}
