//! A [`TokenSource`] gives a valid token of Coze (扣子) at any moment, over any transport.
//!
//! Over reqwest or ureq take the crate `coze-auth-reqwest` or `coze-auth-ureq`: each is a transport for this one, and shows all of it.
//! With another HTTP client you bring a transport of your own, and this crate does the rest. Building needs a C compiler, for aws-lc.
//!
//! | you have | you implement | and take |
//! |---|---|---|
//! | an HTTP client that blocks | [`blocking::Transport`]: one `send` | [`blocking::TokenSource`], [`blocking::run`] for a flow |
//! | one that is awaited, on tokio (feature `tokio`) | `tokio::Transport`: one `send` | `tokio::TokenSource`, `tokio::run` for a flow |
//!
//! | | |
//! |---|---|
//! | [`TokenSource`] | a valid token at any moment, and requests that have it: `token`, `send_with`, `whoami`, `session`, `shared`, `install`, `close` |
//! | [`JwtKeys`], `tokio::AsyncSigner` | a JWT app's key that is replaced while the program runs, or lies in a KMS |
//! | [`Error`] | why there is none, and what to do: [`kind`](Error::kind) |
//! | [`Event`] | what [`observe`](TokenSource::observe) tells: each renewal, when its token ends; `trace` logs it (feature `tracing`) |
//! | [`SendError`] | why a transport has no answer |
//! | [`blocking::Answer`], [`PeekableBody`] | what `send_with` looks at, and how a body that streams is looked at |
//! | [`blocking::Time`] | the clock, for tests that must not wait |
//! | [`environment`], [`config_from_file`], [`jwt_app_from_env`], [`entropy`], [`proxies`] | what the machine has |
//! | [`adapter`] | what makes `send` take the requests of an HTTP client by themselves |
//!
//! # A transport of your own
//!
//! It sends one request, follows no redirect, keeps to its `timeout`, and gives the answer: of a body no more than `Body::READ_AT_MOST` bytes,
//! which the client has to see to. The folder `examples` of the repository has two that run, over
//! `attohttpc` and over hyper; `docs/test-your-transport.md` tells how to run all cases over yours.
//!
//! ```
//! use coze_auth_tokens::blocking::{TokenSource, Transport, run};
//! use coze_auth_tokens::core::{Body, Endpoints, Request, Response, http, whoami};
//! use coze_auth_tokens::{Error, SendError, environment};
//!
//! #[derive(Clone)]
//! struct MyTransport {
//!     http: MyClient, // that follows no redirect
//! }
//!
//! impl Transport for MyTransport {
//!     fn send(&self, request: Request) -> Result<Response, SendError> {
//!         let request = request.map(|body| body.as_bytes().to_vec());
//!         let answer = self.http.request(request).map_err(SendError::of)?;
//!         Ok(answer.map(Body::from))
//!     }
//! }
//!
//! # fn get(http: MyClient) -> Result<(), Error> {
//! let transport = MyTransport { http: http.clone() };
//! let (endpoints, token) = (Endpoints::cn(), environment(coze_auth_tokens::core::Region::Cn).access_token()?);
//! let user = run(&transport, whoami(&endpoints, &token))?; // any flow
//! let tokens = TokenSource::fixed(&transport, &endpoints, token); // or `jwt`, or `stored`; keep it
//!
//! let request = http::Request::get("https://api.coze.cn/v1/workspaces").body(Vec::new());
//! let answer = tokens.send_with(request.expect("a URL"), |request| http.request(request))?;
//! println!("{}, {}: {}", user.user_name, answer.status(), answer.body().len());
//! # Ok(()) }
//! # #[derive(Clone)]
//! # struct MyClient;
//! # impl MyClient {
//! #     fn request(&self, _: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, std::io::Error> {
//! #         Err(std::io::ErrorKind::ConnectionRefused.into())
//! #     }
//! # }
//! ```
//!
#![cfg_attr(feature = "tokio", doc = "The same, awaited:\n\n```")]
#![cfg_attr(not(feature = "tokio"), doc = "The same, awaited:\n\n```ignore")]
//! use coze_auth_tokens::core::jwt::JwtGrant;
//! use coze_auth_tokens::core::{Body, Region, Request, Response, TransportFailure, http};
//! use coze_auth_tokens::tokio::{TokenSource, Transport};
//! use coze_auth_tokens::{Error, SendError, jwt_app_from_env};
//!
//! #[derive(Clone)]
//! struct MyTransport {
//!     http: MyClient, // that follows no redirect
//! }
//!
//! impl Transport for MyTransport {
//!     async fn send(&self, request: Request) -> Result<Response, SendError> {
//!         let request = request.map(|body| body.as_bytes().to_vec());
//!         let answer = tokio::time::timeout(self.timeout(), self.http.request(request)).await;
//!         let answer = answer.map_err(|_| TransportFailure::Timeout)?.map_err(SendError::of)?;
//!         Ok(answer.map(Body::from))
//!     }
//! }
//!
//! # async fn get(http: MyClient) -> Result<(), Error> {
//! let transport = MyTransport { http: http.clone() };
//! let tokens = TokenSource::jwt(&transport, jwt_app_from_env(Region::Cn)?, JwtGrant::new()); // keep it
//! let request = http::Request::get("https://api.coze.cn/v1/workspaces").body(Vec::new());
//! let answer = tokens.send_with(request.expect("a URL"), |request| http.request(request)).await?;
//! println!("{}: {}", answer.status(), answer.body().len());
//! tokens.close().await
//! # }
//! # #[derive(Clone)]
//! # struct MyClient;
//! # impl MyClient {
//! #     async fn request(&self, _: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, std::io::Error> {
//! #         Err(std::io::ErrorKind::ConnectionRefused.into())
//! #     }
//! # }
//! ```

