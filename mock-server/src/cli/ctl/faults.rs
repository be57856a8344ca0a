//! Faults: shown, added, removed.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::requests::RequestFilter;
use super::{Send, given, part};
use crate::cli::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Fault {
    /// Let requests meet a fault
    Add(Box<Add>),
    /// Remove one
    Remove { id: String },
    /// Remove all
    Clear,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Such as status, delay, reset, truncate; the README has all
    kind: String,
    #[command(flatten)]
    on: RequestFilter,
    /// How often
    #[arg(long)]
    times: Option<u64>,
    /// How many requests pass before
    #[arg(long)]
    skip: Option<u64>,
    /// request or answer
    #[arg(long)]
    at: Option<String>,
    /// What the kind takes
    #[arg(long)]
    status: Option<u16>,
    #[arg(long)]
    ms: Option<u64>,
    #[arg(long)]
    at_byte: Option<u64>,
    #[arg(long)]
    body: Option<String>,
    #[arg(long)]
    location: Option<String>,
}

impl Add {
    fn asked(&self) -> Value {
        let mut on = given(self.on.members().map(|(name, value)| (name, json!(value))));
        if on.get("endpoint").is_none() {
            on["endpoint"] = json!("token");
        }
        let mut fault = given([
            ("status", json!(self.status)),
            ("ms", json!(self.ms)),
            ("at_byte", json!(self.at_byte)),
            ("body", json!(self.body)),
            ("location", json!(self.location)),
        ]);
        fault["kind"] = json!(self.kind);
        let mut asked = given([
            ("times", json!(self.times)),
            ("skip", json!(self.skip)),
            ("at", json!(self.at)),
        ]);
        asked["on"] = on;
        asked["fault"] = fault;
        asked
    }
}

impl Fault {
    pub(super) fn carry_out(&self, send: &Send<'_>) -> Result<String, Failure> {
        match self {
            Self::Add(add) => {
                let answer = send("POST", "/faults", Some(add.asked()))?;
                Ok(answer["id"].as_str().unwrap_or_default().to_owned())
            }
            Self::Remove { id } => {
                send("DELETE", &format!("/faults/{}", part(id)), None)?;
                Ok("removed".to_owned())
            }
            Self::Clear => {
                send("DELETE", "/faults", None)?;
                Ok("all faults are removed".to_owned())
            }
        }
    }
}
