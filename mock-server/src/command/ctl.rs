//! `ctl`: the control plane of a running mock, from a shell.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use coze_auth_mock::parse_duration;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::http::{Answer, Target};
use super::{Failure, print, show};

#[derive(Debug, Args)]
pub(crate) struct Ctl {
    #[command(flatten)]
    target: Target,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    control: Control,
}

#[derive(Debug, Subcommand)]
enum Control {
    /// Show the clock, or move it
    Clock {
        #[command(subcommand)]
        change: Option<Change>,
    },
    /// Show the devices that wait, or decide about one
    Device {
        #[arg(value_enum, requires = "code")]
        action: Option<DeviceAction>,
        /// The user code that the device shows
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
    /// Decide about an authorize URL and print the redirect, as a browser would be sent back
    Authorize {
        /// As the program under test made it
        #[arg(id = "authorize_url", value_name = "URL")]
        url: String,
        #[arg(value_enum, default_value = "approve")]
        action: UserAction,
    },
    /// Show the requests that came
    Requests,
    /// Forget codes, tokens and requests
    Reset,
    /// Say why a request was answered as it was
    Explain {
        /// The X-Tt-Logid of its answer
        logid: String,
    },
    /// Kill an access token, refresh token, PAT or SAT
    Revoke { token: String },
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Let time pass at once
    Advance {
        /// Such as 90s, 15m, 1h30m or 30d
        #[arg(value_parser = parse_duration)]
        time: std::time::Duration,
    },
    /// Set the time
    Set {
        /// Such as 2026-01-01T00:00:00Z
        time: String,
    },
    /// Stop the clock where it stands
    Freeze,
    /// Go back to the machine's time
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

fn word(action: impl ValueEnum) -> String {
    let name = action.to_possible_value();
    name.map(|name| name.get_name().to_owned())
        .unwrap_or_default()
}

/// A part of a path, whatever it was given as.
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
            return Err(Failure::Told(refusal(&answer)));
        }
        Ok(answer.json())
    };
    let text = match &args.control {
        Control::Clock { change: None } => show::clock(&send("GET", "/clock", None)?),
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
            show::clock(&send("POST", "/clock", Some(body))?)
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
        Control::Device { .. } => show::devices(&send("GET", "/device", None)?),
        Control::Authorize { url, action } => {
            let body = json!({ "url": url, "action": word(*action) });
            let answer = send("POST", "/authorize", Some(body))?;
            answer["redirect"].as_str().unwrap_or_default().to_owned()
        }
        Control::Requests => show::requests(&send("GET", "/requests", None)?),
        Control::Reset => {
            send("POST", "/reset", None)?;
            "codes, tokens and requests are forgotten".to_owned()
        }
        Control::Explain { logid } => {
            show::explanation(&send("GET", &format!("/explain/{}", part(logid)), None)?)
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

/// The mock's own words; of a refused authorize request also its rule.
fn refusal(answer: &Answer) -> String {
    let json = answer.json();
    let mut text = json["error"].as_str().unwrap_or("refused").to_owned();
    if json["rule"].is_string() {
        let _ = write!(text, "\n{}", show::explanation(&json));
    }
    text
}
