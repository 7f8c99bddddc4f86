//! What baitline promises, tested from outside.

mod recall;
mod recordings;
mod soundness;
mod traps;
