//! `ctl`: the control plane of a running mock, from a shell.

mod api;
mod faults;
mod keys;
mod requests;
mod worlds;

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use coze_auth_mock::parse_duration;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::http::{Answer, Target};
use super::{Failure, output, print};
use api::Api;
use faults::Fault;
use keys::Key;
use requests::Requests;
use worlds::World;

#[derive(Debug, Args)]
pub(crate) struct Ctl {
    #[command(flatten)]
    target: Target,
    /// Print the answer of the control plane as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    control: Control,
}

#[derive(Debug, Subcommand)]
enum Control {
    /// Show or move the clock
    Clock {
        #[command(subcommand)]
        change: Option<Change>,
    },
    /// Show the waiting devices, or decide about one
    Device {
        #[arg(value_enum, requires = "code")]
        action: Option<DeviceAction>,
        /// The user code that the device shows
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
    /// Decide about an authorize URL, and print the redirect that a browser would follow
    Authorize {
        /// Authorize URL that the program under test made
        #[arg(id = "authorize_url", value_name = "URL")]
        url: String,
        #[arg(value_enum, default_value = "approve")]
        action: UserAction,
    },
    /// Show the requests of the journal
    Requests(Requests),
    /// Compare the journal with expectations; the exit status is 1 if one is not met
    Verify {
        /// Expectations, such as '{"endpoint":"token","count":{"eq":1}}': one, a list, or the body of POST /verify
        #[arg(value_name = "JSON", value_parser = read_json)]
        expect: Value,
    },
    /// Show the issued codes and tokens, by fingerprint
    Tokens,
    /// Show the secrets that requests had where they do not belong
    Leaks,
    /// Show or change the faults
    Fault {
        #[command(subcommand)]
        change: Option<Fault>,
    },
    /// Show or change the keys of a JWT app
    Key {
        #[command(subcommand)]
        change: Key,
    },
    /// Show or change the API calls of your own
    Api {
        #[command(subcommand)]
        change: Option<Api>,
    },
    /// Show, make or remove worlds, and give them ports
    World {
        #[command(subcommand)]
        change: Option<World>,
    },
    /// Send any other request to the control plane, and print the answer
    Call {
        /// GET, POST, PUT or DELETE
        method: String,
        /// Path below /_mock/v1, such as /gates/g1
        path: String,
        /// Body of the request
        #[arg(value_name = "JSON", value_parser = read_json)]
        body: Option<Value>,
    },
    /// Delete all codes, tokens and requests, and open all gates; the clock keeps its time
    Reset,
    /// Explain the answer to a request
    Explain {
        /// X-Tt-Logid of the answer
        logid: String,
    },
    /// Revoke an access token, refresh token, PAT or SAT
    Revoke {
        /// The token itself
        token: String,
    },
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Advance the clock
    Advance {
        /// Duration, such as 90s, 15m, 1h30m or 30d
        #[arg(value_parser = parse_duration)]
        time: std::time::Duration,
    },
    /// Set the time
    Set {
        /// Time, such as 2026-01-01T00:00:00Z
        time: String,
    },
    /// Stop the clock at its time
    Freeze,
    /// Return to the machine's time
    Real,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UserAction {
    Approve,
    Deny,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeviceAction {
    Approve,
    Deny,
    Expire,
}

/// Parses JSON. Without it, clap would make a JSON string of the text.
fn read_json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// The word of the command line that stands for a value.
pub(super) fn word(action: impl ValueEnum) -> String {
    let name = action.to_possible_value();
    name.map(|name| name.get_name().to_owned())
        .unwrap_or_default()
}

/// Encodes a text as one segment of a path.
fn part(text: &str) -> String {
    byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

pub(crate) fn run(args: &Ctl) -> Result<(), Failure> {
    let send = |method: &str, path: &str, body: Option<Value>| {
        let answer = args.target.send(method, path, body.as_ref())?;
        if args.json {
            print(answer.text.trim_end());
        }
        if !answer.ok() {
            return Err(Failure::Reason(refusal(&answer)));
        }
        Ok(answer.json())
    };
    let text = match &args.control {
        Control::Clock { change: None } => output::clock(&send("GET", "/clock", None)?),
        Control::Clock {
            change: Some(change),
        } => {
            let body = match change {
                Change::Advance { time } => {
                    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                    json!({ "advance_ms": ms })
                }
                Change::Set { time } => json!({ "set": time }),
                Change::Freeze => json!({ "mode": "frozen" }),
                Change::Real => json!({ "mode": "real" }),
            };
            output::clock(&send("POST", "/clock", Some(body))?)
        }
        Control::Device {
            action: Some(action),
            code: Some(code),
        } => {
            let action = word(*action);
            let path = format!("/device/{}", part(code));
            send("POST", &path, Some(json!({ "action": action })))?;
            format!("{code}: {action}")
        }
        Control::Device { .. } => output::devices(&send("GET", "/device", None)?),
        Control::Authorize { url, action } => {
            let body = json!({ "url": url, "action": word(*action) });
            let answer = send("POST", "/authorize", Some(body))?;
            answer["redirect"].as_str().unwrap_or_default().to_owned()
        }
        Control::Requests(args) if args.follow => return args.follow(&send),
        Control::Requests(args) => {
            let path = format!("/requests?{}", args.query());
            output::requests(&send("GET", &path, None)?)
        }
        Control::Verify { expect } => {
            let body = match expect {
                Value::Array(_) => json!({ "expect": expect }),
                // The body of the HTTP call.
                Value::Object(members) if members.contains_key("expect") => expect.clone(),
                one => json!({ "expect": [one] }),
            };
            let answer = send("POST", "/verify", Some(body))?;
            let unmet = output::failures(&answer);
            match unmet.is_empty() {
                true => "as expected".to_owned(),
                false => return Err(Failure::Reason(unmet)),
            }
        }
        Control::Tokens => output::tokens(&send("GET", "/tokens", None)?),
        Control::Leaks => output::leaks(&send("GET", "/leaks", None)?),
        Control::Fault { change: None } => output::faults(&send("GET", "/faults", None)?),
        Control::Fault {
            change: Some(change),
        } => change.carry_out(&send)?,
        Control::Key { change } => change.carry_out(&send)?,
        Control::Api { change: None } => output::apis(&send("GET", "/api", None)?),
        Control::Api {
            change: Some(change),
        } => change.carry_out(&send)?,
        Control::World { change: None } => output::worlds(&send("GET", "/worlds", None)?),
        Control::World {
            change: Some(change),
        } => change.carry_out(&send)?,
        Control::Call { method, path, body } => {
            let path = format!("/{}", path.trim_start_matches('/'));
            send(&method.to_uppercase(), &path, body.clone())?.to_string()
        }
        Control::Reset => {
            send("POST", "/reset", None)?;
            "deleted all codes, tokens and requests".to_owned()
        }
        Control::Explain { logid } => {
            output::explanation(&send("GET", &format!("/explain/{}", part(logid)), None)?)
        }
        Control::Revoke { token } => {
            send("POST", "/tokens/revoke", Some(json!({ "token": token })))?;
            "revoked".to_owned()
        }
    };
    if !args.json {
        print(&text);
    }
    Ok(())
}

type Send<'a> = dyn Fn(&str, &str, Option<Value>) -> Result<Value, Failure> + 'a;

/// Adds one to a list of the control plane, and tells its id.
fn add(send: &Send<'_>, list: &str, spec: Value) -> Result<String, Failure> {
    let answer = send("POST", list, Some(spec))?;
    Ok(answer["id"].as_str().unwrap_or_default().to_owned())
}

/// Removes one from a list of the control plane.
fn remove(send: &Send<'_>, list: &str, id: &str) -> Result<String, Failure> {
    send("DELETE", &format!("{list}/{}", part(id)), None)?;
    Ok("removed".to_owned())
}

/// An object of the members that are not null.
fn given<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.into_iter().filter(|(_, value)| !value.is_null());
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The error text of an answer; of a refused authorize request also its rule.
fn refusal(answer: &Answer) -> String {
    let json = answer.json();
    let mut text = json["error"].as_str().unwrap_or("refused").to_owned();
    if json["rule"].is_string() {
        let _ = write!(text, "\n{}", output::explanation(&json));
    }
    text
}
