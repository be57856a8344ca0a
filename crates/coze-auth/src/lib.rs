//! Coze (扣子) authentication: a valid access token at any moment, for all threads, tasks and processes.
//!
//! A [`TokenSource`] gives it, whatever the credential: a service with a JWT app, as Coze's own variables describe it.
//!
#![cfg_attr(feature = "reqwest", doc = "```no_run")]
#![cfg_attr(not(feature = "reqwest"), doc = "```ignore")]
//! use coze_auth::jwt::JwtGrant;
//! use coze_auth::{Client, Error, Region, TokenSource, jwt_app_from_env};
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
//! Where nothing is awaited, the same is in `blocking` (feature `ureq`):
//!
#![cfg_attr(feature = "ureq", doc = "```no_run")]
#![cfg_attr(not(feature = "ureq"), doc = "```ignore")]
//! use coze_auth::blocking::{Client, TokenSource};
//! use coze_auth::{Error, Region, environment};
//!
//! # fn service() -> Result<(), Error> {
//! let client = Client::new()?; // keep one
//! let settings = environment(Region::Cn); // COZE_API_TOKEN, of the console
//! let tokens = TokenSource::fixed(&client, &settings.endpoints()?, settings.access_token()?);
//! println!("{}", tokens.whoami()?.user_name);
//! # Ok(()) }
//! ```
//!
//! | you have | take | then |
//! |---|---|---|
//! | a personal or service access token (PAT, SAT) | [`AccessToken`] | `TokenSource::fixed` |
//! | a server with a private key, no people | [`jwt::JwtApp`] | `TokenSource::jwt`, and `session(name)` of it for each end user |
//! | a project on Coze's coding platform (扣子编程) | [`workload::WorkloadApp`] | `TokenSource::workload` |
//! | a program without a browser, one person | [`device::DeviceApp`] | `TokenSource::stored`, over a [`store::FileStore`] |
//! | a program without a secret, one person with a browser | [`pkce::PkceApp`], with `loopback::Login` | `TokenSource::stored` |
//! | a server with a client secret, people in browsers | [`web::WebApp`] | `Logins`, and `of(user)` of it |
//!
//! # A login
//!
//! A login gives a grant, and a token source keeps it: stored first, then served, and renewed before it ends.
//!
#![cfg_attr(feature = "reqwest", doc = "```no_run")]
#![cfg_attr(not(feature = "reqwest"), doc = "```ignore")]
//! use coze_auth::{Client, Endpoints, Error, TokenSource, device::DeviceApp, store::FileStore};
//!
//! # async fn login() -> Result<(), Error> {
//! let client = Client::new()?;
//! let app = DeviceApp::new(Endpoints::cn(), "5678.app.coze")?;
//! let tokens = TokenSource::stored(&client, app.clone(), "this-machine", FileStore::new("grants")?)?;
//! if tokens.token().await.is_err_and(|error| error.needs_login()) {
//!     let started = client.run(app.start()).await?;
//!     println!("enter {} at {}", started.user_code, started.verification_uri);
//!     let grant = client.run(app.poll(&started)).await?; // waits for the person
//!     tokens.install(grant).await?;
//! }
//! let token = tokens.token().await?;
//! # drop(token);
//! # Ok(()) }
//! ```
//!
//! # Errors
//!
//! [`Error::kind`] is the one thing to branch on, whatever the flow was: the person said no, show a new code, log in, wait, or mend
//! the settings.
//!
//! # Features
//!
//! They only add, and none changes what another one means.
//!
//! | feature | brings |
//! |---|---|
//! | `reqwest` (default) | the async form, on tokio: `Client`, `TokenSource`, `Logins` |
//! | `ureq` | the blocking form: `blocking` |
//! | `loopback` | a login in the browser of this machine, for command lines: `loopback`. It brings no dependency |
//! | `tracing` | `trace`, an observer that logs |
//!
//! `default-features = false, features = ["ureq"]` compiles neither tokio nor hyper. The crates below are there whole, as [`core`], [`store`]
//! and [`tokens`].

#[cfg(feature = "ureq")]
pub mod blocking;
#[cfg(feature = "loopback")]
pub mod loopback;

pub use coze_auth_core as core;
pub use coze_auth_store as store;
pub use coze_auth_tokens as tokens;

#[doc(no_inline)]
pub use coze_auth_core::{
    AccessToken, ClientSecret, Endpoints, ErrorKind, IssuedToken, RefreshToken, Region, TokenGrant,
    UnixTime, authorize, cache, config, device, endpoint, error, http, jwt, pkce, proxy, rejection,
    scope, secret, time, token, web, whoami, wire, workload,
};
#[cfg(feature = "reqwest")]
pub use coze_auth_reqwest::{
    AsyncJwtApp, AsyncSigner, Client, Logins, Sleep, SystemClock, Time, TokenSource, Waiting,
    reqwest,
};
#[cfg(feature = "tracing")]
pub use coze_auth_tokens::trace;
pub use coze_auth_tokens::{
    Error, Event, EventKind, JwtKeys, config_from_file, entropy, environment, jwt_app_from_env,
};

/// The Rust of the README, compiled.
#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
