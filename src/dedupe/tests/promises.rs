//! What holds whatever comes: random requests in stages, random clocks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::stream::*;
use crate::{
    audit::{IncidentId, IncidentKey},
    dedupe::{
        Alert,
        AlertKind::{Closed, Digest, Escalated, Opened},
        Config, RequestCount,
    },
    detect::{Class, Detection, Severity, Technique},
};

/// Stages that a request has.
const STAGES: usize = 3;

/// One request, told by each of its stages.
type Stages = [Detection; STAGES];

/// What happens to the machine, each after the wall clock has moved by so many seconds.
#[derive(Clone, Debug)]
enum Step {
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
fn request(classes: &'static [Class]) -> impl Strategy<Value = Stages> {
    let code = prop::sample::select(vec![None, Some(200), Some(403), Some(500)]);
    let class = prop::sample::select(classes);
    let stage = (technique(), class, code, prop::bool::weighted(0.2));
    let about = (0..4u8, 0..2u8, 0..3u8, -3000..3000i64, any::<u32>());
    (about, prop::array::uniform3(stage)).prop_map(
        |((source, decoy, resource, time, name), stages)| {
            stages.map(|(technique, class, code, granted)| {
                let mut detection = of(hit(&name.to_string(), time), technique);
                detection.decoy = Some(format!("honeypot/{decoy}").into());
                detection.request.resource = Some(format!("resource-{resource}"));
                detection.request.code = code;
                detection.class = class;
                detection.granted = granted && class == Class::Detect;
                from(detection, &source.to_string())
            })
        },
    )
}

fn steps(requests: usize) -> impl Strategy<Value = Vec<Step>> {
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
fn config() -> impl Strategy<Value = Config> {
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
fn roomy() -> Config {
    Config {
        threshold: 1_000_000,
        num_events: 10_000,
        ..Config::default()
    }
}

const ANY_CLASS: &[Class] = &[Class::Detect, Class::Detect, Class::Detect, Class::Expected];
const HITS: &[Class] = &[Class::Detect];

fn history(classes: &'static [Class]) -> impl Strategy<Value = (Vec<Stages>, Vec<Step>)> {
    vec(request(classes), 1..30).prop_flat_map(|requests| {
        let steps = steps(requests.len());
        (Just(requests), steps)
    })
}

/// One step's alerts, and whether it was a tick.
struct Answer {
    ticked: bool,
    alerts: Vec<Alert>,
}

fn run(told: &mut Told, requests: &[Stages], steps: &[Step]) -> Vec<Answer> {
    let mut wall = 0;
    let act = |step: &Step| match *step {
        Step::Stage {
            request,
            stage,
            wall: moved,
        } => {
            wall += moved;
            let alerts = told.apply_at(&requests[request][stage], at(wall));
            Answer {
                ticked: false,
                alerts,
            }
        }
        Step::Tick { wall: moved } => {
            wall += moved;
            Answer {
                ticked: true,
                alerts: told.tick(wall),
            }
        }
    };
    steps.iter().map(act).collect()
}

/// Distinct (request, decoy) of which a stage is a hit.
fn hits(requests: &[Stages], steps: &[Step]) -> u64 {
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

fn by_incident(alerts: &[Alert]) -> BTreeMap<IncidentId, Vec<&Alert>> {
    let mut incidents: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for alert in alerts {
        incidents.entry(alert.incident_id).or_default().push(alert);
    }
    incidents
}

/// All that must not depend on the order of stages, by incident.
type Outcome = (
    u64,
    Severity,
    bool,
    Vec<Technique>,
    Vec<(Option<String>, Option<u16>, u64)>,
);

fn outcomes(alerts: &[Alert]) -> BTreeMap<IncidentId, Outcome> {
    let row = |row: &RequestCount| (row.resource.clone(), row.code, row.count);
    let outcome = |alert: &Alert| {
        let mut rows: Vec<_> = alert.requests.iter().map(row).collect();
        rows.sort();
        let techniques = alert.techniques.clone();
        (
            alert.incident_id,
            (alert.total, alert.severity, alert.granted, techniques, rows),
        )
    };
    alerts.iter().map(outcome).collect()
}

proptest! {
    /// Nothing is lost and nothing is counted twice: through floods, evictions, revivals, drains.
    #[test]
    fn counts_are_conserved((requests, steps) in history(ANY_CLASS), config in config()) {
        let mut told = Told::new(config);
        run(&mut told, &requests, &steps);
        told.drain(10_000);
        let sum: u64 = told.alerts.iter().map(|alert| alert.count).sum();
        prop_assert_eq!(sum, hits(&requests, &steps));
        prop_assert_eq!(told.machine.next_tick(), None);
    }

    /// Of each incident the counts add up to the total, and its alerts are numbered without a
    /// gap. One that was forgotten and is told of again begins again, under the same id.
    #[test]
    fn each_incident_adds_up((requests, steps) in history(ANY_CLASS), config in config()) {
        let mut told = Told::new(config);
        run(&mut told, &requests, &steps);
        told.drain(10_000);
        for alerts in by_incident(&told.alerts).values() {
            let (mut total, mut sequence) = (0, 0);
            for alert in alerts {
                if alert.kind == Opened {
                    (total, sequence) = (0, 0);
                }
                total += alert.count;
                sequence += 1;
                prop_assert_eq!(alert.total, total);
                prop_assert_eq!(alert.sequence, sequence);
                prop_assert_eq!(alert.kind == Opened, sequence == 1);
                let in_rows: u64 = alert.requests.iter().map(|row| row.count).sum();
                prop_assert_eq!(in_rows, total);
            }
        }
    }

    /// No two alerts share an id, even if an incident was forgotten in between.
    #[test]
    fn alert_ids_are_unique((requests, steps) in history(ANY_CLASS), config in config()) {
        let mut told = Told::new(config);
        run(&mut told, &requests, &steps);
        told.drain(10_000);
        let ids: BTreeSet<_> = told.alerts.iter().map(|alert| alert.alert_id).collect();
        prop_assert_eq!(ids.len(), told.alerts.len());
    }

    /// The order and the repetition of a request's stages change no total and no id.
    #[test]
    fn stages_may_come_in_any_order(
        (requests, slots, turns, repeated) in vec(request(HITS), 1..20).prop_flat_map(|requests| {
            let count = requests.len();
            let slots: Vec<usize> = (0..count * STAGES).map(|slot| slot % count).collect();
            (
                Just(requests),
                Just(slots).prop_shuffle(),
                vec(Just([0, 1, 2]).prop_shuffle(), count),
                vec((0..count, 0..STAGES), 0..30),
            )
        })
    ) {
        // The n-th appearance of a request is its n-th stage, or any other order of them.
        let told = |order: &dyn Fn(usize, usize) -> usize, repeated: &[(usize, usize)]| {
            let mut told = Told::new(roomy());
            let mut seen = vec![0; requests.len()];
            for &request in &slots {
                let stage = order(request, seen[request]);
                seen[request] += 1;
                told.apply_at(&requests[request][stage], at(0));
            }
            for &(request, stage) in repeated {
                told.apply_at(&requests[request][stage], at(0));
            }
            outcomes(&told.drain(0))
        };
        let in_order = told(&|_, appearance| appearance, &[]);
        let shuffled = told(&|request, appearance| turns[request][appearance], &repeated);
        prop_assert_eq!(in_order, shuffled);
    }

    /// Each budget cell buys at most six alerts: an opening with four escalations (three
    /// rises of severity, one grant) and an early end; or a digest; or an end; or the end of a
    /// flood, after which the next may be opened and escalated four times. The first flood of a
    /// decoy is free. So of `d` decoys no more than `6 * cells + 5 * d` alerts are told, and what is
    /// paid for keeps to the budget of its decoy and severity exactly.
    #[test]
    fn alerts_keep_to_the_budget((requests, steps) in history(ANY_CLASS), config in config()) {
        let mut told = Told::new(config.clone());
        let answers = run(&mut told, &requests, &steps);
        let refill_nanos = config.window_secs * 1_000_000_000 / u64::from(config.threshold);
        let mut wall = 0;
        let walls = steps.iter().map(|step| {
            let (Step::Stage { wall: moved, .. } | Step::Tick { wall: moved }) = step;
            wall += *moved;
            wall
        });
        let walls: Vec<i64> = walls.collect();
        let elapsed = walls.iter().max().unwrap_or(&0) - walls.first().unwrap_or(&0);
        let cells = u64::from(config.threshold) + elapsed as u64 * 1_000_000_000 / refill_nanos;

        let mut paid = BTreeMap::<_, u64>::new();
        let mut escalations = BTreeMap::<_, u64>::new();
        for answer in &answers {
            for alert in &answer.alerts {
                let flood = alert.flood.is_some();
                let early_end = alert.kind == Closed && !answer.ticked && !flood;
                match alert.kind {
                    Opened if flood => {}
                    _ if early_end => {}
                    Opened | Digest | Closed => {
                        *paid.entry((alert.decoy.clone(), alert.severity)).or_default() += 1;
                    }
                    Escalated => *escalations.entry(alert.incident_id).or_default() += 1,
                    other => prop_assert!(false, "{other} of an incident"),
                }
            }
        }
        for (budget, paid) in &paid {
            prop_assert!(*paid <= cells, "{} alerts of {:?}, {} cells", paid, budget, cells);
        }
        prop_assert!(escalations.values().all(|&count| count <= 4));
        let cells_of_all = cells * 4 * 2;
        prop_assert!(told.alerts.len() as u64 <= 6 * cells_of_all + 5 * 2);
    }

    /// The first event of a key is told at once, or counted at once in a flood that is open.
    #[test]
    fn nothing_new_is_kept_back((requests, steps) in history(HITS), config in config()) {
        let mut told = Told::new(config);
        let mut known = BTreeSet::<IncidentKey>::new();
        let mut wall = 0;
        for step in &steps {
            match *step {
                Step::Tick { wall: moved } => {
                    wall += moved;
                    told.tick(wall);
                }
                Step::Stage { request, stage, wall: moved } => {
                    wall += moved;
                    let detection = &requests[request][stage];
                    let folded = told.machine.counts().folded_hits;
                    let alerts = told.apply_at(detection, at(wall));
                    if known.insert(detection.incident_key) {
                        let at_once = alerts.iter().any(|alert| {
                            alert.kind == Opened && alert.incident_key == detection.incident_key
                        });
                        let counts = told.machine.counts();
                        let in_flood = counts.folded_hits == folded + 1 && counts.open_incidents > 0;
                        prop_assert!(at_once != in_flood, "{:?}", alerts);
                    }
                }
            }
        }
    }

    /// Whatever floods at a lower severity, graver alerts are the same and come with the same event.
    #[test]
    fn noise_delays_nothing_graver(
        steps in vec(prop_oneof![
            1 => (0..5usize).prop_map(Some),
            9 => Just(None),
        ], 1..150),
        ticks in vec(0..150usize, 0..10),
    ) {
        let told_of_thefts = |with_noise: bool| {
            let mut told = Told::new(Config::default());
            let mut thefts = Vec::new();
            for (place, step) in steps.iter().enumerate() {
                let now = place as i64;
                let name = place.to_string();
                let mut alerts = Vec::new();
                if let Some(thief) = step {
                    alerts.extend(told.apply(&from(hit(&name, now), &format!("thief-{thief}"))));
                } else if with_noise {
                    alerts.extend(told.apply(&of(from(hit(&name, now), &name), Technique::Recon)));
                }
                if ticks.contains(&place) {
                    alerts.extend(told.tick(now));
                }
                thefts.extend(alerts.into_iter().filter(|alert| {
                    alert.severity == Severity::Critical
                }).map(|alert| (place, alert.alert_id, alert.kind)));
            }
            thefts
        };
        prop_assert_eq!(told_of_thefts(true), told_of_thefts(false));
    }

    /// The same input gives the same alerts, to the last word.
    #[test]
    fn a_replay_tells_the_same((requests, steps) in history(ANY_CLASS), config in config()) {
        let told = || {
            let mut told = Told::new(config.clone());
            run(&mut told, &requests, &steps);
            told.drain(10_000);
            told.alerts
        };
        prop_assert_eq!(told(), told());
    }

    /// When ticks come, and when events arrive, changes no incident.
    #[test]
    fn the_wall_clock_makes_no_incident((requests, steps) in history(ANY_CLASS)) {
        let told = |steps: &[Step]| {
            let mut told = Told::new(roomy());
            run(&mut told, &requests, steps);
            told.drain(10_000);
            let totals = by_incident(&told.alerts);
            totals.into_iter().map(|(id, alerts)| (id, alerts[alerts.len() - 1].total)).collect::<Vec<_>>()
        };
        let still: Vec<_> = steps.iter().filter_map(|step| match *step {
            Step::Stage { request, stage, .. } => Some(Step::Stage { request, stage, wall: 0 }),
            Step::Tick { .. } => None,
        }).collect();
        prop_assert_eq!(told(&steps), told(&still));
    }

    /// A tick at the time that was asked for has something to do, and asks for a later one.
    #[test]
    fn ticks_come_to_an_end((requests, steps) in history(ANY_CLASS), config in config()) {
        let mut told = Told::new(config);
        run(&mut told, &requests, &steps);
        told.run_to(100_000_000);
        prop_assert_eq!(told.machine.next_tick(), None);
    }
}
