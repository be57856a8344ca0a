//! The command `coze-auth`, as scripts and people run it, against a mock.

mod api;
#[cfg(all(unix, feature = "bridge"))]
mod bridge;
mod completions;
mod errors;
mod exec;
mod files;
mod hostile;
mod login;
mod pages;
mod renewal;
mod secrets;
mod support;
#[cfg(unix)]
mod terminal;
mod workload;
