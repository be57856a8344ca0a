//! What it came to: the mock's journal and what the processes said, held against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use coze_auth_mock::JournalEntry;

use crate::lives::{Failed, Log};
use crate::worker::FROM;

/// So many of a kind are told one by one.
const MOST_TOLD: usize = 5;

#[derive(Default)]
pub(crate) struct Account {
    /// Lives of a token, in each of which it has to be refreshed once.
    needed: usize,
    made: usize,
    /// Refresh tokens that the mock saw a second time, whose rotation was for a process that was killed before it had stored it.
    lost_by_kills: usize,
    /// How often each was tried, all together.
    refused_after_kills: usize,
    /// Refusals of any other reason.
    refused_else: usize,
    /// Calls that failed, and why they had to.
    failed_for_login: usize,
    failed_without_redis: usize,
    /// Calls that failed though a valid token could be had.
    failed_needlessly: Vec<String>,
    /// Logins that a person had to repeat.
    logins: usize,
    /// Lives by their number of signatures.
    signatures: BTreeMap<usize, usize>,
    /// Signatures of processes that were killed before they had shared what they were given.
    signed_and_killed: usize,
    signed_else: usize,
    /// Tokens that were handed out, and are not the ones of their life.
    foreign: usize,
    handed_out: usize,
    /// Of what nothing explains, for who looks into it.
    stories: Vec<String>,
    kills: usize,
    redis_kills: usize,
    seconds: f64,
}

impl Account {
    pub(crate) fn of(log: &Log) -> Self {
        let mut account = Self {
            needed: log.lives as usize,
            logins: log.logins.len() - 1,
            kills: log.killed.len(),
            redis_kills: log.away.len(),
            handed_out: log.given.len(),
            seconds: log.took.as_secs_f64(),
            ..Self::default()
        };
        account.refreshes(log);
        account.signatures(log);
        account.tokens(log);
        for failed in &log.failed {
            account.failure(log, failed);
        }
        account
    }

    fn refreshes(&mut self, log: &Log) {
        let is_refresh = |entry: &&JournalEntry| entry.grant == Some("refresh_token");
        let all: Vec<_> = log.journal.iter().filter(is_refresh).collect();
        let granted = |entry: &&&JournalEntry| entry.issued.is_some();
        self.made = all.iter().filter(granted).count();
        let mut lost = BTreeSet::new();
        for refused in all.iter().filter(|entry| entry.issued.is_none()) {
            let presented = refused.presented.as_ref();
            let rotation = all
                .iter()
                .filter(granted)
                .find(|entry| entry.presented.as_ref() == presented && entry.seq < refused.seq);
            match rotation {
                Some(rotation) if is_lost_by_kill(log, &all, rotation) => {
                    self.refused_after_kills += 1;
                    lost.insert(rotation.seq);
                }
                _ => {
                    self.refused_else += 1;
                    let rotation = rotation.map_or_else(
                        || "never rotated".to_owned(),
                        |rotation| format!("rotated: {}", story(log, rotation)),
                    );
                    let refused = story(log, refused);
                    self.stories
                        .push(format!("refused: {refused}; its token was {rotation}"));
                }
            }
        }
        self.lost_by_kills = lost.len();
    }

    fn signatures(&mut self, log: &Log) {
        for life in 1..=log.lives {
            let signed: Vec<_> = log
                .journal
                .iter()
                .filter(|entry| entry.grant == Some("jwt_bearer") && life_of(log, entry) == life)
                .collect();
            *self.signatures.entry(signed.len()).or_default() += 1;
            // The one that all had.
            let mut more = signed.len().saturating_sub(1);
            for entry in &signed {
                if more > 0 && was_killed(log, entry) && !was_given_on(log, entry) {
                    self.signed_and_killed += 1;
                    more -= 1;
                }
            }
            self.signed_else += more;
            if more > 0 {
                let signed = signed.iter().map(|entry| story(log, entry));
                let signed = signed.collect::<Vec<_>>().join("; ");
                self.stories.push(format!("signed: {signed}"));
            }
        }
    }

