//! The blocking form, over [`ureq`]: nothing is awaited, and no runtime is compiled (feature `ureq`).
//!
//! It has what the root has by the feature `reqwest`. Apps, settings and errors are the root's for both.
//!
//! ```no_run
//! use coze_auth::blocking::{Client, TokenSource};
//! use coze_auth::jwt::JwtGrant;
//! use coze_auth::{Error, Region, jwt_app_from_env};
//!
//! # fn service() -> Result<(), Error> {
//! let client = Client::new()?; // keep one
//! let tokens = TokenSource::jwt(&client, jwt_app_from_env(Region::Cn)?, JwtGrant::new()); // keep it
//! let token = tokens.token()?; // valid, whenever you ask
//! # drop(token);
//! tokens.close()
//! # }
//! ```

pub use coze_auth_ureq::{Client, Logins, Signal, SystemClock, Time, TokenSource, ureq};
