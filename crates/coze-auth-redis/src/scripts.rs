//! The steps of the store, each one script over one key: a hash for each grant.
//!
//! | field | holds |
//! |---|---|
//! | `v` | the value: the grant's JSON, sealed if the store has keys. None where nobody is logged in |
//! | `r` | its revision, which each save and removal raises |
//! | `w` | which save wrote it, so that a repeated one is known |
//! | `h` | who holds the lease. It stays when its holder dies |
//! | `u`, `l` | when the lease ends by the server's clock, and how long it was granted for; milliseconds |
//! | `s` | since when it is held: the holder may be spending the refresh token since then |
//! | `d` | since when a holder that died, could not save, or ended in its request may have spent it. A save removes it |
//! | `f` | the fence, which each lease raises |
//!
//! Redis looks at memory before the first write of a script and never again (seen on Redis 6.2, 7.0, 8.2 and Valkey 8, 9). So the script that takes the lease
//! begins with a write that needs memory, and is refused while nothing is spent; the one that saves begins with one that
//! needs none, so that a pair that was paid for is stored. `PUBLISH` comes last, by `pcall`: a message before a write goes out even
//! if that is refused, and a user without the right to publish has stored all the same. None begins with `#!lua`, which would
//! refuse it as a whole.
//!
//! Each says what it has done before if it is repeated with the same holder and revision.

use std::fmt::Write as _;
use std::time::Duration;

use coze_auth_core::UnixTime;
use redis::{Cmd, Script, Value};
use zeroize::Zeroizing;

use crate::lease::Busy;

/// `text`, `num` and `now`, for each of the scripts. A number in Lua would become text as 1.79e+12, and is exact up to 2^53. What somebody else
/// wrote in the place of one counts as 0, as [`number`] has it: a login replaces it.
const HEAD: &str = r"
local function text(n) return string.format('%.0f', n) end
local function num(s)
  local n = s and string.match(s, '^%d+$') and tonumber(s) or 0
  return n < 2 ^ 53 and n or 0
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local k = KEYS[1]
";

/// Holder, lease, highest fence known, end of a lease that may be taken over, least time to live.
const LOCK: &str = r"
local h = redis.call('HMGET', k, 'v', 'r', 'f', 'h', 'u', 's', 'd', 'l')
local v, r, f, u = h[1] or '', num(h[2]), num(h[3]), num(h[5])
local mine = h[4] == ARGV[1]
if h[4] and not mine and u > now and text(u) ~= ARGV[4] then
  return {'busy', text(f), text(u), text(u - now), text(num(h[8]))}
end
r = text(r)
local since, doubt = text(now), h[7] or ''
if mine then
  since = h[6] or since
else
  if h[4] and doubt == '' then doubt = h[6] or since end
  f = math.max(f + 1, num(r) + 1, tonumber(ARGV[3]) + 1, now)
end
f = text(f)
local set = {'h', ARGV[1], 'u', text(now + ARGV[2]), 'l', ARGV[2], 's', since, 'f', f}
if doubt ~= '' then
  set[11], set[12] = 'd', doubt
end
local done = redis.pcall('HSET', k, unpack(set))
if type(done) == 'table' and done.err then
  return {'refused', f, r, doubt, v, done.err}
end
local ttl = redis.call('PTTL', k)
if ttl >= 0 and ttl < tonumber(ARGV[5]) or ttl < 0 and not h[2] then
  redis.call('PEXPIRE', k, ARGV[5])
end
return {'taken', f, r, doubt, v}
";

/// Holder, lease, least time to live.
const EXTEND: &str = r"
if redis.call('HGET', k, 'h') ~= ARGV[1] then return {'lost'} end
local ttl = redis.call('PTTL', k)
if ttl < 0 then
  redis.call('PERSIST', k)
else
  redis.call('PEXPIRE', k, math.max(ttl, tonumber(ARGV[3])))
end
redis.call('HSET', k, 'u', text(now + ARGV[2]))
return {'extended'}
";

/// Holder, revision that it replaces, its own, value, time to live, name of this save, channel. A lower revision is that of a store that went
/// back, which has nothing later: a logout leaves one that is higher.
const SAVE: &str = r"
local h = redis.call('HMGET', k, 'r', 'w', 'h')
if h[2] == ARGV[6] then return {'saved'} end
if num(h[1]) > tonumber(ARGV[2]) then return {'superseded'} end
redis.call('PEXPIRE', k, ARGV[5])
redis.call('HSET', k, 'v', ARGV[4], 'r', ARGV[3], 'w', ARGV[6])
redis.call('PEXPIRE', k, ARGV[5])
redis.call('HDEL', k, 'd')
if h[3] == ARGV[1] then redis.call('HDEL', k, 'h', 'u', 'l', 's') end
redis.pcall('PUBLISH', ARGV[7], '')
return {'saved'}
";

