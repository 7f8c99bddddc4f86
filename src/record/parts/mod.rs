//! Parts of a record, which a container runtime or a shipper cut, to the whole of it.

pub(crate) mod part_mark;
pub(crate) mod partial;
pub(super) mod rejoin;
