//! What a search of the past takes of a configuration: decoys, `cluster` and transforms.

use std::sync::Arc;

use super::{
    super::{
        Loaded, Pipeline, Role, Text, Transform,
        components::Config,
        declared, decoys,
        fault::{Faults, in_order},
        graph,
        interpolate::{Environment, interpolate},
        kind,
        tree::{Node, Value},
    },
    Loader,
    globals::{DEFAULT_SHUTDOWN_TIMEOUT, retention},
};

impl Loader {
    /// As [`Loader::load`], without sinks, and of the sources no more than how they are called. Whoever searches the past has
    /// neither the secrets of those nor their certificates: what is wrong with them is no fault.
    pub fn load_for_search(
        mut self,
        texts: &[Text],
        env: Environment<'_>,
    ) -> Result<Loaded, Faults> {
        let mut trees = Vec::new();
        for text in texts {
            match text.tree(&mut self.faults) {
                Some(mut tree) => {
                    self.interpolate_what_is_used(&mut tree, env);
                    trees.push(tree);
                }
                None => self.complete = false,
            }
        }
        let sections = self.sections(&trees);
        let cluster = self.global::<kind::Text>("cluster", &sections);
        let decoys = decoys::read(&sections.decoys, &mut self.faults, &mut self.warnings);
        let of = |role: Role| -> Vec<(Role, &Node)> {
            let components = sections.components.iter().copied();
            components.filter(|(other, _)| *other == role).collect()
        };
        let mut unused = Vec::new();
        let mut declared = declared::read(&of(Role::Source), &mut unused);
        declared.extend(declared::read(&of(Role::Transform), &mut self.faults));
        let inputs = graph::wire(&declared, false, &mut unused);
        if let Some(faults) = Faults::of(self.faults) {
            return Err(faults);
        }
        let transforms = declared.into_iter().zip(inputs);
        let transforms = transforms.filter_map(|(declared, inputs)| match declared.config {
            Some(Config::Transform(config)) => Some(Transform {
                id: declared.id,
                inputs,
                config,
            }),
            _ => None,
        });
        Ok(Loaded {
            pipeline: Pipeline {
                api: None,
                cluster: cluster.map(Arc::from),
                data_dir: None,
                retention: retention(None),
                shutdown_timeout: DEFAULT_SHUTDOWN_TIMEOUT,
                decoys,
                sources: Vec::new(),
                transforms: transforms.collect(),
                sinks: Vec::new(),
            },
            warnings: in_order(self.warnings),
        })
    }

    /// What stands elsewhere and cannot be expanded is left out.
    fn interpolate_what_is_used(&mut self, tree: &mut Node, env: Environment<'_>) {
        let Value::Map(entries) = &mut tree.value else {
            return;
        };
        for entry in entries {
            let is_used = matches!(entry.key.as_str(), "decoys" | "cluster" | "transforms");
            let mut unused = Vec::new();
            let faults = if is_used {
                &mut self.faults
            } else {
                &mut unused
            };
            interpolate(&mut entry.node, env, faults);
        }
    }
}
