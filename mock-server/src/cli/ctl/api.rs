//! `ctl api`: adds and removes API calls of the user's own.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Send, add, given, remove};
use crate::cli::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Api {
    /// Add an API call, in place of an earlier one of the same method and path; prints its id
    Add(Box<Add>),
    /// Remove an API call
    Remove {
        /// Id of the call, such as a1
        id: String,
    },
    /// Remove all API calls
    Clear,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Method, such as GET or POST
    method: String,
    /// Path, such as /v1/bots/{bot_id}; a segment in braces is any one
    path: String,
    /// Body of the answer: a text, or JSON, which is sent as application/json
    #[arg(required_unless_present = "event", conflicts_with = "event")]
    answer: Option<String>,
    /// Answer with a stream of events, one for each of these options; the name may be empty
    #[arg(long, value_name = "NAME=DATA", value_parser = event)]
    event: Vec<Value>,
    /// Status of the answer
    #[arg(long)]
    status: Option<u16>,
    /// Milliseconds between two events
    #[arg(long, requires = "event")]
    pause_ms: Option<u64>,
}

fn event(text: &str) -> Result<Value, String> {
    let (name, data) = text
        .split_once('=')
        .ok_or("an event is NAME=DATA, or =DATA without a name")?;
    let name = Some(name).filter(|name| !name.is_empty());
    Ok(json!({ "event": name, "data": data }))
}

impl Add {
    fn spec(&self) -> Value {
        let events = Some(&self.event).filter(|events| !events.is_empty());
        given([
            ("method", json!(self.method.to_uppercase())),
            ("path", json!(self.path)),
            ("text", json!(self.answer)),
            ("events", json!(events)),
            ("status", json!(self.status)),
            ("pause_ms", json!(self.pause_ms)),
        ])
    }
}

impl Api {
    pub(super) fn carry_out(&self, send: &Send<'_>) -> Result<String, Failure> {
        match self {
            Self::Add(one) => add(send, "/api", one.spec()),
            Self::Remove { id } => remove(send, "/api", id),
            Self::Clear => {
                send("DELETE", "/api", None)?;
                Ok("removed all API calls".to_owned())
            }
        }
    }
}
