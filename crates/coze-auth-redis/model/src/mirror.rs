//! The scripts of the store as the model does them: what `differential` holds to the real ones.

use std::collections::BTreeMap;

use redis::Cmd;

use crate::scripts::{Place, Save};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Script {
    Lock,
    Extend,
    Save,
    Release,
    Remove,
    Restore,
}

/// What a command sends.
pub(crate) fn words(command: &Cmd) -> Vec<String> {
    let word = |argument| match argument {
        redis::Arg::Simple(bytes) => String::from_utf8(Vec::from(bytes)).unwrap(),
        _ => panic!("no cursor"),
    };
    command.args_iter().map(word).collect()
}

/// The scripts by their hash.
pub(crate) fn hashes() -> BTreeMap<String, Script> {
    let place = Place::new("", "id".to_owned());
    let time = std::time::Duration::ZERO;
    let save = Save {
        replaces: 0,
        revision: 0,
        value: String::new().into(),
        life: time,
        name: String::new(),
    };
    [
        (place.lock("", time, 0, None), Script::Lock),
        (place.extend("", time), Script::Extend),
        (place.save("", &save), Script::Save),
        (place.release("", false), Script::Release),
        (place.remove(0, time), Script::Remove),
        (place.restore("", 0, None, time), Script::Restore),
    ]
    .map(|(step, script)| (words(&step.by_hash()).swap_remove(1), script))
    .into()
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Hash {
    pub(crate) fields: BTreeMap<String, String>,
    /// When it ends by itself, by the server's clock, in milliseconds.
    pub(crate) ends: Option<u64>,
}

impl Hash {
    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    fn number(&self, field: &str) -> u64 {
        self.get(field).map_or(0, |text| text.parse().unwrap())
    }

    fn set(&mut self, field: &str, value: impl ToString) {
        self.fields.insert(field.to_owned(), value.to_string());
    }

    fn delete(&mut self, fields: &[&str]) {
        for field in fields {
            self.fields.remove(*field);
        }
    }
}

/// The keys of a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Keys(pub(crate) BTreeMap<String, Hash>);

/// What a script answers, and the channel to which it has published.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Done {
    pub(crate) answer: Vec<String>,
    pub(crate) woken: Option<String>,
}

fn said(word: &str) -> Done {
    Done {
        answer: vec![word.to_owned()],
        woken: None,
    }
}

fn woke(word: &str, channel: &str) -> Done {
    Done {
        woken: Some(channel.to_owned()),
        ..said(word)
    }
}

impl Keys {
    /// Removes what has ended.
    pub(crate) fn expire(&mut self, now: u64) {
        self.0
            .retain(|_, hash| hash.ends.is_none_or(|ends| ends > now));
    }

