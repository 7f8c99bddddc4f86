//! The pipeline that the command line gives: by `--config`, by `--decoy`, or the built-in one.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::{self, Faults, Format, Loaded, Text};

#[derive(clap::Args)]
pub struct Given {
    /// A file, or a directory of files, in YAML, TOML or JSON; several are merged
    #[arg(short, long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// A decoy to watch in place of honeypot/backup-sa, once for each; its Secret is taken to be
    /// NAME-token
    #[arg(short, long, value_name = "NAMESPACE/NAME", conflicts_with = "config")]
    decoy: Vec<String>,
}

impl Given {
    /// Loads it. The built-in one tells Slack too if `has_slack`.
    pub fn load(&self, has_slack: bool) -> Result<Loaded, Faults> {
        if !self.config.is_empty() {
            return config::load(&self.config, &env);
        }
        self.without_files(&|decoys| config::parse(&built_in(decoys, has_slack), &env))
    }

    /// Loads what a search of the past takes of it.
    pub fn load_for_search(&self) -> Result<Loaded, Faults> {
        if !self.config.is_empty() {
            return config::load_for_search(&self.config, &env);
        }
        self.without_files(&|decoys| config::parse_for_search(&built_in(decoys, false), &env))
    }

    /// Loads what `load` makes of decoys.
    fn without_files(
        &self,
        load: &dyn Fn(Vec<Value>) -> Result<Loaded, Faults>,
    ) -> Result<Loaded, Faults> {
        // Nobody has seen these texts: places in them would say nothing.
        let parse = |decoys| {
            let loaded = load(decoys).map(Loaded::without_positions);
            loaded.map_err(Faults::without_positions)
        };
        if self.decoy.is_empty() {
            return parse(vec![example_decoy()]);
        }
        // What is wrong with a name is said before a Secret's is made of it, and so once.
        parse(self.decoy.iter().map(|name| decoy(name)).collect())?;
        parse(
            self.decoy
                .iter()
                .map(|name| with_secret(decoy(name)))
                .collect(),
        )
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What runs where no configuration is given, each part named after what the user gave.
fn built_in(decoys: Vec<Value>, has_slack: bool) -> Vec<Text> {
    let text = |name: &str, value: Value| Text {
        name: name.into(),
        format: Format::Json,
        text: value.to_string(),
    };
    let mut texts = vec![
        text("--decoy", json!({"decoys": decoys})),
        text(
            "the built-in configuration",
            json!({
                "sources": {"audit": {"type": "stdin"}},
                "transforms": {
                    "detections": {"type": "detect", "inputs": ["audit"]},
                    "incidents": {"type": "dedupe", "inputs": ["detections"]},
                },
                "sinks": {
                    "terminal": {"type": "console", "inputs": ["incidents"]},
                    "alert_txt": {"type": "file", "inputs": ["incidents"], "path": "alert.txt"},
                },
            }),
        ),
    ];
    if has_slack {
        texts.push(text(
            "SLACK_WEBHOOK_URL",
            json!({"sinks": {"slack": {
                "type": "slack", "inputs": ["incidents"], "webhook_url": "${SLACK_WEBHOOK_URL}",
            }}}),
        ));
    }
    texts
}

/// The decoy of the README's examples and of the recordings, watched where none is named.
fn example_decoy() -> Value {
    json!({
        "service_account": "honeypot/backup-sa",
        "secret": "backup-sa-token",
        "pod": "file-backup",
        "whole_namespace": true,
        "severity": "medium",
    })
}

fn decoy(name: &str) -> Value {
    json!({"service_account": name.replace('$', "$$")})
}

/// The Secret of a hand-made token is by custom called after its ServiceAccount.
fn with_secret(mut decoy: Value) -> Value {
    let service_account = decoy["service_account"].as_str().unwrap_or_default();
    if let Some((_, name)) = service_account.split_once('/') {
        decoy["secret"] = format!("{name}-token").into();
    }
    decoy
}
