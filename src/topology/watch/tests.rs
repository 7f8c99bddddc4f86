use jiff::SignedDuration;
use tokio::time::timeout;

use super::*;
use crate::{
    config::{Format, Text, parse},
    dedupe::AlertKind,
    detect::Severity,
    source::{Block, Progress, Shape},
    store::{self, Message, SinkOutbox, history::History},
    telemetry::Status,
    topology::{
        engine::{Batch, Engine},
        overview::Overview,
    },
};

const PATIENCE: Duration = Duration::from_secs(30);

const PIPELINE: &str = "
cluster: prod-eu
decoys: [{ service_account: honeypot/backup-sa }]
sources:
  audit: { type: stdin, silence_secs: 300 }
transforms:
  detections: { type: detect, inputs: [audit] }
  incidents: { type: dedupe, inputs: [detections] }
sinks:
  slack: { type: console, inputs: [incidents], buffer: { max_events: 1 } }
  evidence: { type: file, path: /tmp/evidence, inputs: [detections] }
  siem: { type: file, path: /tmp/siem, inputs: [incidents, detections] }
";

fn pipeline() -> Pipeline {
    let text = Text {
        name: "x.yaml".into(),
        format: Format::Yaml,
        text: PIPELINE.into(),
    };
    parse(&[text], &|_| None).unwrap().pipeline
}

/// A watch over the pipeline, and the test's ends of what it sees.
struct Scene {
    pipeline: Pipeline,
    source: sources::Signs,
    sinks: Vec<sinks::Signs>,
    batches: mpsc::Sender<Batch>,
    inbox: mpsc::Receiver<Batch>,
    watch: Watch,
    now: Timestamp,
}

impl Scene {
    fn new(saved: &mut Saved) -> Self {
        let pipeline = pipeline();
        let source = sources::Signs::default();
        let sinks = pipeline.sinks.iter().map(|sink| sinks::Signs {
            id: sink.id.clone(),
            counters: Arc::default(),
            status: Status::default(),
        });
        let sinks: Vec<_> = sinks.collect();
        let (batches, inbox) = mpsc::channel(1);
        let signs = (std::slice::from_ref(&source), sinks.as_slice());
        Self {
            watch: Watch::new(&pipeline, signs, saved),
            now: Timestamp::now(),
            pipeline,
            source,
            sinks,
            batches,
            inbox,
        }
    }

    /// Looks once a second for so long.
    fn pass(&mut self, secs: u64) -> Vec<Notice> {
        let mut found = Vec::new();
        for _ in 0..secs {
            self.now += SignedDuration::from_secs(1);
            found.extend(self.watch.look(self.now));
        }
        found
    }

    fn record(&self) {
        let block = Block {
            bytes: b"{}\n",
            shape: Shape::Lines,
            header: None,
            first_part: None,
            provenance: &|_| String::new().into(),
        };
        self.source.counters.received(&block, self.now);
    }

    fn batch() -> Batch {
        Batch {
            source: 0,
            found: Vec::new(),
            progress: Progress::default(),
        }
    }
}

/// The one notice.
fn one(notices: Vec<Notice>) -> Notice {
    assert_eq!(notices.len(), 1);
    notices.into_iter().next().unwrap()
}

/// What a start finds after these notices were stored.
fn saved_after(notice: &Notice) -> Saved {
    let (id, changes) = &notice.state;
    let mut saved = Saved::default();
    if changes[0].value.is_some() {
        saved.state.insert(id.to_string(), changes.clone());
    }
    saved
}

#[test]
fn silence_goes_to_those_who_take_alerts_and_is_remembered() {
    let mut scene = Scene::new(&mut Saved::default());
    let silent = one(scene.pass(1000));
    let alert = &silent.alert;
    assert_eq!(alert.kind, AlertKind::SourceSilent);
    assert_eq!(alert.severity, Severity::High);
    assert_eq!(
        alert.title,
        "No audit events from source audit for 5 min: nothing would be seen"
    );
    assert_eq!(alert.cluster.as_deref(), Some("prod-eu"));
    assert_eq!(*silent.sinks, [0, 2]);

    // A restart, and then the first record.
    let mut scene = Scene::new(&mut saved_after(&silent));
    assert!(scene.pass(1000).is_empty());
    scene.record();
    let resumed = one(scene.pass(100));
    assert_eq!(resumed.alert.kind, AlertKind::SourceResumed);
    assert_eq!(resumed.alert.incident_id, alert.incident_id);
    assert_eq!(resumed.alert.sequence, 2);
    assert_eq!(*resumed.sinks, [0, 2]);
    assert_eq!(resumed.state.1[0].value, None);
}

