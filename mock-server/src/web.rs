//! What the planes share of HTTP: bodies, base URLs, access checks, the guard, and the journal as a stream.

pub(crate) mod access;
pub(crate) mod api_stream;
pub(crate) mod base_url;
pub(crate) mod body;
pub(crate) mod cors;
pub(crate) mod data;
pub(crate) mod guard;
pub(crate) mod in_world;
pub(crate) mod journal_stream;
pub(crate) mod picture;
pub(crate) mod routes;
