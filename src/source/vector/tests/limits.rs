//! Too much, too slow, too many; and when an answer is given.

use super::*;

/// Nobody waits long.
const HASTY: Patience = Patience {
    body: Duration::from_millis(300),
    whole: Duration::from_secs(20),
    crowded: Duration::from_secs(20),
    room: Duration::from_millis(100),
    answer: Duration::from_millis(500),
};

fn kept(served: &Served) -> bool {
    !served.pipeline.state().kept.is_empty()
}

#[test]
fn what_is_found_is_answered_once_it_is_safe_and_what_is_clean_at_once() {
    let served = Served::new(&config());
    let caller = served.caller();
    served.pipeline.slow();
    let call = caller.begin(PUSH_EVENTS, &[], frame(false, &found()), false);
    served.wait_for("the commit", kept);
    // By the same connection, and all of it.
    assert_eq!(caller.push(&clean()), Some(0));
    assert!(!call.is_finished());
    served.pipeline.acknowledge();
    assert_eq!(caller.end(call).unwrap().status, Some(0));
    served.end();
}

#[test]
fn what_does_not_become_safe_in_time_is_to_be_sent_again() {
    let served = Served::with(&config(), HASTY);
    served.pipeline.slow();
    assert_eq!(served.caller().push(&found()), Some(14));
    assert_eq!(served.refused(Refusal::Overload), 1);
    served.end();
}

