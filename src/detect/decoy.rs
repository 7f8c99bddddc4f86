//! A decoy, made ready to be compared with events.

use std::{collections::BTreeMap, sync::Arc};

use glob::Pattern;

use super::Severity;
use crate::{audit::ObjectRef, config};

/// One decoy with the names under which the API server may speak of it.
#[derive(Clone, Debug)]
pub(super) struct Decoy {
    /// `namespace/name`.
    pub name: Arc<str>,
    pub namespace: String,
    pub service_account: String,
    /// `system:serviceaccount:namespace:name`.
    pub user: String,
    /// `system:serviceaccounts:namespace`.
    pub group: String,
    pub secret: Option<String>,
    pub pod: Option<Pattern>,
    pub whole_namespace: bool,
    pub floor: Severity,
    pub labels: Arc<BTreeMap<String, String>>,
    pub expected: Vec<ExpectedRule>,
}

/// One `expected` rule of the configuration.
#[derive(Clone, Debug)]
pub(super) struct ExpectedRule {
    pub user: Pattern,
    pub rule: config::Expected,
}

impl Decoy {
    /// A copy that shares nothing.
    pub fn apart(&self) -> Self {
        Self {
            name: Arc::from(&*self.name),
            labels: Arc::new((*self.labels).clone()),
            ..self.clone()
        }
    }

    /// Fails on a glob that is none; [`crate::config`] lets none pass.
    pub fn compile(decoy: &config::Decoy) -> Result<Self, glob::PatternError> {
        let config::Decoy {
            namespace,
            service_account,
            ..
        } = decoy;
        Ok(Self {
            name: format!("{namespace}/{service_account}").into(),
            user: format!("system:serviceaccount:{namespace}:{service_account}"),
            group: format!("system:serviceaccounts:{namespace}"),
            namespace: namespace.clone(),
            service_account: service_account.clone(),
            secret: decoy.secret.clone(),
            pod: decoy.pod.as_deref().map(Pattern::new).transpose()?,
            whole_namespace: decoy.whole_namespace,
            floor: decoy.severity,
            labels: decoy.labels.clone(),
            expected: decoy
                .expected
                .iter()
                .map(|rule| {
                    Ok(ExpectedRule {
                        user: Pattern::new(&rule.user)?,
                        rule: rule.clone(),
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    }

    pub fn is_pod(&self, name: &str) -> bool {
        self.pod.as_ref().is_some_and(|pod| pod.matches(name))
    }

    pub fn is_secret(&self, name: &str) -> bool {
        self.secret.as_deref() == Some(name)
    }

    pub fn holds(&self, object: &ObjectRef<'_>) -> bool {
        object.namespace == Some(&self.namespace)
    }
}

/// The longest part of a glob that every match of it holds as it is.
pub(super) fn longest_literal(glob: &str) -> Option<&str> {
    let (mut longest, mut rest) = ("", glob);
    loop {
        let end = rest.find(['*', '?', '[']).unwrap_or(rest.len());
        if end > longest.len() {
            longest = &rest[..end];
        }
        rest = match rest.as_bytes().get(end) {
            None => return Some(longest).filter(|longest| !longest.is_empty()),
            Some(b'[') => rest[end..].split_once(']').map_or("", |(_, behind)| behind),
            Some(_) => &rest[end + 1..],
        };
    }
}
