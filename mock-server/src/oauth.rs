//! The data plane: Coze's OAuth endpoints, with a file for each endpoint and each grant type.

mod access_token;
mod authorization_code;
mod authorize;
mod client_auth;
pub(crate) mod context;
mod device_authorization;
mod device_code;
pub(crate) mod dispatch;
pub(crate) mod headless;
mod jwt_bearer;
mod outbound;
pub(crate) mod recorder;
mod refresh_token;
mod token;
mod users_me;
mod workload;
mod workspaces;