/// Holder, channel, 1 if the stored refresh token may be spent. A fence alone is not kept.
const RELEASE: &str = r"
local h = redis.call('HMGET', k, 'h', 'r', 's', 'd')
if h[1] ~= ARGV[1] then return {'lost'} end
if h[2] then
  redis.call('HDEL', k, 'h', 'u', 'l', 's')
  if ARGV[3] == '1' and not h[4] then redis.call('HSET', k, 'd', h[3]) end
else
  redis.call('DEL', k)
end
redis.pcall('PUBLISH', ARGV[2], '')
return {'released'}
";

/// Highest revision known, time to live, channel. The revision stays, so that nobody takes a logout for a loss. One that is done long after
/// it was given up, when somebody has logged in again, removes nothing.
const REMOVE: &str = r"
local r = num(redis.call('HGET', k, 'r'))
if r > tonumber(ARGV[1]) then return {'newer', text(r)} end
redis.call('HDEL', k, 'v', 'w', 'd', 'h', 'u', 'l', 's')
r = text(math.max(r + 1, tonumber(ARGV[1]) + 1, now))
redis.call('HSET', k, 'r', r)
redis.call('PEXPIRE', k, ARGV[2])
redis.pcall('PUBLISH', ARGV[3], '')
return {'removed', r}
";

/// Holder, revision, value or nothing, time to live. For a store that has gone back.
const RESTORE: &str = r"
if redis.call('HGET', k, 'h') ~= ARGV[1] then return {'lost'} end
if num(redis.call('HGET', k, 'r')) >= tonumber(ARGV[2]) then return {'newer'} end
redis.call('PEXPIRE', k, ARGV[4])
if ARGV[3] == '' then
  redis.call('HDEL', k, 'v')
  redis.call('HSET', k, 'r', ARGV[2])
else
  redis.call('HSET', k, 'v', ARGV[3], 'r', ARGV[2])
end
redis.call('PEXPIRE', k, ARGV[4])
redis.call('HDEL', k, 'w', 'd')
return {'restored'}
";

/// A step: its script with its key and arguments.
#[derive(Clone)]
pub(crate) struct Step {
    script: &'static Loaded,
    key: String,
    arguments: Vec<String>,
}

/// A script with its hash.
struct Loaded {
    text: String,
    hash: String,
}

macro_rules! scripts {
    ($($name:ident $script:ident),*) => {$(
        fn $name() -> &'static Loaded {
            static LOADED: std::sync::OnceLock<Loaded> = std::sync::OnceLock::new();
            LOADED.get_or_init(|| {
                let text = format!("{HEAD}{}", $script.trim_start());
                let hash = Script::new(&text).get_hash().to_owned();
                Loaded { text, hash }
            })
        }
    )*};
}
scripts!(lock_script LOCK, extend_script EXTEND, save_script SAVE, release_script RELEASE, remove_script REMOVE, restore_script RESTORE);

impl Step {
    /// By its hash, which the server knows after the first time.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    /// With its text.
    pub(crate) fn by_text(&self) -> Cmd {
        self.command("EVAL", &self.script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command
            .arg(script)
            .arg(1)
            .arg(&self.key)
            .arg(&self.arguments);
        command
    }
}

/// Where a grant is: its key, and the channel that wakes who waits for it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) channel: String,
}

impl Place {
    pub(crate) fn new(prefix: &str, id: String) -> Self {
        Self {
            key: format!("{prefix}{id}"),
            channel: format!("{prefix}wake:{id}"),
            id,
        }
    }

    fn step(&self, script: &'static Loaded, arguments: Vec<String>) -> Step {
        Step {
            script,
            key: self.key.clone(),
            arguments,
        }
    }

    pub(crate) fn lock(
        &self,
        holder: &str,
        lease: Duration,
        known_fence: u64,
        take_over: Option<u64>,
    ) -> Step {
        let arguments = vec![
            holder.to_owned(),
            millis(lease),
            known_fence.to_string(),
            take_over.unwrap_or(0).to_string(),
            millis(LEAST_LIFE),
        ];
        self.step(lock_script(), arguments)
    }

    pub(crate) fn extend(&self, holder: &str, lease: Duration) -> Step {
        let arguments = vec![holder.to_owned(), millis(lease), millis(LEAST_LIFE)];
        self.step(extend_script(), arguments)
    }

    pub(crate) fn save(&self, holder: &str, save: &Save) -> Step {
        let arguments = vec![
            holder.to_owned(),
            save.replaces.to_string(),
            save.revision.to_string(),
            save.value.to_string(),
            millis(save.life),
            save.name.clone(),
            self.channel.clone(),
        ];
        self.step(save_script(), arguments)
    }

