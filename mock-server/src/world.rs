//! One world, the registry of all worlds, and the way of a request through a world.

pub(crate) mod pipeline;
pub(crate) mod worlds;
