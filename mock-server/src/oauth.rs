//! The data plane: what Coze's OAuth endpoints do, a file for each endpoint and each grant.

pub(crate) mod authorize;
pub(crate) mod context;
pub(crate) mod device_code;
pub(crate) mod dispatch;
pub(crate) mod headless;
pub(crate) mod jwt_bearer;
pub(crate) mod token;
mod users_me;
