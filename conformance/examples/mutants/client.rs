//! The reference client with what a mutant does between it and its caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use coze_auth_conformance::client::{About, Answer, Broken, Client, Failure, Opening, Outcome};
use coze_auth_conformance::{Reference, SharedClock};
use serde_json::{Map, Value};
use url::Url;

use crate::mutant::{Mutant, Told, Way};
use crate::spoiled::{Recording, Spoiled, locked};

pub(crate) struct Mutated {
    inner: Reference<Spoiled>,
    mutant: &'static Mutant,
    recording: Arc<Mutex<Recording>>,
    /// Of each attempt.
    states: HashMap<String, String>,
    /// What was granted.
    granted: HashMap<String, Value>,
    clock: Option<SharedClock>,
}

impl Mutated {
    pub(crate) fn new(mutant: &'static Mutant) -> Self {
        Self {
            inner: Reference::new(&mutant.name),
            mutant,
            recording: Arc::default(),
            states: HashMap::new(),
            granted: HashMap::new(),
            clock: None,
        }
    }

    /// What the library is asked for.
    fn asked(&self, op: &str, args: &Map<String, Value>) -> Map<String, Value> {
        let mut args = args.clone();
        for way in &self.mutant.ways {
            match way {
                Way::Asks(spoil) => spoil(op, &mut args),
                Way::Callback(spoil) => self.take_back(&mut args, *spoil),
                _ => {}
            }
        }
        args
    }

    fn take_back(
        &self,
        args: &mut Map<String, Value>,
        spoil: fn(&mut Vec<(String, String)>, &str),
    ) {
        let text = |name: &str| args.get(name).and_then(Value::as_str);
        let (Some(callback), Some(attempt)) = (text("callback"), text("attempt")) else {
            return;
        };
        let (Ok(mut url), Some(state)) = (Url::parse(callback), self.states.get(attempt)) else {
            return;
        };
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        spoil(&mut pairs, state);
        url.query_pairs_mut().clear().extend_pairs(pairs);
        args.insert("callback".to_owned(), url.as_str().into());
    }

    /// Remembers key and secret.
    fn look(&self, args: &Map<String, Value>) {
        let config = args.get("config").and_then(Value::as_object);
        let of = |name: &str| {
            config
                .unwrap_or(args)
                .get(name)?
                .as_str()
                .map(str::to_owned)
        };
        let mut recording = locked(&self.recording);
        recording.key = of("private_key").or_else(|| recording.key.take());
        recording.secret = of("client_secret").or_else(|| recording.secret.take());
    }
}

impl Client for Mutated {
    fn about(&self) -> &About {
        self.inner.about()
    }

    fn begin(&mut self, case: &Opening) -> Result<(), Broken> {
        self.recording = Arc::default();
        self.states.clear();
        self.granted.clear();
        self.clock = Some(case.clock.clone());
        Spoiled::made_for(self.mutant, &self.recording);
        self.inner.begin(case)
    }

    fn call(&mut self, op: &str, args: &Map<String, Value>) -> Result<Answer, Broken> {
        Spoiled::made_for(self.mutant, &self.recording);
        self.look(args);
        let remembers = self.mutant.does(|way| matches!(way, Way::Remembers));
        if let (Some(granted), true) = (self.granted.get(op), remembers) {
            return Ok(Answer {
                result: Outcome::Ok(granted.clone()),
                logs: Vec::new(),
            });
        }
        let mut answer = match self.inner.call(op, &self.asked(op, args)) {
            // There is no such thing, since the error was swallowed that said so.
            Err(Broken::Harness(why)) => Answer {
                result: Outcome::Err(Failure::new("other", why)),
                logs: Vec::new(),
            },
            answer => answer?,
        };
        let name = args.get("as").and_then(Value::as_str);
        if let (Some(name), Outcome::Ok(value)) = (name, &answer.result)
            && let Some(state) = value["state"].as_str()
        {
            self.states.insert(name.to_owned(), state.to_owned());
            locked(&self.recording).attempts.push(name.to_owned());
        }
        if let (Outcome::Ok(value), true) = (&answer.result, is_grant(op)) {
            self.granted.insert(op.to_owned(), value.clone());
        }
        let recording = locked(&self.recording);
        let attempt = args.get("attempt").and_then(Value::as_str);
        let state = attempt.and_then(|attempt| self.states.get(attempt));
        for way in &self.mutant.ways {
            match way {
                Way::Tells(spoil) => {
                    let clock = self.clock.as_ref();
                    let told = Told {
                        op,
                        args,
                        recording: &recording,
                        state: state.map(String::as_str),
                        now: clock.map_or(0, |clock| clock.now().unix.as_secs()),
                    };
                    spoil(&told, &mut answer.result);
                }
                Way::Logs(spoil) => answer.logs.extend(spoil(&recording)),
                _ => {}
            }
        }
        Ok(answer)
    }
}

/// Whether an operation gives tokens.
pub(crate) fn is_grant(op: &str) -> bool {
    let all = [
        "web.token",
        "pkce.token",
        "device.poll",
        "jwt.token",
        "workload.token",
        "refresh",
    ];
    all.contains(&op)
}
