//! What holds whatever comes: random requests in stages, random clocks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::{histories::*, stream::*};
use crate::{
    audit::{IncidentId, IncidentKey},
    dedupe::{
        Alert,
        AlertKind::{Closed, Digest, Escalated, Opened},
        Config, RequestCount,
    },
    detect::{Severity, Technique},
};

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

/// Seconds in which budgets refill: none while the clock is behind what it was, unless it goes on from there for a window.
fn elapsed(walls: &[i64], window_secs: i64) -> i64 {
    let mut latest = walls.first().copied().unwrap_or(0);
    let mut back = i64::MAX;
    let passed = walls.iter().map(|&wall| {
        let passed = (wall - latest).max(0);
        back = if wall < latest {
            back.min(wall)
        } else {
            i64::MAX
        };
        if wall >= latest || wall - back >= window_secs {
            (latest, back) = (wall, i64::MAX);
        }
        passed
    });
    passed.sum()
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
    /// paid for keeps to the two budgets of its decoy and severity exactly.
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
        let elapsed = elapsed(&walls, config.window_secs as i64);
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
            prop_assert!(*paid <= 2 * cells, "{} alerts of {:?}, {} cells", paid, budget, cells);
        }
        prop_assert!(escalations.values().all(|&count| count <= 4));
        let cells_of_all = cells * 4 * 2 * 2;
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

    /// However the clock stepped back and forth, before or after the last hit: the incident tells of it within a digest's
    /// first interval, and closes within `idle_secs`, both by the last clock.
    #[test]
    fn a_clock_that_was_wrong_silences_nothing(
        walls in vec(-100_000..100_000i64, 1..20),
        last in -100_000..100_000i64,
        is_hit_again in any::<bool>(),
    ) {
        let config = Config { digest_max_secs: 0, idle_secs: 900, ..roomy() };
        let mut told = Told::new(config.clone());
        for (number, wall) in walls.iter().enumerate() {
            told.apply_at(&hit(&number.to_string(), 0), at(*wall));
            told.tick(*wall);
        }
        if is_hit_again {
            told.apply_at(&hit("last", 0), at(last));
        } else {
            told.tick(last);
        }
        let is_told = |told: &Told| {
            let sum: u64 = told.alerts.iter().map(|alert| alert.count).sum();
            sum == walls.len() as u64 + u64::from(is_hit_again)
        };
        told.run_to(last + config.digest_secs as i64);
        prop_assert!(is_told(&told));
        told.run_to(last + config.idle_secs as i64);
        prop_assert_eq!(told.machine.next_tick(), None);
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
