//! What the machines have sent and were answered, and what of it must never be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// So many tokens of a user are remembered. There is room for them from the start, so that the book does not grow.
const TOKENS: usize = 16;
/// A token is renewed so many seconds before its end, at most.
const EARLY: u64 = 61;

/// A text, by its hash: the day has hundreds of thousands.
pub(crate) fn print(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Remembers one more, and forgets the oldest.
fn remember<T>(known: &mut VecDeque<T>, new: T) {
    if known.len() == TOKENS {
        known.pop_front();
    }
    known.push_back(new);
}

/// A token that was issued.
#[derive(Clone, Copy, Debug)]
struct Token {
    print: u64,
    /// By the server's clock.
    end: u64,
    machine: usize,
    /// The clock of the machine was right when it was issued.
    is_right: bool,
}

/// What became of a refresh token when it was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    UnderWay,
    Granted,
    Refused,
    /// No grant was received, at this time.
    Failed(u64),
}

#[derive(Debug, Default)]
pub(crate) struct User {
    tokens: VecDeque<Token>,
    /// Those of a login belong to all machines with its store.
    is_shared: bool,
    /// The refresh tokens that were sent, by machine.
    sent: VecDeque<(usize, u64, Fate)>,
    /// Tokens that the API has refused, by machine.
    refused: VecDeque<(usize, u64)>,
    /// An answer is lost, so its refresh token may be spent.
    pub(crate) in_doubt: bool,
    /// The machines that have a grant which they could not store.
    pub(crate) unsaved: BTreeSet<usize>,
    /// Something has failed since the newest grant.
    pub(crate) in_trouble: bool,
    /// Requests for a token since the newest grant.
    requests: usize,
    /// The newest access token, for who revokes it.
    pub(crate) newest: String,
}

/// What happened, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) users: Vec<User>,
    /// Whose request is under way.
    pub(crate) user: usize,
    /// By the server's clock.
    pub(crate) now: u64,
    /// Requests for a token since it was set to 0.
    pub(crate) requests: usize,
    /// The API has refused a token since then.
    pub(crate) was_refused: bool,
    pub(crate) grants: usize,
    pub(crate) all_requests: usize,
    pub(crate) calls: usize,
    /// Ended tokens that were used by a machine whose clock was behind.
    pub(crate) hidden_ends: usize,
    /// What is wrong, how often, and the first of it.
    wrong: BTreeMap<&'static str, (usize, String)>,
}

/// A request of a machine, whose clock says this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From {
    pub(crate) machine: usize,
    pub(crate) now: u64,
}