mod answer;
pub mod blocking;
mod delivery;
mod driver;
mod error;
mod grants;
mod kept;
mod keys;
mod logins;
mod machine;
mod network;
mod observer;
mod origins;
mod refresh;
mod renewal;
mod sessions;
mod shared;
mod signing;
mod slot;
mod source;
mod sync;
mod time_limited;
mod token_source;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tracing")]
mod tracing;
mod turns;
mod wait;

pub use coze_auth_core as core;
pub use coze_auth_store as store;

pub use self::answer::PeekableBody;
pub use self::driver::{Driver, SendError};
pub use self::error::Error;
pub use self::keys::{JwtKey, JwtKeys};
pub use self::logins::Logins;
pub use self::machine::{
    config_from_file, entropy, environment, jwt_app, jwt_app_from_env, proxies, system_now,
};
pub use self::network::{NetworkError, Obstacle};
pub use self::observer::{Event, EventKind};
pub use self::origins::Origins;
pub use self::source::Timeouts;
pub use self::token_source::TokenSource;
#[cfg(feature = "tracing")]
pub use self::tracing::trace;
pub use self::wait::{Signal, Waiting};

/// What an adapter has beside its transport, so that `authorize` and `send` take the requests of its HTTP client: an
/// [`AuthorizeRequest`](adapter::AuthorizeRequest) and a [`blocking::SendRequest`] (or `tokio::SendRequest`) for each kind of them, by
/// [`TokenSource::deliver`].
pub mod adapter {
    pub use crate::delivery::Refused;
    pub use crate::token_source::{ApiRequest, AuthorizeRequest};
}

// The parts of a token source, for tests that drive them one by one.
#[doc(hidden)]
pub use self::delivery::{Delivery, Then};
#[doc(hidden)]
pub use self::grants::Store;
#[doc(hidden)]
pub use self::refresh::{Next, Refresh};
#[doc(hidden)]
pub use self::renewal::Renewal;
#[doc(hidden)]
pub use self::sessions::Sessions;
#[doc(hidden)]
pub use self::shared::Ask;
#[doc(hidden)]
pub use self::source::{Caller, Clock, Source};

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
