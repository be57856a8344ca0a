//! The adapter against scripted servers. Flows against the mock server are elsewhere.

mod answers;
mod clocks;
mod errors;
mod logs;
mod origins;
mod proxies;
mod source;
mod support;
mod tls;
mod torn;
mod wire;