    pub(crate) fn release(&self, holder: &str, may_be_spent: bool) -> Step {
        let may_be_spent = u8::from(may_be_spent).to_string();
        let arguments = vec![holder.to_owned(), self.channel.clone(), may_be_spent];
        self.step(release_script(), arguments)
    }

    pub(crate) fn remove(&self, known_revision: u64, life: Duration) -> Step {
        let arguments = vec![
            known_revision.to_string(),
            millis(life),
            self.channel.clone(),
        ];
        self.step(remove_script(), arguments)
    }

    pub(crate) fn restore(
        &self,
        holder: &str,
        revision: u64,
        value: Option<&str>,
        life: Duration,
    ) -> Step {
        let arguments = vec![
            holder.to_owned(),
            revision.to_string(),
            value.unwrap_or_default().to_owned(),
            millis(life),
        ];
        self.step(restore_script(), arguments)
    }

    /// The value and its revision, without a script: a script waits in a failover, and this does not.
    pub(crate) fn read(&self) -> Cmd {
        let mut command = redis::cmd("HMGET");
        command.arg(&self.key).arg("v").arg("r");
        command
    }
}

/// The least time that a key lives while its grant is changed.
const LEAST_LIFE: Duration = Duration::from_secs(600);

/// What is saved.
#[derive(Clone)]
pub(crate) struct Save {
    pub(crate) replaces: u64,
    pub(crate) revision: u64,
    pub(crate) value: Zeroizing<String>,
    pub(crate) life: Duration,
    /// Known to the server when it is repeated.
    pub(crate) name: String,
}

fn millis(time: Duration) -> String {
    let mut text = String::new();
    let _ = write!(text, "{}", time.as_millis());
    text
}

/// What stands in the hash.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) revision: u64,
    pub(crate) value: Option<String>,
}

/// The answer of the script that takes the lease.
pub(crate) enum Locked {
    Taken(Taken),
    Busy(Busy),
    /// It is free and cannot be taken: what the server says.
    Refused(Taken, String),
}

/// What the lease script has read, and the fence that it gave.
pub(crate) struct Taken {
    pub(crate) fence: u64,
    pub(crate) stored: Stored,
    /// Since when the refresh token may be spent.
    pub(crate) doubt: Option<UnixTime>,
}

/// The answer of any other script: the word that it begins with, and a number for some.
pub(crate) struct Said {
    pub(crate) word: String,
    pub(crate) number: u64,
}

/// The answer to `TIME`, in milliseconds.
pub(crate) fn time(answer: Value) -> Option<u64> {
    let [seconds, micros] = <[String; 2]>::try_from(texts(answer)?).ok()?;
    Some(number(&seconds) * 1000 + number(&micros) / 1000)
}

/// A number in a field, as the scripts read it.
fn number(field: &str) -> u64 {
    let digits = field.bytes().all(|byte| byte.is_ascii_digit());
    let number = field.parse().ok().filter(|number| *number < 1 << 53);
    number.filter(|_| digits).unwrap_or(0)
}

/// The texts of an answer. None: it is not a list of texts.
fn texts(answer: Value) -> Option<Vec<String>> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let text = |part| match part {
        // What is not UTF-8 is not a grant either, and is told as such.
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::SimpleString(text) => Some(text),
        Value::Nil => Some(String::new()),
        _ => None,
    };
    parts.into_iter().map(text).collect()
}

impl Locked {
    pub(crate) fn of(answer: Value) -> Option<Self> {
        let mut parts = texts(answer)?.into_iter();
        let word = parts.next()?;
        let mut number = || parts.next()?.parse::<u64>().ok();
        if word == "busy" {
            return Some(Self::Busy(Busy {
                fence: number()?,
                until: number()?,
                left: Duration::from_millis(number()?),
                length: Duration::from_millis(number()?),
            }));
        }
        let (fence, revision) = (number()?, number()?);
        let doubt = parts.next()?.parse::<u64>().ok();
        let value = parts.next()?;
        let taken = Taken {
            fence,
            stored: Stored {
                revision,
                value: (!value.is_empty()).then_some(value),
            },
            doubt: doubt.map(|millis| UnixTime::from_secs(millis / 1000)),
        };
        match word.as_str() {
            "taken" => Some(Self::Taken(taken)),
            "refused" => Some(Self::Refused(taken, parts.next()?)),
            _ => None,
        }
    }
}

impl Stored {
    pub(crate) fn of(answer: Value) -> Option<Self> {
        let [value, revision] = <[String; 2]>::try_from(texts(answer)?).ok()?;
        Some(Self {
            revision: number(&revision),
            value: (!value.is_empty()).then_some(value),
        })
    }
}

impl Said {
    pub(crate) fn of(answer: Value) -> Option<Self> {
        let mut parts = texts(answer)?.into_iter();
        Some(Self {
            word: parts.next()?,
            number: parts.next().and_then(|text| text.parse().ok()).unwrap_or(0),
        })
    }
}
