//! The reports of the runner, of a client that shows each secret that it was given or got, in all that it says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coze_auth_conformance::baseline::Baseline;
use coze_auth_conformance::client::{About, Answer, Broken, Client, Failure, Opening, Outcome};
use coze_auth_conformance::{Case, Harness, Plan, Reference, cases, report, run};
use serde_json::{Map, Value, json};

use crate::logs;
use crate::raw_socket::RawSocket;
use crate::secrets::Kind;
use crate::texts::{Name, Part, Texts};

/// The flows, by the first word of their cases.
pub(crate) const PART: Part = Part {
    who: &["runner"],
    flows: &[
        ("web", &[SECRET, CODE, ACCESS, REFRESH]),
        ("pkce", &[CODE, ACCESS, REFRESH, VERIFIER]),
        ("device", &[ACCESS, REFRESH]),
        ("jwt", &[KEY, ACCESS]),
        ("refresh", &[SECRET, CODE, ACCESS, REFRESH, VERIFIER]),
        ("workload", &[SECRET, ACCESS]),
        ("tokens", &[PAT]),
    ],
    failures: &[FINE, FAILS, OTHER, PANICS, BREAKS],
    places: &["terminal", "JSON", "HTML", "JUnit", "TAP", "Markdown"],
    cannot: &[],
};

const FINE: Name = "success";
const FAILS: Name = "the client's error quotes them";
const OTHER: Name = "the client gives others";
const PANICS: Name = "the client panics";
const BREAKS: Name = "the client breaks off";

const SECRET: Kind = "client secret of a case";
const CODE: Kind = "authorization code of a case";
const ACCESS: Kind = "access token of a case";
const REFRESH: Kind = "refresh token of a case";
const VERIFIER: Kind = "code verifier of a case";
const KEY: Kind = "private key of a case";
const PAT: Kind = "PAT of a case";

type Heard = Arc<Mutex<BTreeMap<String, Kind>>>;

fn locked(heard: &Heard) -> MutexGuard<'_, BTreeMap<String, Kind>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reference client, until it has something to tell.
struct Chatters {
    inner: Reference<RawSocket>,
    failure: Name,
    /// What it has heard in this case, and in all.
    case: Heard,
    all: Heard,
}

impl Chatters {
    fn hear(&self, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.hear(value);
                    // What it said before may come back.
                    let own = |text: &&str| text.len() >= 12 && !text.contains("token=");
                    let Some(text) = value.as_str().filter(own) else {
                        continue;
                    };
                    let kind = match &**name {
                        "client_secret" => SECRET,
                        "access_token" => ACCESS,
                        "refresh_token" => REFRESH,
                        "code_verifier" => VERIFIER,
                        "token" => PAT,
                        "private_key" => KEY,
                        "callback" => CODE,
                        _ => continue,
                    };
                    let secrets: Vec<String> = match kind {
                        KEY => text.lines().map(str::to_owned).collect(),
                        CODE => {
                            let query = text.rsplit('?').next().unwrap_or_default();
                            let members = url::form_urlencoded::parse(query.as_bytes());
                            let codes = members.filter(|(name, _)| name == "code");
                            codes.map(|(_, value)| value.into_owned()).collect()
                        }
                        _ => vec![text.to_owned()],
                    };
                    for secret in secrets {
                        if secret.len() >= 12 && !secret.starts_with('-') {
                            locked(&self.case).entry(secret.clone()).or_insert(kind);
                            locked(&self.all).entry(secret).or_insert(kind);
                        }
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.hear(item)),
            _ => {}
        }
    }

    /// All of it, as it is and as others write it.
    fn words(&self) -> String {
        let heard = locked(&self.case);
        let each = heard.keys().map(|secret| {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            format!(
                "<{secret}> \"{secret}\" token={secret}; {url} {} {hex}\n",
                STANDARD.encode(secret)
            )
        });
        each.collect()
    }
}

impl Client for Chatters {
    fn about(&self) -> &About {
        self.inner.about()
    }

    fn begin(&mut self, case: &Opening) -> Result<(), Broken> {
        locked(&self.case).clear();
        self.inner.begin(case)
    }

    fn call(&mut self, op: &str, args: &Map<String, Value>) -> Result<Answer, Broken> {
        self.hear(&Value::Object(args.clone()));
        let mut answer = self.inner.call(op, args)?;
        if let Outcome::Ok(value) = &answer.result {
            self.hear(value);
        }
        let words = self.words();
        answer.logs.push(words.clone());
        let asks = op.ends_with(".token") || ["refresh", "device.poll", "api.call"].contains(&op);
        if !asks {
            return Ok(answer);
        }
        match self.failure {
            FAILS => {
                let mut failure = Failure::new("other", &*words);
                failure.code = Some(words.clone());
                failure.logid = Some(words.clone());
                failure.name = Some(words.into());
                answer.result = Outcome::Err(failure);
            }
            OTHER => {
                let other = json!(words);
                if let Outcome::Ok(Value::Object(members)) = &mut answer.result {
                    members
                        .values_mut()
                        .for_each(|value| *value = other.clone());
                }
            }
            PANICS => panic!("cannot send {words}"),
            BREAKS => return Err(Broken::Client(words)),
            _ => {}
        }
        Ok(answer)
    }
}

fn played(flow: Name) -> Vec<Case> {
    let all = cases().unwrap_or_else(|problem| panic!("{problem}"));
    let of_flow = all
        .iter()
        .filter(|case| case.id.split('.').next() == Some(flow));
    // Later ones make up tokens, which are words of the suite and no secrets.
    of_flow.take(5).cloned().collect()
}

pub(crate) fn all(texts: &mut Texts) {
    let harness = Harness::new();
    for (flow, kinds) in PART.flows {
        let cases = played(flow);
        for failure in PART.failures {
            let all = Heard::default();
            let plan = Plan::new("chatters", 1, || {
                Ok(Box::new(Chatters {
                    inner: Reference::new("chatters"),
                    failure,
                    case: Heard::default(),
                    all: all.clone(),
                }))
            });
            let known = Baseline::default();
            let runs = run(&harness, &[plan], &cases, &known, None);
            // Of a panic that is on purpose.
            drop(logs::panics());
            texts.at(PART.who[0], flow, failure);
            let told = runs[0].cases.iter().map(report::terminal::case);
            texts.look(
                "terminal",
                report::terminal::runs(&runs) + &told.collect::<String>(),
            );
            texts.look(
                "JSON",
                report::json::whole(&runs) + &report::json::lines(&runs),
            );
            texts.look("HTML", report::html::html(&runs));
            texts.look("JUnit", report::junit::junit(&runs));
            texts.look("TAP", report::tap::tap(&runs));
            texts.look("Markdown", report::markdown::markdown(&runs));
            let heard = locked(&all);
            let found: BTreeSet<Kind> = heard.values().copied().collect();
            let missing: Vec<_> = kinds.iter().filter(|kind| !found.contains(*kind)).collect();
            assert!(missing.is_empty(), "{flow}, {failure}: {missing:?}");
            for (secret, kind) in heard.iter() {
                texts.needles.add(kind, secret.as_bytes());
            }
        }
    }
}