#[test]
fn a_source_that_failed_is_silent_and_says_why_and_one_that_ended_is_not() {
    let mut scene = Scene::new(&mut Saved::default());
    scene.source.status.broken("the input is cut off");
    let silent = one(scene.pass(400));
    assert_eq!(
        silent.alert.title,
        "No audit events from source audit for 5 min: nothing would be seen (the input is cut off)"
    );
    let mut scene = Scene::new(&mut Saved::default());
    scene.source.has_ended.store(true, Relaxed);
    assert!(scene.pass(1000).is_empty());
}

#[test]
fn a_source_that_waits_for_the_sinks_is_not_silent() {
    let mut scene = Scene::new(&mut Saved::default());
    scene.source.counters.is_held_up.store(true, Relaxed);
    assert!(scene.pass(1000).is_empty());
    scene.source.counters.is_held_up.store(false, Relaxed);
    assert_eq!(scene.pass(400).len(), 1);
}

/// However busy another is.
#[test]
fn a_source_is_silent_though_others_fill_the_pipeline() {
    let mut scene = Scene::new(&mut Saved::default());
    scene.batches.try_send(Scene::batch()).ok().unwrap();
    assert_eq!(scene.pass(400).len(), 1);
}

#[test]
fn a_sink_that_cannot_work_is_told_by_the_others() {
    let mut scene = Scene::new(&mut Saved::default());
    scene.record();
    scene.sinks[0].status.broken("404 Not Found: no_service");
    let failing = one(scene.pass(200));
    assert_eq!(failing.alert.kind, AlertKind::SinkFailing);
    assert_eq!(
        failing.alert.title,
        "Sink slack cannot deliver: 404 Not Found: no_service"
    );
    assert_eq!(*failing.sinks, [2]);

    let mut scene = Scene::new(&mut saved_after(&failing));
    assert!(scene.pass(200).is_empty(), "it has not delivered yet");
    scene.sinks[0].counters.delivered.store(1, Relaxed);
    let recovered = one(scene.pass(10));
    assert_eq!(recovered.alert.kind, AlertKind::SinkRecovered);
    assert_eq!(recovered.alert.incident_id, failing.alert.incident_id);
}

#[tokio::test]
async fn at_the_end_only_a_silence_that_is_over_is_told() {
    for has_record in [true, false] {
        let silent = one(Scene::new(&mut Saved::default()).pass(400));
        let scene = Scene::new(&mut saved_after(&silent));
        if has_record {
            scene.record();
        }
        let (notices, mut told) = mpsc::channel(1);
        let draining = CancellationToken::new();
        draining.cancel();
        scene.watch.run(notices, draining).await;
        let last = told.recv().await.unwrap();
        assert_eq!(last.len(), usize::from(has_record));
    }
}

/// Nobody takes what it has to tell: it goes on, tells later, and ends when it is to.
#[tokio::test]
async fn it_waits_for_nobody() {
    let mut scene = Scene::new(&mut Saved::default());
    scene.watch.sources[0].silence =
        Silence::new(Some(Duration::from_millis(1)), Timestamp::now(), None);
    let (notices, mut told) = mpsc::channel(1);
    notices.try_send(Vec::new()).ok().unwrap();
    let draining = CancellationToken::new();
    let watch = tokio::spawn(scene.watch.run(notices, draining.clone()));
    tokio::time::sleep(LOOK * 5 / 2).await;
    assert!(told.recv().await.unwrap().is_empty(), "it was there before");
    let late = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert_eq!(one(late).alert.kind, AlertKind::SourceSilent);
    draining.cancel();
    timeout(PATIENCE, watch).await.unwrap().unwrap();
}