#[test]
fn a_full_pipeline_refuses_for_now_and_takes_everything_later() {
    let served = Served::with(&config(), HASTY);
    let caller = served.caller();
    let full = Arc::clone(&served.pipeline.state().full);
    let calls: Vec<_> = {
        let _full = full.lock().unwrap();
        let call = || caller.begin(PUSH_EVENTS, &[], frame(false, &found()), false);
        let calls: Vec<_> = (0..60).map(|_| call()).collect();
        served.wait_for("the first to be refused", |served| {
            served.refused(Refusal::Overload) > 0
        });
        // It is well, and says so.
        let health = caller.call(HEALTH_CHECK, &[], frame(false, b""));
        assert_eq!(health.status, Some(0));
        calls
    };
    let mut refused = 0;
    for call in calls {
        match caller.end(call).unwrap().status {
            Some(0) => {}
            Some(14) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, served.refused(Refusal::Overload));
    assert_eq!(caller.push(&found()), Some(0));
    served.end();
}

/// Whoever makes one event large hides no other behind it.
#[test]
fn what_stands_behind_the_limit_is_searched_event_by_event() {
    let served = Served::new(&config());
    let most = config().max_body_bytes;
    let caller = served.caller();
    let errors = || served.counters.errors.load(SeqCst);
    let shapes = || {
        let mut state = served.pipeline.state();
        let blocks = std::mem::take(&mut state.blocks).into_iter();
        let found = blocks.filter(|(text, ..)| text.contains("decoy"));
        found.map(|(_, shape, _)| shape).collect::<Vec<_>>()
    };
    let many = log(&"x".repeat(1000)).repeat(most / 300);
    assert_eq!(caller.push(&[many.clone(), found()].concat()), Some(8));
    assert_eq!((shapes(), errors()), (vec![Shape::PushEvents], 0));

    let one = log(&format!(
        "{}decoy{}",
        "x".repeat(2 * most - 3),
        "x".repeat(most)
    ));
    assert_eq!(caller.push(&[one, found()].concat()), Some(8));
    let seen = served.pipeline.text().matches("decoy").count();
    assert!(seen >= 2, "in it and behind it: {seen}");
    assert!(!shapes().is_empty() && errors() == 0);

    let endless = many.repeat(20 * most / many.len());
    assert_eq!(caller.push(&endless), Some(8));
    assert_eq!((shapes().len(), errors()), (0, 1), "its end was not");
    served.end();
}

#[test]
fn a_request_that_is_too_large_is_refused_packed_or_not_and_kept_by_who_sends_it() {
    let served = Served::new(&config());
    let most = config().max_body_bytes;
    let caller = served.caller();
    let of_length = |length: usize| {
        let around = log(&"x".repeat(length / 2)).len() - length / 2;
        [
            log(&"x".repeat(length / 2)),
            log(&"x".repeat(length - length / 2 - 2 * around)),
        ]
        .concat()
    };
    let whole = of_length(most);
    assert_eq!(whole.len(), most);
    assert_eq!(caller.push(&whole), Some(0));
    let long = [found(), of_length(most + 1)].concat();
    assert_eq!(caller.push(&long), Some(8));
    assert!(
        served.pipeline.text().contains("decoy"),
        "what was read is searched"
    );
    assert_eq!(served.refused(Refusal::TooLarge), 1);
    let unsearched = || served.counters.errors.load(SeqCst);
    assert_eq!(unsearched(), 0, "all of it was");

    served.pipeline.state().blocks.clear();
    let bomb = zstd_of(&[found(), log(&"x".repeat(most))].concat());
    assert!(bomb.len() < 10_000);
    let zstd = [("grpc-encoding", "zstd")];
    let answer = caller.call(PUSH_EVENTS, &zstd, frame(true, &bomb));
    assert_eq!(answer.status, Some(8));
    assert!(
        served.pipeline.text().contains("decoy"),
        "what came before is told"
    );
    assert_eq!(served.refused(Refusal::TooLarge), 2);
    assert_eq!(unsearched(), 1, "what was not unpacked is said");
    served.end();

    let mut config = config();
    config.max_decompression_ratio = 2;
    config.max_body_bytes = 64 << 20;
    let served = Served::new(&config);
    let tight = zstd_of(&of_length(49 << 20));
    let answer = served
        .caller()
        .call(PUSH_EVENTS, &zstd, frame(true, &tight));
    assert_eq!(answer.status, Some(8));
    // A thief's long URI packs better than any ratio allows, and is taken.
    let mild = zstd_of(&[of_length(30 << 20), found()].concat());
    let answer = served.caller().call(PUSH_EVENTS, &zstd, frame(true, &mild));
    assert_eq!(answer.status, Some(0));
    assert!(served.pipeline.text().contains("decoy"));
    served.end();
}

#[test]
fn what_cannot_be_unpacked_is_to_be_sent_again_and_told() {
    let served = Served::new(&config());
    let caller = served.caller();
    let push = |encoding: &str, message: &[u8]| {
        let headers = [("grpc-encoding", encoding)];
        caller
            .call(PUSH_EVENTS, &headers, frame(true, message))
            .status
    };
    let events: Vec<u8> = (0..10_000)
        .flat_map(|number| log(&format!("decoy {number}")))
        .collect();
    let packed = zstd_of(&events);
    assert_eq!(push("zstd", &packed[..packed.len() / 2]), Some(13));
    assert!(
        served.pipeline.text().contains("decoy 1"),
        "what can be read is told"
    );
    served.pipeline.state().blocks.clear();
    // It is not packed at all.
    assert_eq!(push("gzip", &found()), Some(13));
    assert_eq!(served.pipeline.text().as_bytes(), found());
    assert_eq!(served.counters.errors.load(SeqCst), 2);
    served.end();
}

#[test]
fn an_event_that_is_too_long_is_searched_in_parts() {
    let mut config = config();
    config.max_line_bytes = 100_000;
    let served = Served::new(&config);
    let long = log(&format!("{}decoy", "x".repeat(300_000)));
    let request = [clean(), long, clean()].concat();
    assert_eq!(served.caller().push(&request), Some(0));
    let blocks = served.pipeline.state().blocks.clone();
    let shapes: Vec<Shape> = blocks.iter().map(|(_, shape, _)| *shape).collect();
    let (first, last) = (shapes[1], shapes[shapes.len() - 2]);
    assert!(matches!(first, Shape::Oversized { first: true, .. }));
    assert!(matches!(last, Shape::Oversized { last: true, .. }));
    assert_eq!(
        (shapes[0], shapes[shapes.len() - 1]),
        (Shape::PushEvents, Shape::PushEvents)
    );
    let parts = served.pipeline.text();
    assert!(parts.contains("\"message\"\"xxx") && parts.contains("xdecoy\""));
    served.end();
}

#[test]
fn what_is_long_is_searched_in_pieces_that_fit_into_a_cache() {
    let served = Served::new(&config());
    let events = log(&"x".repeat(80)).repeat(10_000);
    assert_eq!(served.caller().push(&events), Some(0));
    let blocks = served.pipeline.state().blocks.clone();
    assert!(blocks.len() > 3 && blocks.iter().all(|(text, ..)| text.len() <= 256 << 10));
    assert_eq!(served.pipeline.text().as_bytes(), events);
    served.end();
}

#[test]
fn a_client_that_is_too_slow_is_told_so_and_others_are_served() {
    let served = Served::with(&config(), HASTY);
    let caller = served.caller();
    let half = frame(false, &found())[..8].to_vec();
    let slow = caller.begin(PUSH_EVENTS, &[], half, true);
    assert_eq!(caller.push(&clean()), Some(0));
    assert_eq!(caller.end(slow).unwrap().status, Some(4));
    assert_eq!(served.refused(Refusal::Timeout), 1);
    served.end();
}

#[test]
fn what_is_in_flight_when_it_stops_is_answered() {
    let served = Served::new(&config());
    let caller = served.caller();
    served.pipeline.slow();
    let call = caller.begin(PUSH_EVENTS, &[], frame(false, &found()), false);
    served.wait_for("the commit", kept);
    served.stop.trigger();
    served.wait_for("the listener to close", |served| {
        TcpStream::connect(served.address).is_err()
    });
    served.pipeline.acknowledge();
    assert_eq!(caller.end(call).unwrap().status, Some(0));
    served.end();
}
