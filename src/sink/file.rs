//! A file that is appended to.
//!
//! Lines are written whole, a batch in one write. A file that was renamed or deleted
//! under the sink is opened anew, and a write that fails is tried again until it
//! succeeds: nothing is lost to a full disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, fmt::strtime};

use super::{
    Codec, Delivery, Ending, Report,
    lines::{self, Batch, Fault, Target},
};
use crate::{format::text::Style, store::BufferConfig};

/// Appends to a file.
#[derive(Clone, Debug)]
pub struct Config {
    /// With strftime specifiers in UTC (`alerts-%Y-%m-%d.txt`). Required.
    pub path: String,
    /// `encoding.codec`. Default text.
    pub codec: Codec,
    pub buffer: BufferConfig,
}

/// Delivers to the file until the outbox is drained or the time is up.
pub async fn run(config: Config, delivery: Delivery) -> Report {
    if let Err(error) = path_at(&config.path, Timestamp::now()) {
        return delivery.end(Ending::Failed(format!("path {:?}: {error}", config.path)));
    }
    let appender = Appender {
        path: config.path,
        file: None,
    };
    lines::run(delivery, config.codec, Style::Plain, appender).await
}

/// The path that `template` stands for at `time`, in UTC. An error if it holds what is no
/// strftime specifier.
pub fn path_at(template: &str, time: Timestamp) -> Result<PathBuf, jiff::Error> {
    let path = strtime::format(template, time)?;
    Ok(path.into())
}

/// Appends to whatever file its path stands for at the moment.
struct Appender {
    /// With strftime specifiers.
    path: String,
    file: Option<Opened>,
}

impl Target for Appender {
    fn write(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let path = path_at(&self.path, Timestamp::now())
            .map_err(|error| Fault::Passing(format!("path {:?}: {error}", self.path)))?;
        self.append(&path, batch)
            .map_err(|error| Fault::Passing(format!("{}: {error}", path.display())))
    }
}

