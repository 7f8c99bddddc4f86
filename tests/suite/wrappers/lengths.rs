//! Records that somebody made to take long: they take no longer than their length.

use std::time::Duration;

use baitline::{
    detect::Technique,
    record::framing::{Framer, Piece, READ_BYTES},
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit},
    found,
};

/// What one thread has worked so far: neither others nor a machine that is busy count.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("time goes on");
    Duration::new(
        seconds,
        u32::try_from(time.tv_nsec).expect("a part of a second"),
    )
}

/// Four times the length takes four times as long, and not sixteen times.
fn takes_no_longer_than_its_length(length: usize, work: impl Fn(usize)) {
    let time = |length| {
        let start = worked();
        work(length);
        worked() - start
    };
    let (one, four) = (time(length), time(4 * length));
    assert!(four < 9 * one, "{one:?}, and four times as much {four:?}");
}

#[test]
fn many_values_behind_a_stray_bracket() {
    takes_no_longer_than_its_length(1 << 17, |count| {
        let record = format!("[{}{}", "{}".repeat(count), hit("1"));
        assert_eq!(found(None, record.as_bytes()).len(), 1);
    });
}

#[test]
fn many_values_without_a_quote_between_them() {
    takes_no_longer_than_its_length(1 << 15, |count| {
        let values = "{}\\n".repeat(count);
        let record = format!(
            "level=info user={DECOY} text=\"}}\\n{values}\" {}",
            hit("1")
        );
        found(None, record.as_bytes());
    });
}

#[test]
fn many_events_that_tell_neither_an_id_nor_a_time() {
    takes_no_longer_than_its_length(1 << 10, |count| {
        let event =
            json!({"verb": "get", "user": {"username": DECOY}, "requestURI": "/api/v1/namespaces"});
        let record = json!(vec![event; count]).to_string();
        assert_eq!(found(None, record.as_bytes()).len(), count);
    });
}

#[test]
fn names_around_many_events_of_nobody() {
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "get", "user": {}});
    takes_no_longer_than_its_length(1 << 9, |count| {
        let names = vec![vec!["jane"; 4]; count];
        let record = json!({"user": names, "honeypot": "backup-sa", "items": vec![&event; count]});
        assert_eq!(found(None, record.to_string().as_bytes()), []);
    });
}

#[test]
fn quoted_tags_of_a_container_runtime() {
    takes_no_longer_than_its_length(1 << 17, |count| {
        let line = format!(
            "2026-11-23T17:21:01.912216789Z stdout F {}\n",
            " stdout P ".repeat(count)
        );
        let mut framer = Framer::new(16 << 20);
        let mut taken = Vec::new();
        let mut take = |piece: Piece<'_>| taken.extend_from_slice(piece.bytes);
        for part in line.as_bytes().chunks(READ_BYTES) {
            framer.space(part.len())[..part.len()].copy_from_slice(part);
            framer.commit(part.len(), &mut take);
        }
        framer.finish(&mut take);
        assert!(taken == line.as_bytes());
    });
}

#[test]
fn many_copies_of_texts_of_clients() {
    let item = |number: usize| {
        let forgery = hit(&number.to_string()).to_string();
        let mut quiet = hit("quiet");
        quiet["user"] = json!({"username": "jane"});
        quiet["userAgent"] = forgery.clone().into();
        json!({"message": quiet.to_string(), "client": forgery})
    };
    takes_no_longer_than_its_length(1000, |count| {
        let record = json!({"logEvents": (0..count).map(item).collect::<Vec<_>>()}).to_string();
        assert_eq!(found(None, record.as_bytes()), []);
    });
}

#[test]
fn long_names_of_columns_above_many_little_cells() {
    let name = |number: usize| format!("requestObject.{number}{}", "x".repeat(100));
    let columns: Vec<Value> = (0..100)
        .map(|number| json!({"name": name(number)}))
        .collect();
    takes_no_longer_than_its_length(2500, |count| {
        let table = json!({"columns": columns, "rows": vec![vec![1; columns.len()]; count]});
        let record = json!([DECOY, table]).to_string();
        assert_eq!(found(None, record.as_bytes()), []);
    });
}

#[test]
fn many_parts_that_nothing_follows() {
    takes_no_longer_than_its_length(1 << 10, |count| {
        let parts =
            (0..count).map(|number| json!({"_p": "P", "log": "x", "a": format!("z{number}")}));
        let others = (0..count).map(|number| json!({"log": "y", "b": number}));
        let lines = parts.chain(others).map(|line| line.to_string() + "\n");
        assert_eq!(found(None, lines.collect::<String>().as_bytes()), []);
    });
}

#[test]
fn many_values_of_python_without_an_end() {
    for end in ["", "}}"] {
        takes_no_longer_than_its_length(1 << 9, |count| {
            let (values, ends) = ("{'\"'{\"}".repeat(count), end.repeat(count));
            found(None, format!("x {DECOY} {values}{ends}").as_bytes());
        });
    }
}

#[test]
fn an_event_of_python_behind_many_values_that_are_none_is_told() {
    let event = hit("1").to_string().replace('"', "'").replace("':", "': ");
    for strays in [0, 20] {
        let record = format!("x {} {event}", "{'\"'{\"} ".repeat(strays));
        let found = found(None, record.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].technique == Technique::Undecodable, strays > 0);
    }
}

