//! How an incident came about.

use super::stream::*;
use crate::{
    dedupe::{Alert, Config},
    detect::{Class, Detection, Technique},
};

fn told() -> Told {
    Told::new(Config::default())
}

/// Somebody else's touch of the decoy's object.
fn touch(name: &str, second: i64, technique: Technique, words: (&str, &str, &str)) -> Detection {
    let mut detection = of(
        by(from(hit(name, second), "10.9.9.9"), "jane@example.com"),
        technique,
    );
    let (resource, subresource) = match words.1.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.into())),
        None => (words.1, None),
    };
    detection.request.verb = Some(words.0.into());
    detection.request.resource = Some(resource.into());
    detection.request.subresource = subresource;
    detection.request.namespace = Some("honeypot".into());
    detection.request.name = Some(words.2.into());
    detection
}

fn mint(name: &str, second: i64, jti: &str) -> Detection {
    let words = ("create", "serviceaccounts/token", "backup-sa");
    let mut mint = answered(touch(name, second, Technique::TokenRequest, words), 201);
    mint.issued_credential_id = Some(jti.to_owned());
    mint
}

fn exec(name: &str, second: i64) -> Detection {
    touch(
        name,
        second,
        Technique::PodExec,
        ("create", "pods/exec", "file-backup"),
    )
}

fn read(name: &str, second: i64) -> Detection {
    touch(
        name,
        second,
        Technique::SecretRead,
        ("get", "secrets", "backup-sa-token"),
    )
}

fn summaries(alert: &Alert) -> Vec<&str> {
    alert
        .trail
        .iter()
        .map(|entry| entry.summary.as_str())
        .collect()
}

#[test]
fn the_first_alert_says_how_the_token_was_stolen() {
    let mut told = told();
    told.apply(&answered(exec("a", 0), 101));
    told.apply(&read("b", 10));
    told.apply(&answered(read("b", 10), 200));
    let opened = &told.apply(&hit("theft", 20))[0];
    assert_eq!(
        summaries(opened),
        [
            "exec in pod honeypot/file-backup 101",
            "get secrets honeypot/backup-sa-token 200"
        ]
    );
    assert_eq!(opened.trail[0].actor.as_deref(), Some("jane@example.com"));
    assert_eq!(opened.trail[0].source_ip.as_deref(), Some("10.9.9.9"));
    assert_eq!(opened.trail[0].time, at(0));
}

#[test]
fn who_minted_the_token_is_known_by_its_id_even_if_expected() {
    let mut told = told();
    let mut node = mint("a", 0, "JTI=1");
    node.class = Class::Expected;
    told.apply(&node);
    told.apply(&mint("b", 5, "JTI=2"));
    let opened = &told.apply(&hit("theft", 20))[0];
    assert_eq!(
        summaries(opened),
        ["create serviceaccounts/token honeypot/backup-sa 201"]
    );
    assert_eq!(opened.trail[0].class, Class::Expected);
    assert_eq!(opened.trail[0].time, at(0));
}

#[test]
fn without_a_match_other_mintings_are_shown_and_expected_touches_are_not() {
    let mut told = told();
    told.apply(&mint("a", 0, "JTI=2"));
    let mut node = read("b", 1);
    node.class = Class::Expected;
    told.apply(&node);
    let opened = &told.apply(&hit("theft", 20))[0];
    assert_eq!(
        summaries(opened),
        ["create serviceaccounts/token honeypot/backup-sa 201"]
    );
}

#[test]
fn a_minting_that_becomes_known_late_is_told_by_the_next_alert() {
    let mut told = told();
    told.apply(&by(mint("a", 0, "JTI=2"), "bob"));
    assert_eq!(told.apply(&hit("theft", 20))[0].trail[0].time, at(0));
    told.apply_at(&mint("b", 5, "JTI=1"), at(21));
    told.apply(&hit("more", 22));
    let digest = told
        .run_to(80)
        .into_iter()
        .find(|alert| alert.trail.len() == 1)
        .unwrap();
    assert_eq!(digest.trail[0].time, at(5));
}

#[test]
fn a_minting_that_was_a_hit_stays_one() {
    let mut told = told();
    told.apply(&mint("a", 0, "JTI=1"));
    let mut expected = mint("a", 0, "JTI=1");
    expected.class = Class::Expected;
    told.apply(&expected);
    assert_eq!(
        told.apply(&hit("theft", 20))[0].trail[0].class,
        Class::Detect
    );
}

#[test]
fn what_came_after_and_what_is_its_own_explains_nothing() {
    let mut told = told();
    told.apply(&hit("theft", 20));
    told.apply(&read("a", 30));
    told.apply_at(&exec("b", 24), at(30));
    let drained = told.drain(31);
    let theft = drained
        .iter()
        .find(|it| it.techniques == [Technique::TokenUse])
        .unwrap();
    assert_eq!(summaries(theft), ["exec in pod honeypot/file-backup"]);
    let jane = drained
        .iter()
        .find(|it| it.techniques.contains(&Technique::SecretRead))
        .unwrap();
    assert_eq!(jane.trail, []);
}

