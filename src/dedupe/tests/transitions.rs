//! Opened, escalated, digest, closed; by event time and by the wall clock.

use super::stream::*;
use crate::{
    dedupe::{AlertKind::*, Config, RequestCount},
    detect::{Severity, Technique},
};

fn told() -> Told {
    Told::new(Config::default())
}

#[test]
fn the_first_event_is_told_at_once() {
    let mut told = told();
    let alerts = told.apply(&hit("a", 0));
    assert_eq!(kinds(&alerts), [(Opened, 1)]);
    let alert = &alerts[0];
    assert_eq!((alert.sequence, alert.total), (1, 1));
    assert_eq!(alert.severity, Severity::Critical);
    assert_eq!(alert.techniques, [Technique::TokenUse]);
    assert_eq!(alert.source_ip.as_deref(), Some("10.0.3.7"));
    assert_eq!(
        alert.token.as_ref().and_then(|token| token.id.as_deref()),
        Some("JTI=1")
    );
    assert_eq!(
        alert.title,
        "Token of decoy honeypot/backup-sa used from 10.0.3.7: list namespaces"
    );
    assert_eq!(alert.late_secs, None);
}

#[test]
fn more_hits_wait_for_the_digest_whose_interval_doubles() {
    let mut told = told();
    told.apply(&hit("a", 0));
    let mut digests = Vec::new();
    for second in 1..1000 {
        assert_eq!(told.apply(&hit(&second.to_string(), second)), []);
        for alert in told.run_to(second) {
            assert_eq!(alert.kind, Digest);
            digests.push((second, alert.count));
        }
    }
    assert_eq!(digests, [(60, 60), (180, 120), (420, 240), (900, 480)]);
}

#[test]
fn a_digest_is_told_only_of_something() {
    let mut told = told();
    told.apply(&hit("a", 0));
    assert_eq!(told.machine.next_tick(), Some(at(900)));
    assert_eq!(told.tick(899), []);
    told.apply(&hit("b", 10));
    assert_eq!(told.machine.next_tick(), Some(at(60)));
    assert_eq!(kinds(&told.tick(60)), [(Digest, 1)]);
    assert_eq!(told.machine.next_tick(), Some(at(910)));
}

#[test]
fn closed_after_silence_with_the_totals() {
    let mut told = told();
    told.apply(&hit("a", 0));
    told.apply(&hit("b", 30));
    let alerts = told.run_to(10_000);
    assert_eq!(kinds(&alerts), [(Digest, 1), (Closed, 0)]);
    let closed = &alerts[1];
    assert_eq!((closed.sequence, closed.total), (3, 2));
    assert_eq!((closed.first_seen, closed.last_seen), (at(0), at(30)));
    assert!(
        closed.title.starts_with("Quiet again after 2 hits"),
        "{}",
        closed.title
    );
    assert_eq!(told.machine.next_tick(), None);
    assert_eq!(told.machine.counts().open_incidents, 0);
}

#[test]
fn when_both_are_due_only_the_end_is_told() {
    let mut told = told();
    told.apply(&hit("a", 0));
    told.apply(&hit("b", 1));
    assert_eq!(kinds(&told.tick(5000)), [(Closed, 1)]);
}

#[test]
fn graver_is_told_at_once_and_only_once() {
    let mut told = told();
    let mut first = of(hit("a", 0), Technique::Recon);
    first.granted = false;
    told.apply(&first);
    told.apply(&of(hit("b", 1), Technique::Recon));
    let alerts = told.apply(&of(hit("c", 2), Technique::SecretRead));
    assert_eq!(kinds(&alerts), [(Escalated, 2)]);
    assert_eq!(alerts[0].severity, Severity::High);
    assert_eq!(
        alerts[0].techniques,
        [Technique::SecretRead, Technique::Recon]
    );
    assert_eq!(told.apply(&of(hit("d", 3), Technique::PodExec)), []);

    let mut granted = hit("e", 4);
    granted.granted = true;
    let alerts = told.apply(&granted);
    assert_eq!(kinds(&alerts), [(Escalated, 2)]);
    assert!(alerts[0].granted && alerts[0].severity == Severity::Critical);
    granted.request_id = hit("f", 5).request_id;
    assert_eq!(told.apply(&granted), []);
}

#[test]
fn an_escalation_needs_no_budget() {
    let mut told = Told::new(Config {
        threshold: 1,
        ..Config::default()
    });
    told.apply(&hit("a", 0));
    let low = of(from(hit("b", 1), "10.0.0.2"), Technique::Recon);
    assert_eq!(kinds(&told.apply(&low)), [(Opened, 1)]);
    let grave = from(hit("c", 2), "10.0.0.2");
    assert_eq!(kinds(&told.apply(&grave)), [(Escalated, 1)]);
}

