//! Where grants of Coze (扣子) rest, from one run of a program to the next.
//!
//! | grants rest | take |
//! |---|---|
//! | in this process | [`MemoryStore`] |
//! | on this machine, for any number of processes | [`FileStore`] |
//! | in an engine of your own | [`GrantStore`], which says how |
//!
//! A store over an engine needs this crate and no other of ours. Applications take `coze-auth-reqwest` or
//! `coze-auth-ureq`, whose token sources use a store.

mod error;
mod file;
mod key;
mod memory;
mod store;
mod sync;

pub use coze_auth_core as core;

pub use self::error::{Cause, StoreError};
pub use self::file::FileStore;
pub use self::key::GrantKey;
pub use self::memory::MemoryStore;
pub use self::store::{AsyncGrantStore, AsyncLockedGrant, Doubt, GrantStore, LockedGrant, Saved};

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
