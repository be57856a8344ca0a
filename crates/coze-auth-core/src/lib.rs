//! Coze (扣子) authentication without IO.
//!
//! This crate builds every request of Coze's credentials and flows and reads every answer. It opens no
//! socket, reads no clock, draws no random number and starts no thread: time, randomness and answers
//! come in as arguments, requests and pauses go out. `coze-auth-reqwest` and `coze-auth-ureq` are ready
//! drivers; a driver for any other HTTP client is the loop below.
//!
//! | you have | use |
//! |---|---|
//! | a personal or service access token (PAT, SAT) | [`AccessToken`] |
//! | a server with a client secret, people in browsers | [`web::WebApp`] |
//! | a program without a secret, people in browsers | [`pkce::PkceApp`] |
//! | a program without a browser | [`device::DeviceApp`] |
//! | a server with a private key, no people | [`jwt::JwtApp`] |
//! | a project on Coze's coding platform (扣子编程) | [`workload::WorkloadApp`] |
//!
//! For wasm, and where a C compiler is missing, take it with `default-features = false`: what is left out is `jwt::RsaKey`, which is built
//! on aws-lc, and a JWT app then has a [`jwt::Signer`] of yours.
//!
//! # A driver of your own
//!
//! Every flow says one of three words: send, wait, done ([`flow`] has the contract).
//!
//! ```
//! use coze_auth_core::{Error, Flow, Now, Request, Response, Step, TransportFailure};
//!
//! # fn send(_: Request) -> Result<Response, std::io::Error> {
//! #     let body = br#"{"code":0,"msg":"","data":{"user_id":"7300"}}"#.to_vec();
//! #     Ok(Response::new(body.into()))
//! # }
//! fn run<F: Flow>(mut flow: F, now: impl Fn() -> Now) -> Result<F::Output, Error> {
//!     loop {
//!         match flow.step(now()) {
//!             // `send` is your HTTP client: no redirects, whatever the status, at most
//!             // `Body::READ_AT_MOST` bytes of the answer.
//!             Step::Send(request) => {
//!                 let reply = send(request).map_err(|_| TransportFailure::NoAnswer);
//!                 flow.receive(reply, now());
//!             }
//!             Step::Wait(pause) => std::thread::sleep(pause),
//!             Step::Done(result) => return result,
//!         }
//!     }
//! }
//!
//! # use coze_auth_core::{AccessToken, Endpoints, SteadyTime, whoami};
//! # fn main() -> Result<(), Error> {
//! let start = std::time::Instant::now();
//! let now = || Now {
//!     unix: std::time::SystemTime::now().into(),
//!     steady: SteadyTime::from_duration(start.elapsed()),
//! };
//! let token = AccessToken::new("pat_from_the_console")?;
//! let user = run(whoami(&Endpoints::cn(), &token), now)?;
//! assert_eq!(user.user_id, "7300");
//! # Ok(()) }
//! ```

pub mod access_token;
pub mod authorize;
pub mod cache;
mod coding;
pub mod config;
pub mod device;
pub mod endpoint;
mod entropy;
mod envelope;
pub mod error;
pub mod flow;
mod json;
pub mod jwt;
mod pasted;
pub mod pkce;
pub mod proxy;
mod refresh;
pub mod rejection;
pub mod scope;
pub mod secret;
pub mod time;
pub mod token;
pub mod web;
pub mod whoami;
pub mod wire;
pub mod workload;

pub use http;

pub use self::access_token::AccessToken;
pub use self::endpoint::{Endpoints, Region};
pub use self::entropy::Entropy;
pub use self::error::{Error, ErrorKind, Retry, TransportFailure};
pub use self::flow::{Call, Flow, Step};
pub use self::refresh::RefreshApp;
pub use self::secret::{ClientSecret, RefreshToken};
pub use self::time::{ClockSkew, Now, SteadyTime, UnixTime};
pub use self::token::{IssuedToken, TokenGrant};
pub use self::whoami::whoami;
pub use self::wire::{Body, Request, Response};

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
