//! The target of a configuration: a mock, or one of its worlds.

use std::path::PathBuf;

use crate::state::app::Consent;

pub(super) const CONSENTS: &[(&str, Consent)] = &[
    ("page", Consent::Page),
    ("approve", Consent::Approve),
    ("deny", Consent::Deny),
];

/// The target of a configuration.
#[derive(Debug)]
pub(crate) enum For {
    /// A whole mock. Paths in the configuration are relative to this folder.
    Mock(PathBuf),
    /// A world. The configuration was sent over the network, so it cannot name files or addresses.
    World,
}
