//! What a configuration is for.

use std::path::PathBuf;

use crate::state::app::Consent;

pub(super) const CONSENTS: &[(&str, Consent)] = &[
    ("page", Consent::Page),
    ("approve", Consent::Approve),
    ("deny", Consent::Deny),
];

/// What a configuration is for.
#[derive(Debug)]
pub(crate) enum For {
    /// Files that it names are looked for in this folder.
    Mock(PathBuf),
    /// It came over the network: it names no files, and no addresses.
    World,
}
