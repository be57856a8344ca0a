//! Worlds: made, removed.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{Send, given, part};
use crate::cli::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum World {
    /// Make one anew
    Make {
        name: String,
        /// Its configuration, in place of what the mock has of the same keys
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Where its clock stands, such as 2026-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        clock: Option<String>,
    },
    /// Forget one
    Remove { name: String },
}

impl World {
    pub(super) fn carry_out(&self, send: &Send<'_>) -> Result<String, Failure> {
        match self {
            Self::Make {
                name,
                config,
                seed,
                clock,
            } => {
                let config = match config {
                    None => None,
                    Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                        Failure::Told(format!("cannot read {}: {error}", path.display()))
                    })?),
                };
                let mut asked = given([
                    ("config", json!(config)),
                    ("seed", json!(seed)),
                    ("clock", json!(clock)),
                ]);
                asked["name"] = json!(name);
                let made = send("POST", "/worlds", Some(asked))?;
                Ok(made["base_url"].as_str().unwrap_or_default().to_owned())
            }
            Self::Remove { name } => {
                send("DELETE", &format!("/worlds/{}", part(name)), None)?;
                Ok("removed".to_owned())
            }
        }
    }
}
