//! The clock of a world, and a ticker that needs no runtime.

pub(crate) mod clock;
pub(crate) mod ticker;
