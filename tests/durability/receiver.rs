//! A Slack, and a receiver of JSON lines, in all the moods that a receiver can be in.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::books::Books;

const MOODS: [Mood; 12] = [
    Mood::Takes,
    Mood::Takes,
    Mood::Throttles,
    Mood::Takes,
    Mood::Fails,
    Mood::Takes,
    Mood::Resets,
    Mood::Takes,
    Mood::AnswersEarly,
    Mood::Takes,
    Mood::Hangs,
    Mood::Takes,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    /// 429 with `Retry-After`.
    Throttles,
    /// 500.
    Fails,
    /// Reads half and cuts the connection.
    Resets,
    /// Reads half, says 200, and reads the rest.
    AnswersEarly,
    /// Reads all, and never answers.
    Hangs,
}

/// The name of an alert as Slack shows it: the beginning of its incident's id, and its number.
pub type Name = (String, u64);

/// A receiver on an address of this machine, for as long as the test lasts.
pub struct Receiver {
    address: SocketAddr,
    taken: Arc<Mutex<BTreeMap<Name, u32>>>,
    batches: Arc<Mutex<Books>>,
}

impl Receiver {
    /// One that goes through all its moods over and over, or, if not `moody`, takes everything.
    pub fn start(moody: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let taken = Arc::new(Mutex::new(BTreeMap::new()));
        let batches = Arc::new(Mutex::new(Books::default()));
        let (list, books) = (Arc::clone(&taken), Arc::clone(&batches));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let mood = if moody {
                    MOODS[number % MOODS.len()]
                } else {
                    Mood::Takes
                };
                let (list, books) = (Arc::clone(&list), Arc::clone(&books));
                thread::spawn(move || match receive(&stream, mood) {
                    Some(body) if body.starts_with("{\"type\":") => {
                        let mut books = books.lock().expect("no reader panicked");
                        let lines = body.lines();
                        lines.for_each(|line| books.enter(line.as_bytes(), "the batches"));
                    }
                    Some(body) => {
                        let name = name(&body);
                        let name = name.unwrap_or_else(|| panic!("no incident is named: {body}"));
                        let mut list = list.lock().expect("no reader panicked");
                        *list.entry(name).or_default() += 1;
                    }
                    None => {}
                });
            }
        });
        Self {
            address,
            taken,
            batches,
        }
    }

    /// What it took as JSON lines.
    pub fn batches(&self) -> Books {
        self.batches.lock().expect("no writer panicked").clone()
    }

    pub fn url(&self) -> String {
        format!("http://{}/services/T012345/s3cr3t", self.address)
    }

    /// How often it took each alert.
    pub fn taken(&self) -> BTreeMap<Name, u32> {
        self.taken.lock().expect("no writer panicked").clone()
    }
}

/// Reads one request and answers it as `mood` has it: its body, if it was answered with a 200.
fn receive(mut stream: &TcpStream, mood: Mood) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut body = vec![0; content_length(&mut reader)?];
    let half = body.len() / 2;
    reader.read_exact(&mut body[..half]).ok()?;
    if mood == Mood::Resets {
        return None;
    }
    if mood == Mood::AnswersEarly {
        answer(stream, "200 OK", "");
    }
    reader.read_exact(&mut body[half..]).ok()?;
    match mood {
        Mood::Throttles => answer(stream, "429 Too Many Requests", "retry-after: 1\r\n"),
        Mood::Fails => answer(stream, "500 Internal Server Error", ""),
        Mood::Hangs => {
            // The client gives up before.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
            let _ = stream.read(&mut [0]);
        }
        Mood::Takes => answer(stream, "200 OK", ""),
        Mood::AnswersEarly | Mood::Resets => {}
    }
    let taken = matches!(mood, Mood::Takes | Mood::AnswersEarly);
    let body = String::from_utf8(body).ok()?;
    taken.then_some(body)
}

fn content_length(reader: &mut impl BufRead) -> Option<usize> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return length;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
    }
}

fn answer(mut stream: &TcpStream, status: &str, headers: &str) {
    let text =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: 2\r\nconnection: close\r\n\r\nok");
    let _ = stream.write_all(text.as_bytes());
}

/// `incident 0a1b2c3d, alert 7` as it stands at the foot of a message.
fn name(body: &str) -> Option<Name> {
    let (_, after) = body.rsplit_once("incident ")?;
    let (id, after) = after.split_once(", alert ")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some((id.to_owned(), digits.parse().ok()?))
}
