//! A valid token of Coze (扣子) at any moment.

pub mod blocking;
mod delivery;
mod driver;
mod error;
mod grants;
mod kept;
mod machine;
mod network;
mod origins;
mod refresh;
mod renewal;
mod sessions;
mod shared;
mod slot;
mod source;
mod sync;
mod token_source;
#[cfg(feature = "tokio")]
pub mod tokio;
mod turns;
mod wait;

pub use coze_auth_core as core;
pub use coze_auth_store as store;

pub use self::delivery::{Delivery, Refused, Then};
pub use self::driver::{Driver, SendError};
pub use self::error::Error;
pub use self::grants::Store;
pub use self::machine::{
    config_from_file, entropy, environment, jwt_app_from_env, proxies, system_now,
};
pub use self::network::{NetworkError, Obstacle};
pub use self::origins::Origins;
pub use self::refresh::{Next, Refresh};
pub use self::renewal::Renewal;
pub use self::sessions::Sessions;
pub use self::shared::Ask;
pub use self::source::{Caller, Clock, Source, Timeouts};
pub use self::token_source::{ApiRequest, Carries, TokenSource};
pub use self::wait::{Signal, Waiting};
