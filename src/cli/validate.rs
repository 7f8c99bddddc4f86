//! `baitline validate`: is this configuration sound?

use std::{io::Write, path::PathBuf, process::ExitCode};

use super::{BAD_CONFIGURATION, tell};
use crate::config;

#[derive(clap::Args)]
pub struct Arguments {
    /// Files and directories that make the configuration together
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    match config::load(&arguments.paths, &|name| std::env::var(name).ok()) {
        Err(faults) => {
            tell(faults);
            BAD_CONFIGURATION.into()
        }
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tell(format_args!("warning: {warning}"));
            }
            let pipeline = &loaded.pipeline;
            let _ = writeln!(
                std::io::stdout(),
                "sound: decoys {}, sources {}, transforms {}, sinks {}",
                pipeline.decoys.len(),
                pipeline.sources.len(),
                pipeline.transforms.len(),
                pipeline.sinks.len()
            );
            ExitCode::SUCCESS
        }
    }
}
