//! Who reads whom: inputs to edges, and what is unsound about them.

use std::{collections::HashSet, sync::Arc};

use super::{
    components::{Role, Stream},
    declared::{Declared, Gives, Input},
    fault::{Fault, quoted},
    nearest::{listed, nearest},
};

/// The inputs of each component, in the order of `declared`. What is unsound is a fault.
///
/// `complete` is false if parts of the configuration could not be read: then what is missing
/// may stand there, and is no fault.
pub(super) fn wire(
    declared: &[Declared<'_>],
    complete: bool,
    faults: &mut Vec<Fault>,
) -> Vec<Vec<Arc<str>>> {
    let mut graph = Graph {
        declared,
        complete,
        read: HashSet::new(),
        edges: vec![Vec::new(); declared.len()],
        faults,
    };
    for (reader, component) in declared.iter().enumerate() {
        for input in component.inputs.iter().flatten() {
            graph.connect(reader, input);
        }
    }
    graph.refuse_cycles();
    graph.refuse_wrong_kinds();
    graph.refuse_unused();
    let ids = |edges: &Vec<Edge>| {
        edges
            .iter()
            .map(|edge| declared[edge.from].id.clone())
            .collect()
    };
    graph.edges.iter().map(ids).collect()
}

const DETECTIONS: Gives = Gives::Stream(Stream::Detections);

struct Graph<'a, 'f> {
    declared: &'a [Declared<'a>],
    complete: bool,
    /// Components that somebody reads, or seems to have meant to.
    read: HashSet<usize>,
    /// By reader: whom it reads.
    edges: Vec<Vec<Edge<'a>>>,
    faults: &'f mut Vec<Fault>,
}

#[derive(Clone, Copy)]
struct Edge<'a> {
    /// An index into `declared`.
    from: usize,
    input: &'a Input<'a>,
    /// Its fault is told, or it came of a wildcard.
    settled: bool,
}

/// Whether `reader` can take what `from` gives; what is unknown can be anything.
fn fits(from: &Declared<'_>, reader: &Declared<'_>) -> bool {
    match (from.gives(), reader.takes()) {
        (Gives::Nothing, _) => false,
        (Gives::Unknown, _) => true,
        (Gives::Stream(stream), Some(takes)) => takes.contains(&stream),
        (Gives::Stream(stream), None) => !(stream == Stream::Records && reader.role == Role::Sink),
    }
}

