//! `ctl key`: adds and removes keys of JWT apps.

use std::fs;

use clap::Subcommand;
use serde_json::json;

use super::{Send, output, part, remove};
use crate::cli::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Show the keys of a JWT app
    List {
        /// Client id of the app
        client_id: String,
    },
    /// Add a key, in place of an earlier one of this kid
    Add {
        /// Client id of the app
        client_id: String,
        /// Key id, which the assertions name
        kid: String,
        /// File with the public key in PEM
        file: std::path::PathBuf,
    },
    /// Remove a key
    Remove {
        /// Client id of the app
        client_id: String,
        /// Key id
        kid: String,
    },
}

impl Key {
    pub(super) fn carry_out(&self, send: &Send<'_>) -> Result<String, Failure> {
        let keys = |client_id: &str| format!("/apps/{}/keys", part(client_id));
        match self {
            Self::List { client_id } => Ok(output::keys(&send("GET", &keys(client_id), None)?)),
            Self::Add {
                client_id,
                kid,
                file,
            } => {
                let pem = fs::read_to_string(file);
                let pem =
                    pem.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
                let body = json!({ "kid": kid, "public_pem": pem });
                send("POST", &keys(client_id), Some(body))?;
                Ok("added".to_owned())
            }
            Self::Remove { client_id, kid } => remove(send, &keys(client_id), kid),
        }
    }
}
