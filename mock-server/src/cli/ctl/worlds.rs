//! `ctl world`: makes and removes worlds.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{Send, given, part};
use crate::cli::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum World {
    /// Make a world, in place of an earlier one of this name
    Make {
        /// Name of the world
        name: String,
        /// Configuration in TOML, which replaces the mock's settings of the same keys
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Seed of its codes and tokens
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Time at which its clock stands, such as 2026-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        clock: Option<String>,
        /// Port of its own, at whose root the world is; 0 is a free one
        #[arg(long, value_name = "N")]
        port: Option<u16>,
    },
    /// Give a world a port of its own, at whose root it is, and print the URL
    Open {
        /// Name of the world
        name: String,
        /// Number of the port; 0 is a free one, or the one that it has
        #[arg(default_value_t = 0)]
        port: u16,
    },
    /// Close the port of a world
    Close {
        /// Name of the world
        name: String,
    },
    /// Remove a world
    Remove {
        /// Name of the world
        name: String,
    },
}

impl World {
    pub(super) fn carry_out(&self, send: &Send<'_>) -> Result<String, Failure> {
        match self {
            Self::Make {
                name,
                config,
                seed,
                clock,
                port,
            } => {
                let config = match config {
                    None => None,
                    Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                        Failure::Reason(format!("cannot read {}: {error}", path.display()))
                    })?),
                };
                let mut spec = given([
                    ("config", json!(config)),
                    ("seed", json!(seed)),
                    ("clock", json!(clock)),
                    ("port", json!(port)),
                ]);
                spec["name"] = json!(name);
                let made = send("POST", "/worlds", Some(spec))?;
                let url = made["port_url"]
                    .as_str()
                    .or_else(|| made["base_url"].as_str());
                Ok(url.unwrap_or_default().to_owned())
            }
            Self::Open { name, port } => {
                let path = format!("/port?world={}", part(name));
                let opened = send("PUT", &path, Some(json!({ "port": port })))?;
                Ok(opened["port_url"].as_str().unwrap_or_default().to_owned())
            }
            Self::Close { name } => {
                send("DELETE", &format!("/port?world={}", part(name)), None)?;
                Ok("closed".to_owned())
            }
            Self::Remove { name } => {
                send("DELETE", &format!("/worlds/{}", part(name)), None)?;
                Ok("removed".to_owned())
            }
        }
    }
}
