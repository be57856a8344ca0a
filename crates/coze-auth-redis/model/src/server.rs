//! The engine: keys, a clock that leaps, copies that it goes back to, and a network that loses, delays and repeats calls. It watches
//! itself what must hold of each step that it does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::mirror::{Done, Keys, Script, hashes};

/// How many states the server can go back by.
const COPIES: usize = 6;

/// What goes wrong: of a thousand commands so many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Done, and nothing is answered.
    pub(crate) unanswered: u64,
    /// Done some seconds later, and nothing is answered.
    pub(crate) late: u64,
    /// Never done, and nothing is answered.
    pub(crate) lost: u64,
    /// The connection breaks, before or after.
    pub(crate) broken: u64,
    /// Done and answered, and done again some seconds later.
    pub(crate) repeated: u64,
    /// Of a thousand steps of the walk's director: a leap of the clock, a start from an older copy, a worker that dies, a worker that is
    /// cut off from the server.
    pub(crate) leaps: u64,
    pub(crate) restores: u64,
    pub(crate) deaths: u64,
    pub(crate) cuts: u64,
    /// And a time in which the server takes no writes.
    pub(crate) refusals: u64,
}

impl Trouble {
    /// Whether nothing is so bad that a refresh token may be spent twice.
    pub(crate) fn stores_can_help(&self) -> bool {
        self.late + self.lost + self.leaps + self.restores + self.deaths + self.cuts + self.refusals
            == 0
    }
}

/// A process's way to the server.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) server: Arc<Mutex<Server>>,
    pub(crate) process: u32,
}

pub(crate) struct Server {
    pub(crate) dice: Dice,
    pub(crate) trouble: Trouble,
    keys: Keys,
    copies: VecDeque<Keys>,
    hashes: BTreeMap<String, Script>,
    known: BTreeSet<String>,
    began: Instant,
    /// Its clock, at the beginning of the walk and by leaps since, in milliseconds.
    clock: u64,
    /// Which start of it this is. Its connections end with it.
    starts: watch::Sender<u32>,
    subscribed: Vec<(String, mpsc::UnboundedSender<String>)>,
    /// Processes that are dead, and those that are cut off until then.
    pub(crate) dead: BTreeSet<u32>,
    /// It takes no writes until then.
    pub(crate) refuses: Option<Instant>,
    /// What becomes of the next script of a process, each once.
    pub(crate) planned: Vec<(u32, Script, Fate)>,
    pub(crate) cut: BTreeMap<u32, Instant>,
    pub(crate) watched: Watched,
}

/// What was seen and must hold.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) steps: u64,
    /// Who was told that it has the lease, and until when by a clock that does not leap.
    told: BTreeMap<String, Instant>,
    /// The fence of the lease that stands, and its holder.
    fence: (u64, String),
    highest_fence: u64,
    /// The highest generation whose save was answered, unless the server has gone back since.
    pub(crate) saved: u64,
    /// Whether the clock was ever set back: then a server that starts empty can give a lower fence to a new process.
    set_back: bool,
    pub(crate) restores: u64,
    pub(crate) leapt: u64,
    pub(crate) wrong: Vec<String>,
    pub(crate) log: Vec<String>,
}

/// The number of the refresh token in a stored value.
pub(crate) fn generation(value: &str) -> u64 {
    let (_, rest) = value.split_once("rt_").expect("a refresh token");
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap()
}

impl Server {
    pub(crate) fn new(seed: u64, trouble: Trouble) -> Self {
        Self {
            dice: Dice::new(seed),
            trouble,
            keys: Keys::default(),
            copies: VecDeque::new(),
            hashes: hashes(),
            known: BTreeSet::new(),
            began: Instant::now(),
            clock: 1_795_000_000_000,
            starts: watch::Sender::new(0),
            subscribed: Vec::new(),
            dead: BTreeSet::new(),
            refuses: None,
            planned: Vec::new(),
            cut: BTreeMap::new(),
            watched: Watched::default(),
        }
    }

    fn now(&self) -> u64 {
        let passed = self.began.elapsed().as_millis();
        self.clock + u64::try_from(passed).unwrap()
    }

    pub(crate) fn note(&mut self, text: String) {
        let passed = self.began.elapsed().as_millis();
        self.watched.log.push(format!("{passed:>7} {text}"));
    }

    pub(crate) fn wrong(&mut self, text: String) {
        self.note(format!("WRONG: {text}"));
        self.watched.wrong.push(text);
    }