#[test]
fn an_escalation_spends_budget_if_there_is_any() {
    let mut told = Told::new(Config {
        threshold: 2,
        window_secs: 1000,
        ..Config::default()
    });
    told.apply(&of(hit("a", 0), Technique::Recon));
    told.apply(&hit("b", 1));
    told.apply(&from(hit("c", 2), "10.0.0.2"));
    let alerts = told.apply(&from(hit("d", 3), "10.0.0.3"));
    assert!(alerts[0].flood.is_some());
}

#[test]
fn what_became_graver_waits_no_longer_for_the_lesser_budget() {
    let mut told = Told::new(Config {
        threshold: 1,
        window_secs: 100_000,
        ..Config::default()
    });
    told.apply(&of(hit("a", 0), Technique::Recon));
    told.apply(&of(hit("b", 1), Technique::Recon));
    assert_eq!(told.tick(60), []);
    told.apply(&of(hit("c", 61), Technique::SecretRead));
    told.apply(&of(hit("c", 61), Technique::TokenUse));
    assert_eq!(told.machine.next_tick(), Some(at(961)));
}

#[test]
fn a_forgotten_incident_that_begins_again_gets_alerts_of_its_own() {
    let mut told = Told::new(Config {
        num_events: 1,
        ..Config::default()
    });
    let first = told.apply(&hit("a", 0));
    told.apply(&from(hit("b", 0), "10.0.0.2"));
    let again = told.apply(&hit("c", 0));
    assert_eq!(first[0].incident_id, again[0].incident_id);
    assert_ne!(first[0].alert_id, again[0].alert_id);
}