fn outboxes(pipeline: &Pipeline) -> Vec<SinkOutbox> {
    let sinks = pipeline.sinks.iter().map(|sink| SinkOutbox {
        id: sink.id.clone(),
        buffer: sink.config.buffer(),
    });
    sinks.collect()
}

/// Alerts of one outbox, as far as they are there.
async fn alerts(reader: &mut store::Reader, count: usize) -> Vec<AlertKind> {
    let mut kinds = Vec::new();
    for _ in 0..count {
        let next = timeout(PATIENCE, reader.next()).await.unwrap();
        let Some(Message::Alert(alert)) = next else {
            panic!("{next:?}");
        };
        kinds.push(alert.kind);
    }
    kinds
}

#[tokio::test]
async fn what_is_noticed_is_told_in_order_though_an_outbox_is_full() {
    let mut scene = Scene::new(&mut Saved::default());
    let mut opened = store::in_memory(&outboxes(&scene.pipeline));
    let overview = Arc::new(Overview::new(&scene.pipeline));
    let engine = Engine::new(
        &scene.pipeline,
        opened.store.clone(),
        &mut Saved::default(),
        overview,
    );
    let (notices, told) = mpsc::channel(1);
    let draining = CancellationToken::new();
    let Scene { batches, inbox, .. } = Scene::new(&mut Saved::default());
    let engine = tokio::spawn(engine.unwrap().run(inbox, told, draining.clone()));

    let send = async |found| timeout(PATIENCE, notices.send(found)).await.unwrap();
    // The first fills the outbox of `slack`, which holds one.
    send(scene.pass(400)).await.ok().unwrap();
    scene.record();
    send(scene.pass(1)).await.ok().unwrap();
    send(scene.pass(400)).await.ok().unwrap();
    let [slack, evidence, siem] = &mut opened.readers[..] else {
        panic!("three sinks");
    };
    let wanted = [
        AlertKind::SourceSilent,
        AlertKind::SourceResumed,
        AlertKind::SourceSilent,
    ];
    assert_eq!(alerts(siem, 3).await, wanted);
    assert_eq!(alerts(slack, 3).await, wanted);
    drop((batches, notices));
    draining.cancel();
    timeout(PATIENCE, engine).await.unwrap().unwrap();
    assert_eq!(evidence.next().await, None);
}

#[tokio::test]
async fn the_store_keeps_what_was_told_and_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let options = store::Options {
        data_dir: folder.path().to_owned(),
        retention: Duration::from_secs(86_400),
    };
    let mut known = Vec::new();
    for is_open in [true, false] {
        let sinks = outboxes(&pipeline());
        // The store before may still hold the lock.
        let mut opened = loop {
            match store::open(&options, &sinks, Status::default()) {
                Err(store::Error::InUse { .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                opened => break opened.unwrap(),
            }
        };
        let pipeline = pipeline();
        let overview = Arc::new(Overview::new(&pipeline));
        let store = opened.store.clone();
        let engine = Engine::new(&pipeline, store, &mut opened.saved, overview).unwrap();
        let mut scene = Scene::new(&mut opened.saved);
        let mut found = Vec::new();
        if !is_open {
            found.extend(scene.pass(1000));
            assert!(found.is_empty(), "it was told before the restart");
            scene.record();
        }
        found.extend(scene.pass(400).into_iter().take(1));
        let (notices, told) = mpsc::channel(1);
        let draining = CancellationToken::new();
        notices.send(found).await.ok().unwrap();
        drop((scene.batches, notices));
        draining.cancel();
        timeout(PATIENCE, engine.run(scene.inbox, told, draining))
            .await
            .unwrap();
        let history = History::open(folder.path()).unwrap();
        let incidents = history.incidents(&Default::default()).unwrap();
        assert_eq!(incidents.len(), 1);
        assert_eq!(incidents[0].is_open, is_open);
        assert_eq!((&incidents[0].decoy, incidents[0].total), (&None, 0));
        known.push(incidents[0].id.clone());
    }
    assert_eq!(known[0], known[1]);
}
