//! What baitline promises, tested from outside.

mod program;
mod readme;
mod recall;
mod recordings;
mod soundness;
mod traps;
