//! A [`Snapshot`] as the answer to: does it work?
//!
//! - **live**: the process answers. Nothing that a restart would not mend makes it otherwise.
//! - **ready**: decoys are watched. The pipeline runs, no source has ended with an error or waits for somebody
//!   to mend it, and what is found can be stored.
//!
//! A receiver that is down, or a source whose peer is, is *degraded* and still ready: a sink holds up nothing
//! but itself, the source tries on, and whoever would restart the process for it would gain nothing.

use serde::Serialize;

use super::{
    Trouble,
    snapshot::{Component, Kind, Snapshot},
};
use crate::{
    audit::{wire_time, words},
    format::visible,
};

/// The most characters that are shown of a reason.
const REASON_CHARACTERS: usize = 500;

/// How well the whole or a part of it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    Ok,
    /// It works, but not all of it; that may pass by itself.
    Degraded,
    /// It does not do what it is for.
    Failing,
}

words!(Condition {
    Ok = "ok",
    Degraded = "degraded",
    Failing = "failing",
});

/// What `/health` answers.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: Condition,
    live: bool,
    pub(super) ready: bool,
    /// The gravest trouble, and whose it is.
    reason: Option<String>,
    components: Vec<ComponentHealth>,
}

#[derive(Debug, Serialize)]
struct ComponentHealth {
    id: String,
    kind: Kind,
    #[serde(rename = "type")]
    component_type: &'static str,
    status: Condition,
    reason: Option<String>,
    /// Since when it has been in trouble.
    since: Option<String>,
}

/// What `snapshot` says.
pub(super) fn health(snapshot: &Snapshot) -> Health {
    let own = snapshot.trouble.as_ref().map(|trouble| {
        let reason = shown(trouble);
        (Condition::Failing, false, reason)
    });
    let components = snapshot.components.iter().filter_map(|component| {
        let trouble = component.trouble.as_ref()?;
        let reason = format!("{} {:?}: {}", component.kind, component.id, shown(trouble));
        let is_ready = !prevents_watching(component.kind, trouble);
        let overall = if is_ready {
            Condition::Degraded
        } else {
            Condition::Failing
        };
        Some((overall, is_ready, reason))
    });
    let mut troubles: Vec<_> = own.into_iter().chain(components).collect();
    // Stable: of equally grave ones the first counts.
    troubles.sort_by_key(|(condition, ..)| std::cmp::Reverse(*condition));
    Health {
        status: troubles
            .first()
            .map_or(Condition::Ok, |(condition, ..)| *condition),
        live: true,
        ready: troubles.iter().all(|(_, is_ready, _)| *is_ready),
        reason: troubles.into_iter().next().map(|(.., reason)| reason),
        components: snapshot.components.iter().map(component_health).collect(),
    }
}

/// Whether a component's trouble means that decoys are not watched.
fn prevents_watching(kind: Kind, trouble: &Trouble) -> bool {
    match kind {
        Kind::Store => true,
        Kind::Source => trouble.is_lasting,
        Kind::Transform | Kind::Sink => false,
    }
}

fn component_health(component: &Component) -> ComponentHealth {
    let trouble = component.trouble.as_ref();
    ComponentHealth {
        id: component.id.to_string(),
        kind: component.kind,
        component_type: component.component_type,
        status: match trouble {
            None => Condition::Ok,
            Some(trouble) if trouble.is_lasting || component.kind == Kind::Store => {
                Condition::Failing
            }
            Some(_) => Condition::Degraded,
        },
        reason: trouble.map(shown),
        since: trouble.map(|trouble| wire_time(trouble.since)),
    }
}

/// On one line, and harmless in a terminal.
fn shown(trouble: &Trouble) -> String {
    visible(&trouble.reason, REASON_CHARACTERS).into_owned()
}

#[cfg(test)]
mod tests;