#[test]
fn repetitions_are_one_entry() {
    let mut told = told();
    for number in [3, 1, 0, 2, 4] {
        told.apply(&read(&number.to_string(), number));
        told.apply(&answered(read(&number.to_string(), number), 200));
    }
    let opened = &told.apply(&hit("theft", 20))[0];
    assert_eq!(
        summaries(opened),
        ["get secrets honeypot/backup-sa-token 200 (5 times)"]
    );
    assert_eq!(opened.trail[0].time, at(0));
}

#[test]
fn a_stage_that_changes_the_technique_leaves_one_entry() {
    let mut told = told();
    told.apply(&of(exec("a", 0), Technique::Recon));
    told.apply(&exec("a", 0));
    let opened = &told.apply(&hit("theft", 20))[0];
    assert_eq!(opened.trail.len(), 1);
    assert_eq!(opened.trail[0].technique, Technique::PodExec);
}

#[test]
fn a_flood_of_reads_pushes_no_exec_out() {
    let mut told = told();
    told.apply(&exec("a", 0));
    for number in 0..10_000 {
        let mut read = from(
            read(&number.to_string(), 1),
            &format!("10.1.{}.{}", number / 256, number % 256),
        );
        actor_of(&mut read).username = Some(format!("user-{number}"));
        told.apply(&read);
    }
    let opened = &told.apply(&hit("theft", 20))[0];
    assert!(opened.trail.len() <= 16);
    assert_eq!(opened.trail[0].technique, Technique::PodExec);
}

#[test]
fn much_of_one_kind_leaves_room_for_the_others() {
    let mut told = told();
    told.apply(&exec("a", 0));
    for number in 1..=8 {
        let user = format!("user-{number}");
        told.apply(&by(mint(&format!("mint-{number}"), number, &user), &user));
        told.apply(&by(read(&format!("read-{number}"), number), &user));
    }
    let opened = &told.apply(&hit("theft", 20))[0];
    let of_one = |technique| {
        opened
            .trail
            .iter()
            .filter(|it| it.technique == technique)
            .count()
    };
    let kinds = [
        Technique::PodExec,
        Technique::TokenRequest,
        Technique::SecretRead,
    ];
    assert_eq!(kinds.map(of_one), [1, 4, 4]);
    assert!(opened.trail.is_sorted_by_key(|entry| entry.time));
    assert_eq!(opened.trail.last().map(|entry| entry.time), Some(at(8)));
}

#[test]
fn an_incident_that_is_closed_early_tells_its_trail() {
    let mut told = Told::new(Config {
        num_events: 1,
        ..Config::default()
    });
    told.apply(&hit("theft", 20));
    let mut node = mint("a", 0, "JTI=1");
    node.class = Class::Expected;
    told.apply_at(&node, at(21));
    let alerts = told.apply(&from(hit("b", 22), "10.0.0.2"));
    assert_eq!(alerts[1].trail.len(), 1);
}

#[test]
fn a_record_explains_only_its_own_actor_at_its_own_address() {
    let mut told = told();
    for (name, user, source_ip) in [
        ("a", "jane@example.com", "10.9.9.9"),
        ("b", "jane@example.com", "10.9.9.8"),
        ("c", "bob", "10.9.9.9"),
    ] {
        let mut record = of(
            by(from(hit(name, 0), source_ip), user),
            Technique::ImpersonationUnnamed,
        );
        record.class = Class::Record;
        record.decoy = None;
        assert_eq!(told.apply(&answered(record, 403)), []);
    }
    let opened = &told.apply(&read("theft", 20))[0];
    assert_eq!(summaries(opened), ["list namespaces 403"]);
    assert_eq!(opened.trail[0].class, Class::Record);
    assert_eq!(opened.trail[0].technique, Technique::ImpersonationUnnamed);
}

#[test]
fn a_record_is_one_even_if_it_names_a_decoy() {
    let mut told = told();
    let mut record = of(read("a", 0), Technique::ImpersonationUnnamed);
    record.class = Class::Record;
    assert_eq!(told.apply(&record), []);
    let opened = &told.apply(&read("theft", 20))[0];
    assert_eq!(opened.trail[0].class, Class::Record);
}

#[test]
fn decoys_and_clusters_explain_nothing_of_each_other() {
    let mut told = told();
    let mut other = exec("a", 0);
    other.decoy = Some("honeypot/other".into());
    told.apply(&keyed(other));
    let mut elsewhere = exec("b", 0);
    elsewhere.cluster = Some("elsewhere".into());
    told.apply(&elsewhere);
    assert_eq!(told.apply(&hit("theft", 20))[0].trail, []);
}
