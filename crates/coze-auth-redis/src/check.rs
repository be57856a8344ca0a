//! What of the server's settings endangers logins.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coze_auth_store::Notices;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, Value, from_redis_value};
use tokio::task::spawn_blocking;

use crate::connect::{ConnectError, Link, connect};
use crate::options::RedisOptions;
use crate::scripts::{Place, Save};
use crate::trouble::{Trouble, is_unknown_command};

/// How far two clocks may be apart before it is told.
const APART: Duration = Duration::from_secs(5);

/// Something about the server that endangers logins: what was found, what follows from it, and the command that mends it.
///
/// `Display` says all of it in a sentence for an operator.
///
/// ```
/// use coze_auth_redis::{ConnectError, Danger, RedisOptions};
///
/// async fn at_start(options: &RedisOptions) -> Result<(), ConnectError> {
///     for finding in options.check().await? {
///         eprintln!("warning: {finding}"); // appendonly says `no`: …
///         if finding.danger() == Danger::Eviction {
///             // not for logins
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    danger: Danger,
    found: String,
    mend: String,
}

/// What a [`Finding`] is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Danger {
    /// The user lacks a right that the store needs.
    Right,
    /// Writes are refused at the moment: memory is full, a save has failed, replicas are missing.
    Refused,
    /// Logins may be evicted when memory is full.
    Eviction,
    /// The server keeps only snapshots and no append-only file, so a crash loses what was written since the last snapshot.
    AppendOnly,
    /// The append-only file is not synced to the disk at each write.
    Fsync,
    /// The last snapshot, or the last write to the append-only file, failed.
    SaveFailed,
    /// There are replicas, and the primary takes writes without them.
    Replicas,
    /// The server's clock and ours are apart.
    Clock,
    /// Something could not be looked at.
    NotLooked,
}

impl Danger {
    /// Its name in a log: `eviction`, `append-only`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Refused => "refused",
            Self::Eviction => "eviction",
            Self::AppendOnly => "append-only",
            Self::Fsync => "fsync",
            Self::SaveFailed => "save-failed",
            Self::Replicas => "replicas",
            Self::Clock => "clock",
            Self::NotLooked => "not-looked",
        }
    }

    /// What follows from it.
    pub const fn endangers(self) -> &'static str {
        match self {
            Self::Right => "the store does not work, or does not wake who waits",
            Self::Refused => "no login can be renewed or stored until it passes",
            Self::Eviction => {
                "when memory is full, Redis removes logins, and their people have to log in again"
            }
            Self::AppendOnly => {
                "a crash loses the renewals since the last snapshot, up to an hour with the packaged save points, and \
                 their people have to log in again"
            }
            Self::Fsync => {
                "a crash of the machine loses the renewals of the last second (everysec) or half a minute (no), and while the disk \
                 is slow so does the end of Redis alone; their people have to log in again"
            }
            Self::SaveFailed => {
                "Redis refuses writes while it lasts (MISCONF), or loses them at a crash"
            }
            Self::Replicas => {
                "a primary that is cut off goes on taking renewals, which are lost when a replica takes its place, and their \
                 people have to log in again"
            }
            Self::Clock => {
                "the end of leases and logins moves when the server's clock is set right; if ours is the wrong one, a token \
                 that has ended is taken for valid, or the other way round"
            }
            Self::NotLooked => "what endangers logins there is not known",
        }
    }
}

impl Finding {
    /// What it is about.
    pub fn danger(&self) -> Danger {
        self.danger
    }

    /// What was found, such as a setting with its value.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What mends it: commands for the server, mostly.
    pub fn mend(&self) -> &str {
        &self.mend
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            danger,
            found,
            mend,
        } = self;
        write!(f, "{found}: {}. {mend}", danger.endangers())
    }
}

