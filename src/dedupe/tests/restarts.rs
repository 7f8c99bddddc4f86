//! A machine that goes on from what was stored, at any point.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::Value;

use super::{histories::*, stream::*};
use crate::{
    audit::{IncidentId, IncidentKey},
    dedupe::{
        Alert,
        AlertKind::{Closed, Digest, Opened},
        Change, Config, Dedupe, Field, Part,
    },
    detect::{Class, Technique, Token, TokenKind, Tool},
};

/// What a store holds, by part and key.
type Held = BTreeMap<(Part, String), String>;

/// A machine, what it told, and what a store holds of it.
struct Stored {
    told: Told,
    held: Held,
}

impl Stored {
    fn new(config: Config) -> Self {
        let mut told = Told::new(config);
        told.machine.note_changes();
        Self {
            told,
            held: Held::new(),
        }
    }

    /// What an engine does after a step.
    fn store(&mut self) {
        let mut keys = BTreeSet::new();
        for Change { part, key, value } in self.told.machine.changes() {
            assert!(keys.insert((part, key.clone())), "{part} {key} twice");
            match value {
                Some(value) => self.held.insert((part, key), value),
                None => self.held.remove(&(part, key)),
            };
        }
    }

    /// Gives back the machine that was interrupted.
    fn restart(&mut self, config: Config) -> Dedupe {
        self.store();
        let mut restored = Dedupe::restore(config, changes(&self.held)).unwrap();
        assert_eq!(restored.changes(), []);
        assert_eq!(dumped(&mut restored), self.held);
        std::mem::replace(&mut self.told.machine, restored)
    }
}

fn changes(held: &Held) -> Vec<Change> {
    let change = |((part, key), value): (&(Part, String), &String)| Change {
        part: *part,
        key: key.clone(),
        value: Some(value.clone()),
    };
    held.iter().map(change).collect()
}

fn dumped(machine: &mut Dedupe) -> Held {
    let row = |change: Change| Some(((change.part, change.key), change.value?));
    machine.dump().into_iter().filter_map(row).collect()
}

/// What happens after a step.
#[derive(Clone, Copy, Debug)]
enum Pause {
    Nothing,
    Stored,
    Restarted,
}

/// One for each step, at most.
fn pauses() -> impl Strategy<Value = Vec<Pause>> {
    let pause = prop_oneof![
        6 => Just(Pause::Nothing),
        1 => Just(Pause::Stored),
        1 => Just(Pause::Restarted),
    ];
    vec(pause, 120)
}

/// Histories of which every field that is kept differs now and then: `record`s, mintings, clusters too.
fn varied() -> impl Strategy<Value = (Vec<Stages>, Vec<Step>)> {
    let variety = (0..3u8, 0..3u8, 0..12u8, any::<[bool; 6]>());
    (history(ANY_CLASS), vec(variety, 30)).prop_map(|((mut requests, steps), varieties)| {
        for (stages, variety) in requests.iter_mut().zip(varieties) {
            stages.iter_mut().for_each(|stage| vary(stage, variety));
        }
        (requests, steps)
    })
}

fn vary(stage: &mut crate::detect::Detection, variety: (u8, u8, u8, [bool; 6])) {
    let (token, user, kind, [cluster, agent, claims, pod, excerpt, impersonates]) = variety;
    stage.token = Token {
        kind: TokenKind::Bound,
        id: (token > 0).then(|| format!("JTI={token}")),
    };
    let actor = actor_of(stage);
    actor.username = (user > 0).then(|| format!("user/\"{user}\"\u{202e}"));
    actor.pod = pod.then(|| format!("pod-{user}"));
    actor.impersonated = impersonates.then(|| "admin".to_owned());
    stage.cluster = cluster.then(|| "prod".into());
    stage.excerpt = excerpt.then(|| "cut".to_owned());
    if agent {
        (stage.user_agent, stage.tool) = (Some("kubectl".into()), Tool::Kubectl);
    }
    if claims {
        stage.claimed_ips = vec![format!("8.8.8.{kind}")];
    }
    if kind < 3 {
        stage.technique = Technique::TokenRequest;
        stage.issued_credential_id = Some(format!("JTI={kind}"));
    } else if kind < 5 {
        (stage.technique, stage.class) = (Technique::ImpersonationUnnamed, Class::Record);
        stage.decoy = None;
    }
    *stage = keyed(stage.clone());
    if cluster {
        stage.incident_key = IncidentKey::of(&[b"prod", &stage.incident_key.to_bytes()]);
    }
}

