//! A [`TokenSource`] gives a valid token of Coze (扣子) at any moment, over [`reqwest`]. A service with a JWT app, as Coze's own
//! variables describe it:
//!
//! ```no_run
//! use coze_auth_reqwest::core::{Region, jwt::JwtGrant};
//! use coze_auth_reqwest::{Client, Error, TokenSource, jwt_app_from_env};
//!
//! # async fn service() -> Result<(), Error> {
//! let client = Client::new()?; // keep one
//! let app = jwt_app_from_env(Region::Cn)?; // COZE_JWT_OAUTH_…
//! let tokens = TokenSource::jwt(&client, app, JwtGrant::new()); // keep it; clones share its tokens
//! let token = tokens.token().await?; // valid, whenever you ask
//! let user = tokens.session("user-42")?.token().await?; // of an end user
//! # drop((token, user));
//! tokens.close().await
//! # }
//! ```
//!
//! It asks Coze, so here it is only compiled, as the others of this page; the examples of [`Client`], [`TokenSource`] and [`Logins`] run.
//!
//! It runs on tokio, with IO and time: `#[tokio::main]` has both; a runtime that is built by hand needs `enable_all()`, without
//! which tokio panics.
//!
//! | you have | take | then |
//! |---|---|---|
//! | a personal or service access token (PAT, SAT) | [`AccessToken`](core::AccessToken) | [`TokenSource::fixed`] |
//! | a server with a private key, no people | [`jwt::JwtApp`](core::jwt::JwtApp) | [`TokenSource::jwt`], and `session(name)` of it for each end user |
//! | a project on Coze's coding platform (扣子编程) | [`workload::WorkloadApp`](core::workload::WorkloadApp) | [`TokenSource::workload`] |
//! | a program without a browser, one person | [`device::DeviceApp`](core::device::DeviceApp) | [`TokenSource::stored`], over a [`store::FileStore`] |
//! | a program without a secret, one person with a browser | [`pkce::PkceApp`](core::pkce::PkceApp) | [`TokenSource::stored`] |
//! | a server with a client secret, people in browsers | [`web::WebApp`](core::web::WebApp) | [`Logins`], and `of(user)` of it |
//!
//! The crate `coze-auth` has all of this, and a login in the browser for command lines. Building needs a C compiler, for aws-lc.
//!
//! # A login
//!
//! A login gives a grant, and a token source keeps it: stored first, then served, and renewed before it ends. A device without a browser:
//!
//! ```no_run
//! # use coze_auth_reqwest::{Client, Error, TokenSource, core, store::FileStore};
//! use core::{Endpoints, device::DeviceApp};
//!
//! # async fn login(client: Client) -> Result<(), Error> {
//! let app = DeviceApp::new(Endpoints::cn(), "5678.app.coze")?;
//! let tokens = TokenSource::stored(&client, app.clone(), "this-machine", FileStore::new("grants")?)?;
//! if tokens.token().await.is_err_and(|error| error.needs_login()) {
//!     let started = client.run(app.start()).await?; // `Client::run` drives every flow of `core`
//!     println!("enter {} at {}", started.user_code, started.verification_uri);
//!     let grant = client.run(app.poll(&started)).await?; // waits for the person
//!     tokens.install(grant).await?;
//! }
//! # Ok(()) }
//! ```
//!
//! The sample `auth_oauth_device`, in the folder `examples` of the repository, has it whole, with a QR code.
//!
//! A web login: send the person to Coze, then trade the callback's code for a token.
//!
//! ```no_run
//! # use coze_auth_reqwest::{Client, Error, core, entropy};
//! use core::authorize::{Callback, RedirectUri};
//! use core::{ClientSecret, Endpoints, web::WebApp};
//!
//! # async fn login(next_request_uri: impl Fn() -> String) -> Result<(), Error> {
//! let client = Client::new()?; // keep one
//! let app = WebApp::new(Endpoints::cn(), "1234.app.coze", ClientSecret::new("of-the-console")?)?;
//! let (url, mut pending) = app.authorize(&RedirectUri::new("https://app.example/callback")?, entropy()?)?;
//! println!("open {url}"); // and keep `pending` in the person's session
//!
//! let call = loop {
//!     let Ok(callback) = Callback::parse(&next_request_uri()) else {
//!         continue; // not Coze's: answer 400 and wait on
//!     };
//!     match app.exchange(pending, &callback) {
//!         Ok(call) => break call,
//!         // Given back after a stray or forged callback: answer 400 and wait on.
//!         Err(rejected) => pending = *rejected.pending.ok_or(rejected.error)?,
//!     }
//! };
//! let grant = client.run(call).await?;
//! let user = client.run(core::whoami(&Endpoints::cn(), &grant.access_token)).await?;
//! # drop(user);
//! # Ok(()) }
//! ```
//!
//! # Errors
//!
//! [`Error::kind`] is the one thing to branch on, whatever the flow was:
//!
//! ```no_run
//! use coze_auth_reqwest::{ErrorKind, TokenSource};
//!
//! # async fn call(tokens: TokenSource) {
//! match tokens.token().await {
//!     Ok(token) => drop(token),
//!     Err(error) => match error.kind() {
//!         ErrorKind::Denied => println!("you said no"),
//!         ErrorKind::CodeExpired => println!("the code is over: here is a new one"),
//!         ErrorKind::LoginNeeded => println!("please log in"),
//!         ErrorKind::Wait(pause) => println!("again in {pause:?}"),
//!         ErrorKind::Settings => eprintln!("for the operator: {error}"),
//!         _ => eprintln!("{error}"),
//!     },
//! }
//! # }
//! ```
//!
//! `Error::code` gives the code that Coze refused with, a [`core::error::ErrorCode`].
//!
//! # Logs
//!
//! This crate logs nothing by itself; `TokenSource::observe` tells what happens to tokens, and `tokens::trace` logs that (feature
//! `tracing`). reqwest with `connection_verbose(true)` logs whole requests and answers at
//! TRACE, secrets and all (`reqwest::connect::verbose`). It is off unless your own builder sets it: leave it
//! off, or allow `reqwest=debug` at most.

mod answer;
mod client;
mod network;
mod send;
mod transport;

pub use coze_auth_core as core;
pub use coze_auth_core::ErrorKind;
pub use coze_auth_store as store;
pub use coze_auth_tokens as tokens;
pub use coze_auth_tokens::tokio::{AsyncJwtApp, AsyncSigner, Sleep, SystemClock, Time};
pub use coze_auth_tokens::{
    Error, JwtKeys, Waiting, config_from_file, entropy, environment, jwt_app_from_env,
};
pub use reqwest;

pub use self::client::Client;
pub use self::send::{Logins, TokenSource};

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
