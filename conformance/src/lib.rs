//! Whether a transport, an adapter or an SDK that speaks Coze (扣子) auth behaves.
//!
//! A case starts a world of a mock Coze auth server, drives the client under test, and judges from both
//! sides: what the client gave, and what the server's journal says it saw. Client and server share one clock
//! that stands still until somebody sleeps, so an hour of polling takes milliseconds and no verdict depends on
//! the machine. The cases are JSON (`suite/cases/`), the statements that they rest on are in `suite/specs.json`.
//!
//! # Test your own transport
//!
//! Implement [`Subject`] and let [`conformance_tests!`] make one `#[test]` of every case:
//!
//! ```
//! use coze_auth_conformance::{SharedClock, Subject, TestContext};
//! use coze_auth_core::{Error, Flow, Request, Response, Step, TransportFailure};
//!
//! struct MyTransport {
//!     clock: SharedClock,
//! }
//!
//! # fn send(_: Request) -> Result<Response, std::io::Error> { unimplemented!() }
//! impl Subject for MyTransport {
//!     fn new(context: &TestContext) -> Self {
//!         Self { clock: context.clock.clone() }
//!     }
//!
//!     fn run<F: Flow<Output: Send> + Send + 'static>(&self, mut flow: F) -> Result<F::Output, Error> {
//!         loop {
//!             match flow.step(self.clock.now()) {
//!                 Step::Send(request) => {
//!                     // Your HTTP client here. Distinguish a connection that was never made from an
//!                     // answer that never arrived: there are cases for both.
//!                     let reply = send(request).map_err(|_| TransportFailure::NoAnswer);
//!                     flow.receive(reply, self.clock.now());
//!                 }
//!                 Step::Wait(pause) => self.clock.sleep(pause),
//!                 Step::Done(result) => return result,
//!             }
//!         }
//!     }
//! }
//!
//! coze_auth_conformance::conformance_tests!(MyTransport);
//! # fn main() {}
//! ```
//!
//! # Other ways in
//!
//! A whole client of one's own implements [`Client`]. A library in any language is driven through a shim that
//! speaks `coze-auth-shim/1` ([`Shim`]). A program that has neither is judged by what it sends ([`UrlMode`]).
//! [`command::main`] is the runner over any of them, with reports. [`Harness::live`] runs the few cases that are safe
//! for it against the real service, and its subcommand `evidence` asks that what nobody here can know.

pub mod baseline;
pub mod case;
mod check;
pub mod client;
mod clock;
pub mod command;
#[cfg(feature = "evidence")]
pub mod evidence;
mod fixture;
mod folder;
mod harness;
mod live;
mod observe;
mod reference;
pub mod report;
pub mod result;
mod runner;
mod schema;
mod shell;
mod shim;
mod subject;
mod suite;
mod url_mode;
mod variables;

pub use case::Case;
pub use client::Client;
pub use clock::SharedClock;
pub use fixture::Fixture;
pub use harness::Harness;
pub use live::Service;
pub use reference::{Reference, failure};
pub use runner::{Plan, run};
pub use shim::Shim;
pub use subject::{Provider, Renewed, Stop, Subject, TestContext, in_threads};
pub use suite::{CASE_SCHEMA, Requirements, Spec, cases, requirements, specs};
pub use url_mode::UrlMode;

/// Runs one case over a subject, for [`conformance_tests!`].
///
/// # Panics
///
/// If a check of the case fails; the text tells the exchange.
pub fn test_case<S: Subject + Send + 'static>(id: &str) {
    let cases = cases().unwrap_or_else(|problem| panic!("{problem}"));
    let case = cases.iter().find(|case| case.id == id);
    let case = case.unwrap_or_else(|| panic!("unknown case {id}"));
    let mut client = Reference::<S>::new(std::any::type_name::<S>());
    let result = Harness::shared().run(&mut client, case);
    let is_good = |verdict| {
        matches!(
            verdict,
            result::Verdict::Pass | result::Verdict::NotApplicable
        )
    };
    let bad = result
        .checks
        .iter()
        .any(|check| !is_good(check.verdict) && check.level != case::Level::Observe);
    assert!(!bad, "\n{}", report::terminal::case(&result));
    // A skip is not a pass: libtest has no word for it, so that it is at least told.
    if result
        .checks
        .iter()
        .all(|check| check.verdict == result::Verdict::NotApplicable)
    {
        println!("{id}: not applicable");
    }
}

/// The Rust of the repository's pages, compiled and run.
#[cfg(all(doctest, in_repository))]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../README.zh-CN.md")]
#[doc = include_str!("../../docs/tokens.md")]
#[doc = include_str!("../../docs/pat.md")]
#[doc = include_str!("../../docs/web.md")]
#[doc = include_str!("../../docs/pkce.md")]
#[doc = include_str!("../../docs/device.md")]
#[doc = include_str!("../../docs/jwt.md")]
#[doc = include_str!("../../docs/workload.md")]
#[doc = include_str!("../../docs/from-cozepy.md")]
#[doc = include_str!("../../docs/storage.md")]
#[doc = include_str!("../../docs/fleet.md")]
#[doc = include_str!("../../docs/errors.md")]
#[doc = include_str!("../../mock-server/README.md")]
struct Readme;
