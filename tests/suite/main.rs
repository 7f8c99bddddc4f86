//! What baitline promises, tested from outside.

mod containers;
mod failures;
mod forward;
mod msgpack;
mod partial;
mod program;
mod protobuf;
mod readme;
mod recall;
mod recordings;
mod rejoined;
mod soundness;
mod traps;
mod wrappers;
