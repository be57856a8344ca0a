//! Coze's protocol without state and IO: rules and refusals, endpoints and grant types, requests and responses.

pub(crate) mod api;
pub(crate) mod assertion;
pub(crate) mod client_id;
pub(crate) mod coze_api;
pub(crate) mod digest;
pub(crate) mod endpoint;
pub(crate) mod grant;
pub(crate) mod json_body;
pub(crate) mod magic_values;
pub(crate) mod redirect_uri;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod rules;
mod tables;
pub(crate) mod user_agent;
pub(crate) mod world_name;
