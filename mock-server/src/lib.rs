//! A mock Coze (扣子) auth server: every OAuth flow of `api.coze.cn` and `api.coze.com`, offline.
//!
//! It keeps real state (codes are used once, refresh tokens rotate, everything expires by a clock
//! that a test can move), refuses what Coze is documented to refuse, and says why: each answer
//! carries an `X-Tt-Logid` under which [`MockWorld::explain`] and `GET /_mock/v1/explain/{logid}`
//! name the rule, what was expected and what came. The rules are in `rules.toml`, each with its
//! evidence, and a test may turn many of them off.
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
//! With a socket, for clients as they are:
//!
//! ```
//! use coze_auth_mock::CozeAuthMock;
//!
//! let mock = CozeAuthMock::builder().start_blocking()?; // or `start().await?`
//! assert!(mock.base_url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It listens where other machines could reach it only if that is asked for by name, and journals and logs are redacted.

mod answer;
mod apps;
mod assertion;
mod authorize;
mod banner;
mod bell;
mod body;
mod builder;
mod call;
mod calls;
mod clock;
mod config;
mod control;
mod data_plane;
mod device;
mod door;
mod drive;
mod endpoint;
mod export;
mod faults;
mod gates;
mod glance;
mod handle;
mod journal;
mod jwt;
mod last_words;
mod leaks;
mod lineage;
mod magic;
mod metrics;
mod mock;
mod on;
mod openapi;
mod pages;
mod reach;
mod redact;
mod router;
mod rules;
mod settings;
mod setup_error;
mod store;
mod ticks;
mod tls;
mod token;
mod tokens;
mod users_me;
mod verify;
mod wire;
mod world;
mod worlds;

pub use banner::environment;
pub use builder::Builder;
pub use calls::Calls;
pub use clock::ClockHandle;
pub use config::{ConfigError, ConfigErrors, SAMPLE, parse_duration};
pub use device::{DeviceAction, NotWaiting};
pub use drive::Refused;
pub use faults::{After, Fault, FaultHandle, ScriptHandle, Step};
pub use gates::Gate;
pub use handle::MockWorld;
pub use journal::{Explanation, JournalEntry, JournalJwt, Outcome};
pub use leaks::Leak;
pub use lineage::{Issued, fingerprint};
pub use mock::CozeAuthMock;
pub use on::{At, On};
pub use settings::Consent;
pub use setup_error::SetupError;
pub use verify::{Expect, Failure, Unmet};
pub use worlds::NoWorld;
