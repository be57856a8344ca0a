//! The command `coze-auth`, as scripts and people run it, against a mock.

mod errors;
mod exec;
mod login;
mod renewal;
mod support;
#[cfg(unix)]
mod terminal;
