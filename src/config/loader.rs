//! From texts to a pipeline: the sections of all texts, brought together and checked.

mod search;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Loaded, Pipeline, Role, Sink, Source, SourceConfig, Text, Transform,
    api::{self, Api},
    components::{Config, Stream},
    declared::{self, Declared, Gives},
    decoys,
    fault::{Fault, Faults, Place, in_order, quoted},
    graph,
    interpolate::{Environment, interpolate},
    kind::{self, Kind},
    nearest::{advice, listed, nearest},
    notation::DataDir,
    number::{Count, Seconds},
    options::{OptionDoc, Scope},
    server,
    tree::{Entry, Node, Value},
};
use crate::source::Decoding;

/// How long sinks may go on delivering after the sources have stopped.
const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

const ONE_DAY: Duration = Duration::from_secs(86_400);

/// How long what was told of incidents that are over is kept.
const DEFAULT_RETENTION_DAYS: u32 = 90;

/// Keys that stand at the top level of a file.
pub(super) const GLOBALS: [&str; 9] = [
    "api",
    "cluster",
    "data_dir",
    "decoys",
    "retention_days",
    "shutdown_timeout_secs",
    "sinks",
    "sources",
    "transforms",
];

/// What the reference documentation says about the options of the whole pipeline.
pub(super) fn describe() -> Vec<OptionDoc> {
    let option = |name: &str, kind: String, default: String, doc: &str| OptionDoc {
        name: name.to_owned(),
        kind,
        default: Some(default),
        doc: doc.to_owned(),
    };
    let mut docs = Vec::new();
    Api::describe("api".to_owned(), None, "", &mut docs);
    docs.extend([
        option(
            "cluster",
            kind::Text::wanted(),
            "none".to_owned(),
            "The cluster's name, where the wrapper of an event does not tell.",
        ),
        option(
            "data_dir",
            DataDir::wanted(),
            "none".to_owned(),
            "Where incidents, what waits for the sinks, and the positions of sources are kept. \
             Without one they are held in memory and end with the process.",
        ),
        option(
            "retention_days",
            Count::<u32>::wanted(),
            DEFAULT_RETENTION_DAYS.to_string(),
            "How long incidents that are over are kept in `data_dir`.",
        ),
        option(
            "shutdown_timeout_secs",
            Seconds::<true>::wanted(),
            Seconds::<true>::show(&DEFAULT_SHUTDOWN_TIMEOUT),
            "How long sinks may go on delivering after the sources have stopped.",
        ),
    ]);
    docs
}

fn retention(days: Option<u32>) -> Duration {
    ONE_DAY * days.unwrap_or(DEFAULT_RETENTION_DAYS)
}

/// Gathers faults on the way from texts to a pipeline.
pub(super) struct Loader {
    /// Whether every text could be read. If not, what is missing may stand in the one that could not.
    complete: bool,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// The sections of all texts.
#[derive(Default)]
struct Sections<'a> {
    decoys: Vec<&'a Node>,
    /// Options of the whole pipeline, by their names.
    globals: Vec<(&'a str, &'a Node)>,
    components: Vec<(Role, &'a Node)>,
}

impl Loader {
    /// `faults` are those of texts that could not even be read.
    pub fn new(faults: Vec<Fault>) -> Self {
        Self {
            complete: faults.is_empty(),
            faults,
            warnings: Vec::new(),
        }
    }

