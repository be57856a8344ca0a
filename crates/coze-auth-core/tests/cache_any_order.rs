//! The token cache under any sequence of looks, answers, refusals, logins and clocks, beside a model of what
//! must hold: what may be handed out, who may renew, and that no rotated refresh token is lost.

mod common;

use std::time::Duration;

use common::UNIX;
use common::cache::*;
use coze_auth_core::cache::{Lookup, RefreshTicket, TokenCache};
use coze_auth_core::{AccessToken, Now, SteadyTime, TokenGrant, UnixTime};
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
enum Op {
    /// For a token that is valid for at least so many seconds.
    Look(u64),
    /// An answer to any ticket that is out, late or not: a grant that lives this long.
    Succeed(Index, u64),
    /// The same, of a grant that could not be stored.
    SucceedUnstored(Index, u64),
    /// What could not be stored is stored.
    Store,
    /// A grant with this life that the renewal of a ticket has found in storage.
    Adopt(Index, u64),
    /// The same, a failure: `invalid_grant`, or one that may pass.
    Fail(Index, bool),
    /// A driver that went away.
    Lose(Index),
    /// The API refused the current token, or one from before.
    Invalidate(bool),
    Restore(u64),
    Clear,
    /// The steady clock goes on by so many ms; the calendar by so many more, or fewer.
    Pass(u64, i64),
}

fn op() -> impl Strategy<Value = Op> {
    let life = || prop_oneof![1 => 0..3_u64, 3 => 3..200_u64];
    let leap = prop_oneof![6 => Just(0), 1 => -100_000..100_000_i64];
    prop_oneof![
        5 => Just(Op::Look(0)),
        3 => (0..300_u64).prop_map(Op::Look),
        4 => (any::<Index>(), life()).prop_map(|(which, life)| Op::Succeed(which, life)),
        2 => (any::<Index>(), life()).prop_map(|(which, life)| Op::SucceedUnstored(which, life)),
        1 => Just(Op::Store),
        2 => (any::<Index>(), life()).prop_map(|(which, life)| Op::Adopt(which, life)),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(which, grant)| Op::Fail(which, grant)),
        1 => any::<Index>().prop_map(Op::Lose),
        2 => any::<bool>().prop_map(Op::Invalidate),
        1 => life().prop_map(Op::Restore),
        1 => Just(Op::Clear),
        8 => (prop_oneof![0..2000_u64, 0..40_000_u64], leap).prop_map(|(steady, leap)| Op::Pass(steady, leap)),
    ]
}

/// A grant as the model sees it.
struct Seen {
    number: u64,
    issued_at: UnixTime,
    expires_at: UnixTime,
    at: SteadyTime,
    /// It had ended when it came, by renewal.
    doubtful: bool,
    replaces_rejected: bool,
    rejected: bool,
    unstored: bool,
}

struct Out {
    ticket: RefreshTicket,
    /// How many grants had come when it was given out, those apart that were found in storage.
    of: u64,
    /// How many logins and logouts there had been.
    era: u32,
    until: SteadyTime,
}

struct Model {
    cache: TokenCache,
    jwt: bool,
    now: Now,
    grants: u64,
    installed: u64,
    current: Option<Seen>,
    era: u32,
    out: Vec<Out>,
    lost: Vec<SteadyTime>,
}

impl Model {
    fn new(jwt: bool) -> Self {
        Self {
            cache: empty(),
            jwt,
            now: clocks(20_000_000, 0), // room for the calendar to go back
            grants: 0,
            installed: 0,
            current: None,
            era: 0,
            out: Vec::new(),
            lost: Vec::new(),
        }
    }

    fn leases(&self) -> impl Iterator<Item = SteadyTime> {
        let out = self.out.iter().map(|out| out.until);
        out.chain(self.lost.iter().copied())
    }

    fn take(&mut self, which: Index) -> Out {
        self.out.swap_remove(which.index(self.out.len()))
    }

    fn number(&self) -> u64 {
        self.current.as_ref().map_or(0, |seen| seen.number)
    }

    fn grant(&mut self, life: u64) -> TokenGrant {
        self.grants += 1;
        let from = self.now.unix.as_secs().saturating_sub(UNIX);
        match self.jwt {
            true => jwt_grant(self.grants, from, from + life),
            false => grant(self.grants, from, from + life),
        }
    }

    fn install(&mut self, grant: &TokenGrant, renewed: bool) {
        let rejected = self.current.as_ref().is_some_and(|seen| seen.rejected);
        self.installed += 1;
        self.current = Some(Seen {
            number: self.grants,
            issued_at: grant.issued_at,
            expires_at: grant.expires_at,
            at: self.now.steady,
            doubtful: renewed && grant.expires_at <= self.now.unix,
            replaces_rejected: renewed && rejected,
            rejected: false,
            unstored: false,
        });
    }

