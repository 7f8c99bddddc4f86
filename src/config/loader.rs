//! From texts to a pipeline: the sections of all texts, brought together and checked.

use std::sync::Arc;

use self::{
    checks::{audit_topics, lone_instances},
    globals::{DEFAULT_SHUTDOWN_TIMEOUT, retention},
};
use super::{
    Loaded, Pipeline, Role, Sink, Source, Text, Transform,
    api::Api,
    components::Config,
    declared::{self, Declared},
    decoys,
    fault::{Fault, Faults, Place, in_order, quoted},
    graph,
    interpolate::{Environment, interpolate},
    kind::{self, Kind},
    nearest::{advice, listed, nearest},
    notation::DataDir,
    number::{Count, Seconds},
    options::Scope,
    tree::{Entry, Node, Value, without_value},
};

mod checks;
mod globals;
mod search;

pub(super) use globals::{GLOBALS, describe};

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
        self.check(texts, &sections, &declared);
        self.refuse_shared_addresses(api, &sections, &declared);
        if let Some(address) = api {
            self.warn_of_public_api(address, &sections);
        }
        if let Some(data_dir) = &data_dir {
            self.check_data_dir(data_dir, &sections);
        }
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
            add(declared, inputs, &mut pipeline);
        }
        self.warnings
            .extend(lone_instances(audit_topics, &pipeline));
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
                let shown = quoted(&without_value(key));
                let message = format!("unknown option {shown} at the top level{advice}");
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
                is_secretive: false,
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
}

/// Puts a component that was declared in its place.
fn add(declared: Declared<'_>, inputs: Vec<Arc<str>>, pipeline: &mut Pipeline) {
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
