//! The command `bridge`: plain OAuth 2 in front of a mock.

mod flows;
mod process;