fn fields() -> impl Strategy<Value = Vec<Field>> {
    let all = vec![
        Field::Token,
        Field::SourceIp,
        Field::Username,
        Field::UserAgent,
        Field::Technique,
    ];
    prop_oneof![
        Just(vec![Field::Token, Field::SourceIp]),
        prop::sample::subsequence(all, 1..4),
    ]
}

fn any_config() -> impl Strategy<Value = Config> {
    (config(), fields()).prop_map(|(config, fields)| Config { fields, ..config })
}

/// All that a machine told, by step, and what its drain told, when it is interrupted or not.
fn uninterrupted(
    config: &Config,
    requests: &[Stages],
    steps: &[Step],
) -> (Vec<Vec<Alert>>, Dedupe) {
    let mut told = Told::new(config.clone());
    let answers = run(&mut told, requests, steps);
    let alerts = answers.into_iter().map(|answer| answer.alerts).collect();
    (alerts, told.machine)
}

/// The same with `pauses`. `keep_budgets`: as if a restart left the budgets as they were.
fn interrupted(
    config: &Config,
    (requests, steps): (&[Stages], &[Step]),
    pauses: &[Pause],
    keep_budgets: bool,
) -> (Vec<Vec<Alert>>, Dedupe) {
    let mut stored = Stored::new(config.clone());
    let (mut wall, mut alerts) = (0, Vec::new());
    for (step, pause) in steps.iter().zip(pauses) {
        alerts.push(act(&mut stored.told, requests, step, &mut wall).alerts);
        match pause {
            Pause::Nothing => {}
            Pause::Stored => stored.store(),
            Pause::Restarted => {
                let before = stored.restart(config.clone());
                if keep_budgets {
                    stored.told.machine.take_budgets_of(before);
                }
            }
        }
    }
    (alerts, stored.told.machine)
}

fn drained(mut machine: Dedupe) -> Vec<Alert> {
    let mut alerts = Vec::new();
    machine.drain(at(1_000_000), &mut alerts);
    alerts
}

proptest! {
    /// With the budgets as they were nothing tells the two apart: floods, evictions, revivals, trails.
    #[test]
    fn a_restart_goes_unnoticed((requests, steps) in varied(), pauses in pauses(), config in any_config()) {
        let (once, machine) = uninterrupted(&config, &requests, &steps);
        let (again, restored) = interrupted(&config, (&requests, &steps), &pauses, true);
        prop_assert_eq!(&once, &again);
        prop_assert_eq!(machine.next_tick(), restored.next_tick());
        prop_assert_eq!(format!("{:?}", machine.sizes()), format!("{:?}", restored.sizes()));
        prop_assert_eq!(drained(machine), drained(restored));
    }

    /// Nor does anything where the budgets are larger than what is told.
    #[test]
    fn full_budgets_go_unnoticed((requests, steps) in varied(), pauses in pauses(), config in any_config()) {
        let config = Config { threshold: 1_000_000, ..config };
        let (once, machine) = uninterrupted(&config, &requests, &steps);
        let (again, restored) = interrupted(&config, (&requests, &steps), &pauses, false);
        prop_assert_eq!(&once, &again);
        prop_assert_eq!(drained(machine), drained(restored));
    }

    /// Whatever restarts do to the budgets: each incident is opened once, its alerts are numbered
    /// without a gap, and all hits are told once.
    #[test]
    fn no_incident_begins_again((requests, steps) in varied(), pauses in pauses(), config in config()) {
        // All that a key does is one incident, and none is forgotten.
        let config = Config { idle_secs: 6000 + config.idle_secs, num_events: 10_000, ..config };
        let (alerts, machine) = interrupted(&config, (&requests, &steps), &pauses, false);
        let mut alerts = alerts.concat();
        alerts.extend(drained(machine));
        prop_assert_eq!(alerts.iter().map(|alert| alert.count).sum::<u64>(), hits(&requests, &steps));
        for alerts in by_incident(&alerts).values() {
            let mut total = 0;
            for (place, alert) in alerts.iter().enumerate() {
                total += alert.count;
                prop_assert_eq!(alert.total, total);
                prop_assert_eq!(alert.sequence as usize, place + 1);
                prop_assert_eq!(alert.kind == Opened, place == 0);
            }
        }
    }

    /// Another configuration after each restart: every hit is still counted once, and what there
    /// is no more room for is closed early in the next step.
    #[test]
    fn another_configuration_loses_nothing(
        (requests, steps) in varied(),
        pauses in pauses(),
        configs in vec(any_config(), 120),
    ) {
        let mut config = configs[0].clone();
        let mut stored = Stored::new(config.clone());
        let (mut wall, mut first) = (0, BTreeMap::<IncidentId, u64>::new());
        for ((step, pause), next) in steps.iter().zip(&pauses).zip(configs) {
            act(&mut stored.told, &requests, step, &mut wall);
            let sizes = stored.told.machine.sizes();
            prop_assert!(sizes.incidents <= config.num_events + 4, "{:?}", sizes);
            if let Pause::Restarted = pause {
                config = next;
                stored.restart(config.clone());
            }
        }
        stored.told.drain(1_000_000);
        let alerts = &stored.told.alerts;
        prop_assert_eq!(alerts.iter().map(|alert| alert.count).sum::<u64>(), hits(&requests, &steps));
        for alert in alerts {
            let total = first.entry(alert.incident_id).or_default();
            if alert.kind == Opened {
                *total = 0;
            }
            *total += alert.count;
            prop_assert_eq!(alert.total, *total);
        }
    }

    /// The changes since the last time are all there is.
    #[test]
    fn changes_add_up_to_the_whole((requests, steps) in varied(), pauses in pauses(), config in any_config()) {
        let mut stored = Stored::new(config);
        let mut wall = 0;
        for (step, pause) in steps.iter().zip(pauses) {
            act(&mut stored.told, &requests, step, &mut wall);
            if let Pause::Stored = pause {
                stored.store();
                prop_assert_eq!(&stored.held, &dumped(&mut stored.told.machine));
            }
        }
    }

    /// What another hand did to the rows gives an error or a machine that works.
    #[test]
    fn rows_that_were_tampered_with_do_no_harm(
        (requests, steps) in varied(),
        config in any_config(),
        tampers in vec(tamper(), 1..4),
    ) {
        let mut stored = Stored::new(config.clone());
        run(&mut stored.told, &requests, &steps);
        stored.store();
        for tamper in tampers {
            tamper.apply(&mut stored.held);
        }
        if let Ok(restored) = Dedupe::restore(config, changes(&stored.held)) {
            stored.told.machine = restored;
            run(&mut stored.told, &requests, &steps);
            stored.store();
            stored.told.drain(20_000);
        }
    }

    /// Nor do rows that nobody ever wrote.
    #[test]
    fn arbitrary_rows_do_no_harm(rows in vec((part(), "[0-9]{0,2}(/[a-z_0-9]{0,5})?|\\PC{0,9}", json()), 0..9)) {
        let change = |(part, key, value)| Change { part, key, value: Some(value) };
        if let Err(error) = Dedupe::restore(Config::default(), rows.into_iter().map(change)) {
            prop_assert!(error.to_string().contains("cannot be read"));
        }
    }
}

