//! The command `bridge`: plain OAuth 2 in front of a mock.

mod attack;
mod flows;
mod guard;
pub(crate) mod process;
mod rules;
mod trouble;
