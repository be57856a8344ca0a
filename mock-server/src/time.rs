//! The clock of a world, and ticks and waits that need no runtime.

pub(crate) mod clock;
pub(crate) mod ticker;
pub(crate) mod waiting_thread;
