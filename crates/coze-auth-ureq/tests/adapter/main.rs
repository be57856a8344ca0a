//! The adapter against scripted servers. Flows against the mock server are elsewhere.

mod clocks;
mod errors;
mod logs;
mod proxies;
mod support;
mod tls;
mod torn;
mod wire;
