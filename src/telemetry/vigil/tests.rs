use proptest::{collection::vec, prelude::*};

use super::*;

const LIMIT: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

/// A source, its clock, and what was told of it.
struct Watched {
    silence: Silence,
    steps: Steps,
    last_event: Option<Timestamp>,
    is_reading: bool,
}

impl Watched {
    fn new(told: Option<Timestamp>) -> Self {
        Self {
            silence: Silence::new(Some(LIMIT), at(0), told),
            steps: Steps::new(at(0)),
            last_event: None,
            is_reading: true,
        }
    }

    fn look(&mut self, now: Timestamp) -> Option<Turn> {
        let life = Life {
            last_event: self.last_event,
            is_reading: self.is_reading,
        };
        self.silence.look(life, self.steps.next(now), now)
    }

    /// Looks once a second in `secs`, and what that gave, with the second.
    fn watch(&mut self, secs: std::ops::Range<i64>) -> Vec<(i64, Turn)> {
        secs.filter_map(|second| Some((second, self.look(at(second))?)))
            .collect()
    }
}

fn began(secs: i64) -> Turn {
    Turn::Began { since: at(secs) }
}

fn ended(secs: i64) -> Turn {
    Turn::Ended { since: at(secs) }
}

#[test]
fn silence_is_told_once_and_so_is_its_end() {
    let mut source = Watched::new(None);
    assert_eq!(source.watch(0..1000), [(300, began(0))]);
    source.last_event = Some(at(1000));
    assert_eq!(source.watch(1000..1100), [(1000, ended(0))]);
    source.last_event = Some(at(1099));
    assert_eq!(source.watch(1100..3000), [(1399, began(1099))]);
}

#[test]
fn a_record_in_time_is_life() {
    let mut source = Watched::new(None);
    for second in 0..3000 {
        if second % 299 == 0 {
            source.last_event = Some(at(second));
        }
        assert_eq!(source.look(at(second)), None);
    }
}

#[test]
fn without_a_limit_nothing_is_told() {
    let mut source = Watched::new(None);
    source.silence = Silence::new(None, at(0), None);
    assert_eq!(source.watch(0..100_000), []);
}

#[test]
fn a_source_that_has_ended_or_has_to_wait_is_not_silent() {
    let mut source = Watched::new(None);
    assert_eq!(source.watch(0..290), []);
    source.is_reading = false;
    assert_eq!(source.watch(290..2000), []);
    source.is_reading = true;
    assert_eq!(source.watch(2000..3000), [(2299, began(0))]);
}

#[test]
fn what_was_told_before_a_restart_is_not_told_again() {
    let mut source = Watched::new(Some(at(-5000)));
    assert_eq!(source.watch(0..1000), []);
    source.last_event = Some(at(1000));
    assert_eq!(source.watch(1000..1300), [(1000, ended(-5000))]);
    assert_eq!(source.watch(1300..2000), [(1300, began(1000))]);
}

/// Only the silence that was told before is over: without a limit no other begins.
#[test]
fn a_limit_that_was_taken_away_leaves_no_silence_open() {
    let mut source = Watched::new(None);
    source.silence = Silence::new(None, at(0), Some(at(-9)));
    source.last_event = Some(at(1));
    assert_eq!(source.watch(1..1000), [(1, ended(-9))]);
}

#[test]
fn a_clock_that_is_set_makes_nobody_silent_and_hides_no_silence() {
    for leap in [86_400, -86_400] {
        let mut source = Watched::new(None);
        source.last_event = Some(at(0));
        assert_eq!(source.watch(0..100), []);
        let told = source.watch(leap + 100..leap + 1000);
        let since = began(leap.min(0) + if leap < 0 { told[0].0 - leap } else { 0 });
        assert_eq!(told, [(told[0].0, since)]);
        // The step itself counts for five seconds or for none.
        assert!((leap + 296..=leap + 302).contains(&told[0].0), "{told:?}");
        // An event is one, though it seems older than the one before.
        source.last_event = Some(at(leap + 1000));
        assert_eq!(source.watch(leap + 1000..leap + 1001).len(), 1);
    }
}

fn trouble(since: i64, is_lasting: bool) -> Trouble {
    Trouble {
        reason: "404".into(),
        is_lasting,
        since: at(since),
    }
}

/// Looks once a second in `secs`, and what that gave, with the second.
fn watch(
    failure: &mut Failure,
    trouble: Option<&Trouble>,
    secs: std::ops::Range<i64>,
) -> Vec<(i64, Turn)> {
    secs.filter_map(|second| Some((second, failure.look(trouble, false, SECOND)?)))
        .collect()
}

#[test]
fn lasting_trouble_is_told_soon_and_passing_trouble_late() {
    for (is_lasting, told) in [(true, 9), (false, 599)] {
        let mut sink = Failure::new(None);
        let trouble = trouble(0, is_lasting);
        assert_eq!(
            watch(&mut sink, Some(&trouble), 0..5000),
            [(told, began(0))]
        );
        assert_eq!(watch(&mut sink, None, 5000..9000), [(5000, ended(0))]);
    }
}