    /// Each token that was handed out is the mock's of that life, or that of a login in it.
    fn tokens(&mut self, log: &Log) {
        let mut issued: BTreeMap<&str, u32> = BTreeMap::new();
        for entry in &log.journal {
            if let Some(tokens) = &entry.issued {
                issued.insert(&tokens.access, life_of(log, entry));
            }
        }
        let is_foreign = |print: &str, life| issued.get(print) != Some(&life);
        self.foreign = log
            .given
            .iter()
            .filter(|given| is_foreign(&given.print, given.life))
            .count();
    }

    fn failure(&mut self, log: &Log, failed: &Failed) {
        let of_life = log
            .given
            .iter()
            .filter(|given| (given.life, given.kind) == (failed.life, failed.kind));
        let had: Vec<_> = of_life.filter(|given| given.ended < failed.began).collect();
        let was_away = log
            .away
            .iter()
            .any(|(from, to)| *from < failed.ended && failed.began < *to);
        let in_process = had.iter().any(|given| given.by == failed.by);
        let in_redis = !had.is_empty() && !was_away;
        if in_process || in_redis {
            let place = if in_process { "the process" } else { "Redis" };
            self.failed_needlessly.push(format!(
                "life {}, {}, process {}: {place} had a token: {}",
                failed.life,
                failed.kind.name(),
                failed.by,
                failed.text
            ));
        } else if failed.needs_login {
            self.failed_for_login += 1;
        } else if was_away {
            self.failed_without_redis += 1;
        } else {
            self.failed_needlessly.push(format!(
                "life {}, {}, process {}: nothing was wrong: {}",
                failed.life,
                failed.kind.name(),
                failed.by,
                failed.text
            ));
        }
    }

    /// What is not as it must be where Redis keeps what it has answered.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        let (made, needed) = (self.made, self.needed);
        must(
            made == needed,
            format!("{made} refreshes were made, and {needed} needed"),
        );
        let else_ = self.refused_else;
        must(
            else_ == 0,
            format!("{else_} refresh tokens were refused, and no kill explains it"),
        );
        let (logins, lost) = (self.logins, self.lost_by_kills);
        must(
            logins == lost,
            format!("{logins} logins were lost, and kills explain {lost}"),
        );
        let signed = self.signed_else;
        must(
            signed == 0,
            format!("{signed} signatures too many, and no kill explains it"),
        );
        let foreign = self.foreign;
        must(
            foreign == 0,
            format!("{foreign} tokens of another life were handed out"),
        );
        let unsigned = self.signatures.get(&0).copied().unwrap_or_default();
        must(
            unsigned == 0,
            format!("{unsigned} lives without a signature"),
        );
        for story in self.stories.iter().take(MOST_TOLD) {
            must(false, story.clone());
        }
        let failed = self.failed_needlessly.len();
        must(
            failed == 0,
            format!("{failed} calls failed though a valid token could be had"),
        );
        for failure in self.failed_needlessly.iter().take(MOST_TOLD) {
            must(false, failure.clone());
        }
        wrong
    }
}

/// The life in which a request came.
fn life_of(log: &Log, entry: &JournalEntry) -> u32 {
    log.begins.partition_point(|begins| *begins <= entry.seq) as u32
}

/// The process that was answered was killed in that life.
fn was_killed(log: &Log, entry: &JournalEntry) -> bool {
    let name = entry.headers.get(FROM.as_str());
    let life = life_of(log, entry);
    log.killed
        .iter()
        .any(|killed| Some(&killed.name) == name && killed.life == life)
}