impl Appender {
    fn append(&mut self, path: &Path, batch: &mut Batch) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) if file.is_still_at(path)? => file,
            file => {
                batch.restart_message();
                file.insert(Opened::at(path)?)
            }
        };
        while !batch.rest().is_empty() {
            match file.file.write(batch.rest()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => batch.advance(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// An open file, and which one it is.
struct Opened {
    path: PathBuf,
    file: File,
    device: u64,
    inode: u64,
}

impl Opened {
    /// Opens `path` to append to, with its folders, readable by its owner alone if it is
    /// new. A last line that was left without its end is ended.
    fn at(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && ends_torn(path, metadata.len()) {
            file.write_all(b"\n")?;
        }
        let (device, inode) = (metadata.dev(), metadata.ino());
        Ok(Self {
            path: path.into(),
            file,
            device,
            inode,
        })
    }

    /// False if the file was renamed or deleted, or another one is meant by now.
    fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        if self.path != path {
            return Ok(false);
        }
        match fs::metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (self.device, self.inode)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// True if the last of `length` bytes at `path` is known to be no newline. A file that
/// may be written but not read is taken as it is.
fn ends_torn(path: &Path, length: u64) -> bool {
    let Some(last) = length.checked_sub(1) else {
        return false;
    };
    let mut byte = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_ok() && byte != *b"\n"
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering::Relaxed};

    use tempfile::TempDir;
    use tokio::{task::JoinHandle, time::timeout};

    use super::*;
    use crate::{
        sink::{
            Counters,
            tests::{BUFFER, Log, PATIENCE, alert, delivery, detection},
        },
        store::Writer,
    };

    fn config(path: &Path) -> Config {
        Config {
            path: path.to_str().unwrap().into(),
            codec: Codec::Text,
            buffer: BUFFER,
        }
    }

    fn start(path: &Path) -> (Writer, Arc<Counters>, JoinHandle<Report>) {
        let (outbox, counters, _, delivery) = delivery();
        (outbox, counters, tokio::spawn(run(config(path), delivery)))
    }

    /// Delivers `title` and waits until it is written.
    async fn deliver(outbox: &Writer, title: &str) {
        outbox.push(alert(title));
        let written = async {
            while outbox.waiting().total() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, written).await.unwrap();
    }

    fn titles(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("CRITICAL opened: "));
        lines
            .map(|line| line.split(' ').next().unwrap().into())
            .collect()
    }

    #[tokio::test]
    async fn it_appends_to_a_private_file_in_new_folders() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a/b/alert.txt");
        let (outbox, _, sink) = start(&path);
        deliver(&outbox, "one").await;
        deliver(&outbox, "two").await;
        outbox.close();
        assert_eq!(
            timeout(PATIENCE, sink).await.unwrap().unwrap().ending,
            Ending::Drained
        );
        assert_eq!(titles(&path), ["one", "two"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("\n\n") && !text.contains('\x1b'));
    }

    #[tokio::test]
    async fn a_file_that_is_rotated_away_or_deleted_is_opened_anew() {
        let folder = TempDir::new().unwrap();
        let (path, rotated) = (
            folder.path().join("alert.txt"),
            folder.path().join("alert.txt.1"),
        );
        let (outbox, _, _sink) = start(&path);
        deliver(&outbox, "one").await;
        fs::rename(&path, &rotated).unwrap();
        deliver(&outbox, "two").await;
        assert_eq!(
            (titles(&rotated), titles(&path)),
            (vec!["one".into()], vec!["two".into()])
        );
        fs::remove_file(&path).unwrap();
        deliver(&outbox, "three").await;
        assert_eq!(titles(&path), ["three"]);
        // As logrotate's `create` does it: the new file is there before the sink looks.
        fs::rename(&path, &rotated).unwrap();
        fs::write(&path, "").unwrap();
        deliver(&outbox, "four").await;
        assert_eq!(
            (titles(&rotated), titles(&path)),
            (vec!["three".into()], vec!["four".into()])
        );
    }

    #[tokio::test]
    async fn a_torn_last_line_is_ended_first() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("alert.txt");
        fs::write(&path, "torn").unwrap();
        let (outbox, _, _sink) = start(&path);
        deliver(&outbox, "whole").await;
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .starts_with("torn\nCRITICAL opened: whole ")
        );
    }

    #[tokio::test]
    async fn json_goes_to_the_file_of_the_day() {
        let folder = TempDir::new().unwrap();
        let template = folder.path().join("alerts-%Y-%m-%d.json");
        let (outbox, _, _, delivery) = delivery();
        outbox.push(detection());
        outbox.close();
        let before = Timestamp::now();
        run(
            Config {
                codec: Codec::Json,
                ..config(&template)
            },
            delivery,
        )
        .await;
        let days = [before, Timestamp::now()].map(|time| time.strftime("%Y-%m-%d").to_string());
        let written = days.iter().find_map(|day| {
            fs::read_to_string(folder.path().join(format!("alerts-{day}.json"))).ok()
        });
        assert!(
            written
                .unwrap()
                .starts_with("{\"type\":\"detection\",\"schema\":1,")
        );
    }

    #[test]
    fn what_is_no_strftime_is_an_error() {
        let time = "2026-11-23T17:21:08Z".parse().unwrap();
        assert_eq!(
            path_at("a-%Y%m%d-%H.txt", time).unwrap(),
            Path::new("a-20261123-17.txt")
        );
        assert!(path_at("100%!.txt", time).is_err());
    }

    #[tokio::test]
    async fn a_full_disk_is_said_once_and_loses_nothing() {
        let (log, _guard) = Log::capture();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("alert.txt");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let (outbox, counters, sink) = start(&path);
        outbox.push(alert("kept"));
        let tried = async {
            while counters.retried.load(Relaxed) < 3 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, tried).await.unwrap();
        assert_eq!(outbox.waiting().alerts, 1);
        fs::remove_file(&path).unwrap();
        outbox.close();
        assert_eq!(
            timeout(PATIENCE, sink).await.unwrap().unwrap().left.total(),
            0
        );
        assert_eq!(titles(&path), ["kept"]);
        assert_eq!(
            log.text().matches("cannot write").count(),
            1,
            "{}",
            log.text()
        );
        assert!(log.text().contains("alert.txt") && log.text().contains("writes again"));
    }
}