    pub fn load(mut self, texts: &[Text], env: Environment<'_>) -> Result<Loaded, Faults> {
        let mut trees = Vec::new();
        for text in texts {
            match text.tree(&mut self.faults) {
                Some(mut tree) => {
                    interpolate(&mut tree, env, &mut self.faults);
                    trees.push(tree);
                }
                None => self.complete = false,
            }
        }
        let sections = self.sections(&trees);
        let api = self.global::<Api>("api", &sections).flatten();
        let cluster = self.global::<kind::Text>("cluster", &sections);
        let data_dir = self.global::<DataDir>("data_dir", &sections);
        let retention_days = self.global::<Count<u32>>("retention_days", &sections);
        let shutdown_timeout = self.global::<Seconds<true>>("shutdown_timeout_secs", &sections);
        let decoys = decoys::read(&sections.decoys, &mut self.faults, &mut self.warnings);
        let declared = declared::read(&sections.components, &mut self.faults);
        let inputs = graph::wire(&declared, self.complete, &mut self.faults);
        self.refuse_missing(texts, &sections, &declared);
        self.refuse_second_stdin(&declared);
        self.warn_of_equal_files(&declared);
        self.warn_of_unreadable_files(&declared);
        self.warn_of_public_api(api, &sections);
        self.warn_of_public_sources(&declared);
        if let Some(faults) = Faults::of(self.faults) {
            return Err(faults);
        }
        let audit_topics = audit_topics(&declared);
        let mut pipeline = Pipeline {
            api,
            cluster: cluster.map(Arc::from),
            data_dir,
            retention: retention(retention_days),
            shutdown_timeout: shutdown_timeout.unwrap_or(DEFAULT_SHUTDOWN_TIMEOUT),
            decoys,
            sources: Vec::new(),
            transforms: Vec::new(),
            sinks: Vec::new(),
        };
        for (declared, inputs) in declared.into_iter().zip(inputs) {
            let Declared {
                id,
                config,
                silence,
                ..
            } = declared;
            match config {
                Some(Config::Source(config)) => pipeline.sources.push(Source {
                    id,
                    silence,
                    config,
                }),
                Some(Config::Transform(config)) => {
                    pipeline.transforms.push(Transform { id, inputs, config });
                }
                Some(Config::Sink(config)) => pipeline.sinks.push(Sink { id, inputs, config }),
                // Without a fault every component has its options.
                None => {}
            }
        }
        for (id, subject, place) in audit_topics {
            if pipeline.detects_for_dedupe(&id) {
                self.warnings
                    .push(Fault::at(place, lone_instance(&subject)));
            }
        }
        Ok(Loaded {
            pipeline,
            warnings: in_order(self.warnings),
        })
    }