/// Who asked in which life, what struck in it, and what became of the answer.
fn story(log: &Log, entry: &JournalEntry) -> String {
    let life = life_of(log, entry);
    let name = entry.headers.get(FROM.as_str());
    let end = log
        .killed
        .iter()
        .find(|killed| Some(&killed.name) == name)
        .map_or_else(
            || "lived on".to_owned(),
            |killed| format!("was killed in life {}", killed.life),
        );
    let access = entry.issued.as_ref().map(|issued| &issued.access);
    let given = log
        .given
        .iter()
        .filter(|given| Some(&given.print) == access);
    let given: BTreeSet<&str> = given.map(|given| given.by.as_str()).collect();
    let strike = log.strikes.get(life as usize - 1);
    format!(
        "request {} of {name:?}, life {life} ({strike:?}), which {end}; given to {given:?}",
        entry.seq
    )
}

/// Somebody else was given what this answer gave, so it was stored.
fn was_given_on(log: &Log, entry: &JournalEntry) -> bool {
    let access = entry.issued.as_ref().map(|issued| &issued.access);
    let name = entry.headers.get(FROM.as_str());
    log.given
        .iter()
        .any(|given| Some(&given.print) == access && Some(&given.by) != name)
}

/// Its answer was for a process that was killed in that life, and what it gave is nowhere: nobody was given its access token, the one that was
/// killed included, and nobody has presented its refresh token.
fn is_lost_by_kill(log: &Log, all: &[&JournalEntry], rotation: &JournalEntry) -> bool {
    let issued = rotation.issued.as_ref().expect("it was granted");
    let is_presented = all
        .iter()
        .any(|entry| entry.presented.is_some() && entry.presented == issued.refresh);
    let is_given = log.given.iter().any(|given| given.print == issued.access);
    was_killed(log, rotation) && !is_presented && !is_given
}

/// The figures, with those of Debian's settings beside them.
pub(crate) fn table(ours: &Account, debian: Option<&Account>) -> String {
    type Row = (&'static str, fn(&Account) -> String);
    let rows: [Row; 15] = [
        ("processes killed", |a| a.kills.to_string()),
        ("Redis killed", |a| a.redis_kills.to_string()),
        ("refreshes needed", |a| a.needed.to_string()),
        ("refreshes made", |a| a.made.to_string()),
        (
            "grants that were lost with a killed process, between the endpoint's act and the save",
            |a| a.lost_by_kills.to_string(),
        ),
        (
            "  refusals of their refresh tokens that the mock saw",
            |a| a.refused_after_kills.to_string(),
        ),
        ("all other refusals of a refresh token", |a| {
            a.refused_else.to_string()
        }),
        ("logins that a person had to repeat", |a| {
            a.logins.to_string()
        }),
        ("signatures per user and life", |a| {
            let (most, lives) = a
                .signatures
                .iter()
                .max_by_key(|(_, lives)| **lives)
                .expect("a life");
            match a.signatures.len() {
                1 => most.to_string(),
                _ => format!("{most} in {lives} of {}", a.needed),
            }
        }),
        (
            "  signatures more, of a process that was killed before it had shared its token",
            |a| a.signed_and_killed.to_string(),
        ),
        ("tokens handed out", |a| a.handed_out.to_string()),
        ("  of another life, or of nobody", |a| a.foreign.to_string()),
        ("calls that failed for want of a login or of Redis", |a| {
            (a.failed_for_login + a.failed_without_redis).to_string()
        }),
        ("calls that failed though a valid token could be had", |a| {
            a.failed_needlessly.len().to_string()
        }),
        ("seconds", |a| format!("{:.0}", a.seconds)),
    ];
    let mut table = format!("\n{:<86} {:>18}", "", "append-only file*");
    if debian.is_some() {
        let _ = write!(table, " {:>18}", "Debian's settings");
    }
    table.push('\n');
    for (what, figure) in rows {
        let _ = write!(table, "{what:<86} {:>18}", figure(ours));
        if let Some(debian) = debian {
            let _ = write!(table, " {:>18}", figure(debian));
        }
        table.push('\n');
    }
    table + "* appendonly yes, appendfsync always\n"
}
