//! Which `data_dir` a verb looks into.

use std::path::PathBuf;

use crate::config::{self, Faults};

/// The options by which a `data_dir` is found.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct DataDir {
    /// The data_dir of the baitline to look into
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration that baitline runs with, which names the data_dir
    #[arg(short, long, value_name = "PATH")]
    config: Vec<PathBuf>,
}

/// Why no `data_dir` is found. The exit code is that of a bad configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Configuration(Faults),
    #[error("the configuration has no data_dir: without one nothing is kept to look into")]
    NotSet,
}

impl DataDir {
    /// The directory that was named. Whether it is there, and a `data_dir`, is not looked at.
    pub fn find(&self) -> Result<PathBuf, Error> {
        if let Some(data_dir) = &self.data_dir {
            return Ok(data_dir.clone());
        }
        let env = |name: &str| std::env::var(name).ok();
        let loaded = config::load(&self.config, &env).map_err(Error::Configuration)?;
        loaded.pipeline.data_dir.ok_or(Error::NotSet)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::Parser;
    use tempfile::TempDir;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        data_dir: DataDir,
    }

    fn find(arguments: &[&str]) -> Result<PathBuf, Error> {
        let line = Line::try_parse_from([&["verb"], arguments].concat()).unwrap();
        line.data_dir.find()
    }

    #[test]
    fn it_is_named_or_stands_in_the_configuration() {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let pipeline = file(
            "pipeline.yaml",
            "decoys: [{ service_account: honeypot/backup-sa }]\nsources: { audit: { type: stdin } }\n\
             transforms: { detections: { type: detect, inputs: [audit] } }\n\
             sinks: { out: { type: console, inputs: [detections] } }\n",
        );
        let place = file("place.yaml", "data_dir: /var/lib/baitline\n");
        let expected = Path::new("/var/lib/baitline");
        assert_eq!(find(&["--data-dir", "/a"]).unwrap(), Path::new("/a"));
        assert_eq!(find(&["-c", &pipeline, "-c", &place]).unwrap(), expected);
        assert!(matches!(find(&["-c", &pipeline]), Err(Error::NotSet)));
        let missing = find(&["-c", "/nowhere.yaml"]);
        assert!(matches!(missing, Err(Error::Configuration(_))));
    }

    #[test]
    fn one_way_is_to_be_given_and_not_both() {
        for arguments in [&["verb"][..], &["verb", "--data-dir", "/a", "-c", "b"]] {
            assert!(Line::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
