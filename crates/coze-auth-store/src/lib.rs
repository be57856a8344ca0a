//! Where grants of Coze (扣子) rest, and what the token sources of `coze-auth-reqwest` and `coze-auth-ureq`
//! have in common. An application takes one of those two; from here it needs a place for its grants:
//!
//! | grants rest | take |
//! |---|---|
//! | in this process | [`MemoryStore`] |
//! | on this machine, for any number of processes | [`FileStore`] |
//! | in an engine of your own | [`GrantStore`], which says how |
//!
//! The rest is for who writes an adapter: [`Source`] is the state that all who ask for a token share, and
//! [`Refresh`] a renewal, step by step, without IO of its own but the store's.

mod delivery;
mod error;
mod key;
mod machine;
mod network;
mod origins;
mod refresh;
mod renewal;
mod sessions;
mod shared;
mod slot;
mod source;
mod store;
mod sync;
mod wait;

pub use coze_auth_core as core;

pub use self::delivery::{Delivery, Refused, Then};
pub use self::error::{Cause, Error, StoreError};
pub use self::key::GrantKey;
pub use self::machine::{
    config_from_file, entropy, environment, jwt_app_from_env, proxies, system_now,
};
pub use self::network::{NetworkError, Obstacle};
pub use self::origins::Origins;
pub use self::refresh::{Next, Refresh};
pub use self::renewal::Renewal;
pub use self::sessions::Sessions;
pub use self::shared::Ask;
pub use self::source::{Caller, Clock, RefreshApp, Source, Timeouts};
pub use self::store::{FileStore, GrantStore, LockedGrant, MemoryStore, Saved};
pub use self::wait::{Signal, Waiting};
