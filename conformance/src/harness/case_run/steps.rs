//! The steps of a case, one after the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use url::Url;

use super::{CaseRun, Ended, is_secret};
use crate::case::{During, Step, Until};
use crate::client::{Client, Outcome};
use crate::clock::{SharedClock, locked};
use crate::observe::{self, Found, Missing};

/// How long, of real time, a step waits for requests that may come behind the caller's back.
const PATIENCE: Duration = Duration::from_secs(5);

impl CaseRun {
    pub(super) fn steps(&mut self, client: &mut dyn Client) -> Ended {
        if let Err(broken) = client.begin(&self.opening) {
            return Ended::of(broken);
        }
        for (index, step) in self.case.steps.clone().iter().enumerate() {
            let told = step
                .r#do
                .as_deref()
                .or(step.mock.as_deref())
                .unwrap_or("time");
            match self.repeated(client, step) {
                Ok(None) if self.stopped_at.is_some() => return Ended::Completed,
                Ok(None) => {}
                Ok(Some(ended)) => return ended,
                Err(Missing::NotGiven(path)) => {
                    self.stopped_at =
                        Some(format!("stopped at step {index}, {told}: {path} is absent"));
                    return Ended::Completed;
                }
                Err(Missing::Unknown(path)) => {
                    return Ended::Wrong(format!("step {index}, {told}: no step gives {path}"));
                }
            }
        }
        Ended::Completed
    }

    fn repeated(&mut self, client: &mut dyn Client, step: &Step) -> Result<Option<Ended>, Missing> {
        for _ in 1..step.times.unwrap_or(1) {
            let ended = self.step(client, step)?;
            if ended.is_some() || self.stopped_at.is_some() {
                return Ok(ended);
            }
        }
        self.step(client, step)
    }

