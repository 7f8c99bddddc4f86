//! What the engine counts of all that passes: by decoy and technique, by kind and severity.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    config::Pipeline,
    dedupe::{Alert, AlertKind},
    detect::{Class, Detection, Severity, Technique},
    format::visible,
    telemetry::snapshot::{AlertCount, DetectionCount},
};

/// Decoys that are counted by name beside those of the configuration. Others may come from a
/// source of detections, that is, from whoever writes to it; they are counted together.
const FOREIGN_DECOYS: usize = 256;

/// The most characters of a decoy's name, as Kubernetes has it: a namespace, a slash, a subdomain.
const NAME_CHARACTERS: usize = 63 + 1 + 253;

/// Stands for the decoys that are counted together.
pub(super) const OTHER: &str = "other";

/// Stands for the decoy where none is named.
const NONE: &str = "none";

/// How many detections there were of one decoy.
type Sorts = [[u64; Class::ALL.len()]; Technique::ALL.len()];

/// What was found, and what was told of it.
pub struct Told {
    /// How many decoys are counted by name.
    most: usize,
    /// A std mutex: it is never held across an await.
    detections: Mutex<BTreeMap<Arc<str>, Sorts>>,
    alerts: [[AtomicU64; Severity::ALL.len()]; AlertKind::ALL.len()],
}

impl Told {
    pub fn new(pipeline: &Pipeline) -> Self {
        let decoys = pipeline.decoys.iter();
        let names = decoys.map(|decoy| format!("{}/{}", decoy.namespace, decoy.service_account));
        let mut detections: BTreeMap<Arc<str>, Sorts> =
            names.map(|name| (name.into(), Sorts::default())).collect();
        for name in [OTHER, NONE] {
            detections.insert(name.into(), Sorts::default());
        }
        Self {
            most: detections.len() + FOREIGN_DECOYS,
            detections: Mutex::new(detections),
            alerts: Default::default(),
        }
    }

    pub fn found(&self, found: &[Detection]) {
        let mut detections = self.lock();
        for of_one in found.chunk_by(|one, next| one.decoy == next.decoy) {
            let decoy = of_one[0].decoy.as_deref().unwrap_or(NONE);
            let name = visible(decoy, NAME_CHARACTERS);
            let has_room = detections.len() < self.most;
            let name = match detections.contains_key(&*name) {
                true => &*name,
                false if has_room => {
                    detections.insert((&*name).into(), Sorts::default());
                    &*name
                }
                false => OTHER,
            };
            if let Some(sorts) = detections.get_mut(name) {
                for detection in of_one {
                    sorts[detection.technique as usize][detection.class as usize] += 1;
                }
            }
        }
    }

    pub fn told(&self, alerts: &[Alert]) {
        for alert in alerts {
            let count = &self.alerts[alert.kind as usize][alert.severity as usize];
            count.fetch_add(1, Relaxed);
        }
    }

    /// Of each sort of detections that there were.
    pub fn detections(&self) -> Vec<DetectionCount> {
        let detections = self.lock();
        let mut counts = Vec::new();
        for (decoy, sorts) in &*detections {
            for technique in Technique::ALL {
                for class in Class::ALL {
                    let count = sorts[*technique as usize][*class as usize];
                    if count > 0 {
                        counts.push(DetectionCount {
                            decoy: decoy.clone(),
                            technique: technique.as_str(),
                            class: class.as_str(),
                            count,
                        });
                    }
                }
            }
        }
        counts
    }

    /// Of each sort of alerts that there may be: one that begins at 0 can be seen to rise.
    pub fn alerts(&self) -> Vec<AlertCount> {
        let mut counts = Vec::new();
        for kind in AlertKind::ALL {
            for severity in Severity::ALL {
                counts.push(AlertCount {
                    kind: kind.as_str(),
                    severity: severity.as_str(),
                    count: self.alerts[*kind as usize][*severity as usize].load(Relaxed),
                });
            }
        }
        counts
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Sorts>> {
        // What it guards is sound after each step.
        self.detections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example;

    fn told() -> Told {
        let configuration = crate::config::Text {
            name: "x.yaml".into(),
            format: crate::config::Format::Yaml,
            text: "decoys: [{ service_account: honeypot/backup-sa }]\n\
                   sources: { audit: { type: stdin } }\n\
                   transforms: { found: { type: detect, inputs: [audit] } }\n\
                   sinks: { terminal: { type: console, inputs: [found] } }\n"
                .into(),
        };
        let loaded = crate::config::parse(&[configuration], &|_| None).unwrap();
        Told::new(&loaded.pipeline)
    }

    fn detection(decoy: Option<&str>) -> Detection {
        Detection {
            decoy: decoy.map(Into::into),
            ..example::detection()
        }
    }

    #[test]
    fn detections_are_counted_by_decoy_technique_and_class() {
        let told = told();
        let (mut first, second) = (detection(Some("a/b")), detection(None));
        told.found(&[first.clone(), second.clone()]);
        told.found(&[first.clone()]);
        first.class = Class::Expected;
        told.found(&[first.clone()]);
        let count = |decoy: &str, class: &'static str, count| DetectionCount {
            decoy: decoy.into(),
            technique: first.technique.as_str(),
            class,
            count,
        };
        let mut counts = told.detections();
        counts.sort_by_key(|count| (count.decoy.clone(), count.class));
        let class = second.class.as_str();
        assert_eq!(
            counts,
            [
                count("a/b", class, 2),
                count("a/b", "expected", 1),
                count("none", class, 1)
            ]
        );
    }

    #[test]
    fn whoever_names_decoys_without_end_fills_no_memory() {
        let told = told();
        for number in 0..2000 {
            told.found(&[detection(Some(&format!("ns/{number}")))]);
        }
        told.found(&[detection(Some("honeypot/backup-sa"))]);
        told.found(&[detection(Some(&"\u{1b}".repeat(100_000)))]);
        let counts = told.detections();
        assert!(counts.len() <= FOREIGN_DECOYS + 2);
        assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 2002);
        let of = |name: &str| {
            counts
                .iter()
                .find(|count| &*count.decoy == name)
                .unwrap()
                .count
        };
        assert_eq!(of("honeypot/backup-sa"), 1);
        assert_eq!(of(OTHER), 2001 - FOREIGN_DECOYS as u64);
    }

    #[test]
    fn alerts_are_counted_and_begin_at_nothing() {
        let told = told();
        let alert = example::opened();
        told.told(&[alert.clone(), alert.clone()]);
        let counts = told.alerts();
        assert_eq!(counts.len(), AlertKind::ALL.len() * Severity::ALL.len());
        for AlertCount {
            kind,
            severity,
            count,
        } in counts
        {
            let is_it = kind == alert.kind.as_str() && severity == alert.severity.as_str();
            assert_eq!(count, if is_it { 2 } else { 0 }, "{kind} {severity}");
        }
    }
}
