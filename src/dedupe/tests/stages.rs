//! The stages of one request are one hit, in whatever order they come.

use super::stream::*;
use crate::{
    dedupe::{AlertKind::*, Config},
    detect::{Class, Severity, Technique},
};

fn told() -> Told {
    Told::new(Config::default())
}

#[test]
fn stages_and_repetitions_count_once() {
    let mut told = told();
    told.apply(&hit("a", 0));
    told.apply(&answered(hit("a", 0), 403));
    told.apply(&answered(hit("a", 0), 403));
    told.apply(&hit("a", 0));
    let closed = &told.drain(1)[0];
    assert_eq!((closed.count, closed.total), (0, 1));
    assert_eq!(closed.requests.len(), 1);
    assert_eq!(
        (closed.requests[0].code, closed.requests[0].count),
        (Some(403), 1)
    );
}

#[test]
fn a_late_stage_may_be_graver() {
    let mut told = told();
    told.apply(&of(hit("a", 0), Technique::Recon));
    let alerts = told.apply(&of(hit("a", 0), Technique::Impersonation));
    assert_eq!(kinds(&alerts), [(Escalated, 0)]);
    assert_eq!(alerts[0].severity, Severity::Critical);
    assert_eq!(alerts[0].techniques, [Technique::Impersonation]);
    // The weaker stage once more changes nothing.
    assert_eq!(told.apply(&of(hit("a", 0), Technique::Recon)), []);
    assert_eq!(told.drain(1)[0].techniques, [Technique::Impersonation]);
}

#[test]
fn a_late_stage_may_show_that_access_was_granted() {
    let mut told = told();
    told.apply(&hit("a", 0));
    let mut granted = answered(hit("a", 0), 200);
    granted.granted = true;
    assert_eq!(kinds(&told.apply(&granted)), [(Escalated, 0)]);
    assert_eq!(told.apply(&granted), []);
}

#[test]
fn a_late_stage_adds_what_only_it_knows() {
    let mut told = told();
    told.apply(&hit("a", 0));
    let mut late = hit("a", 0);
    actor_of(&mut late).impersonated = Some("system:admin".to_owned());
    actor_of(&mut late).pod = Some("web-1".to_owned());
    told.apply(&late);
    let closed = &told.drain(1)[0];
    assert_eq!(closed.impersonated, ["system:admin"]);
    assert_eq!(closed.pod.as_deref(), Some("web-1"));
}

#[test]
fn a_late_stage_neither_counts_nor_reopens_what_is_closed() {
    let mut told = told();
    told.apply(&hit("a", 0));
    assert_eq!(kinds(&told.run_to(900)), [(Closed, 0)]);
    assert_eq!(told.apply_at(&answered(hit("a", 0), 403), at(9000)), []);
    assert_eq!(told.machine.next_tick(), None);
    assert_eq!(told.machine.counts().open_incidents, 0);
}

#[test]
fn nothing_graver_is_missed_after_the_end() {
    let mut told = told();
    let opened = told.apply(&of(hit("a", 0), Technique::Recon));
    told.run_to(900);
    let alerts = told.apply_at(&of(hit("a", 0), Technique::Impersonation), at(9000));
    assert_eq!(kinds(&alerts), [(Escalated, 0)]);
    assert_eq!(alerts[0].incident_id, opened[0].incident_id);
    assert_eq!((alerts[0].sequence, alerts[0].late_secs), (3, Some(9000)));
    assert_eq!(told.machine.next_tick(), None);
}

#[test]
fn nothing_graver_is_missed_after_the_incident_is_forgotten() {
    let mut told = Told::new(Config {
        num_events: 1,
        ..Config::default()
    });
    told.apply(&of(hit("a", 0), Technique::Recon));
    told.apply(&from(hit("b", 0), "10.0.0.2"));
    // No graver: nothing is told.
    assert_eq!(
        told.apply(&answered(of(hit("a", 0), Technique::Recon), 403)),
        []
    );
    let alerts = told.apply(&of(hit("a", 0), Technique::Impersonation));
    assert_eq!(kinds(&alerts), [(Opened, 0), (Closed, 0)]);
    assert_eq!(
        (alerts[0].total, alerts[0].severity),
        (0, Severity::Critical)
    );
    assert_eq!(alerts[0].techniques, [Technique::Impersonation]);
    assert_eq!(told.apply(&of(hit("a", 0), Technique::Impersonation)), []);
    assert_eq!(told.alerts.iter().map(|alert| alert.count).sum::<u64>(), 2);
}

#[test]
fn a_request_is_counted_when_it_first_becomes_a_hit() {
    let mut told = told();
    let mut expected = of(hit("a", 0), Technique::TokenRequest);
    expected.class = Class::Expected;
    assert_eq!(told.apply(&expected), []);
    // Its technique is the first of any of its events, whatever their class.
    let alerts = told.apply(&of(hit("a", 0), Technique::Recon));
    assert_eq!(kinds(&alerts), [(Opened, 1)]);
    assert_eq!(alerts[0].techniques, [Technique::TokenRequest]);
    assert_eq!(alerts[0].severity, Severity::Critical);
    assert_eq!(told.apply(&expected), []);
    assert_eq!(told.drain(1)[0].total, 1);
}

#[test]
fn expected_and_record_are_never_told() {
    let mut told = told();
    for class in [Class::Expected, Class::Record] {
        let mut other = hit("a", 0);
        other.class = class;
        assert_eq!(told.apply(&other), []);
        other.decoy = None;
        assert_eq!(told.apply(&other), []);
    }
    assert_eq!(told.machine.counts().open_incidents, 0);
}

#[test]
fn a_request_that_touches_two_decoys_is_a_hit_of_each() {
    let mut told = told();
    told.apply(&hit("a", 0));
    let mut other = hit("a", 0);
    other.decoy = Some("honeypot/other".into());
    assert_eq!(kinds(&told.apply(&keyed(other))), [(Opened, 1)]);
}

#[test]
fn a_panic_stands_over_the_code_that_came_first() {
    let mut told = told();
    for code in [500, 200] {
        told.apply(&answered(hit("a", 0), code));
    }
    assert_eq!(told.drain(1)[0].requests[0].code, Some(500));
}