#[test]
fn colours_in_colours() {
    let nests: [fn(usize) -> String; 4] = [
        |count| "\x1b[".repeat(count) + &"m".repeat(count),
        |count| "\x1b[m\x1b[".repeat(count) + "x" + &"m".repeat(count),
        |count| "\x1b[1".repeat(count) + &"1m".repeat(count),
        |count| "1".repeat(count) + &"\x1b[m".repeat(count),
    ];
    for nest in nests {
        takes_no_longer_than_its_length(1 << 13, |count| {
            let text = nest(count) + " " + DECOY + " {\"";
            found(None, text.as_bytes());
            found(None, json!({ "log": text }).to_string().as_bytes());
            let mut event = hit("1");
            event["requestObject"] = json!({ "log": text });
            let record = json!({"items": [event, hit("2")]}).to_string();
            assert_eq!(found(None, record.as_bytes()).len(), 2);
        });
    }
}

#[test]
fn many_columns_of_records_without_a_cell() {
    let name = |number: usize| json!({"name": format!("b{number}")});
    takes_no_longer_than_its_length(1 << 9, |count| {
        let columns: Vec<Value> = (0..count).map(name).collect();
        let items = vec![json!({"v": {"f": []}}); count];
        let table = json!({"schema": {"fields": [{"name": "a", "fields": columns}]}, "rows": [{"f": [{"v": items}]}]});
        assert_eq!(
            found(None, json!([DECOY, table]).to_string().as_bytes()),
            []
        );
    });
}

#[test]
fn names_on_each_level_around_many_events_of_nobody() {
    takes_no_longer_than_its_length(12, |levels| {
        let events = vec![json!({"auditID": "1", "verb": "get"}); 50 * levels];
        let record = (0..levels).fold(
            json!({"a": events}),
            |inner, _| json!({"user": vec!["jane"; 50], "a": inner}),
        );
        assert_eq!(
            found(None, json!([DECOY, record]).to_string().as_bytes()),
            []
        );
    });
}

#[test]
fn a_name_far_outside_of_events_of_nobody_is_told_once() {
    let events = vec![json!({"auditID": "1", "verb": "get"}); 3];
    let inner = (0..4).fold(
        json!({"a": events}),
        |inner, _| json!({"user": vec!["jane"; 50], "a": inner}),
    );
    let found = found(
        None,
        json!({"user": DECOY, "a": inner}).to_string().as_bytes(),
    );
    let techniques: Vec<_> = found.iter().map(|one| one.technique).collect();
    assert_eq!(techniques, [Technique::Undecodable]);
}

#[test]
fn many_broken_values_behind_many_lines_that_something_printed() {
    takes_no_longer_than_its_length(1 << 11, |count| {
        let lines = "auditID=1 requestURI=2\n".repeat(4 * count);
        let values = "{a}".repeat(4 * count);
        let record = json!({"log": format!("{DECOY}\n{lines}{values}")});
        assert_eq!(found(None, record.to_string().as_bytes()), []);
    });
}

#[test]
fn many_pieces_of_a_part_that_stands_behind_them() {
    takes_no_longer_than_its_length(1 << 11, |count| {
        let pieces = (0..count).map(|number| format!(r#""user_username{number}":1,"#));
        let pieces: String = pieces.collect();
        let record = format!(r#"{{"auditID":"1","verb":"get","a":"{DECOY}",{pieces}"user":{{}}}}"#);
        found(None, record.as_bytes());
    });
}

#[test]
fn many_keys_of_times_in_a_copy_of_what_is_broken() {
    takes_no_longer_than_its_length(1 << 11, |count| {
        let keys = format!("{{\"stageTimestamp\":{}", "imestamp".repeat(count));
        let mut event = hit("1");
        event["requestObject"] = json!({"data": {"x": keys}});
        let record = json!({"log": event.to_string(), "copy": keys});
        assert_eq!(found(None, record.to_string().as_bytes()).len(), 1);
    });
}

#[test]
fn many_events_with_entities_in_one_line() {
    let event = hit("1").to_string().replace('"', "&quot;");
    takes_no_longer_than_its_length(1 << 8, |count| {
        let events = format!("<d>{event}</d>").repeat(count);
        let line = format!("{}{events}", "x".repeat(count << 12));
        assert_eq!(found(None, line.as_bytes()).len(), 1);
    });
}

#[test]
fn many_lines_of_an_open_document_that_come_one_by_one() {
    takes_no_longer_than_its_length(1 << 12, |count| {
        let mut framer = Framer::new(16 << 20);
        let mut take = |_: Piece<'_>| {};
        let lines = std::iter::once("{}\n{\n").chain(std::iter::repeat_n(" 1\n", count));
        for line in lines {
            framer.space(line.len())[..line.len()].copy_from_slice(line.as_bytes());
            framer.commit(line.len(), &mut take);
        }
        assert_eq!(framer.handed_on(), 3);
    });
}

#[test]
fn many_beginnings_of_own_lines_in_one_line() {
    let id = "0123456789abcdef0123456789abcdef";
    let own = format!(r#"{{"type":"alert","schema":1,"alert_id":"{id}","incident_id":"{id}","#);
    takes_no_longer_than_its_length(1 << 8, |count| {
        let line = format!("I got {} {DECOY} honeypot", own.repeat(count));
        found(None, line.as_bytes());
    });
}
