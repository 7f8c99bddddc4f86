//! What baitline promises, tested from outside.

mod readme;
mod recall;
mod recordings;
mod soundness;
mod sources;
mod traps;