#[test]
fn trouble_that_is_over_in_a_moment_is_not_told() {
    let mut sink = Failure::new(None);
    for begin in (0..6000).step_by(10) {
        let trouble = trouble(begin, true);
        assert_eq!(watch(&mut sink, Some(&trouble), begin..begin + 9), []);
        // However short the time between two of them was.
    }
    assert_eq!(watch(&mut sink, None, 6000..6100), []);
}

#[test]
fn a_sink_that_comes_and_goes_does_not_flood_the_others() {
    let mut sink = Failure::new(None);
    let mut told = 0;
    for begin in (0..86_400).step_by(40) {
        let trouble = trouble(begin, true);
        told += watch(&mut sink, Some(&trouble), begin..begin + 20).len();
        told += watch(&mut sink, None, begin + 20..begin + 40).len();
    }
    assert!((200..=2 * 144).contains(&told), "{told}");
}

#[test]
fn after_a_restart_a_sink_works_only_once_it_has_shown_that() {
    let fresh = || Failure::new(Some(at(-500)));
    let mut sink = fresh();
    assert_eq!(watch(&mut sink, None, 0..100), [], "it has nothing to do");
    assert_eq!(sink.look(None, true, SECOND), Some(ended(-500)));

    let mut sink = fresh();
    assert_eq!(watch(&mut sink, Some(&trouble(1, true)), 0..100), []);
    assert_eq!(watch(&mut sink, None, 100..200), [(100, ended(-500))]);
}

#[derive(Clone, Debug)]
enum Act {
    Look(i64),
    Event,
    Set(i64),
    Hold,
    Release,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..8000_i64).prop_map(Act::Look),
        2 => Just(Act::Event),
        1 => (-100_000_000..100_000_000_i64).prop_map(Act::Set),
        1 => Just(Act::Hold),
        1 => Just(Act::Release),
    ]
}

proptest! {
    /// Whatever the clock does: beginnings and ends take turns, no silence begins before its time or is
    /// told late, and none ends but by an event.
    #[test]
    fn each_silence_is_told_once(acts in vec(act(), 0..400), was_told in any::<bool>()) {
        let limit = Duration::from_secs(20);
        let mut now = at(0);
        let mut source = Watched::new(was_told.then(|| at(-100)));
        source.silence.limit = Some(limit);
        let (mut is_told, mut has_event) = (was_told, false);
        // The time that may count, and the time that must.
        let (mut most, mut least) = (Duration::ZERO, Duration::ZERO);
        for act in acts {
            match act {
                Act::Event => {
                    let millis = source.last_event.map_or(1, |last| last.as_millisecond() % 1000 + 1);
                    source.last_event = Some(now + Duration::from_millis(millis.unsigned_abs() % 1000));
                    has_event = true;
                }
                Act::Set(millis) => now += jiff::SignedDuration::from_millis(millis),
                Act::Hold => source.is_reading = false,
                Act::Release => source.is_reading = true,
                Act::Look(millis) => {
                    let before = source.steps.last;
                    now += jiff::SignedDuration::from_millis(millis);
                    let step = Duration::try_from(now.duration_since(before)).unwrap_or_default();
                    let turn = source.look(now);
                    if has_event {
                        (most, least) = (step, Duration::ZERO);
                    } else if source.is_reading {
                        most = most.saturating_add(step);
                        least += step.min(LONGEST_STEP);
                    } else {
                        (most, least) = (Duration::ZERO, Duration::ZERO);
                    }
                    match turn {
                        Some(Turn::Began { since }) => {
                            prop_assert!(!is_told && !has_event && source.is_reading);
                            prop_assert!(most >= limit && since <= now);
                            is_told = true;
                        }
                        Some(Turn::Ended { .. }) => {
                            prop_assert!(is_told && has_event);
                            is_told = false;
                        }
                        None => {
                            prop_assert!(!(is_told && has_event), "an end was not told");
                            prop_assert!(is_told || least < limit, "a silence was not told");
                        }
                    }
                    has_event = false;
                }
            }
        }
    }

    /// Beginnings and ends of a failure take turns, and no end is told while there is trouble.
    #[test]
    fn each_failure_is_told_once(
        looks in vec((any::<bool>(), any::<bool>(), 0..3_i64, 0..700_u64), 0..300),
        was_told in any::<bool>(),
    ) {
        let mut sink = Failure::new(was_told.then(|| at(-1)));
        let mut is_told = was_told;
        for (is_ill, is_lasting, since, secs) in looks {
            let trouble = is_ill.then(|| trouble(since, is_lasting));
            match sink.look(trouble.as_ref(), false, Duration::from_secs(secs)) {
                Some(Turn::Began { since: told }) => {
                    prop_assert!(!is_told && is_ill && told == at(since));
                    is_told = true;
                }
                Some(Turn::Ended { .. }) => {
                    prop_assert!(is_told && !is_ill);
                    is_told = false;
                }
                None => {}
            }
        }
    }
}