impl RedisOptions {
    /// Looks at the server and tells what endangers logins there; nothing if all is well. It connects by itself, so a caller that waits for
    /// a token does not wait for it.
    ///
    /// It reads `INFO` and some settings by `CONFIG GET`; a managed service may refuse those, and then that is a finding
    /// ([`Danger::NotLooked`]) and the rest is looked at. And it does each step of the store once with a key of its own, which it
    /// removes again: a connection proves no right.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the server was not reached, or was lost in the middle.
    pub async fn check(&self) -> Result<Vec<Finding>, ConnectError> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.answer_within));
        let mut looking = Looking {
            link: connect(self, config).await?,
            options: self,
            findings: Vec::new(),
        };
        looking.rights().await?;
        looking.settings().await?;
        looking.clock().await?;
        Ok(looking.findings)
    }

    /// The least rights of the user, for `ACL SETUSER NAME on >PASSWORD …`: keys and channels of the prefix, and the commands of the
    /// store and of [`check`](Self::check).
    ///
    /// ```
    /// use coze_auth_redis::RedisOptions;
    ///
    /// # fn main() -> Result<(), coze_auth_redis::SettingsError> {
    /// let options = RedisOptions::from_url("redis://redis.internal")?;
    /// assert_eq!(
    ///     options.rights(),
    ///     "resetkeys ~coze:* resetchannels &coze:* -@all +del +eval +evalsha +hdel +hget +hmget +hset +persist +pexpire \
    ///      +pttl +publish +subscribe +time +unsubscribe +info +config|get"
    /// );
    /// # Ok(()) }
    /// ```
    pub fn rights(&self) -> String {
        let prefix = &self.prefix;
        let mut rights = format!("resetkeys ~{prefix}* resetchannels &{prefix}* -@all");
        let select = (self.database != 0).then_some("select");
        for command in COMMANDS.iter().chain(&LOOKS).copied().chain(select) {
            rights.push_str(" +");
            rights.push_str(command);
        }
        rights
    }
}

/// What the token sources over a store are told of the server.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) notices: Notices,
    /// The number of the connection after which it was looked at, or [`DONE`].
    after: AtomicU64,
}

const DONE: u64 = u64::MAX;

impl Watch {
    /// Has the server looked at in the background, once somebody listens: nobody waits for it. What could not be done is done after
    /// the next connection; this is the one of this number.
    pub(crate) fn look(self: &Arc<Self>, options: &RedisOptions, number: u64) {
        if self.after.load(Ordering::Acquire) >= number
            || !self.notices.is_heard()
            || self.after.fetch_max(number, Ordering::AcqRel) >= number
        {
            return;
        }
        let (watch, options) = (self.clone(), options.clone());
        tokio::spawn(async move {
            let findings = match options.check().await {
                Ok(findings) => {
                    watch.after.store(DONE, Ordering::Release);
                    findings
                }
                Err(error) => vec![Finding {
                    danger: Danger::NotLooked,
                    found: format!("the server could not be looked at ({error})"),
                    mend:
                        "It is tried again after the next connection; RedisStore::check does it now"
                            .to_owned(),
                }],
            };
            for finding in findings {
                let name = finding.danger.name();
                watch.notices.note(format!("Redis, {name}: {finding}"));
            }
            // It may block.
            spawn_blocking(move || watch.notices.tell());
        });
    }
}

/// The commands of the store, those in its scripts among them. `HELLO` and `AUTH` are for everybody.
const COMMANDS: [&str; 14] = [
    "del",
    "eval",
    "evalsha",
    "hdel",
    "hget",
    "hmget",
    "hset",
    "persist",
    "pexpire",
    "pttl",
    "publish",
    "subscribe",
    "time",
    "unsubscribe",
];
/// What is only looked with.
const LOOKS: [&str; 2] = ["info", "config|get"];
/// How long the key of a check lives at most, should it not be removed.
const KEY_LIVES: Duration = Duration::from_secs(60);

/// One look at a server.
struct Looking<'a> {
    link: Link,
    options: &'a RedisOptions,
    findings: Vec<Finding>,
}

