//! Coze's vocabulary: rules and refusals, endpoints and grants, the shapes of requests and responses. No state, no IO.

pub(crate) mod assertion;
pub(crate) mod client_id;
pub(crate) mod endpoint;
pub(crate) mod json_body;
pub(crate) mod magic_values;
pub(crate) mod response;
pub(crate) mod rules;