/// So much that each memory pushes something out, most of them before and after the restart.
#[test]
fn what_is_forgotten_is_the_same_after_a_restart() {
    let config = Config {
        num_events: 30,
        ..Config::default()
    };
    let strangers = |told: &mut Told, numbers: std::ops::Range<u32>| {
        for number in numbers {
            let source = (number % 9000).to_string();
            let mut stranger = from(hit(&number.to_string(), 0), &source);
            if number % 30 == 0 {
                stranger = of(by(stranger, &source), Technique::TokenRequest);
                stranger.issued_credential_id = Some(format!("JTI={}", number % 1500));
            } else if number % 30 == 1 {
                stranger.class = Class::Record;
            }
            told.apply_at(&stranger, at(i64::from(number / 100)));
        }
    };
    let mut once = Told::new(config.clone());
    strangers(&mut once, 0..68_000);
    let mut stored = Stored::new(config.clone());
    for number in 0..34 {
        strangers(&mut stored.told, number * 2000..(number + 1) * 2000);
        stored.store();
        if number == 20 {
            let before = stored.restart(config.clone());
            stored.told.machine.take_budgets_of(before);
        }
    }
    assert_eq!(once.alerts, stored.told.alerts);
    let sizes = once.machine.sizes();
    assert_eq!(
        format!("{sizes:?}"),
        format!("{:?}", stored.told.machine.sizes())
    );
    assert_eq!((sizes.requests, sizes.sketches), (65_536, Some((4096, 64))));
    once.machine.note_changes();
    assert_eq!(dumped(&mut once.machine), stored.held);
}

#[test]
fn a_clock_that_was_put_right_meanwhile_silences_nothing() {
    let (day, config) = (86_400, Config::default());
    let mut stored = Stored::new(config.clone());
    stored.told.apply_at(&hit("ahead", 0), at(day));
    stored.told.apply_at(&hit("untold", 0), at(day));
    stored.restart(config);
    assert_eq!(kinds(&stored.told.tick(0)), []);
    assert_eq!(kinds(&stored.told.run_to(60)), [(Digest, 1)]);
    assert_eq!(kinds(&stored.told.run_to(900)), [(Closed, 0)]);
}

