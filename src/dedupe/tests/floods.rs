//! Over budget: one flood incident for many.

use super::stream::*;
use crate::{
    dedupe::{Alert, AlertKind::*, Config},
    detect::{Severity, Technique},
};

/// A budget of one alert in an hour.
fn tight() -> Config {
    Config {
        threshold: 1,
        window_secs: 3600,
        ..Config::default()
    }
}

/// The only hit from address `number`.
fn stranger(number: i64, second: i64) -> crate::detect::Detection {
    from(
        hit(&format!("stranger-{number}"), second),
        &format!("10.1.{}.{}", number / 256, number % 256),
    )
}

fn is_flood(alert: &Alert) -> bool {
    alert.flood.is_some()
}

#[test]
fn beyond_the_budget_many_are_told_as_one() {
    let mut told = Told::new(tight());
    told.apply(&hit("a", 0));
    let mut first = stranger(0, 0);
    actor_of(&mut first).pod = Some("web-1".to_owned());
    let alerts = told.apply(&first);
    assert_eq!(kinds(&alerts), [(Opened, 1)]);
    let flood = &alerts[0];
    assert_eq!(
        (&flood.token, &flood.source_ip, &flood.pod),
        (&None, &None, &None)
    );
    assert_eq!(flood.flood.as_ref().map(|flood| flood.incidents), Some(1));
    for number in 1..1000 {
        assert_eq!(told.apply(&stranger(number, 0)), []);
    }
    for number in 0..10 {
        told.apply(&from(hit(&format!("again-{number}"), 0), "10.1.0.7"));
    }
    let closed = told.drain(1).into_iter().find(is_flood).unwrap();
    assert_eq!((closed.count, closed.total), (1009, 1010));
    let flood = closed.flood.unwrap();
    assert_eq!(flood.incidents, 1000);
    assert_eq!(told.machine.counts().folded_hits, 1010);
}

#[test]
fn those_with_an_incident_of_their_own_go_on_in_it() {
    let mut told = Told::new(tight());
    told.apply(&hit("a", 0));
    told.apply(&stranger(0, 0));
    told.apply(&hit("b", 1));
    let drained = told.drain(2);
    let own = drained.iter().find(|alert| !is_flood(alert)).unwrap();
    assert_eq!(own.total, 2);
}

#[test]
fn graver_joins_are_told_at_once_once_for_each_severity() {
    let mut told = Told::new(tight());
    let mut flooded = Vec::new();
    for technique in [
        Technique::NamespaceTouch,
        Technique::Recon,
        Technique::SecretRead,
        Technique::TokenUse,
    ] {
        for number in 0..10 {
            let name = i64::from(technique as u8) * 100 + number;
            flooded.extend(
                told.apply(&of(stranger(name, 0), technique))
                    .into_iter()
                    .filter(is_flood),
            );
        }
    }
    assert_eq!(
        kinds(&flooded),
        [(Opened, 1), (Escalated, 9), (Escalated, 9), (Escalated, 9)]
    );
    assert_eq!(flooded[3].severity, Severity::Critical);
    let mut granted = stranger(9999, 0);
    granted.granted = true;
    assert_eq!(kinds(&told.apply(&granted)), [(Escalated, 9)]);
}

#[test]
fn a_flood_of_low_severity_spends_nothing_of_the_graver() {
    let mut told = Told::new(tight());
    for number in 0..1000 {
        told.apply(&of(stranger(number, number), Technique::Recon));
        told.run_to(number);
    }
    let alerts = told.apply(&hit("theft", 1000));
    assert_eq!(kinds(&alerts), [(Opened, 1)]);
    assert!(!is_flood(&alerts[0]));
}

#[test]
fn a_flood_that_became_graver_spends_nothing_either() {
    let mut told = Told::new(tight());
    told.apply(&of(hit("a", 0), Technique::Recon));
    told.apply(&of(stranger(0, 0), Technique::Recon));
    let escalated = told.apply(&of(stranger(0, 0), Technique::Impersonation));
    assert_eq!(kinds(&escalated), [(Escalated, 0)]);
    let theft = told.apply(&from(hit("theft", 1), "10.0.0.2"));
    assert_eq!(kinds(&theft), [(Opened, 1)]);
    assert!(!is_flood(&theft[0]));
}

/// Anybody may ask for a token, and be refused.
#[test]
fn a_flood_of_what_was_refused_spends_nothing_of_what_needs_a_theft() {
    let mut told = Told::new(tight());
    let asks = |number| of(stranger(number, 0), Technique::TokenRequest);
    for number in 0..10 {
        told.apply(&answered(asks(number), 403));
    }
    let theft = told.apply(&answered(hit("theft", 1), 403));
    assert_eq!(kinds(&theft), [(Opened, 1)]);
    assert!(!is_flood(&theft[0]));
}

