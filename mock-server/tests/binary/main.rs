//! The `coze-auth-mock` command, as a shell or a container runs it.

mod addresses;
mod ctl;
mod environment;
mod files;
mod hostile;
mod keys;
mod serve;
#[cfg(feature = "shadow")]
mod shadow;
mod silent;
mod support;
mod tls;
mod watch;