impl Looking<'_> {
    fn tell(&mut self, danger: Danger, found: impl Into<String>, mend: impl Into<String>) {
        self.findings.push(Finding {
            danger,
            found: found.into(),
            mend: mend.into(),
        });
    }

    /// The user, as `ACL SETUSER` takes it.
    fn user(&self) -> &str {
        self.options.login.username.as_deref().unwrap_or("default")
    }

    /// What the server answers to a command. The inner error is its own refusal.
    async fn ask<T: FromRedisValue>(
        &mut self,
        command: &[&str],
    ) -> Result<Result<T, RedisError>, ConnectError> {
        let mut sent = Cmd::new();
        sent.arg(command);
        match sent.query_async(&mut self.link.connection).await {
            Err(error) if error.is_io_error() => Err(self.link.lost(error)),
            answer => Ok(answer),
        }
    }

    /// Each right by itself, since the refusal of a script does not always name the command; then each step of the store.
    async fn rights(&mut self) -> Result<(), ConnectError> {
        let holder = holder();
        let place = Place::new(&self.options.prefix, format!("check:{holder}"));
        let (key, channel) = (place.key.as_str(), place.channel.as_str());
        let lives = KEY_LIVES.as_millis().to_string();
        let commands: [&[&str]; 14] = [
            &["TIME"],
            &["HMGET", key, "v", "r"],
            &["HGET", key, "r"],
            &["PTTL", key],
            &["HSET", key, "h", &holder],
            &["PERSIST", key],
            &["PEXPIRE", key, &lives],
            &["HDEL", key, "h"],
            &["EVAL", "return 1", "1", key],
            // It is not there, and a user without the right is told so before.
            &[
                "EVALSHA",
                "0000000000000000000000000000000000000000",
                "1",
                key,
            ],
            &["SUBSCRIBE", channel],
            &["PUBLISH", channel, ""],
            &["UNSUBSCRIBE", channel],
            &["DEL", key],
        ];
        let mut allowed = true;
        for command in commands {
            let refused = match command[0] {
                "SUBSCRIBE" => self.link.connection.subscribe(channel).await.err(),
                "UNSUBSCRIBE" => self.link.connection.unsubscribe(channel).await.err(),
                _ => self.ask::<Value>(command).await?.err(),
            };
            match refused {
                Some(error) if error.is_io_error() => return Err(self.link.lost(error)),
                Some(error) => allowed &= self.refused(command[0], &error),
                None => {}
            }
        }
        if allowed {
            self.steps(&place, &holder).await?;
        }
        Ok(())
    }

    /// What the scripts do, on a key that is not there before nor after.
    async fn steps(&mut self, place: &Place, holder: &str) -> Result<(), ConnectError> {
        let save = Save {
            replaces: 1,
            revision: 2,
            value: "check".to_owned().into(),
            life: KEY_LIVES,
            name: holder.to_owned(),
        };
        let lease = Duration::from_secs(1);
        let lock = || ("lease", place.lock(holder, lease, 0, None), "taken");
        let steps = [
            lock(),
            ("release", place.release(holder, false), "released"),
            lock(),
            ("extend", place.extend(holder, lease), "extended"),
            (
                "restore",
                place.restore(holder, 1, None, KEY_LIVES),
                "restored",
            ),
            ("save", place.save(holder, &save), "saved"),
            ("remove", place.remove(2, KEY_LIVES), "removed"),
        ];
        for (name, step, expected) in steps {
            let mut answer = step.by_hash().query_async(&mut self.link.connection).await;
            if let Err(error) = &answer
                && RedisError::code(error) == Some("NOSCRIPT")
            {
                answer = step.by_text().query_async(&mut self.link.connection).await;
            }
            let said = match answer {
                Err(error) if error.is_io_error() => return Err(self.link.lost(error)),
                Err(error) => {
                    self.refused(name, &error);
                    break;
                }
                Ok(said) => said,
            };
            let said: Vec<String> = from_redis_value(said).unwrap_or_default();
            match said.first().map(String::as_str) {
                Some(word) if word == expected => {}
                Some("refused") => {
                    self.writes_refused(said.last().map_or("", String::as_str));
                    break;
                }
                _ => {
                    self.tell(
                        Danger::Refused,
                        format!("the step `{name}` did not do what it should"),
                        "Is it Redis or Valkey itself? A service that speaks its protocol may run scripts in another way",
                    );
                    break;
                }
            }
        }
        let _: Result<Value, RedisError> = self.ask(&["DEL", &place.key]).await?;
        Ok(())
    }

    /// Tells what was refused. True if it is not a right.
    fn refused(&mut self, command: &str, error: &RedisError) -> bool {
        let code = error.code().unwrap_or_default().to_owned();
        let text = error.detail().unwrap_or_default().to_owned();
        match code.as_str() {
            "NOSCRIPT" => return true,
            "NOPERM" => {}
            _ if text.contains("ACL failure in script")
                || text.contains("The user executing the script") => {}
            _ if is_unknown_command(&text) => {
                self.tell(
                    Danger::Right,
                    format!("{command} is not a command of this server"),
                    "Take a server that has it: a managed service may have switched it off, or rename-command has",
                );
                return false;
            }
            _ => {
                self.writes_refused(&format!("{code} {text}"));
                return true;
            }
        }
        let prefix = &self.options.prefix;
        // `… the 'x' key`, `a key`, `one of the keys …`; a prefix has no space in it.
        let right = if text.contains(" channel") {
            format!("&{prefix}*")
        } else if text.contains(" key") {
            format!("~{prefix}*")
        } else {
            format!("+{}", command.to_ascii_lowercase())
        };
        let (found, mend) = (
            format!(
                "the user {} may not do {command}: it lacks {right}",
                self.user()
            ),
            format!("ACL SETUSER {} {right}", self.user()),
        );
        // Each command fails for the same pattern.
        if !self.findings.iter().any(|other| other.mend == mend) {
            self.tell(Danger::Right, found, mend);
        }
        false
    }

    /// Tells that the server takes no writes at the moment, once.
    fn writes_refused(&mut self, said: &str) {
        let said = Trouble::Server(said.to_owned());
        let code = said.code();
        let mend = match code {
            "OOM" => {
                "Memory is full (maxmemory): give it more, or look what fills it (redis-cli --bigkeys)"
            }
            "MISCONF" => "It cannot save to its disk: look into its log, mend that, then BGSAVE",
            "NOREPLICAS" => {
                "It has fewer replicas than min-replicas-to-write: look at INFO replication, and start the missing one"
            }
            "READONLY" => "It has become a replica: name the primary or the sentinels",
            _ => "Look into its log",
        };
        if !self.findings.iter().any(|other| other.mend == mend) {
            self.tell(
                Danger::Refused,
                format!("writes are refused ({code})"),
                mend,
            );
        }
    }

    async fn settings(&mut self) -> Result<(), ConnectError> {
        let info: HashMap<String, String> = match self.ask::<String>(&["INFO"]).await? {
            Ok(text) => text
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            Err(error) => {
                self.not_looked("INFO", "+info", &error);
                HashMap::new()
            }
        };
        let of_info = |name: &str| info.get(name).cloned();
        let config = self.config(info.is_empty()).await?;
        let of_config = |name: &str| config.get(name).cloned();

        let maxmemory = of_info("maxmemory").or_else(|| of_config("maxmemory"));
        let policy = of_info("maxmemory_policy").or_else(|| of_config("maxmemory-policy"));
        if let (Some(maxmemory), Some(policy)) = (maxmemory, policy)
            && maxmemory != "0"
            && policy != "noeviction"
        {
            self.tell(
                Danger::Eviction,
                format!("maxmemory-policy is {policy}, with maxmemory {maxmemory}"),
                "CONFIG SET maxmemory-policy noeviction, and the line `maxmemory-policy noeviction` in its configuration; or give \
                 logins a server of their own",
            );
        }
        let has_file = match of_info("aof_enabled") {
            Some(enabled) => Some(enabled == "1"),
            None => of_config("appendonly").map(|value| value == "yes"),
        };
        if has_file == Some(false) {
            self.tell(
                Danger::AppendOnly,
                "appendonly says `no`",
                "CONFIG SET appendonly yes first, and then the line `appendonly yes` in its configuration (CONFIG REWRITE): with the \
                 line alone it comes up empty at the next start. appendfsync has to say `always` then",
            );
        }
        let synced =
            of_config("appendfsync").filter(|value| has_file != Some(false) && value != "always");
        if let Some(synced) = synced {
            self.tell(
                Danger::Fsync,
                format!("appendfsync says `{synced}`"),
                "CONFIG SET appendfsync always, and the line `appendfsync always` in its configuration",
            );
        }
        for (name, what, mend) in [
            (
                "rdb_last_bgsave_status",
                "the last snapshot (BGSAVE) failed",
                "Look into its log, mend the disk or the rights of its folder, then BGSAVE",
            ),
            (
                "aof_last_write_status",
                "the last write to the append-only file failed",
                "Look into its log, mend the disk or the rights of its folder",
            ),
        ] {
            if of_info(name).is_some_and(|status| status != "ok") {
                self.tell(Danger::SaveFailed, what, mend);
            }
        }
        let replicas = of_info("connected_slaves").filter(|count| count != "0");
        // INFO has this line only where a number of replicas is asked for.
        let asked = match of_config("min-replicas-to-write") {
            Some(number) => number != "0",
            None => info.contains_key("min_slaves_good_slaves"),
        };
        if let Some(replicas) = replicas
            && !asked
        {
            self.tell(
                Danger::Replicas,
                format!("min-replicas-to-write is 0, with {replicas} connected"),
                "CONFIG SET min-replicas-to-write 1, and the line `min-replicas-to-write 1` in the configuration of each server",
            );
        }
        Ok(())
    }

    /// Settings that INFO does not tell; all of them without INFO. One by one, since older servers take no list and a pattern
    /// would fetch the server's password along.
    async fn config(&mut self, all: bool) -> Result<HashMap<String, String>, ConnectError> {
        let names = [
            "appendfsync",
            "min-replicas-to-write",
            "appendonly",
            "maxmemory",
            "maxmemory-policy",
        ];
        let mut config = HashMap::new();
        for name in &names[..if all { names.len() } else { 2 }] {
            match self
                .ask::<HashMap<String, String>>(&["CONFIG", "GET", name])
                .await?
            {
                Ok(setting) => config.extend(setting),
                Err(error) => {
                    self.not_looked("CONFIG GET", "+config|get", &error);
                    break;
                }
            }
        }
        Ok(config)
    }

    async fn clock(&mut self) -> Result<(), ConnectError> {
        let began = unix_time();
        // What is refused was told with the rights.
        let Ok((seconds, _)) = self.ask::<(u64, u64)>(&["TIME"]).await? else {
            return Ok(());
        };
        let theirs = Duration::from_secs(seconds);
        if let Some((by, which)) = apart(theirs, began, unix_time()) {
            self.tell(
                Danger::Clock,
                format!(
                    "the server's clock is {} s {which} this machine's",
                    by.as_secs()
                ),
                "Look which one is wrong (timedatectl), and let it follow a time server (chrony, systemd-timesyncd)",
            );
        }
        Ok(())
    }

    /// Something that this user or this server does not let us look at.
    fn not_looked(&mut self, command: &str, right: &str, error: &RedisError) {
        let mend = match error.code() {
            Some("NOPERM") => format!("ACL SETUSER {} {right}, or look yourself", self.user()),
            _ => "A managed service may not have it (look into its console), or rename-command has switched it off".to_owned(),
        };
        let code = error.code().unwrap_or("no code").to_owned();
        self.tell(
            Danger::NotLooked,
            format!("{command} is refused ({code})"),
            mend,
        );
    }
}

