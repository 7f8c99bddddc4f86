//! How many hits of an incident were of which technique.

use crate::detect::Technique;

/// Hits per technique.
#[derive(Clone, Debug, Default)]
pub(super) struct Techniques {
    /// By the technique's place in the order of precedence.
    counts: [u64; Technique::ALL.len()],
    /// Techniques of requests that were counted elsewhere (see [`Techniques::mark`]).
    marked: [bool; Technique::ALL.len()],
}

impl Techniques {
    /// One more hit.
    pub(super) fn add(&mut self, technique: Technique) {
        self.counts[technique as usize] += 1;
    }

    /// A hit that was counted under `from` turned out to be a `to`.
    pub(super) fn shift(&mut self, from: Technique, to: Technique) {
        if from != to {
            self.counts[from as usize] -= 1;
            self.counts[to as usize] += 1;
        }
    }

    /// Names a technique without counting: its request was counted in an incident that is forgotten.
    pub(super) fn mark(&mut self, technique: Technique) {
        self.marked[technique as usize] = true;
    }

    /// Those that occurred, in order of precedence.
    pub(super) fn list(&self) -> Vec<Technique> {
        let occurred = |technique: &Technique| {
            self.counts[*technique as usize] > 0 || self.marked[*technique as usize]
        };
        Technique::ALL.iter().copied().filter(occurred).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_leaves_no_trace_of_the_weaker_technique() {
        let mut techniques = Techniques::default();
        techniques.add(Technique::Recon);
        techniques.shift(Technique::Recon, Technique::Impersonation);
        assert_eq!(techniques.list(), [Technique::Impersonation]);
        techniques.add(Technique::Recon);
        techniques.mark(Technique::TokenUse);
        assert_eq!(
            techniques.list(),
            [
                Technique::TokenUse,
                Technique::Impersonation,
                Technique::Recon
            ]
        );
    }
}