/// Whether it was refused shows its last stage alone.
#[test]
fn what_turns_out_to_have_been_let_in_leaves_the_flood_of_what_was_refused() {
    let mut told = Told::new(tight());
    let asks = |number| of(stranger(number, 0), Technique::SecretRead);
    for number in 0..10 {
        told.apply(&answered(asks(number), 403));
    }
    assert_eq!(told.apply(&asks(10)), []);
    let read = told.apply(&answered(asks(10), 200));
    assert_eq!(kinds(&read), [(Opened, 0)]);
    assert!(!is_flood(&read[0]) && read[0].title.contains(" read by "));
    let hits: u64 = told.drain(1).iter().map(|alert| alert.total).sum();
    assert_eq!(hits, 11);
}

#[test]
fn a_flood_tells_digests_while_it_goes_on_and_ends() {
    let mut told = Told::new(Config {
        threshold: 2,
        window_secs: 60,
        ..Config::default()
    });
    for number in 0..3000 {
        told.apply(&stranger(number, number / 10));
        told.run_to(number / 10);
    }
    told.run_to(10_000);
    let flooded: Vec<_> = told
        .alerts
        .iter()
        .filter(|alert| is_flood(alert))
        .cloned()
        .collect();
    let kinds: Vec<_> = flooded.iter().map(|alert| alert.kind).collect();
    assert_eq!(kinds, [Opened, Digest, Digest, Digest, Closed]);
    // Newcomers take no turn of the flood's.
    assert!(flooded[1].total < 620, "{}", flooded[1].total);
    assert_eq!(
        told.alerts.iter().map(|alert| alert.count).sum::<u64>(),
        3000
    );
}

#[test]
fn once_there_is_budget_again_a_key_gets_an_incident_of_its_own() {
    let mut told = Told::new(Config {
        threshold: 1,
        window_secs: 10,
        ..Config::default()
    });
    told.apply(&hit("a", 0));
    told.apply(&stranger(0, 0));
    let alerts = told.apply(&from(hit("later", 10), "10.1.0.0"));
    assert_eq!(kinds(&alerts), [(Opened, 1)]);
    assert!(!is_flood(&alerts[0]));
}

#[test]
fn an_open_flood_takes_hits_of_any_time() {
    let mut told = Told::new(tight());
    told.apply(&hit("a", 0));
    told.apply(&stranger(0, 0));
    for number in 1..100 {
        assert_eq!(
            told.apply_at(&stranger(number, number * 100_000), at(1)),
            []
        );
    }
}

#[test]
fn stages_in_a_flood_are_one_hit() {
    let mut told = Told::new(tight());
    told.apply(&of(hit("a", 0), Technique::TokenRequest));
    told.apply(&of(stranger(0, 0), Technique::TokenRequest));
    told.apply(&answered(of(stranger(0, 0), Technique::TokenUse), 403));
    let closed = told.drain(1).into_iter().find(is_flood).unwrap();
    assert_eq!(closed.total, 1);
    assert_eq!(closed.techniques, [Technique::TokenUse]);
    assert_eq!(closed.requests.len(), 1);
}

#[test]
fn forged_sources_stay_in_bounded_memory() {
    let mut told = Told::new(Config {
        num_events: 100,
        ..Config::default()
    });
    for number in 0..100_000 {
        let mut forged = stranger(number, number / 1000);
        forged.user_agent = Some(format!("agent-{number}").into());
        forged.issued_credential_id = Some(format!("JTI={number}"));
        forged.technique = Technique::ALL[number as usize % 13];
        forged.severity = forged.technique.severity();
        told.apply(&keyed(forged));
        let mut record = of(stranger(number, 0), Technique::ImpersonationUnnamed);
        record.decoy = None;
        told.apply(&record);
        told.run_to(number / 1000);
    }
    let sizes = told.machine.sizes();
    assert!(sizes.incidents <= 101, "{sizes:?}");
    assert!(sizes.keys <= 100, "{sizes:?}");
    assert!(sizes.agenda <= 101, "{sizes:?}");
    assert!(sizes.requests <= 65_536, "{sizes:?}");
    assert!(sizes.touches <= 13 * 8 + 1024 + 1024 * 4, "{sizes:?}");
    assert_eq!(sizes.sketches, Some((4096, 64)));
    assert!(told.alerts.len() < 500, "{}", told.alerts.len());
}
