//! The same cases over every transport that speaks Coze (扣子) auth.
//!
//! A case starts a mock Coze auth server of its own, drives a flow through the transport under test,
//! and judges from both sides: what the flow gave, and what the mock's journal says it saw. Client and
//! server share one clock that stands still until somebody sleeps, so an hour of polling takes
//! milliseconds and no verdict depends on the machine.
//!
//! # Test your own transport
//!
//! Implement [`Subject`] and let [`conformance_tests!`] make one `#[test]` of every case:
//!
//! ```
//! use coze_auth_conformance::{SharedClock, Subject};
//! use coze_auth_core::{Error, Flow, Request, Response, Step, TransportFailure};
//!
//! struct MyTransport {
//!     clock: SharedClock,
//! }
//!
//! # fn send(_: Request) -> Result<Response, std::io::Error> { unimplemented!() }
//! impl Subject for MyTransport {
//!     fn new(clock: SharedClock) -> Self {
//!         Self { clock }
//!     }
//!
//!     fn run<F: Flow<Output: Send> + Send + 'static>(&self, mut flow: F) -> Result<F::Output, Error> {
//!         loop {
//!             match flow.step(self.clock.now()) {
//!                 Step::Send(request) => {
//!                     // Your HTTP client here. Tell a connection that was never made from an answer
//!                     // that never came: there are cases for both.
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

// A case fails by a panic: that is what it is for.
#![allow(clippy::missing_panics_doc)]

pub mod cases;
mod clock;
mod stage;
mod subject;

pub use clock::SharedClock;
pub use stage::Stage;
pub use subject::{Subject, run_case};

/// The Rust of the READMEs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/tokens.md")]
#[doc = include_str!("../../mock-server/README.md")]
struct Readme;
