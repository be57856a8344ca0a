//! Grants of Coze (扣子) in Redis or Valkey, for any number of machines.

mod check;
mod connect;
mod engine;
mod lease;
mod options;
mod scripts;
mod seal;
mod seen;
mod settings;
mod store;
mod tls;
mod trouble;
mod worker;

pub use coze_auth_core as core;

pub use self::check::{Danger, Finding};
pub use self::connect::ConnectError;
pub use self::options::RedisOptions;
pub use self::seal::{SealKey, SealKeys};
pub use self::settings::SettingsError;
pub use self::store::{RedisLock, RedisStore};

/// The Rust of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