    fn serves(&self, seen: &Seen) -> bool {
        let doubt = seen.doubtful && seen.at.until(self.now.steady) < Duration::from_secs(5);
        !seen.rejected && (doubt || self.now.unix < seen.expires_at)
    }

    /// Whether it is valid for so many seconds, or for as long as it was fresh for when it was new.
    fn lasts(&self, seen: &Seen, at_least: u64) -> bool {
        let life = seen.issued_at.until(seen.expires_at);
        let most = life - (life / 10).min(Duration::from_secs(60));
        let left = self.now.unix.until(seen.expires_at);
        left >= most || left >= Duration::from_secs(at_least)
    }

    fn adopt(&mut self, which: Index, life: u64) {
        let grant = self.grant(life);
        let out = which.get(&self.out);
        self.cache.adopt(&out.ticket, &grant, self.now);
        // It may have been read before somebody logged out.
        if out.era != self.era {
            return;
        }
        let is_better = self
            .current
            .as_ref()
            .is_none_or(|seen| !self.serves(seen) || seen.expires_at < grant.expires_at);
        if is_better && self.now.unix < grant.expires_at {
            self.current = Some(Seen {
                number: self.grants,
                issued_at: grant.issued_at,
                expires_at: grant.expires_at,
                at: self.now.steady,
                doubtful: false,
                replaces_rejected: false,
                rejected: false,
                unstored: false,
            });
        }
    }

    /// A token was handed out.
    fn given(&self, token: &AccessToken) -> Result<(), TestCaseError> {
        let Some(seen) = &self.current else {
            return Err(TestCaseError::fail("a token without a grant"));
        };
        prop_assert!(
            token.matches(&access(seen.number)),
            "a token that was replaced"
        );
        prop_assert!(!seen.rejected, "a token that the API refused");
        prop_assert!(self.serves(seen), "a token that has ended");
        Ok(())
    }

    /// A ticket was handed out.
    fn took(&mut self, ticket: RefreshTicket) -> Result<(), TestCaseError> {
        let running = self.leases().any(|until| until > self.now.steady);
        prop_assert!(!running, "two renewals at once");
        if let Some(token) = &ticket.refresh_token {
            prop_assert!(
                token.matches(&refresh(self.number())),
                "a refresh token that is spent"
            );
            prop_assert!(
                !self.cache.has_refused(token),
                "a refresh token that was refused"
            );
        }
        self.out.push(Out {
            ticket,
            of: self.installed,
            era: self.era,
            until: self.now.steady.plus(Duration::from_secs(LEASE)),
        });
        Ok(())
    }

    fn look(&mut self, at_least: u64) -> Result<(), TestCaseError> {
        let published = self
            .cache
            .published()
            .map(|(token, validity)| (token.clone(), validity));
        let unstored = self.current.as_ref().is_some_and(|seen| seen.unstored);
        prop_assert!(
            !unstored || published.is_none(),
            "published, so nobody stores it"
        );
        let asked = Duration::from_secs(at_least);
        let serves = self.cache.serves(asked, self.now);
        let lasts = |seen| self.serves(seen) && self.lasts(seen, at_least);
        prop_assert_eq!(serves, self.current.as_ref().is_some_and(lasts));
        let token = self.cache.token(asked, self.now);
        prop_assert_eq!(token.is_some(), serves);
        let due = self.cache.is_due(asked, self.now);
        let said = self.cache.lookup_lasting(asked, self.now);
        prop_assert_eq!(due, matches!(said, Lookup::Stale(..) | Lookup::Missing(_)));
        let served = matches!(said, Lookup::Fresh(_) | Lookup::Stale(..));
        prop_assert_eq!(served, serves, "a good token is not served");
        self.hides(&said)?;
        if let Some((token, validity)) = published
            && validity.is_fresh(self.now.unix)
            && validity.lasts(asked, self.now.unix)
        {
            let fresh = matches!(&said, Lookup::Fresh(given) if given.access_token.matches(&token));
            prop_assert!(fresh, "published and not given: {said:?}");
        }
        match said {
            Lookup::Fresh(token) => self.given(&token.access_token),
            Lookup::Stale(token, ticket) => {
                self.given(&token.access_token)?;
                self.took(ticket)
            }
            Lookup::Missing(ticket) => self.took(ticket),
            Lookup::Busy(rest) => {
                let end = self.now.steady.plus(rest);
                let someone = !rest.is_zero() && self.leases().any(|until| until == end);
                prop_assert!(someone, "waits for nobody");
                Ok(())
            }
            Lookup::Failed(_) => Ok(()),
        }
    }