    /// How many writes ago this was stored last, with or without somebody's lease.
    pub(crate) fn back_to(&self, stored: u64, is_held: bool) -> usize {
        let is_it = |keys: &Keys| {
            let hash = keys.0.values().next();
            let value = hash.and_then(|hash| hash.get("v")).map(generation);
            let holder = hash.and_then(|hash| hash.get("h"));
            value == Some(stored) && holder.is_some() == is_held
        };
        let at = self.copies.iter().rposition(is_it);
        self.copies.len() - at.expect("it was so")
    }

    /// From now on it knows all scripts, so that none is sent twice.
    pub(crate) fn learn(&mut self) {
        self.known = self.hashes.keys().cloned().collect();
    }

    /// Who has the lease by its word.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.keys.0.values().next()?.get("h")
    }

    /// What is stored: its generation.
    pub(crate) fn stored(&self) -> Option<u64> {
        let hash = self.keys.0.values().next()?;
        hash.get("v").map(generation)
    }

    /// The clock leaps.
    pub(crate) fn leap(&mut self, millis: i64) {
        self.clock = self.clock.saturating_add_signed(millis);
        self.watched.told.clear();
        self.watched.leapt += 1;
        self.watched.set_back |= millis < 0;
        self.note(format!("the clock leaps by {millis} ms"));
    }

    /// It starts anew, from a copy that is so many writes old. Without so many: empty.
    pub(crate) fn restart(&mut self, back: usize) {
        let place = self.copies.len().checked_sub(back);
        self.keys = match place {
            _ if back == 0 => self.keys.clone(),
            Some(place) => self.copies[place].clone(),
            None => Keys::default(),
        };
        if back > 0 {
            self.watched.told.clear();
            self.watched.restores += 1;
        }
        self.copies.clear();
        self.known.clear();
        self.subscribed.clear();
        self.starts.send_modify(|starts| *starts += 1);
        let now = self.now();
        self.keys.expire(now);
        if back > 0 {
            self.watched.saved = self.stored().unwrap_or(0);
            self.watched.fence = (0, String::new());
        }
        let stored = self.stored();
        self.note(format!("starts anew, {back} writes back, with {stored:?}"));
    }

    fn run(&mut self, script: Script, key: &str, args: &[String]) -> Done {
        let now = self.now();
        let before = self.keys.clone();
        let done = self.keys.run(script, key, args, now);
        if self.keys != before {
            self.copies.push_back(before.clone());
            if self.copies.len() > COPIES {
                self.copies.pop_front();
            }
        }
        if let Some(channel) = &done.woken {
            let message = format!(
                ">3\r\n$7\r\nmessage\r\n${}\r\n{channel}\r\n$0\r\n\r\n",
                channel.len()
            );
            self.subscribed
                .retain(|(name, to)| name != channel || to.send(message.clone()).is_ok());
        }
        self.watch(script, &before, key, args, &done);
        done
    }

    /// Looks whether a step broke what must hold.
    fn watch(&mut self, script: Script, before: &Keys, key: &str, args: &[String], done: &Done) {
        let field = |keys: &Keys, name: &str| {
            let hash = keys.0.get(key);
            hash.and_then(|hash| hash.get(name)).map(str::to_owned)
        };
        let word = done.answer[0].as_str();
        let holder = args[0].as_str();
        self.watched.steps += 1;
        let short = &holder[..holder.len().min(4)];
        let told = &done.answer[..done.answer.len().min(4)];
        self.note(format!("{script:?} of {short}: {told:?}"));
        let now = Instant::now();
        match (script, word) {
            (Script::Lock, "taken") | (Script::Extend, "extended") => {
                let other = self
                    .watched
                    .told
                    .iter()
                    .find(|(who, until)| who.as_str() != holder && **until > now);
                if let Some((other, _)) = other {
                    let other = other[..4].to_owned();
                    self.wrong(format!(
                        "{short} and {other} were told that they have the lease"
                    ));
                }
                let length = Duration::from_millis(args[1].parse().unwrap());
                self.watched.told.insert(holder.to_owned(), now + length);
            }
            // Of its own accord.
            (Script::Save, "saved") | (Script::Release, "released") => {
                self.watched.told.remove(holder);
            }
            _ => {}
        }
        if let (Script::Lock, "taken") = (script, word) {
            let fence: u64 = done.answer[1].parse().unwrap();
            let stands = field(before, "h").as_deref() == Some(holder);
            let (known, who) = &self.watched.fence;
            let again = stands && who == holder;
            if again && *known != fence {
                self.wrong(format!(
                    "{short} asked again for the lease that it has: another fence"
                ));
            }
            if !stands && fence <= self.watched.highest_fence && !self.watched.set_back {
                self.wrong(format!("the fence {fence} was given before"));
            }
            self.watched.fence = (fence, holder.to_owned());
            self.watched.highest_fence = self.watched.highest_fence.max(fence);
        }
        let (old, new) = (field(before, "v"), field(&self.keys, "v"));
        let (old, new) = (
            old.as_deref().map(generation),
            new.as_deref().map(generation),
        );
        if let (Script::Remove, "removed") = (script, word) {
            self.watched.saved = 0;
        } else if old != new && new < old {
            self.wrong(format!("{script:?} put {new:?} in the place of {old:?}"));
        }
        if new.unwrap_or(0) < self.watched.saved {
            let saved = self.watched.saved;
            self.wrong(format!("{saved} was saved, and {new:?} is stored"));
        }
    }

    /// Its answer while it takes no writes. The lease script tells what it has read.
    fn refusal(&self, script: Script, key: &str, args: &[String]) -> Option<String> {
        const SAYS: &str = "NOREPLICAS Not enough good replicas to write.";
        self.refuses.filter(|until| *until > Instant::now())?;
        let mut done = self.keys.clone().run(script, key, args, self.now());
        match (script, done.answer[0].as_str()) {
            (Script::Lock, "taken") => {
                done.answer[0] = "refused".to_owned();
                done.answer.push(SAYS.to_owned());
                let text = |part: &String| format!("${}\r\n{part}\r\n", part.len());
                let parts: String = done.answer.iter().map(text).collect();
                Some(format!("*{}\r\n{parts}", done.answer.len()))
            }
            // What only reads is done.
            (_, "busy" | "lost" | "superseded" | "newer") => None,
            _ => Some(format!("-{SAYS}\r\n")),
        }
    }

    fn answer(&mut self, words: &[String]) -> (String, Option<String>) {
        let text = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let answer = match (words[0].as_str(), &words[1..]) {
            ("HELLO", _) => "%1\r\n$6\r\nserver\r\n$5\r\nmodel\r\n".to_owned(),
            ("CLIENT", _) => "+OK\r\n".to_owned(),
            ("EVALSHA", [hash, ..]) if !self.known.contains(hash) => {
                "-NOSCRIPT No matching script.\r\n".to_owned()
            }
            (eval @ ("EVALSHA" | "EVAL"), [script, _, key, args @ ..]) => {
                let hash = match eval {
                    "EVAL" => redis::Script::new(script).get_hash().to_owned(),
                    _ => script.clone(),
                };
                let script = self.hashes[&hash];
                self.known.insert(hash);
                if let Some(refused) = self.refusal(script, key, args) {
                    return (refused, None);
                }
                let done = self.run(script, key, args);
                let parts: String = done.answer.iter().map(|part| text(part)).collect();
                format!("*{}\r\n{parts}", done.answer.len())
            }
            ("TIME", []) => {
                let now = self.now();
                let parts = [now / 1000, now % 1000 * 1000].map(|part| text(&part.to_string()));
                format!("*2\r\n{}", parts.concat())
            }
            ("HMGET", [key, fields @ ..]) => {
                let now = self.now();
                self.keys.expire(now);
                let hash = self.keys.0.get(key);
                let field = |name: &String| match hash.and_then(|hash| hash.get(name)) {
                    Some(value) => text(value),
                    None => "_\r\n".to_owned(),
                };
                let parts: String = fields.iter().map(field).collect();
                format!("*{}\r\n{parts}", fields.len())
            }
            ("SUBSCRIBE", [channel]) => {
                let answer = format!(">3\r\n$9\r\nsubscribe\r\n{}:1\r\n", text(channel));
                return (answer, Some(channel.clone()));
            }
            ("UNSUBSCRIBE", [channel]) => {
                format!(">3\r\n$11\r\nunsubscribe\r\n{}:0\r\n", text(channel))
            }
            other => panic!("{other:?}"),
        };
        (answer, None)
    }
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Answered,
    Unanswered,
    /// After so many milliseconds.
    Late(u64),
    Lost,
    BrokenBefore,
    BrokenAfter,
    /// Once more, after so many milliseconds.
    Repeated(u64),
}