    /// Sorts the top level of each text into sections.
    fn sections<'a>(&mut self, trees: &'a [Node]) -> Sections<'a> {
        let mut sections = Sections::default();
        for tree in trees {
            let entries = match &tree.value {
                Value::Map(entries) => entries.as_slice(),
                Value::Null => &[],
                _ => {
                    let message = format!(
                        "a configuration is a map with the keys {}, found {}",
                        listed(GLOBALS),
                        tree.found()
                    );
                    self.faults.push(Fault::at(&tree.place, message));
                    self.complete = false;
                    &[]
                }
            };
            for entry in entries {
                self.section(entry, &mut sections);
            }
        }
        sections
    }

    fn section<'a>(&mut self, entry: &'a Entry, sections: &mut Sections<'a>) {
        let node = &entry.node;
        self.complete &= !node.is_faulty();
        let role = Role::ALL
            .into_iter()
            .find(|role| role.section() == entry.key);
        match (entry.key.as_str(), role) {
            (_, Some(role)) => {
                self.complete &= matches!(node.value, Value::Map(_) | Value::Null);
                sections.components.push((role, node));
            }
            ("decoys", None) => sections.decoys.push(node),
            (key, None) if GLOBALS.contains(&key) => sections.globals.push((key, node)),
            (key, None) => {
                let advice = advice(key, GLOBALS);
                let message = format!("unknown option {} at the top level{advice}", quoted(key));
                self.faults.push(Fault::at(&entry.place, message));
                // It may be a section whose name is misspelt.
                self.complete &= nearest(key, GLOBALS).is_none();
            }
        }
    }

    /// The value of an option of the whole pipeline. Two files may give it if they agree.
    fn global<K: Kind>(&mut self, name: &str, sections: &Sections<'_>) -> Option<K::Value>
    where
        K::Value: PartialEq,
    {
        let mut first: Option<(K::Value, &Place)> = None;
        let option = format!("\"{name}\"");
        for (_, node) in sections.globals.iter().filter(|(key, _)| *key == name) {
            let mut scope = Scope {
                option: &option,
                faults: &mut self.faults,
            };
            let Some(value) = K::read(node, &mut scope) else {
                continue;
            };
            match &first {
                None => first = Some((value, &node.place)),
                Some((same, _)) if *same == value => {}
                Some((_, place)) => {
                    let message = format!("{option} has another value at {place}; remove one");
                    self.faults.push(Fault::at(&node.place, message));
                }
            }
        }
        first.map(|(value, _)| value)
    }

    /// A pipeline needs a source and a sink, and a decoy where audit events are read. What is missing is missing in the first text.
    fn refuse_missing(
        &mut self,
        texts: &[Text],
        sections: &Sections<'_>,
        declared: &[Declared<'_>],
    ) {
        if !self.complete {
            return;
        }
        let mut missing = Vec::new();
        let is_empty = |node: &&Node| match &node.value {
            Value::List(items) => items.is_empty(),
            value => matches!(value, Value::Null),
        };
        if sections.decoys.iter().all(is_empty) && reads_audit_events(declared) {
            missing.push("no decoys; write decoys: [{ service_account: honeypot/backup-sa }]");
        }
        if declared
            .iter()
            .all(|declared| declared.role != Role::Source)
        {
            missing.push("no sources; write sources: { audit: { type: stdin } }");
        }
        if declared.iter().all(|declared| declared.role != Role::Sink) {
            missing.push(
                "no sinks; write sinks: { terminal: { type: console, inputs: [a transform] } }",
            );
        }
        let place = texts.first().map(Text::place);
        for message in missing {
            self.faults.push(Fault {
                place: place.clone(),
                message: message.to_owned(),
            });
        }
    }

    /// Standard input can be read only once.
    fn refuse_second_stdin(&mut self, declared: &[Declared<'_>]) {
        let mut readers = declared.iter().filter(|declared| {
            matches!(
                declared.config,
                Some(Config::Source(SourceConfig::Stdin(_)))
            )
        });
        let Some(first) = readers.next() else { return };
        for second in readers {
            let message = format!(
                "{} reads standard input, as {} at {} does; remove one",
                second.subject(),
                first.subject(),
                first.place
            );
            self.faults.push(Fault::at(second.place, message));
        }
    }

    /// Whoever reaches the API is shown everything that it tells.
    fn warn_of_public_api(&mut self, address: Option<SocketAddr>, sections: &Sections<'_>) {
        if !address.is_some_and(api::is_public) {
            return;
        }
        if let Some((_, node)) = sections.globals.iter().find(|(key, _)| *key == "api") {
            let message = "\"api\" is served on an address that other machines may reach, and asks \
                 for no password; let only those reach it that scrape and probe, or write \
                 address: 127.0.0.1:8686";
            self.warnings.push(Fault::at(&node.place, message));
        }
    }

    /// Whoever reaches a source may feed it, and whoever is on the way may read what it is sent.
    fn warn_of_public_sources(&mut self, declared: &[Declared<'_>]) {
        for component in declared {
            let Some(Config::Source(config)) = &component.config else {
                continue;
            };
            let Some((exposure, _)) = config.server() else {
                continue;
            };
            if let Some(message) = server::warning(&exposure) {
                let message = format!("{} {message}", component.subject());
                self.warnings.push(Fault::at(component.place, message));
            }
        }
    }

    /// A certificate need be there only where the pipeline runs.
    fn warn_of_unreadable_files(&mut self, declared: &[Declared<'_>]) {
        for component in declared {
            let config = component.config.as_ref();
            if let Some(unreadable) = config.and_then(Config::unreadable_file) {
                let subject = component.subject();
                let message =
                    format!("{subject}: {unreadable}; it must be there when baitline runs");
                self.warnings.push(Fault::at(component.place, message));
            }
        }
    }

    /// Two file sources that read the same files tell everything twice.
    fn warn_of_equal_files(&mut self, declared: &[Declared<'_>]) {
        for (index, second) in declared.iter().enumerate() {
            let Some(Config::Source(SourceConfig::File(_))) = second.config else {
                continue;
            };
            let same = |first: &&Declared<'_>| {
                first.role == Role::Source && first.include == second.include
            };
            if let Some(first) = declared[..index].iter().find(same) {
                let message = format!(
                    "{} includes the same files as {} at {}, so that every record is read twice; \
                     remove one",
                    second.subject(),
                    first.subject(),
                    first.place
                );
                self.warnings.push(Fault::at(second.place, message));
            }
        }
    }
}

/// Kafka sources of audit events: their ids, what faults call them, and where they stand.
fn audit_topics<'a>(declared: &[Declared<'a>]) -> Vec<(Arc<str>, String, &'a Place)> {
    let is_one = |declared: &&Declared<'_>| {
        matches!(
            &declared.config,
            Some(Config::Source(SourceConfig::Kafka(config)))
                if config.decoding == Decoding::Audit
        )
    };
    let told = |declared: &Declared<'a>| (declared.id.clone(), declared.subject(), declared.place);
    declared.iter().filter(is_one).map(told).collect()
}

fn lone_instance(subject: &str) -> String {
    format!(
        "a dedupe in this process stands behind {subject}, so that it must be the only instance that reads these \
         topics in its group: it stops when it is not. For several, let each detect only and write to a topic by a \
         kafka sink with key_field: \"{{{{ cluster }}}}\", and put the dedupe behind a kafka source of that topic with \
         decoding.codec: detection"
    )
}

/// Whether a source reads audit events. Unless all is about detections, one is thought to be meant.
fn reads_audit_events(declared: &[Declared<'_>]) -> bool {
    let reads = |stream| {
        let mut sources = declared.iter().filter(|other| other.role == Role::Source);
        sources.any(|source| source.gives() == Gives::Stream(stream))
    };
    reads(Stream::Records) || !reads(Stream::Detections)
}
