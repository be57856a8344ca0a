//! Grants of Coze (扣子) in Redis or Valkey, for any number of machines.

mod store;

pub use coze_auth_core as core;

pub use self::store::RedisStore;

/// The Rust of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
