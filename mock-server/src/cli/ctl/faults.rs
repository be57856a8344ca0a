//! `ctl fault`: adds and removes faults.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::requests::RequestFilter;
use super::{Send, add, given, read_json, remove};
use crate::cli::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Fault {
    /// Add a fault to the requests that the options select; prints its id
    Add(Box<Add>),
    /// Remove a fault
    Remove {
        /// Id of the fault, such as f1
        id: String,
    },
    /// Remove all faults
    Clear,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Kind of the fault, such as status, delay, reset, truncate; the README lists all
    kind: String,
    #[command(flatten)]
    on: RequestFilter,
    /// Maximum number of requests on which the fault acts
    #[arg(long)]
    times: Option<u64>,
    /// Number of requests that pass before the fault acts
    #[arg(long)]
    skip: Option<u64>,
    /// When the fault acts: request (before the mock has acted) or answer (after it has)
    #[arg(long)]
    at: Option<String>,
    /// Status of the answer, for status and redirect
    #[arg(long)]
    status: Option<u16>,
    /// Milliseconds of the pause, for delay and slow_drip
    #[arg(long)]
    ms: Option<u64>,
    /// Number of bytes of the body that are sent, for truncate
    #[arg(long)]
    at_byte: Option<u64>,
    /// Body of the answer
    #[arg(long)]
    body: Option<String>,
    /// Target of a redirect
    #[arg(long)]
    location: Option<String>,
    /// Member of a good answer that is changed, such as expires_in or data.user_id, for member
    #[arg(long)]
    member: Option<String>,
    /// What becomes of it: absent, null, string, float, milliseconds, too_large or other_type
    #[arg(long)]
    to: Option<String>,
    /// Its new value, in JSON
    #[arg(long, value_parser = read_json, conflicts_with = "to")]
    value: Option<Value>,
}

/// Kinds that act on authorize requests alone.
const CALLBACK: [&str; 3] = ["consent_policy", "callback_307", "callback_twice"];

impl Add {
    fn spec(&self) -> Value {
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
            ("member", json!(self.member)),
            ("to", json!(self.to)),
            ("value", json!(self.value)),
        ]);
        if self.on.members()[0].1.is_none() && CALLBACK.contains(&&*self.kind) {
            on["endpoint"] = json!("authorize");
        }
        fault["kind"] = json!(self.kind);
        let mut spec = given([
            ("times", json!(self.times)),
            ("skip", json!(self.skip)),
            ("at", json!(self.at)),
        ]);
        spec["on"] = on;
        spec["fault"] = fault;
        spec
    }
}

impl Fault {
    pub(super) fn carry_out(&self, send: &Send<'_>) -> Result<String, Failure> {
        match self {
            Self::Add(one) => add(send, "/faults", one.spec()),
            Self::Remove { id } => remove(send, "/faults", id),
            Self::Clear => {
                send("DELETE", "/faults", None)?;
                Ok("removed all faults".to_owned())
            }
        }
    }
}
