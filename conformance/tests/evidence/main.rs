//! The guided run beside a mock that is the service: what it was configured to do, the run has to tell.

mod answers;
#[path = "../common/browser.rs"]
mod browser;
mod command;
mod help;
mod limits;
mod other_reasons;
mod page;
mod person;
mod service;
#[cfg(unix)]
mod terminal;
