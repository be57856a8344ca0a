//! The runner over the transports of this repository: `just conformance`.
//!
//! An example and no part of the binary, so that the adapters stay dev-dependencies: who tests a client of their
//! own compiles neither. Such a program of one's own looks like this one.

use std::process::ExitCode;

use coze_auth_conformance::{Client, Plan, Reference, Subject, command};

#[path = "../tests/subjects/clocks.rs"]
mod clocks;
#[path = "../tests/subjects/mod.rs"]
mod subjects;

fn over<S: Subject + Send + 'static>(name: &'static str) -> Plan<'static> {
    Plan::new(name, 4, move || {
        Ok(Box::new(Reference::<S>::new(name)) as Box<dyn Client>)
    })
}

fn main() -> ExitCode {
    command::main(vec![
        over::<subjects::Reqwest>("reqwest"),
        over::<subjects::Ureq>("ureq"),
        over::<subjects::RawSocket>("raw-socket"),
        over::<subjects::InMemory>("in-memory"),
    ])
}