impl Server {
    fn fate(&mut self, process: u32, words: &[String]) -> Fate {
        if matches!(words[0].as_str(), "HELLO" | "CLIENT") {
            return Fate::Answered;
        }
        let script = match words[0].as_str() {
            "EVALSHA" => self.hashes.get(&words[1]).copied(),
            _ => None,
        };
        let is_it =
            |(who, which, _): &(u32, Script, Fate)| *who == process && Some(*which) == script;
        if let Some(at) = self.planned.iter().position(is_it) {
            let (_, _, fate) = self.planned.remove(at);
            self.note(format!("planned for {process}: {script:?} is {fate:?}"));
            return fate;
        }
        let trouble = self.trouble;
        let mut number = self.dice.below(1000);
        let pause = self.dice.between(20, 25_000);
        for (cases, fate) in [
            (trouble.unanswered, Fate::Unanswered),
            (trouble.late, Fate::Late(pause)),
            (trouble.lost, Fate::Lost),
            (trouble.broken / 2, Fate::BrokenBefore),
            (trouble.broken / 2, Fate::BrokenAfter),
            (trouble.repeated, Fate::Repeated(pause)),
        ] {
            if number < cases {
                return fate;
            }
            number -= cases;
        }
        Fate::Answered
    }
}

impl Network {
    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    fn is_cut(&self) -> bool {
        let server = self.server();
        let cut = server.cut.get(&self.process);
        server.dead.contains(&self.process) || cut.is_some_and(|until| *until > Instant::now())
    }

