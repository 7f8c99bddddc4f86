//! Standard output or standard error.
//!
//! What is written is there at once: nothing is held back in a buffer. If the other end
//! is closed the sink ends and the rest of the program goes on; what is in a `data_dir` waits for the next start.

use std::{
    env,
    fs::File,
    io::{self, ErrorKind, IsTerminal, Write},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use super::{
    Codec, Delivery, Ending, Report,
    lines::{self, Batch, Fault, Target as LineTarget},
};
use crate::{audit::words, format::text::Style, store::BufferConfig};

/// Writes to standard output or standard error.
#[derive(Clone, Debug)]
pub struct Config {
    /// `encoding.codec`. Default text.
    pub codec: Codec,
    /// Default stdout.
    pub target: Target,
    pub buffer: BufferConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Stdout,
    Stderr,
}

words!(Target { Stdout = "stdout", Stderr = "stderr" });

/// Delivers to the console until the outbox is drained, the console is closed or the
/// time is up.
pub async fn run(config: Config, delivery: Delivery) -> Report {
    let console = match config.target {
        Target::Stdout => rustix::stdio::stdout(),
        Target::Stderr => rustix::stdio::stderr(),
    };
    match console.try_clone_to_owned() {
        Ok(console) => write_to(console.into(), config.codec, delivery).await,
        Err(error) => delivery.end(Ending::Failed(error.to_string())),
    }
}

async fn write_to(console: File, codec: Codec, delivery: Delivery) -> Report {
    let style = Style::of(
        console.is_terminal(),
        env::var_os("NO_COLOR").as_deref(),
        env::var_os("TERM").as_deref(),
    );
    lines::run(delivery, codec, style, Console(console)).await
}

struct Console(File);

impl LineTarget for Console {
    fn write(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        while !batch.rest().is_empty() {
            match self.0.write(batch.rest()) {
                Ok(count) => batch.advance(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares the terminal may have made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for_room(),
                Err(error) if self.is_gone(&error) => return Err(Fault::Closed),
                Err(error) => return Err(Fault::Passing(error.to_string())),
            }
        }
        Ok(())
    }
}

impl Console {
    fn wait_for_room(&self) {
        // If the wait itself fails, the next write says what is wrong.
        let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
    }

    /// True if the reader of a pipe has left or a terminal has been hung up.
    fn is_gone(&self, error: &io::Error) -> bool {
        let hung_up = error.raw_os_error() == Some(Errno::IO.raw_os_error());
        let on_disk = || self.0.metadata().is_ok_and(|metadata| metadata.is_file());
        error.kind() == ErrorKind::BrokenPipe || (hung_up && !on_disk())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, PipeReader, Read, pipe},
        os::fd::OwnedFd,
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        },
    };

    use tokio::time::timeout;

    use super::*;
    use crate::{
        sink::tests::{Log, PATIENCE, alert, delivery, detection},
        source::Progress,
        store::{Commit, Outgoing},
    };

    fn console() -> (PipeReader, File) {
        let (reader, writer) = pipe().unwrap();
        (reader, File::from(OwnedFd::from(writer)))
    }

    #[tokio::test]
    async fn a_lone_alert_is_there_at_once() {
        let (reader, console) = console();
        let (outbox, _, _, delivery) = delivery();
        let sink = tokio::spawn(write_to(console, Codec::Text, delivery));
        outbox.push(alert("first"));
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(reader).read_line(&mut line).unwrap();
            line
        });
        let line = timeout(PATIENCE, read).await.unwrap().unwrap();
        assert_eq!(
            line,
            "CRITICAL opened: first [honeypot/backup-sa, prod-eu]\n"
        );
        drop(outbox);
        timeout(PATIENCE, sink).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn json_is_one_object_a_line_and_the_end_is_drained() {
        let (mut reader, console) = console();
        let (outbox, counters, _, delivery) = delivery();
        for message in [alert("a"), detection(), alert("b")] {
            outbox.push(message);
        }
        outbox.close();
        let report = write_to(console, Codec::Json, delivery).await;
        assert_eq!((report.ending, report.left.total()), (Ending::Drained, 0));
        assert_eq!(counters.delivered.load(Relaxed), 3);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let types: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].clone())
            .collect();
        assert_eq!(types, ["alert", "alert", "detection"]);
    }

    #[tokio::test]
    async fn a_closed_reader_ends_the_sink_and_is_no_crash() {
        let (log, _guard) = Log::capture();
        let (reader, console) = console();
        drop(reader);
        let (outbox, counters, _, delivery) = delivery();
        outbox.push(alert("unread"));
        let report = timeout(PATIENCE, write_to(console, Codec::Text, delivery))
            .await
            .unwrap();
        assert_eq!(
            (report.ending, report.left.alerts),
            (Ending::TargetClosed, 1)
        );
        assert_eq!(counters.dropped.load(Relaxed), 1);
        assert!(
            log.text().contains("the other end was closed"),
            "{}",
            log.text()
        );
        outbox.push(alert("later"));
        assert_eq!(outbox.dropped().alerts, 1, "and nobody waits for it");
    }

    #[tokio::test]
    async fn what_is_left_counts_as_told_only_where_others_tell_it() {
        for (at_work, acknowledged) in [(1, false), (2, true)] {
            let (reader, console) = console();
            drop(reader);
            let (outbox, _, _, mut delivery) = delivery();
            delivery.at_work = Arc::new(AtomicUsize::new(at_work));
            let is_told = Arc::new(AtomicBool::new(false));
            let told = is_told.clone();
            let progress = Progress {
                acknowledge: Some(Box::new(move || told.store(true, Relaxed))),
                ..Progress::default()
            };
            let outgoing = Outgoing {
                message: alert("unread"),
                sinks: Arc::new([0]),
            };
            outbox.commit(Commit {
                messages: vec![outgoing],
                progress: vec![("audit".into(), progress)],
                ..Commit::default()
            });
            timeout(PATIENCE, write_to(console, Codec::Text, delivery))
                .await
                .unwrap();
            assert_eq!(is_told.load(Relaxed), acknowledged, "{at_work} at work");
        }
    }

    #[tokio::test]
    async fn a_reader_that_stands_still_blocks_nothing_and_is_given_up() {
        let (log, _guard) = Log::capture();
        let (mut reader, console) = console();
        let (outbox, _, give_up, delivery) = delivery();
        // Together more than the pipe holds, on the runtime's only thread.
        for _ in 0..50 {
            outbox.push(alert("unread"));
            outbox.push(detection());
        }
        rustix::pipe::fcntl_setpipe_size(&console, 4096).unwrap();
        let sink = tokio::spawn(write_to(console, Codec::Json, delivery));
        // The sink has begun to write once a byte is there.
        let read = tokio::task::spawn_blocking(move || {
            reader.read_exact(&mut [0]).unwrap();
            reader
        });
        let _reader = timeout(PATIENCE, read).await.unwrap().unwrap();
        give_up.cancel();
        let report = timeout(PATIENCE, sink).await.unwrap().unwrap();
        assert_eq!(report.ending, Ending::GaveUp);
        assert_eq!((report.left.alerts, report.left.detections), (50, 50));
        assert!(
            log.text()
                .contains("50 alerts and 50 detections left undelivered")
        );
    }

    #[test]
    fn a_non_blocking_pipe_is_waited_for() {
        let (mut reader, console) = console();
        rustix::io::ioctl_fionbio(&console, true).unwrap();
        let bytes = vec![b'x'; 1 << 20];
        let mut batch = Batch::of(&bytes);
        let writing = std::thread::spawn(move || Console(console).write(&mut batch));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), bytes.len());
        assert_eq!(writing.join().unwrap(), Ok(()));
    }
}