    pub(crate) fn run(&mut self, script: Script, key: &str, args: &[String], now: u64) -> Done {
        self.expire(now);
        let mut hash = self.0.remove(key).unwrap_or_default();
        let done = match script {
            Script::Lock => lock(&mut hash, args, now),
            Script::Extend => extend(&mut hash, args, now),
            Script::Save => save(&mut hash, args, now),
            Script::Release => release(&mut hash, args),
            Script::Remove => remove(&mut hash, args, now),
            Script::Restore => restore(&mut hash, args, now),
        };
        // A hash without fields is not there.
        if !hash.fields.is_empty() {
            self.0.insert(key.to_owned(), hash);
        }
        self.expire(now);
        done
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

fn lock(hash: &mut Hash, args: &[String], now: u64) -> Done {
    let [holder, lease, known, take_over, least_life] = args else {
        panic!("{args:?}");
    };
    let text = |field: &str, none: &str| hash.get(field).unwrap_or(none).to_owned();
    let (value, revision, mut fence) = (text("v", ""), text("r", "0"), text("f", "0"));
    let held = hash.get("h").map(str::to_owned);
    let mine = held.as_ref() == Some(holder);
    let until = text("u", "0");
    if held.is_some() && !mine && number(&until) > now && until != *take_over {
        let left = number(&until) - now;
        return Done {
            answer: vec![
                "busy".to_owned(),
                fence,
                until,
                left.to_string(),
                text("l", "0"),
            ],
            woken: None,
        };
    }
    let since = text("s", &now.to_string());
    let mut doubt = text("d", "");
    let had_revision = hash.get("r").is_some();
    if !mine {
        if held.is_some() && doubt.is_empty() {
            doubt.clone_from(&since);
        }
        fence = [
            number(&fence) + 1,
            number(&revision) + 1,
            number(known) + 1,
            now,
        ]
        .into_iter()
        .max()
        .unwrap()
        .to_string();
    }
    hash.set("h", holder);
    hash.set("u", now + number(lease));
    hash.set("l", lease);
    hash.set("s", if mine { since } else { now.to_string() });
    hash.set("f", &fence);
    if !doubt.is_empty() {
        hash.set("d", &doubt);
    }
    let ends = now + number(least_life);
    match hash.ends {
        Some(has) if has < ends => hash.ends = Some(ends),
        None if !had_revision => hash.ends = Some(ends),
        _ => {}
    }
    Done {
        answer: vec!["taken".to_owned(), fence, revision, doubt, value],
        woken: None,
    }
}

fn extend(hash: &mut Hash, args: &[String], now: u64) -> Done {
    let [holder, lease, least_life] = args else {
        panic!("{args:?}");
    };
    if hash.get("h") != Some(holder) {
        return said("lost");
    }
    hash.ends = hash.ends.map(|ends| ends.max(now + number(least_life)));
    hash.set("u", now + number(lease));
    said("extended")
}

fn save(hash: &mut Hash, args: &[String], now: u64) -> Done {
    let [holder, replaces, revision, value, life, name, channel] = args else {
        panic!("{args:?}");
    };
    if hash.get("w") == Some(name) {
        return said("saved");
    }
    if hash.number("r") > number(replaces) {
        return said("superseded");
    }
    hash.set("v", value);
    hash.set("r", revision);
    hash.set("w", name);
    hash.ends = Some(now + number(life));
    hash.delete(&["d"]);
    if hash.get("h") == Some(holder) {
        hash.delete(&["h", "u", "l", "s"]);
    }
    woke("saved", channel)
}

fn release(hash: &mut Hash, args: &[String]) -> Done {
    let [holder, channel, may_be_spent] = args else {
        panic!("{args:?}");
    };
    if hash.get("h") != Some(holder) {
        return said("lost");
    }
    if hash.get("r").is_some() {
        if may_be_spent == "1" && hash.get("d").is_none() {
            let since = hash.get("s").unwrap().to_owned();
            hash.set("d", since);
        }
        hash.delete(&["h", "u", "l", "s"]);
    } else {
        hash.fields.clear();
    }
    woke("released", channel)
}

fn remove(hash: &mut Hash, args: &[String], now: u64) -> Done {
    let [known, life, channel] = args else {
        panic!("{args:?}");
    };
    if hash.number("r") > number(known) {
        let mut done = said("newer");
        done.answer.push(hash.number("r").to_string());
        return done;
    }
    let revision = (hash.number("r") + 1).max(number(known) + 1).max(now);
    hash.delete(&["v", "w", "d", "h", "u", "l", "s"]);
    hash.set("r", revision);
    hash.ends = Some(now + number(life));
    let mut done = woke("removed", channel);
    done.answer.push(revision.to_string());
    done
}

fn restore(hash: &mut Hash, args: &[String], now: u64) -> Done {
    let [holder, revision, value, life] = args else {
        panic!("{args:?}");
    };
    if hash.get("h") != Some(holder) {
        return said("lost");
    }
    if hash.number("r") >= number(revision) {
        return said("newer");
    }
    match value.as_str() {
        "" => hash.delete(&["v"]),
        value => hash.set("v", value),
    }
    hash.set("r", revision);
    hash.ends = Some(now + number(life));
    hash.delete(&["w", "d"]);
    said("restored")
}
