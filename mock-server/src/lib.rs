//! A mock Coze (扣子) auth server: every OAuth flow of `api.coze.cn` and `api.coze.com`, offline.
//!
//! It keeps real state (codes are used once, refresh tokens rotate, everything expires by a clock
//! that a test can move), refuses what Coze is documented to refuse, and says why: each answer
//! carries an `X-Tt-Logid` under which [`MockWorld::explain`] and `GET /_mock/v1/explain/{logid}`
//! name the rule, the expected and the actual value. The rules are in `rules.toml`, each with its
//! evidence, and a test can turn many of them off.
//!
//! ```
//! use bytes::Bytes;
//! use coze_auth_mock::CozeAuthMock;
//!
//! let mock = CozeAuthMock::builder().seed(42).build()?;
//! let request = http::Request::get("/v1/users/me")
//!     .header("Authorization", "Bearer pat_mock_alice")
//!     .body(Bytes::new())?;
//! let response = mock.call_blocking(request);
//! assert_eq!(response.status(), 200);
//! assert_eq!(mock.requests()[0].endpoint, "users_me");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same over a socket, for a client that needs a URL:
//!
//! ```
//! use coze_auth_mock::CozeAuthMock;
//!
//! let mock = CozeAuthMock::builder().start_blocking()?; // or `start().await?`
//! assert!(mock.base_url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A mock listens on loopback addresses unless [`Builder::allow_other_machines`] is called, and it redacts journals and logs.

// The rooms from the ground up: limits, time, protocol, redact, error, intercept, journal, state, net, html, oauth,
// world, web, openapi, config, control, pages, server, api, shadow. Each uses only rooms before it, by `crate::room::file`;
// docs/design.md says what each is for, and conformance/tests/house.rs holds it. The binary uses only what is exported here.
mod api;
mod config;
mod control;
mod error;
mod html;
mod intercept;
mod journal;
mod limits;
mod net;
mod oauth;
mod openapi;
mod pages;
mod protocol;
mod redact;
mod server;
#[cfg(feature = "shadow")]
mod shadow;
mod state;
mod time;
mod web;
mod world;

pub use api::app::MockApp;
pub use api::banner::environment;
pub use api::builder::Builder;
pub use api::mock::CozeAuthMock;
pub use api::world::MockWorld;
pub use config::SAMPLE_CONFIG;
pub use config::errors::{ConfigError, ConfigErrors};
pub use config::time::parse_duration;
pub use error::{KeyError, SetupError};
pub use intercept::fault::Fault;
pub use intercept::faults::{FaultHandle, ScriptHandle};
pub use intercept::gates::Gate;
pub use intercept::member::MemberChange;
pub use intercept::phase::At;
pub use intercept::script::{ScriptEnd, ScriptStep};
pub use intercept::selector::On;
pub use journal::entry::{Explanation, IssuedTokens, JournalEntry, JournalJwt, Outcome};
pub use journal::filter::RequestFilter;
pub use journal::leak::Leak;
pub use journal::verify::{Expect, UnmetExpectation, VerifyError};
pub use oauth::headless::AuthorizeError;
pub use protocol::api::Api;
pub use protocol::digest::fingerprint;
pub use protocol::world_name::WorldError;
pub use redact::without_keys;
#[cfg(feature = "shadow")]
pub use shadow::{CheckedRecord, Shadow, ShadowBuilder, ShadowError, check_record};
pub use state::app::{AppKind, Consent};
pub use state::devices::{DeviceAction, UserCodeError};
pub use time::clock::ClockHandle;
pub use world::own_port::PortError;
