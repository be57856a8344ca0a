//! The tables of `rules.toml`. It is read once, since to read it is most of what a mock does at its start.

use std::sync::LazyLock;

use serde::Deserialize;

use super::coze_api::CozeApi;
use super::magic_values::Magic;
use super::rules::RuleText;
use super::user_agent::Client;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tables {
    pub(super) rule: Vec<RuleText>,
    pub(super) magic: Vec<Magic>,
    pub(super) coze_api: Vec<CozeApi>,
    pub(super) client: Vec<Client>,
}

/// Tests show that it can be parsed.
pub(super) static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    toml::from_str(include_str!("../../rules.toml"))
        .expect("rules.toml is part of this program and tested")
});
