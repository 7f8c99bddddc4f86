//! What baitline promises, tested from outside.

mod failures;
mod program;
mod readme;
mod recall;
mod recordings;
mod soundness;
mod traps;