/// How far their clock, in whole seconds, is from ours, if that is too far. It was asked for between these two moments.
fn apart(theirs: Duration, began: Duration, ended: Duration) -> Option<(Duration, &'static str)> {
    let (by, which) = match theirs > ended {
        true => (theirs - ended, "ahead of"),
        // Told without its fraction.
        false => (
            began.saturating_sub(theirs + Duration::from_secs(1)),
            "behind",
        ),
    };
    (by > APART).then_some((by, which))
}

/// A name that no other check has at the same time.
fn holder() -> String {
    let mut random = [0_u8; 16];
    // Without random numbers two checks at once may see each other's key, and no login is touched.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::apart;

    #[test]
    fn two_clocks_are_apart_only_if_no_moment_of_the_call_explains_it() {
        let at = Duration::from_secs_f64;
        // An answer that took ten seconds may be of any of them.
        for theirs in [995.0, 999.0, 1000.0, 1005.0, 1010.0, 1015.0] {
            assert_eq!(apart(at(theirs), at(1000.9), at(1010.0)), None, "{theirs}");
        }
        let hour = at(3600.0);
        assert_eq!(
            apart(at(1010.0) + hour, at(1000.0), at(1010.0)),
            Some((hour, "ahead of"))
        );
        assert_eq!(
            apart(at(6399.0), at(10_000.0), at(10_010.0)),
            Some((hour, "behind"))
        );
        assert_eq!(
            apart(at(1016.0), at(1000.0), at(1010.0)),
            Some((at(6.0), "ahead of"))
        );
        assert_eq!(
            apart(at(993.0), at(1000.0), at(1010.0)),
            Some((at(6.0), "behind"))
        );
    }
}
