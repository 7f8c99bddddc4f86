//! A record may tell an event more than once: whole, and by fields that a shipper took out of it.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    audit::{may_be_cut_from, to_microsecond},
    detect::{Class, Detection, Request, Technique, detection::Actor},
};

/// As many of one id, or of all, are compared with each of a record: a client may give one id to all of its requests.
const MAX_ALIKE: usize = 64;

/// Drops of what was found in one record, behind `from`, each that is the first of its id once more, and each that tells nothing but
/// what another does. `arrival` stands in for times that are not told.
pub(super) fn tell_once(out: &mut Vec<Detection>, from: usize, arrival: Timestamp) {
    let mut firsts = HashMap::new();
    for detection in out.split_off(from) {
        let first = *firsts.entry(detection.detection_id).or_insert(out.len());
        // A client may choose the id of its requests, and give one to two of them.
        if out.get(first) != Some(&detection) {
            out.push(detection);
        }
    }
    let all = out.split_off(from);
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, detection) in all.iter().enumerate() {
        if let Some(id) = &detection.request.audit_id {
            let alike = by_id.entry(id).or_default();
            if alike.len() < MAX_ALIKE {
                alike.push(at);
            }
        }
    }
    let any: Vec<usize> = (0..all.len().min(MAX_ALIKE)).collect();
    let is_kept = |at: usize| {
        let part = &all[at];
        let id = part.request.audit_id.as_deref();
        let alike = id.and_then(|id| by_id.get(id)).unwrap_or(&any);
        !alike.iter().any(|other| {
            let whole = &all[*other];
            // Of two that say the same, one stays.
            *other != at
                && is_part(part, whole, arrival)
                && (*other < at || !is_part(whole, part, arrival))
        })
    };
    let kept: Vec<bool> = (0..all.len()).map(is_kept).collect();
    let kept = all.into_iter().zip(kept).filter(|(_, is_kept)| *is_kept);
    out.extend(kept.map(|(detection, _)| detection));
}

/// Whether `part` is of the event that `whole` is, and tells nothing that it does not.
///
/// It has the same id and stage, or none; the one that is whole has one, so that rows of a table that tell none all count.
fn is_part(part: &Detection, whole: &Detection, arrival: Timestamp) -> bool {
    part.decoy == whole.decoy
        && is_decoded(part)
        && is_decoded(whole)
        && whole.request.audit_id.is_some()
        && is_time_of(part, whole, arrival)
        && is_in(&part.cluster, &whole.cluster)
        && is_in(&part.source_ip, &whole.source_ip)
        && is_in(&part.user_agent, &whole.user_agent)
        && is_in(&part.issued_credential_id, &whole.issued_credential_id)
        && is_in(&part.stage_time, &whole.stage_time)
        && is_actor_of(&part.actor, &whole.actor)
        && is_request_of(&part.request, &whole.request)
}

fn is_decoded(detection: &Detection) -> bool {
    detection.technique != Technique::Undecodable && detection.class != Class::Record
}

/// Whether the time of `part` is that of `whole`, as finely as it is told; or is that of its wrapper, or of its arrival.
fn is_time_of(part: &Detection, whole: &Detection, arrival: Timestamp) -> bool {
    let is_told = part.time != to_microsecond(arrival) && part.origin.time != Some(part.time);
    !is_told || part.time == whole.time || may_be_cut_from(part.time, whole.time)
}

fn is_actor_of(part: &Actor, whole: &Actor) -> bool {
    is_in(&part.username, &whole.username)
        && is_in(&part.uid, &whole.uid)
        && is_in(&part.impersonated, &whole.impersonated)
        && is_in(&part.credential_id, &whole.credential_id)
        && is_in(&part.pod, &whole.pod)
        && is_in(&part.node, &whole.node)
        && (part.groups.is_empty() || part.groups == whole.groups)
}

fn is_request_of(part: &Request, whole: &Request) -> bool {
    is_in(&part.audit_id, &whole.audit_id)
        && is_in(&part.stage, &whole.stage)
        && is_in(&part.verb, &whole.verb)
        && is_in(&part.uri, &whole.uri)
        && is_in(&part.resource, &whole.resource)
        && is_in(&part.subresource, &whole.subresource)
        && is_in(&part.namespace, &whole.namespace)
        && is_in(&part.name, &whole.name)
        && is_in(&part.code, &whole.code)
        && is_in(&part.decision, &whole.decision)
}

fn is_in<T: PartialEq>(part: &Option<T>, whole: &Option<T>) -> bool {
    part.is_none() || part == whole
}
