//! What no component can know by itself: that something is missing, stands twice, or is open to strangers.

use std::{
    net::SocketAddr,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use glob::{MatchOptions, Pattern};

use super::{Loader, Sections};
use crate::{
    config::{
        Pipeline, Role, SinkConfig, SourceConfig, Text, api,
        components::{Config, Stream},
        declared::{Declared, Gives},
        fault::{Fault, Place},
        places::{Lack, against_directory},
        server,
        tree::{Node, Value},
    },
    source::{Decoding, server::Address},
};

/// A Kafka source of audit events: its id, what faults call it, and where it stands.
pub(super) type AuditTopics<'a> = (Arc<str>, String, &'a Place);

impl Loader {
    pub(super) fn check(
        &mut self,
        texts: &[Text],
        sections: &Sections<'_>,
        declared: &[Declared<'_>],
    ) {
        self.refuse_missing(texts, sections, declared);
        self.refuse_second_stdin(declared);
        self.warn_of_equal_files(declared);
        self.warn_of_shared_files(declared);
        self.tell_what_lacks(declared);
        self.warn_of_public_sources(declared);
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

    /// Only one can listen at an address, and the other would be deaf.
    pub(super) fn refuse_shared_addresses(
        &mut self,
        api: Option<SocketAddr>,
        sections: &Sections<'_>,
        declared: &[Declared<'_>],
    ) {
        let mut listeners: Vec<(Address, String, &Place)> = Vec::new();
        let mut globals = sections.globals.iter();
        if let (Some(address), Some((_, node))) = (api, globals.find(|(key, _)| *key == "api")) {
            listeners.push((Address::Socket(address), "\"api\"".to_owned(), &node.place));
        }
        for component in declared {
            let Some(Config::Source(config)) = &component.config else {
                continue;
            };
            let Some(address) = config.address() else {
                continue;
            };
            let subject = component.subject();
            let mut before = listeners.iter();
            if let Some((_, first, place)) = before.find(|(taken, ..)| taken.excludes(&address)) {
                let other = match address {
                    Address::Socket(_) => "port",
                    Address::Unix(_) => "path",
                };
                let message = format!(
                    "{subject} listens at the address that {first} at {place} listens at; give one of them another {other}"
                );
                self.faults.push(Fault::at(component.place, message));
            }
            listeners.push((address, subject, component.place));
        }
    }

    /// Whoever reaches the API is shown everything that it tells.
    pub(super) fn warn_of_public_api(&mut self, address: SocketAddr, sections: &Sections<'_>) {
        if !api::is_public(address) {
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

    /// What is named need be there only where the pipeline runs.
    fn tell_what_lacks(&mut self, declared: &[Declared<'_>]) {
        for component in declared {
            if let Some(lack) = component.config.as_ref().and_then(Config::lack) {
                self.tell_lack(&component.subject(), component.place, lack);
            }
        }
    }

    pub(super) fn check_data_dir(&mut self, data_dir: &Path, sections: &Sections<'_>) {
        let mut globals = sections.globals.iter();
        if let Some((_, node)) = globals.find(|(key, _)| *key == "data_dir")
            && let Some(lack) = against_directory(data_dir)
        {
            self.tell_lack("\"data_dir\"", &node.place, lack);
        }
    }

    fn tell_lack(&mut self, subject: &str, place: &Place, lack: Lack) {
        let (list, message) = match lack {
            Lack::Yet(message) => (&mut self.warnings, message),
            Lack::Never(message) => (&mut self.faults, message),
        };
        list.push(Fault::at(place, format!("{subject}: {message}")));
    }

    /// Two file sources that read the same files tell everything twice.
    fn warn_of_equal_files(&mut self, declared: &[Declared<'_>]) {
        for (index, second) in declared.iter().enumerate() {
            let Some(Config::Source(SourceConfig::File(_))) = second.config else {
                continue;
            };
            let same =
                |first: &&Declared<'_>| first.role == Role::Source && first.globs == second.globs;
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

    /// Of two file sinks with one path each cuts off what the other has half written, and a source that reads what a sink writes
    /// never comes to an end.
    fn warn_of_shared_files(&mut self, declared: &[Declared<'_>]) {
        let written = declared.iter().filter_map(|component| {
            let Some(Config::Sink(SinkConfig::File(config))) = &component.config else {
                return None;
            };
            Some((component, plain(&config.path)))
        });
        let mut before: Vec<(&Declared<'_>, PathBuf)> = Vec::new();
        for (sink, path) in written {
            if let Some((first, _)) = before.iter().find(|(_, taken)| *taken == path) {
                let message = format!(
                    "{} writes the file that {} at {} writes; give it another path, or one sink the inputs of both",
                    sink.subject(),
                    first.subject(),
                    first.place
                );
                self.warnings.push(Fault::at(sink.place, message));
                continue;
            }
            for source in declared.iter().filter(|source| reads(source, &path)) {
                let message = format!(
                    "{} includes the file that {} at {} writes; exclude it, or write it elsewhere",
                    source.subject(),
                    sink.subject(),
                    sink.place
                );
                self.warnings.push(Fault::at(source.place, message));
            }
            before.push((sink, path));
        }
    }
}

/// `path` without the `.` in it.
fn plain(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    parts
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

/// A `*` goes no further than a folder.
const AS_THE_SOURCE_DOES: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Whether `source` is one of files whose globs name `path`.
fn reads(source: &Declared<'_>, path: &Path) -> bool {
    let [include, exclude] = source.globs.each_ref().map(|globs| {
        let names = |glob: &&str| {
            let glob = plain(glob);
            let pattern = glob.to_str().and_then(|glob| Pattern::new(glob).ok());
            pattern.is_some_and(|pattern| pattern.matches_path_with(path, AS_THE_SOURCE_DOES))
        };
        globs.iter().flatten().any(names)
    });
    source.role == Role::Source && include && !exclude
}

/// The Kafka sources of audit events.
pub(super) fn audit_topics<'a>(declared: &[Declared<'a>]) -> Vec<AuditTopics<'a>> {
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

/// Warnings that a dedupe in this process has to see all events of a topic: several instances would tell an incident several times.
pub(super) fn lone_instances(
    audit_topics: Vec<AuditTopics<'_>>,
    pipeline: &Pipeline,
) -> impl Iterator<Item = Fault> {
    audit_topics.into_iter().filter(|(id, ..)| pipeline.detects_for_dedupe(id)).map(|(_, subject, place)| {
        let message = format!(
            "a dedupe in this process stands behind {subject}, so that it must be the only instance that reads these \
             topics in its group: it stops when it is not. For several, let each detect only and write to a topic by a \
             kafka sink with key_field: \"{{{{ cluster }}}}\", and put the dedupe behind a kafka source of that topic with \
             decoding.codec: detection"
        );
        Fault::at(place, message)
    })
}

/// Whether a source reads audit events. Unless all is about detections, one is thought to be meant.
fn reads_audit_events(declared: &[Declared<'_>]) -> bool {
    let mut sources = declared.iter().filter(|other| other.role == Role::Source);
    let gives_records = |source: &Declared<'_>| source.gives() == Gives::Stream(Stream::Records);
    let reads_detections = sources.clone().any(|source| source.reads_detections);
    sources.any(gives_records) || !reads_detections
}