    pub(crate) async fn connect(&self) -> DuplexStream {
        while self.is_cut() {
            sleep(Duration::from_millis(100)).await;
        }
        let (ours, theirs) = duplex(1 << 16);
        let starts = self.server().starts.subscribe();
        tokio::spawn(self.clone().serve(theirs, starts));
        ours
    }

    async fn serve(self, mut stream: DuplexStream, mut starts: watch::Receiver<u32>) {
        let start = *starts.borrow_and_update();
        let (push, mut pushed) = mpsc::unbounded_channel();
        let mut read = Vec::new();
        let mut is_silent = false;
        loop {
            while let Some(words) = command(&mut read) {
                let takes = self.server().dice.below(30);
                sleep(Duration::from_millis(takes)).await;
                if *starts.borrow() != start {
                    return;
                }
                if self.is_cut() {
                    is_silent = true;
                    continue;
                }
                let fate = self.server().fate(self.process, &words);
                match fate {
                    Fate::BrokenBefore => return,
                    Fate::Lost => {}
                    Fate::Late(pause) => self.later(start, words.clone(), pause),
                    _ => {
                        let (answer, channel) = self.server().answer(&words);
                        if let Some(channel) = channel {
                            self.server().subscribed.push((channel, push.clone()));
                        }
                        if let Fate::Repeated(pause) = fate {
                            self.later(start, words.clone(), pause);
                        }
                        if matches!(fate, Fate::BrokenAfter) {
                            return;
                        }
                        if matches!(fate, Fate::Answered | Fate::Repeated(_)) && !is_silent {
                            self.acknowledge(&words, &answer);
                            if stream.write_all(answer.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                    }
                }
                // What is not answered holds up the answers to all that follows.
                is_silent |= !matches!(fate, Fate::Answered | Fate::Repeated(_));
            }
            let mut bytes = [0; 4096];
            tokio::select! {
                biased;
                _ = starts.changed() => return,
                length = stream.read(&mut bytes) => match length {
                    Ok(length) if length > 0 => read.extend_from_slice(&bytes[..length]),
                    _ => return,
                },
                Some(message) = pushed.recv() => {
                    let message: String = message;
                    if !is_silent && !self.is_cut() && stream.write_all(message.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// A save that is answered stands from now on.
    fn acknowledge(&self, words: &[String], answer: &str) {
        if words.len() == 11 && answer.contains("saved\r\n") {
            let mut server = self.server();
            server.watched.saved = server.watched.saved.max(generation(&words[7]));
        }
    }

    /// Has it done later, if the server is still the same.
    fn later(&self, start: u32, words: Vec<String>, pause: u64) {
        if !words[0].starts_with("EVAL") {
            return;
        }
        let network = self.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(pause)).await;
            let mut server = network.server();
            if *server.starts.borrow() == start {
                server.note("later:".to_owned());
                drop(server.answer(&words));
            }
        });
    }
}

/// The next whole command.
fn command(read: &mut Vec<u8>) -> Option<Vec<String>> {
    let mut at = 0;
    let line = |at: &mut usize| -> Option<usize> {
        let rest = &read[*at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let number = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
        *at += end + 2;
        Some(number)
    };
    let count = line(&mut at)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = line(&mut at)?;
        let word = read.get(at..at + length)?;
        words.push(String::from_utf8(word.to_vec()).unwrap());
        at += length + 2;
    }
    if at > read.len() {
        return None;
    }
    read.drain(..at);
    Some(words)
}
