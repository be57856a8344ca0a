//! The mock over its own router: what it answers, shows and keeps to itself.

mod control;
mod flows;
mod http_edges;
mod pages;
mod properties;
mod redaction;
mod rules;
mod sockets;
mod support;