    fn step(&mut self, client: &mut dyn Client, step: &Step) -> Result<Option<Ended>, Missing> {
        if let Some(seconds) = step.advance_s {
            self.clock.advance(Duration::from_secs_f64(seconds));
        } else if let Some(seconds) = step.leap_s {
            leap(&self.clock, seconds);
        } else if let Some(seconds) = step.ahead_s {
            self.clock.set_ahead(Duration::from_secs(seconds));
        } else if let Some(seconds) = step.behind_s {
            self.clock.set_behind(Duration::from_secs(seconds));
        } else if let Some(until) = &step.until {
            self.wait(until);
        } else if let Some(control) = &step.mock {
            let control = observe::fill_text(&self.document, control)?;
            let body = observe::fill_members(&self.document, &step.with)?;
            let Some(server_side) = &self.server_side else {
                return Ok(Some(Ended::Wrong(
                    "the real service has no controls".to_owned(),
                )));
            };
            match server_side.controls.call(&control, &body) {
                Ok(answer) => self.name(step, with_parts(&answer)),
                Err(why) => return Ok(self.refused(step, why)),
            }
        } else if let Some(op) = &step.r#do {
            let args = observe::fill_members(&self.document, &step.with)?;
            return self.operation(client, step, op, args);
        } else {
            return Ok(Some(Ended::Wrong("a step that does nothing".to_owned())));
        }
        self.document["now"] = self.clock.handle().unix().as_secs().into();
        Ok(None)
    }

    fn operation(
        &mut self,
        client: &mut dyn Client,
        step: &Step,
        op: &str,
        mut args: Map<String, Value>,
    ) -> Result<Option<Ended>, Missing> {
        if let (Some(name), true) = (&step.r#as, makes_a_handle(op)) {
            args.insert("as".to_owned(), name.as_str().into());
        }
        let trouble = self.watch(&step.during)?;
        self.begin(op, &args);
        let answer = client.call(op, &args);
        self.clock.unwatch();
        let trouble = locked(&trouble).clone();
        if let Some(why) = trouble {
            return Ok(self.refused(step, why));
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(broken) => return Ok(Some(Ended::of(broken))),
        };
        self.logs.extend(answer.logs);
        self.end(&answer.result);
        let value = match &answer.result {
            Outcome::Unsupported(why) => {
                let why = format!("{op}: {why}");
                return Ok(Some(match self.tells {
                    true => Ended::NotTestable(why),
                    false => Ended::NotApplicable(why),
                }));
            }
            Outcome::Ok(value) => json!({ "ok": with_parts(value) }),
            Outcome::Err(failure) => {
                self.errors.push(json!(failure).to_string());
                // As it is, where JSON would have escaped it.
                self.errors.push(failure.message.clone());
                json!({ "err": failure })
            }
        };
        for result in value["ok"]["results"].as_array().into_iter().flatten() {
            if let Some(failure) = result.get("err") {
                self.errors.push(failure.to_string());
            }
        }
        // What only this login knows, and what no mock has issued and would find.
        let names: &[&str] = match self.server_side {
            Some(_) => &["code_verifier"],
            None => &["code_verifier", "access_token", "refresh_token"],
        };
        let own = names.iter().filter_map(|name| value["ok"][name].as_str());
        let own = own.filter(|secret| is_secret(secret));
        self.secrets.extend(own.map(str::to_owned));
        self.document["last"] = value.clone();
        if makes_a_handle(op) && value.get("err").is_some() {
            // What would be done with it cannot be done; that it was refused may be right.
            self.stopped_at = Some(format!("stopped at {op}, which was refused"));
        }
        self.name(step, value);
        self.document["now"] = self.clock.handle().unix().as_secs().into();
        Ok(None)
    }

    /// A control of the mock was refused. If what the client gave went into it, such as the URL that a person is
    /// sent to, that is what is judged; else the case is wrong.
    fn refused(&mut self, step: &Step, why: String) -> Option<Ended> {
        let during = step.during.iter().flat_map(|one| {
            let control = one.mock.iter().cloned();
            control.chain([Value::Object(one.with.clone()).to_string()])
        });
        let own = Value::Object(step.with.clone()).to_string();
        let texts: Vec<String> = during.chain(step.mock.clone()).chain([own]).collect();
        let given = self.case.steps.iter().filter(|step| step.r#do.is_some());
        let is_given = given.filter_map(|step| step.r#as.as_ref()).any(|name| {
            let used = format!("${{{name}.");
            texts.iter().any(|text| text.contains(&used))
        });
        if !is_given {
            return Some(Ended::Wrong(why));
        }
        self.stopped_at = Some(format!("stopped at {why}"));
        None
    }

    /// What happens while the operation sleeps, and what went wrong with that.
    fn watch(&self, during: &[During]) -> Result<Arc<Mutex<Option<String>>>, Missing> {
        let trouble = Arc::new(Mutex::new(None));
        let mut all = Vec::new();
        for one in during {
            let control = one.mock.as_deref();
            let control = control.map(|control| observe::fill_text(&self.document, control));
            let body = observe::fill_members(&self.document, &one.with)?;
            all.push((
                one.at_sleep,
                control.transpose()?,
                body,
                one.leap_s,
                one.cancel,
            ));
        }
        let controls = self
            .server_side
            .as_ref()
            .map(|server_side| server_side.controls.clone());
        let (clock, noted) = (self.clock.clone(), trouble.clone());
        let limit = Duration::from_secs(self.case.limits.virtual_s);
        self.clock.watch(limit, move |number| {
            let mut cancelled = false;
            for (_, control, body, leaps, cancel) in all.iter().filter(|one| one.0 == number) {
                let control = control.as_deref().zip(controls.as_ref());
                if let Some(Err(why)) = control.map(|(control, to)| to.call(control, body)) {
                    *locked(&noted) = Some(why);
                }
                if let Some(seconds) = leaps {
                    leap(&clock, *seconds);
                }
                cancelled |= cancel;
            }
            cancelled
        });
        Ok(trouble)
    }

    fn name(&mut self, step: &Step, value: Value) {
        if let Some(name) = &step.r#as {
            self.document[name] = value;
        }
    }

    fn wait(&mut self, until: &Until) {
        let started = Instant::now();
        loop {
            self.look();
            let enough = match observe::find(&self.document, &until.at) {
                Found::One(Some(Value::Array(requests))) => {
                    let answered = requests
                        .iter()
                        .filter(|entry| entry["outcome"]["status"] != 0);
                    answered.count() >= until.count
                }
                _ => false,
            };
            if enough || started.elapsed() > PATIENCE {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A result with its URL, or where a browser is sent back to, taken apart.
fn with_parts(value: &Value) -> Value {
    let mut value = value.clone();
    let url = value["url"].as_str().or_else(|| value["redirect"].as_str());
    let url = url.and_then(|url| Url::parse(url).ok());
    if let Some(url) = url {
        let query: Map<String, Value> = url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect();
        value["parts"] = json!({
            "origin": url.origin().ascii_serialization(),
            "path": url.path(),
            "fragment": url.fragment(),
            "names": url.query_pairs().map(|(name, _)| name.into_owned()).collect::<Vec<_>>(),
            "query": query,
        });
    }
    value
}

fn makes_a_handle(op: &str) -> bool {
    matches!(
        op,
        "client.new"
            | "config.load"
            | "web.authorize_url"
            | "pkce.authorize_url"
            | "device.start"
            | "provider.new"
    )
}

fn leap(clock: &SharedClock, seconds: i64) {
    let (handle, by) = (clock.handle(), Duration::from_secs(seconds.unsigned_abs()));
    let now = handle.unix();
    handle.set(match seconds < 0 {
        true => now.saturating_sub(by),
        false => now + by,
    });
}