#[test]
fn where_there_is_less_room_the_eldest_are_closed_in_the_next_step() {
    let mut stored = Stored::new(Config::default());
    for source in ["a", "b", "c", "d"] {
        stored.told.apply(&from(hit(source, 0), source));
    }
    stored.told.apply(&from(hit("again", 1), "a"));
    let config = Config {
        num_events: 2,
        ..Config::default()
    };
    stored.restart(config);
    let closed = stored.told.tick(2);
    let sources: Vec<_> = closed
        .iter()
        .map(|alert| alert.source_ip.as_deref())
        .collect();
    assert_eq!(kinds(&closed), [(Closed, 0), (Closed, 0)]);
    assert_eq!(sources, [Some("b"), Some("c")]);
    stored.store();
    let left = stored
        .held
        .keys()
        .filter(|(part, _)| *part == Part::Incident);
    let left: Vec<_> = left.map(|(_, serial)| &**serial).collect();
    assert_eq!(left, ["1", "4"]);
}

fn part() -> impl Strategy<Value = Part> {
    prop::sample::select(Part::ALL)
}

fn json() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just(r#"{"cluster":null,"decoy":"ns/a"}"#.to_owned()),
        "\\PC{0,20}",
    ]
}

/// What may be done to rows.
#[derive(Clone, Debug)]
enum Tamper {
    Remove(Index),
    /// The value of one stands for that of another too.
    Copy(Index, Index),
    Key(Index, String),
    /// One number, string or null in a value becomes another; or, without one, goes.
    Leaf(Index, Index, Option<Value>),
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let number = prop_oneof![
        (0..20u64).prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        Just(Value::from(1u64 << 53)),
        Just(Value::from(u32::MAX)),
        Just(Value::from(-1)),
    ];
    let word = prop::sample::select(vec![
        "low",
        "token_use",
        "recon",
        "-009999-01-02T01:59:59Z",
        "9999-12-30T22:00:00.999999999Z",
        "",
        "honeypot/0",
    ]);
    let leaf = prop_oneof![number, word.prop_map(Value::from), Just(Value::Null)];
    let index = any::<Index>;
    prop_oneof![
        2 => index().prop_map(Tamper::Remove),
        1 => (index(), index()).prop_map(|(from, to)| Tamper::Copy(from, to)),
        1 => (index(), "[0-9]{1,2}|[0-9]/[a-z_0-9]{1,5}").prop_map(|(row, key)| Tamper::Key(row, key)),
        6 => (index(), index(), prop::option::weighted(0.9, leaf))
            .prop_map(|(row, place, leaf)| Tamper::Leaf(row, place, leaf)),
    ]
}

impl Tamper {
    fn apply(self, held: &mut Held) {
        let keys: Vec<_> = held.keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        match self {
            Self::Remove(row) => {
                held.remove(row.get(&keys));
            }
            Self::Copy(from, to) => {
                let part = from.get(&keys).0;
                let of_part: Vec<_> = keys.iter().filter(|key| key.0 == part).collect();
                let value = held[from.get(&keys)].clone();
                held.insert((*to.get(&of_part)).clone(), value);
            }
            Self::Key(row, key) => {
                let (part, before) = row.get(&keys).clone();
                let value = held.remove(&(part, before));
                held.extend(value.map(|value| ((part, key), value)));
            }
            Self::Leaf(row, place, leaf) => {
                let text = held.get_mut(row.get(&keys)).unwrap();
                let mut value: Value = serde_json::from_str(text).unwrap();
                let mut left = place.index(leaves(&value).max(1));
                change_leaf(&mut value, &mut left, &leaf);
                *text = value.to_string();
            }
        }
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(leaves).sum(),
        Value::Object(map) => map.values().map(leaves).sum(),
        _ => 1,
    }
}

/// Makes the leaf behind `left` others `leaf`. False once that is done.
fn change_leaf(value: &mut Value, left: &mut usize, leaf: &Option<Value>) -> bool {
    match value {
        Value::Array(list) => list.iter_mut().all(|it| change_leaf(it, left, leaf)),
        Value::Object(map) => {
            let mut gone = None;
            for (key, it) in map.iter_mut() {
                let is_leaf = !it.is_array() && !it.is_object();
                if !change_leaf(it, left, leaf) {
                    gone = (is_leaf && leaf.is_none()).then(|| key.clone());
                    break;
                }
            }
            gone.iter().for_each(|key| drop(map.remove(key)));
            gone.is_none() && *left != usize::MAX
        }
        _ if *left == 0 => {
            *value = leaf.clone().unwrap_or_default();
            *left = usize::MAX;
            false
        }
        _ => {
            *left -= 1;
            true
        }
    }
}
