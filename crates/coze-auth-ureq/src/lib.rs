//! Coze (扣子) authentication over [`ureq`], blocking: [`Client::run`] drives every flow of [`core`].
//!
//! A personal or service access token (PAT, SAT), from `COZE_API_TOKEN`, and whose it is:
//!
//! ```no_run
//! # use coze_auth_ureq::{Client, Error, TokenSource, core, environment};
//! use core::{Region, whoami};
//!
//! # fn service() -> Result<(), Error> {
//! let client = Client::new()?; // keep one
//! let environment = environment(Region::Cn);
//! let endpoints = environment.endpoints()?;
//! let user = client.run(whoami(&endpoints, &environment.access_token()?))?;
//! println!("{}", user.user_name);
//! let tokens = TokenSource::fixed(&client, &endpoints, environment.access_token()?); // as the other sources
//! # drop(tokens);
//! # Ok(()) }
//! ```
//!
//! A web login: send the person to Coze, then trade the callback's code for a token.
//!
//! ```no_run
//! # use coze_auth_ureq::{Client, Error, core, entropy};
//! use core::authorize::{Callback, RedirectUri};
//! use core::{ClientSecret, Endpoints, web::WebApp};
//!
//! # fn login(next_request_uri: impl Fn() -> String) -> Result<(), Error> {
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
//! let grant = client.run(call)?;
//! let user = client.run(core::whoami(&Endpoints::cn(), &grant.access_token))?;
//! # drop(user);
//! # Ok(()) }
//! ```
//!
//! A JWT app, as the environment describes it:
//!
//! ```no_run
//! # use coze_auth_ureq::{Client, Error, core, entropy, jwt_app_from_env};
//! use core::{Region, jwt::JwtGrant};
//!
//! # fn token(client: Client) -> Result<(), Error> {
//! let app = jwt_app_from_env(Region::Cn)?;
//! let grant = client.run(app.grant(&JwtGrant::new().session_name("user-42")?, entropy()?))?;
//! # drop(grant);
//! # Ok(()) }
//! ```
//!
//! A device without a browser:
//!
//! ```no_run
//! # use coze_auth_ureq::{Client, Error, core};
//! use core::{Endpoints, device::DeviceApp};
//!
//! # fn login(client: Client) -> Result<(), Error> {
//! let app = DeviceApp::new(Endpoints::cn(), "5678.app.coze")?;
//! let started = client.run(app.start())?;
//! println!("enter {} at {}", started.user_code, started.verification_uri);
//! let grant = client.run(app.poll(&started))?; // waits for the person
//! # drop(grant);
//! # Ok(()) }
//! ```
//!
//! With a grant that is kept: the sample `auth_oauth_device_blocking`, in the folder `examples` of the repository. A wait that can be called off:
//! [`Client::run_until`].
//!
//! # Errors
//!
//! [`Error::kind`] is the one thing to branch on, whatever the flow was:
//!
//! ```no_run
//! use coze_auth_ureq::{ErrorKind, TokenSource};
//!
//! # fn call(tokens: TokenSource) {
//! match tokens.token() {
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
//! `tracing`). **ureq logs the bytes of every request and answer at TRACE, secrets and all**
//! (`ureq_proto::util`), and has no setting against it. Where a logger may be set to TRACE, cut it back:
//! `ureq_proto=debug` at most, as in `RUST_LOG=trace,ureq_proto=debug`, or `log::set_max_level`.

mod answer;
mod client;
mod network;
mod send;
mod transport;

pub use coze_auth_core as core;
pub use coze_auth_core::ErrorKind;
pub use coze_auth_store as store;
pub use coze_auth_tokens as tokens;
pub use coze_auth_tokens::blocking::{SystemClock, Time};
pub use coze_auth_tokens::{
    Error, JwtKeys, Signal, config_from_file, entropy, environment, jwt_app_from_env,
};
pub use ureq;

pub use self::client::Client;
pub use self::send::{Logins, TokenSource};

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
