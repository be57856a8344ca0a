//! A program that is not a shim: it reads the server and the operation from its environment, runs once for each operation,
//! and is judged by its requests. `clients/url-mode/README.md` describes its environment.

mod cases;
mod program;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

pub(crate) use self::cases::{hollow, is_asked, is_on_the_wire, why_not};
use crate::client::{About, Answer, Broken, Client, Opening, Outcome};
use crate::folder::Folder;
use crate::reference::Reference;
use crate::subject::{Subject, TestContext};
use coze_auth_core::{Error, Flow};

/// What a program may be asked for. It declares nothing beforehand, and says of each case whether it is for it.
const CAPABILITIES: &[&str] = &[
    "web",
    "pkce",
    "device",
    "jwt",
    "workload",
    "workload.lane",
    "refresh",
    "api",
    "workspace",
    "callback",
    "jwt.scope",
    "jwt.session_name",
    "jwt.session_context",
    "jwt.account",
    "jwt.enterprise",
    "network",
];

/// Names of things of the runner, which say nothing to a program.
const HANDLES: [&str; 3] = ["as", "client", "attempt"];

/// A program in any language, run by a command.
#[derive(Debug)]
pub struct UrlMode {
    command: String,
    about: About,
    /// Beside the real time of the case: an interpreter is loaded each time.
    to_start: Duration,
    case: Option<Underway>,
}

#[derive(Debug)]
struct Underway {
    opening: Opening,
    /// Makes the authorize URL that the person's browser opens, and the state and the verifier of the login.
    logins: Reference<Offline>,
    /// What a client or an attempt was made of.
    made: HashMap<String, Map<String, Value>>,
    folder: Folder,
}

impl UrlMode {
    /// The program that the shell starts by this command.
    #[must_use]
    pub fn new(name: &str, command: &str) -> Self {
        Self {
            command: command.to_owned(),
            about: About {
                name: name.to_owned(),
                language: "any".to_owned(),
                runtime: "url-mode".to_owned(),
                caps: CAPABILITIES.iter().map(|&cap| cap.to_owned()).collect(),
                ..About::default()
            },
            to_start: Duration::from_secs(20),
            case: None,
        }
    }
}

impl Client for UrlMode {
    fn about(&self) -> &About {
        &self.about
    }

    fn tells(&self) -> bool {
        false
    }

    fn begin(&mut self, case: &Opening) -> Result<(), Broken> {
        let mut logins = Reference::new("logins");
        logins.begin(case)?;
        self.case = Some(Underway {
            opening: case.clone(),
            logins,
            made: HashMap::new(),
            folder: Folder::new()?,
        });
        Ok(())
    }

    fn call(&mut self, op: &str, args: &Map<String, Value>) -> Result<Answer, Broken> {
        let case = self.case.as_mut();
        let case = case.ok_or_else(|| Broken::Harness("no case has begun".to_owned()))?;
        let with = case.with(args);
        let result = match op {
            "client.new" => {
                if matches!(args["kind"].as_str(), Some("web" | "pkce")) {
                    // A page is opened without the secret, which is the program's to judge.
                    let mut args = args.clone();
                    if let Some(secret) = args.get_mut("client_secret") {
                        *secret = "unused".into();
                    }
                    case.logins.call(op, &args)?;
                }
                case.keep(args, with);
                Outcome::Ok(json!({}))
            }
            "web.authorize_url" | "pkce.authorize_url" => {
                let result = case.logins.call(op, args)?.result;
                if let Outcome::Ok(made) = &result {
                    let mut with = with;
                    for name in ["state", "code_verifier"] {
                        with.extend(made.get(name).map(|own| (name.to_owned(), own.clone())));
                    }
                    case.keep(args, with);
                }
                result
            }
            _ => {
                let patience = case.opening.patience + self.to_start;
                let folder = case.folder.path();
                program::run(&self.command, &case.opening, op, &with, folder, patience)?
            }
        };
        Ok(Answer {
            result,
            logs: Vec::new(),
        })
    }
}

impl Underway {
    /// All that an operation takes: of its client, of its attempt, and its own. What a program got before and has
    /// kept for itself is not there: nobody else knows it.
    fn with(&self, args: &Map<String, Value>) -> Map<String, Value> {
        let handles = HANDLES.iter().skip(1).filter_map(|name| args.get(*name));
        let made = handles.filter_map(|handle| self.made.get(handle.as_str()?));
        let mut with: Map<String, Value> = made.flatten().map(owned).collect();
        with.extend(args.iter().map(owned));
        with.retain(|name, value| !HANDLES.contains(&name.as_str()) && *value != program::KEPT);
        with
    }

    fn keep(&mut self, args: &Map<String, Value>, with: Map<String, Value>) {
        let handle = args.get("as").and_then(Value::as_str);
        self.made.extend(handle.map(|name| (name.to_owned(), with)));
    }
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// A transport that sends nothing.
#[derive(Debug)]
struct Offline;

impl Subject for Offline {
    fn new(_: &TestContext) -> Self {
        Self
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, _: F) -> Result<F::Output, Error> {
        Err(Error::FlowFinished)
    }
}