#[test]
fn tokens_and_addresses_are_incidents_of_their_own() {
    let mut told = told();
    let mut ids = vec![told.apply(&hit("a", 0))[0].incident_id];
    ids.push(told.apply(&from(hit("b", 0), "10.0.0.2"))[0].incident_id);
    ids.push(told.apply(&by(hit("c", 0), "jane"))[0].incident_id);
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn event_time_and_not_the_wall_decides_what_belongs_together() {
    // A backlog: ten hours of log, read within a second.
    let mut told = told();
    let first = told.apply_at(&hit("a", 0), at(50_000));
    assert_eq!(told.apply_at(&hit("b", 900), at(50_000)), []);
    let second = told.apply_at(&hit("c", 1801), at(50_000));
    assert_eq!(kinds(&second), [(Opened, 1)]);
    assert_ne!(first[0].incident_id, second[0].incident_id);
    // The first has been shown to be over, and is closed by the next tick.
    assert_eq!(told.machine.next_tick(), Some(at(50_000)));
    let closed = told.tick(50_000);
    assert_eq!(kinds(&closed), [(Closed, 1)]);
    assert_eq!(closed[0].incident_id, first[0].incident_id);
}

#[test]
fn a_hit_between_two_incidents_joins_the_nearer() {
    let mut told = told();
    told.apply(&hit("a", 0));
    let late = told.apply(&hit("b", 1500));
    told.apply_at(&hit("c", 800), at(1500));
    let drained = told.drain(1500);
    assert_eq!(
        drained
            .iter()
            .find(|it| it.incident_id == late[0].incident_id)
            .unwrap()
            .total,
        2
    );
}

#[test]
fn hits_in_disorder_stretch_the_incident_both_ways() {
    let mut told = told();
    let opened = told.apply(&hit("a", 1000));
    told.apply_at(&hit("b", 100), at(1000));
    told.apply_at(&hit("c", 1900), at(1000));
    let closed = told.drain(1000);
    assert_eq!(kinds(&closed), [(Closed, 2)]);
    assert_eq!(
        (closed[0].first_seen, closed[0].last_seen),
        (at(100), at(1900))
    );
    assert_eq!(closed[0].incident_id, opened[0].incident_id);
}

#[test]
fn a_late_hit_of_a_closed_incident_revives_it_under_its_own_id() {
    let mut told = told();
    let opened = told.apply(&hit("a", 0));
    told.run_to(900);
    assert_eq!(told.apply_at(&hit("b", 500), at(2000)), []);
    let alerts = told.run_to(10_000);
    assert_eq!(kinds(&alerts), [(Digest, 1), (Closed, 0)]);
    assert_eq!(alerts[0].incident_id, opened[0].incident_id);
    assert_eq!(
        alerts
            .iter()
            .map(|alert| alert.sequence)
            .collect::<Vec<_>>(),
        [3, 4]
    );
    assert_eq!((alerts[0].total, alerts[0].late_secs), (2, Some(1500)));
}

#[test]
fn after_silence_in_both_times_it_is_a_new_incident() {
    let mut told = told();
    let first = told.apply(&hit("a", 0));
    told.run_to(900);
    let second = told.apply(&hit("b", 901));
    assert_eq!(kinds(&second), [(Opened, 1)]);
    assert_ne!(first[0].incident_id, second[0].incident_id);
}

#[test]
fn says_how_late_it_is() {
    let mut told = told();
    assert_eq!(told.apply_at(&hit("a", 0), at(60))[0].late_secs, None);
    let late = from(hit("b", 0), "10.0.0.2");
    assert_eq!(told.apply_at(&late, at(61))[0].late_secs, Some(61));
    let early = from(hit("c", 1000), "10.0.0.3");
    assert_eq!(told.apply_at(&early, at(62))[0].late_secs, None);
    // Time spent waiting for the end is no lateness.
    let closed = told.tick(5000);
    assert_eq!(
        closed.iter().map(|it| it.late_secs).collect::<Vec<_>>(),
        [None, Some(61), None]
    );
}

#[test]
fn digests_and_endings_wait_for_budget_and_are_not_lost() {
    let config = Config {
        threshold: 2,
        window_secs: 2000,
        ..Config::default()
    };
    let mut told = Told::new(config);
    told.apply(&hit("a", 0));
    told.apply(&from(hit("b", 0), "10.0.0.2"));
    told.apply(&hit("c", 1));
    // One alert every 1000 s: the digest has waited until it became the end.
    assert_eq!(told.tick(60), []);
    assert_eq!(told.machine.next_tick(), Some(at(900)));
    assert_eq!(told.tick(901), []);
    assert_eq!(told.machine.next_tick(), Some(at(1000)));
    assert_eq!(told.tick(999), []);
    assert_eq!(kinds(&told.tick(1000)), [(Closed, 1)]);
    assert_eq!(told.machine.next_tick(), Some(at(2000)));
    assert_eq!(kinds(&told.run_to(10_000)), [(Closed, 0)]);
}

#[test]
fn the_eldest_is_closed_early_and_not_forgotten_in_silence() {
    let mut told = Told::new(Config {
        num_events: 2,
        ..Config::default()
    });
    told.apply(&hit("a", 0));
    told.apply(&from(hit("b", 1), "10.0.0.2"));
    told.apply(&hit("c", 2));
    let alerts = told.apply(&from(hit("d", 3), "10.0.0.3"));
    assert_eq!(kinds(&alerts), [(Opened, 1), (Closed, 0)]);
    assert_eq!(alerts[1].source_ip.as_deref(), Some("10.0.0.2"));
    let counts = told.machine.counts();
    assert_eq!(
        (counts.evicted_incidents, counts.remembered_incidents),
        (1, 2)
    );
    let alerts = told.apply(&from(hit("e", 4), "10.0.0.2"));
    assert_eq!(kinds(&alerts), [(Opened, 1), (Closed, 1)]);
}

#[test]
fn drain_closes_everything_whatever_the_budget() {
    let mut told = Told::new(Config {
        threshold: 1,
        ..Config::default()
    });
    told.apply(&hit("a", 0));
    told.apply(&hit("b", 1));
    for number in 0..5 {
        told.apply(&from(hit(&number.to_string(), 2), &number.to_string()));
    }
    let alerts = told.drain(3);
    assert_eq!(kinds(&alerts), [(Closed, 4), (Closed, 1)]);
    assert_eq!(told.machine.next_tick(), None);
    assert_eq!(told.drain(4), []);
}

#[test]
fn lists_are_bounded_and_counts_are_exact() {
    let mut told = told();
    for number in 0..100 {
        let mut many = hit(&number.to_string(), 0);
        actor_of(&mut many).impersonated = Some(format!("user-{number}"));
        many.user_agent = Some(format!("{number}{}", "x".repeat(5000)).into());
        many.claimed_ips = vec![format!("8.8.8.{number}")];
        many.request.resource = Some(format!("{number}{}", "y".repeat(5000)).into());
        told.apply(&many);
    }
    let closed = &told.drain(1)[0];
    assert_eq!(closed.impersonated.len(), 10);
    assert_eq!(closed.user_agents.len(), 10);
    assert_eq!(closed.claimed_ips.len(), 10);
    assert!(closed.user_agents.iter().all(|agent| agent.len() <= 256));
    assert_eq!(closed.requests.len(), 17);
    assert_eq!(
        closed.requests.iter().map(|row| row.count).sum::<u64>(),
        100
    );
    let rest = RequestCount {
        verb: None,
        resource: None,
        code: None,
        count: 84,
    };
    assert_eq!(closed.requests[16], rest);
}

#[test]
fn grouped_by_other_fields_what_differs_is_not_shown() {
    let fields = vec![crate::dedupe::Field::Username];
    let mut told = Told::new(Config {
        fields,
        ..Config::default()
    });
    assert!(told.apply(&hit("a", 0))[0].source_ip.is_some());
    told.apply(&from(hit("b", 1), "10.0.0.2"));
    let closed = told.drain(2);
    assert_eq!(kinds(&closed), [(Closed, 1)]);
    assert_eq!(closed[0].source_ip, None);
    assert!(closed[0].token.is_some());
}

#[test]
fn a_clock_that_steps_back_loses_nothing() {
    let mut told = told();
    told.apply_at(&hit("a", 0), at(10_000));
    told.apply_at(&hit("b", 1), at(0));
    told.tick(0);
    assert_eq!(kinds(&told.tick(900)), [(Closed, 1)]);
}
