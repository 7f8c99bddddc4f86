//! Random requests in stages, random clocks, and what is counted of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::stream::*;
use crate::{
    audit::IncidentId,
    dedupe::{Alert, Config},
    detect::{Class, Detection, Technique},
};

/// Stages that a request has.
pub(super) const STAGES: usize = 3;

/// One request, told by each of its stages.
pub(super) type Stages = [Detection; STAGES];

/// What happens to the machine, each after the wall clock has moved by so many seconds.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Stage {
        request: usize,
        stage: usize,
        wall: i64,
    },
    Tick {
        wall: i64,
    },
}

fn technique() -> impl Strategy<Value = Technique> {
    let with_decoy = Technique::ALL.len() - 1;
    (0..with_decoy).prop_map(|number| Technique::ALL[number])
}

/// Requests of few keys that lie close together or far apart; `classes` of their stages.
pub(super) fn request(classes: &'static [Class]) -> impl Strategy<Value = Stages> {
    let code = prop::sample::select(vec![None, Some(200), Some(403), Some(500)]);
    let class = prop::sample::select(classes);
    let stage = (technique(), class, code, prop::bool::weighted(0.2));
    let about = (0..4u8, 0..2u8, 0..3u8, -3000..3000i64, any::<u32>());
    (about, prop::array::uniform3(stage)).prop_map(
        |((source, decoy, resource, time, name), stages)| {
            stages.map(|(technique, class, code, granted)| {
                let mut detection = of(hit(&name.to_string(), time), technique);
                detection.decoy = Some(format!("honeypot/{decoy}").into());
                detection.request.resource = Some(format!("resource-{resource}").into());
                detection.request.code = code;
                detection.class = class;
                detection.granted = granted && class == Class::Detect;
                from(detection, &source.to_string())
            })
        },
    )
}

pub(super) fn steps(requests: usize) -> impl Strategy<Value = Vec<Step>> {
    let wall = prop_oneof![5 => Just(0), 5 => 0..10i64, 2 => 0..2000i64, 1 => -500..0i64];
    let stage =
        (0..requests, 0..STAGES, wall.clone()).prop_map(|(request, stage, wall)| Step::Stage {
            request,
            stage,
            wall,
        });
    let tick = wall.prop_map(|wall| Step::Tick { wall });
    vec(prop_oneof![4 => stage, 1 => tick], 1..120)
}

/// Small enough that every bound is met.
pub(super) fn config() -> impl Strategy<Value = Config> {
    let budget = (1..6u32, 1..600u64);
    let times = (0..900u64, 0..90u64, 0..300u64);
    (budget, times, 1..8usize).prop_map(|((threshold, window_secs), times, num_events)| Config {
        threshold,
        window_secs,
        idle_secs: times.0,
        digest_secs: times.1,
        digest_max_secs: times.2,
        num_events,
        ..Config::default()
    })
}

/// Never over budget, never out of room.
pub(super) fn roomy() -> Config {
    Config {
        threshold: 1_000_000,
        num_events: 10_000,
        ..Config::default()
    }
}

pub(super) const ANY_CLASS: &[Class] =
    &[Class::Detect, Class::Detect, Class::Detect, Class::Expected];
pub(super) const HITS: &[Class] = &[Class::Detect];

pub(super) fn history(
    classes: &'static [Class],
) -> impl Strategy<Value = (Vec<Stages>, Vec<Step>)> {
    vec(request(classes), 1..30).prop_flat_map(|requests| {
        let steps = steps(requests.len());
        (Just(requests), steps)
    })
}

/// One step's alerts, and whether it was a tick.
pub(super) struct Answer {
    pub(super) ticked: bool,
    pub(super) alerts: Vec<Alert>,
}

pub(super) fn run(told: &mut Told, requests: &[Stages], steps: &[Step]) -> Vec<Answer> {
    let mut wall = 0;
    let answers = steps
        .iter()
        .map(|step| act(told, requests, step, &mut wall));
    answers.collect()
}

/// One step, from the second `wall` to what it is then.
pub(super) fn act(told: &mut Told, requests: &[Stages], step: &Step, wall: &mut i64) -> Answer {
    let (Step::Stage { wall: moved, .. } | Step::Tick { wall: moved }) = *step;
    *wall += moved;
    match *step {
        Step::Stage { request, stage, .. } => Answer {
            ticked: false,
            alerts: told.apply_at(&requests[request][stage], at(*wall)),
        },
        Step::Tick { .. } => Answer {
            ticked: true,
            alerts: told.tick(*wall),
        },
    }
}

/// Distinct (request, decoy) of which a stage is a hit.
pub(super) fn hits(requests: &[Stages], steps: &[Step]) -> u64 {
    let hit = |step: &Step| match *step {
        Step::Stage { request, stage, .. } => {
            let detection = &requests[request][stage];
            let hit = detection.class == Class::Detect;
            hit.then(|| (detection.request_id, detection.decoy.clone()))
        }
        Step::Tick { .. } => None,
    };
    steps.iter().filter_map(hit).collect::<BTreeSet<_>>().len() as u64
}

pub(super) fn by_incident(alerts: &[Alert]) -> BTreeMap<IncidentId, Vec<&Alert>> {
    let mut incidents: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for alert in alerts {
        incidents.entry(alert.incident_id).or_default().push(alert);
    }
    incidents
}