impl<'a> Graph<'a, '_> {
    fn connect(&mut self, reader: usize, input: &'a Input<'a>) {
        let written = input.text.value.as_str();
        let found = self.declared.iter().position(|other| *other.id == *written);
        if let Some(from) = found {
            self.edge(
                reader,
                Edge {
                    from,
                    input,
                    settled: false,
                },
            );
        } else if written.contains(['*', '?', '[']) {
            self.connect_wildcard(reader, input);
        } else {
            self.refuse_unknown(reader, input);
        }
    }

    fn edge(&mut self, reader: usize, edge: Edge<'a>) {
        self.read.insert(edge.from);
        if self.edges[reader]
            .iter()
            .all(|other| other.from != edge.from)
        {
            self.edges[reader].push(edge);
        }
    }

    /// A wildcard stands for the components that match and can be read.
    fn connect_wildcard(&mut self, reader: usize, input: &'a Input<'a>) {
        let subject = self.declared[reader].subject();
        let pattern = match glob::Pattern::new(&input.text.value) {
            Ok(pattern) => pattern,
            Err(error) => {
                let shown = input.text.shown();
                let message = format!(
                    "the input {shown} of {subject} is no pattern: {}",
                    error.msg
                );
                self.faults.push(Fault::at(input.place, message));
                return;
            }
        };
        let candidates = self.inputs_for(reader);
        let matching: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|&from| pattern.matches(&self.declared[from].id))
            .collect();
        if matching.is_empty() && self.complete {
            let shown = input.text.shown();
            let could = self.listed(&candidates);
            let message =
                format!("the input {shown} of {subject} matches nothing it can take{could}");
            self.faults.push(Fault::at(input.place, message));
        }
        for from in matching {
            self.edge(
                reader,
                Edge {
                    from,
                    input,
                    settled: true,
                },
            );
        }
    }

    fn refuse_unknown(&mut self, reader: usize, input: &'a Input<'a>) {
        let candidates = self.inputs_for(reader);
        let id = |index: &usize| &*self.declared[*index].id;
        let meant = nearest(&input.text.value, candidates.iter().map(id));
        let meant =
            meant.and_then(|meant| self.declared.iter().position(|other| *other.id == *meant));
        // The one that was meant is not unused as well.
        self.read.extend(meant);
        if !self.complete {
            return;
        }
        let advice = match meant {
            Some(meant) => format!("; did you mean {}?", quoted(&self.declared[meant].id)),
            None => self.listed(&candidates),
        };
        let (shown, subject) = (input.text.shown(), self.declared[reader].subject());
        self.faults.push(Fault::at(
            input.place,
            format!("unknown input {shown} of {subject}{advice}"),
        ));
    }

    /// The components that `reader` could read.
    fn inputs_for(&self, reader: usize) -> Vec<usize> {
        let all = 0..self.declared.len();
        all.filter(|&from| from != reader && fits(&self.declared[from], &self.declared[reader]))
            .collect()
    }

    fn listed(&self, candidates: &[usize]) -> String {
        match candidates.is_empty() {
            true => String::new(),
            false => {
                let ids = candidates.iter().map(|&index| &*self.declared[index].id);
                format!("; it can take {}", listed(ids))
            }
        }
    }

    /// Every component that reads itself, straight or around a cycle. Each cycle is told once.
    fn refuse_cycles(&mut self) {
        let mut done = HashSet::new();
        for start in 0..self.declared.len() {
            let Some(cycle) = self.cycle_from(start).filter(|_| !done.contains(&start)) else {
                continue;
            };
            done.extend(cycle.iter().copied());
            let subject = self.declared[start].subject();
            let message = if cycle.len() == 1 {
                format!("{subject} reads itself; remove it from its inputs")
            } else {
                let ids = cycle
                    .iter()
                    .chain(&cycle[..1])
                    .map(|&index| quoted(&self.declared[index].id));
                let way = ids.collect::<Vec<_>>().join(" reads ");
                format!("{subject} reads its own output: {way}; remove one of these inputs")
            };
            let place = self
                .settle(start, &cycle)
                .map_or(self.declared[start].place, |input| input.place);
            self.faults.push(Fault::at(place, message));
        }
    }

    /// Marks the edges of a cycle, and gives the input that begins it.
    fn settle(&mut self, start: usize, cycle: &[usize]) -> Option<&'a Input<'a>> {
        let mut first = None;
        for &reader in cycle {
            for edge in &mut self.edges[reader] {
                if cycle.contains(&edge.from) {
                    edge.settled = true;
                    if reader == start {
                        first.get_or_insert(edge.input);
                    }
                }
            }
        }
        first
    }

    /// A shortest way from `start` along its inputs back to itself: without the last step.
    fn cycle_from(&self, start: usize) -> Option<Vec<usize>> {
        let mut ways = vec![vec![start]];
        let mut seen = HashSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let Some(&end) = way.last() else { continue };
                for edge in &self.edges[end] {
                    if edge.from == start {
                        return Some(way);
                    }
                    if seen.insert(edge.from) {
                        longer.push([way.as_slice(), &[edge.from]].concat());
                    }
                }
            }
            ways = longer;
        }
        None
    }

    fn refuse_wrong_kinds(&mut self) {
        for (reader, edges) in self.edges.iter().enumerate() {
            let reader = &self.declared[reader];
            for edge in edges.iter().filter(|edge| !edge.settled) {
                let from = &self.declared[edge.from];
                if fits(from, reader) {
                    continue;
                }
                let reads = format!("{} cannot read {}", reader.subject(), from.subject());
                let message = match (from.role, reader.takes()) {
                    (Role::Sink, _) => format!("{reads}: a sink gives nothing on; remove it"),
                    (Role::Source, Some(taken))
                        if from.gives() == DETECTIONS && taken != [Stream::Alerts] =>
                    {
                        format!(
                            "{reads}: it takes audit events, and the decoding.codec of {} is detection; \
                         let a dedupe transform or a sink read it",
                            quoted(&from.id)
                        )
                    }
                    (_, Some(taken)) => format!("{reads}: it takes {}", takes(taken)),
                    (_, None) => format!("{reads}: a sink takes the output of transforms"),
                };
                self.faults.push(Fault::at(edge.input.place, message));
            }
        }
    }

    /// A component that nobody reads does nothing. If inputs of others cannot be read, it is not
    /// known who reads whom.
    fn refuse_unused(&mut self) {
        if !self.complete
            || self
                .declared
                .iter()
                .any(|declared| declared.inputs.is_none())
        {
            return;
        }
        for (index, declared) in self.declared.iter().enumerate() {
            if declared.role == Role::Sink || self.read.contains(&index) {
                continue;
            }
            let readers = self.declared.iter().filter(|reader| fits(declared, reader));
            let readers: Vec<&str> = readers
                .filter(|reader| reader.id != declared.id && reader.role != Role::Source)
                .map(|reader| &*reader.id)
                .collect();
            let whose = match (readers.as_slice(), declared.role) {
                ([], Role::Source) if declared.gives() == DETECTIONS => {
                    "a dedupe transform or a sink".to_owned()
                }
                ([], Role::Source) => "a detect transform".to_owned(),
                ([], _) => "a sink".to_owned(),
                (readers, _) => listed(readers.iter().copied()),
            };
            let message = format!(
                "nothing reads {}: name it in the inputs of {whose}, or remove it",
                declared.subject()
            );
            self.faults.push(Fault::at(declared.place, message));
        }
    }
}

/// What a component takes, in words.
fn takes(streams: &[Stream]) -> &'static str {
    match streams {
        [Stream::Records] => "sources",
        [Stream::Detections] => {
            "the output of a detect transform, or a source with decoding.codec: detection"
        }
        [Stream::Alerts] => "the output of a dedupe transform: Alertmanager is told of incidents",
        _ => "the output of transforms, or a source with decoding.codec: detection",
    }
}