    fn succeed(&mut self, which: Index, life: u64, stored: bool) -> Result<(), TestCaseError> {
        let out = self.take(which);
        let grant = self.grant(life);
        let later = self.jwt
            && self
                .current
                .as_ref()
                .is_some_and(|seen| seen.expires_at < grant.expires_at);
        if out.era == self.era && (out.of == self.installed || later) {
            self.install(&grant, true);
            if let Some(seen) = &mut self.current {
                seen.unstored = !stored;
            }
        }
        match stored {
            true => self.cache.complete(out.ticket, Ok(grant), self.now),
            false => {
                let full = refused("full");
                self.cache
                    .complete_unstored(out.ticket, grant, full, self.now);
            }
        }
        Ok(())
    }

    fn invalidate(&mut self, current: bool) {
        let older = u64::from(!current);
        let which = access(self.number().saturating_sub(older));
        self.cache.invalidate(&which, self.now);
        if let Some(seen) = self.current.as_mut().filter(|_| current) {
            let soon = seen.at.until(self.now.steady) < Duration::from_secs(30);
            seen.rejected |= !(seen.replaces_rejected && soon);
        }
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Look(at_least) => return self.look(at_least),
            Op::Succeed(..)
            | Op::SucceedUnstored(..)
            | Op::Adopt(..)
            | Op::Fail(..)
            | Op::Lose(_)
                if self.out.is_empty() => {}
            Op::Succeed(which, life) => return self.succeed(which, life, true),
            Op::SucceedUnstored(which, life) => return self.succeed(which, life, false),
            Op::Store => {
                if let Some(grant) = self.cache.grant().cloned() {
                    self.cache.stored(&grant);
                }
                if let Some(seen) = &mut self.current {
                    seen.unstored = false;
                }
            }
            Op::Adopt(which, life) => self.adopt(which, life),
            Op::Fail(which, spent) => {
                let out = self.take(which);
                let code = ["invalid_client", "invalid_grant"][usize::from(spent)];
                self.cache
                    .complete(out.ticket, Err(refused(code)), self.now);
            }
            Op::Lose(which) => {
                let until = self.take(which).until;
                self.lost.push(until);
            }
            Op::Invalidate(current) => self.invalidate(current),
            Op::Restore(life) => {
                let grant = self.grant(life);
                self.era += 1;
                self.install(&grant, false);
                self.cache.restore(grant, self.now);
            }
            Op::Clear => {
                self.era += 1;
                self.current = None;
                self.cache.clear();
            }
            Op::Pass(steady, leap) => {
                let passed = Duration::from_millis(steady);
                let leaped = Duration::from_secs(leap.unsigned_abs());
                let unix = self.now.unix.plus(passed);
                self.now.steady = self.now.steady.plus(passed);
                self.now.unix = match leap < 0 {
                    true => unix.minus(leaped),
                    false => unix.plus(leaped),
                };
            }
        }
        Ok(())
    }

    /// After every step: the grant is the one that must have stayed.
    fn holds(&self) -> Result<(), TestCaseError> {
        let grant = self.cache.grant();
        prop_assert_eq!(grant.is_some(), self.current.is_some());
        if let Some(grant) = grant {
            let number = self.number();
            prop_assert!(
                grant.access_token.matches(&access(number)),
                "not the grant {number}"
            );
            let rotated = grant
                .refresh_token
                .as_ref()
                .map(|token| token.matches(&refresh(number)));
            prop_assert_eq!(
                rotated,
                (!self.jwt).then_some(true),
                "a rotated refresh token is lost"
            );
        }
        Ok(())
    }

    fn hides(&self, said: &Lookup) -> Result<(), TestCaseError> {
        let shown = format!("{:?} {said:?}", self.cache);
        prop_assert!(
            !shown.contains("access-") && !shown.contains("refresh-"),
            "{shown}"
        );
        Ok(())
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_what_must_hold(jwt in any::<bool>(), ops in prop::collection::vec(op(), 0..120)) {
        let mut model = Model::new(jwt);
        for op in ops {
            model.apply(op)?;
            model.holds()?;
        }
    }

    /// No state is a dead end: with time, there is a token or a ticket.
    #[test]
    fn any_sequence_comes_to_an_end(jwt in any::<bool>(), ops in prop::collection::vec(op(), 0..120)) {
        let mut model = Model::new(jwt);
        for op in ops {
            model.apply(op)?;
        }
        model.now.steady = model.now.steady.plus(Duration::from_secs(61));
        match model.cache.lookup(model.now) {
            Lookup::Fresh(_) | Lookup::Stale(..) | Lookup::Missing(_) => {}
            stuck => prop_assert!(false, "{stuck:?}"),
        }
    }
}
