//! Where grants of Coze (扣子) rest, from one run of a program to the next.
//!
//! | grants rest | take |
//! |---|---|
//! | in this process | [`MemoryStore`] |
//! | on this machine, for any number of processes | [`FileStore`] |
//! | on Redis or Valkey, for any number of machines | `coze-auth-redis` |
//! | in an engine of your own | [`GrantStore`], which says how; `store_conformance_tests!` (feature `conformance`) tests it |
//!
//! A store over an engine needs this crate and no other of ours. Applications take `coze-auth-reqwest` or
//! `coze-auth-ureq`, whose token sources use a store.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod file;
mod key;
mod memory;
mod notices;
mod store;
mod sync;

pub use coze_auth_core as core;

pub use self::error::{Cause, StoreError};
pub use self::file::FileStore;
pub use self::key::GrantKey;
pub use self::memory::MemoryStore;
pub use self::notices::{Listener, Notices};
pub use self::store::{AsyncGrantStore, AsyncLockedGrant, Doubt, GrantStore, LockedGrant, Saved};

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