impl Book {
    pub(crate) fn new(shared: impl Iterator<Item = bool>) -> Self {
        let user = |is_shared| User {
            tokens: VecDeque::with_capacity(TOKENS),
            is_shared,
            sent: VecDeque::with_capacity(TOKENS),
            refused: VecDeque::with_capacity(TOKENS),
            ..User::default()
        };
        Self {
            users: shared.map(user).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn blame(&mut self, what: &'static str, how: &str) {
        let (now, user) = (self.now, self.user);
        let first = || (0, format!("at {now} s, user {user} {how}"));
        self.wrong.entry(what).or_insert_with(first).0 += 1;
    }

    pub(crate) fn take_wrong(&mut self) -> Vec<String> {
        let wrong = std::mem::take(&mut self.wrong).into_iter();
        wrong
            .map(|(what, (times, first))| format!("{what}: {times} times, first {first}"))
            .collect()
    }

    pub(crate) fn this(&mut self) -> &mut User {
        &mut self.users[self.user]
    }

    /// A person has logged in.
    pub(crate) fn logged_in(&mut self, machine: usize, access: &str, end: u64) {
        let user = self.this();
        user.in_trouble = false;
        user.in_doubt = false;
        user.requests = 0;
        user.newest = access.to_owned();
        user.tokens.clear();
        user.tokens.push_back(Token {
            print: print(access),
            end,
            machine,
            is_right: true,
        });
    }

    /// A machine has nothing in memory any more.
    pub(crate) fn restart(&mut self, machine: usize) {
        for user in &mut self.users {
            if user.unsaved.remove(&machine) {
                // Its newest token is nowhere any more.
                user.in_doubt = true;
                user.in_trouble = true;
            }
            if !user.is_shared {
                user.tokens.retain(|token| token.machine != machine);
            }
            user.refused.retain(|(at, _)| *at != machine);
            user.sent
                .retain(|(at, _, fate)| *at != machine || *fate == Fate::Granted);
        }
    }

    /// Returns true if there is no token with which this machine could do without a request.
    pub(crate) fn needs_one(&self, machine: usize) -> bool {
        let user = &self.users[self.user];
        let own = |token: &&Token| user.is_shared || token.machine == machine;
        let Some(newest) = user.tokens.iter().rev().find(own) else {
            return true;
        };
        let is_refused = user.refused.iter().any(|(_, print)| *print == newest.print);
        newest.end < self.now + EARLY
            || !newest.is_right
            || is_refused
            // It may be where this machine cannot find it, or be stored over a newer one.
            || user.unsaved.iter().any(|at| (*at, newest.machine) != (machine, machine))
            || user.in_trouble
    }

    /// A token is used at the API.
    pub(crate) fn uses(&mut self, from: From, bearer: &str) {
        self.calls += 1;
        let print = print(bearer);
        let server = self.now;
        let user = &self.users[self.user];
        let found = user
            .tokens
            .iter()
            .find(|token| token.print == print)
            .copied();
        let was_refused = user.refused.contains(&(from.machine, print));
        match found {
            // Of a machine that has restarted since, or one of long ago.
            None => self.blame("a token is used that nobody knows any more", ""),
            Some(token) if token.end <= server && token.end <= from.now => {
                let late = server - token.end;
                self.blame("a token is used after its end", &format!("by {late} s"));
            }
            Some(token) if token.end <= server => self.hidden_ends += 1,
            Some(_) => {}
        }
        if was_refused {
            self.blame("a token is used again that the API has refused", "");
        }
    }

    pub(crate) fn was_used(&mut self, from: From, bearer: &str, is_refused: bool) {
        if is_refused {
            self.was_refused = true;
            let entry = (from.machine, print(bearer));
            remember(&mut self.this().refused, entry);
        }
    }

    /// A token is asked for.
    pub(crate) fn asks(&mut self, from: From, refresh_token: Option<&str>) {
        self.requests += 1;
        self.all_requests += 1;
        let now = self.now;
        let user = &mut self.users[self.user];
        user.requests += 1;
        let Some(sent) = refresh_token.map(print) else {
            return;
        };
        let is_lost = user.in_doubt || !user.unsaved.is_empty();
        let mut known = user.sent.iter().rev();
        let granted = user
            .sent
            .iter()
            .any(|(_, print, fate)| *print == sent && *fate == Fate::Granted);
        let before = known.find(|(at, print, _)| *at == from.machine && *print == sent);
        let wrong = match before.map(|(.., fate)| *fate) {
            _ if granted && !is_lost => {
                Some("a refresh token is sent that was answered with another")
            }
            Some(Fate::Refused) => Some("a refresh token is sent again that was refused"),
            Some(Fate::Failed(at)) if now < at + 1 => Some("a refresh token is sent again at once"),
            Some(Fate::UnderWay) => Some("a refresh token is sent while it is under way"),
            _ => None,
        };
        user.sent.retain(|(at, print, fate)| {
            *fate == Fate::Granted || *at != from.machine || *print != sent
        });
        remember(&mut user.sent, (from.machine, sent, Fate::UnderWay));
        if let Some(wrong) = wrong {
            self.blame(wrong, "");
        }
    }

    pub(crate) fn failed(
        &mut self,
        from: From,
        refresh_token: Option<&str>,
        fate: Fate,
        in_doubt: bool,
    ) {
        let user = self.this();
        user.in_trouble = true;
        user.in_doubt |= in_doubt;
        self.set_fate(from, refresh_token, fate);
    }

    fn set_fate(&mut self, from: From, refresh_token: Option<&str>, fate: Fate) {
        let sent = refresh_token.map(print);
        let mut all = self.this().sent.iter_mut().rev();
        let entry = all.find(|(at, print, _)| *at == from.machine && Some(*print) == sent);
        if let Some((.., known)) = entry {
            *known = fate;
        }
    }

    pub(crate) fn granted(
        &mut self,
        from: From,
        refresh_token: Option<&str>,
        access: &str,
        end: u64,
    ) {
        self.grants += 1;
        self.set_fate(from, refresh_token, Fate::Granted);
        let now = self.now;
        let user = self.this();
        let (requests, in_trouble) = (user.requests, user.in_trouble);
        user.requests = 0;
        user.in_trouble = false;
        user.in_doubt = false;
        user.newest = access.to_owned();
        let token = Token {
            print: print(access),
            end,
            machine: from.machine,
            is_right: from.now == now,
        };
        remember(&mut user.tokens, token);
        if requests > 1 && !in_trouble {
            self.blame(
                "several requests for one token, and nothing had failed",
                &requests.to_string(),
            );
        }
    }
}
