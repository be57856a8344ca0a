//! Whether a store of one's own holds to what [`GrantStore`] says: a `#[test]` of each rule.
//!
//! A store that passes with a fault logs people out, at night and rarely. [`store_conformance_tests!`](crate::store_conformance_tests)
//! asks for one expression, which makes a fresh and empty store to test:
//!
//! ```
//! use coze_auth_store::conformance::StoreUnderTest;
//! use coze_auth_store::{MemoryStore, store_conformance_tests};
//!
//! store_conformance_tests!({
//!     let store = MemoryStore::new(); // yours: a table, a folder or a prefix of this test's own
//!     StoreUnderTest::blocking(move || store.clone()) // yours: open the same place once more
//! });
//! # fn main() {}
//! ```
//!
//! The names of the tests are the names of the rules. A failure begins with the sentence of the trait that the rule holds
//! to. Some rules need a hand of the engine, which [`StoreUnderTest`] has methods for; without it they are not asked, and say so.
//!
//! A store needs no network that the suite knows of, and the suite needs no runtime: the futures of an
//! [`AsyncGrantStore`] are driven by the function that [`StoreUnderTest::awaited`] takes.

mod awaited;
mod dropped;
mod given;
mod holding;
mod leases;
mod locking;
mod reading;
mod rules;
#[cfg(test)]
mod tests;
mod trouble;

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use self::awaited::{Awaited, BreakOff};
use self::given::{Handle, Times};
use self::rules::{Need, RULES};
use crate::{AsyncGrantStore, GrantKey, GrantStore};

pub use self::awaited::Work;

/// Maximum time of a rule. It is a guard: a store that hangs fails, and the run goes on.
const LONGEST: Duration = Duration::from_secs(120);

type OfKey = Box<dyn Fn(&GrantKey) + Send + Sync>;

/// A store to test: how it is opened, and what else a test can do to it.
///
/// ```
/// use coze_auth_store::conformance::{StoreUnderTest, test_rule};
/// use coze_auth_store::MemoryStore;
///
/// let store = MemoryStore::new();
/// let under_test = StoreUnderTest::blocking(move || store.clone());
/// test_rule("a_removed_grant_is_gone", under_test); // store_conformance_tests! has all of them
/// ```
#[must_use = "a rule is run over it"]
pub struct StoreUnderTest {
    open: Box<dyn Fn() -> Opened + Send + Sync>,
    end_lease: Option<OfKey>,
    damage: Option<OfKey>,
    fill: Option<Box<dyn Fn(bool) + Send + Sync>>,
    contents: Option<Box<dyn Fn() -> Vec<u8> + Send + Sync>>,
    restart: Option<Box<dyn Fn() + Send + Sync>>,
    is_awaited: bool,
    skipped: Option<String>,
    times: Times,
}

/// A handle in the form that most rules take, and the form of its futures if it has any.
struct Opened {
    store: Arc<dyn GrantStore>,
    awaited: Option<Arc<dyn BreakOff>>,
}

impl StoreUnderTest {
    /// A store whose calls block. The function opens the same place each time that it is called, as another process
    /// does: with a connection of its own, if a process has one. At the first call the place is empty.
    pub fn blocking<S: GrantStore + 'static>(open: impl Fn() -> S + Send + Sync + 'static) -> Self {
        let open = move || Opened {
            store: Arc::new(open()),
            awaited: None,
        };
        Self::of(Box::new(open), false)
    }

    /// A store whose calls are awaited. `block_on` drives a future to its end, from several threads at once, and what the
    /// store has spawned meanwhile and afterwards: a runtime with threads of its own, such as tokio's. The second function is
    /// as that of [`blocking`](Self::blocking), and is called within the first.
    ///
    /// ```no_run
    /// # use coze_auth_store::{AsyncGrantStore, conformance::StoreUnderTest};
    /// # struct Runtime;
    /// # impl Runtime { fn new() -> Self { Self } fn block_on<F: Future>(&self, _: F) -> F::Output { unimplemented!() } }
    /// # fn of<MyStore: AsyncGrantStore + 'static>(connect: fn(&str) -> std::future::Ready<MyStore>) {
    /// let runtime = Runtime::new(); // tokio::runtime::Runtime::new().unwrap()
    /// let store = StoreUnderTest::awaited(move |work| runtime.block_on(work), move || connect("of this test"));
    /// # let _ = store; }
    /// ```
    pub fn awaited<S, F>(
        block_on: impl Fn(Work<'_>) + Send + Sync + 'static,
        open: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        S: AsyncGrantStore + 'static,
        F: Future<Output = S> + Send,
    {
        let block_on: awaited::BlockOn = Arc::new(block_on);
        let open = move || {
            let store = Arc::new(Awaited::open(block_on.clone(), &open));
            Opened {
                store: store.clone(),
                awaited: Some(store),
            }
        };
        Self::of(Box::new(open), true)
    }

    /// A store that cannot be tested here: each rule says why, and passes.
    pub fn skipped(why: impl Into<String>) -> Self {
        let open = || unreachable!("no rule is asked");
        let mut skipped = Self::of(Box::new(open), false);
        skipped.skipped = Some(why.into());
        skipped
    }

    fn of(open: Box<dyn Fn() -> Opened + Send + Sync>, is_awaited: bool) -> Self {
        Self {
            open,
            end_lease: None,
            damage: None,
            fill: None,
            contents: None,
            restart: None,
            is_awaited,
            skipped: None,
            times: Times::USUAL,
        }
    }

    /// For a lock that can end under its holder, by a lease or with a connection: the function takes the lock of this
    /// grant from its holder, who is not told. The holder's lease is over then, as if its time had passed.
    pub fn ends_leases_by(mut self, end: impl Fn(&GrantKey) + Send + Sync + 'static) -> Self {
        self.end_lease = Some(Box::new(end));
        self
    }

    /// For what may be damaged: the function makes what is stored for this grant something that is not a grant.
    pub fn damages_by(mut self, damage: impl Fn(&GrantKey) + Send + Sync + 'static) -> Self {
        self.damage = Some(Box::new(damage));
        self
    }

    /// For what may be full: the function makes the place refuse to grow if it is called with `true`, and takes that back if it
    /// is called with `false`.
    pub fn fills_by(mut self, fill: impl Fn(bool) + Send + Sync + 'static) -> Self {
        self.fill = Some(Box::new(fill));
        self
    }

    /// For what can be read past the store: the function gives every byte that rests in the place, in whatever order.
    pub fn contents_by(mut self, contents: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.contents = Some(Box::new(contents));
        self
    }

    /// For an engine of its own: the function ends it by force and starts it anew, and returns when it answers.
    pub fn restarts_by(mut self, restart: impl Fn() + Send + Sync + 'static) -> Self {
        self.restart = Some(Box::new(restart));
        self
    }

    /// How long a call may take that has nothing to wait for: two seconds, if nothing else is said. A lock that is free or
    /// will be is waited for fifteen times as long.
    pub fn answers_within(mut self, soon: Duration) -> Self {
        self.times = Times {
            soon,
            patience: soon.saturating_mul(15),
        };
        self
    }

    /// A new handle.
    fn open(&self) -> Handle {
        Handle {
            store: (self.open)().store,
            times: self.times,
        }
    }

    /// A new handle whose futures can be dropped.
    fn open_awaited(&self) -> Arc<dyn BreakOff> {
        let opened = (self.open)();
        opened.awaited.expect("the rule needs an awaited store")
    }

    fn end_lease(&self, key: &GrantKey) {
        (self.end_lease.as_ref().expect("the rule needs it"))(key);
    }

    fn damage(&self, key: &GrantKey) {
        (self.damage.as_ref().expect("the rule needs it"))(key);
    }

    fn fill(&self, full: bool) {
        (self.fill.as_ref().expect("the rule needs it"))(full);
    }

    fn contents(&self) -> Vec<u8> {
        (self.contents.as_ref().expect("the rule needs it"))()
    }

    fn restart(&self) {
        (self.restart.as_ref().expect("the rule needs it"))();
    }

    /// Why a rule that needs this is not asked.
    fn lacks(&self, need: Need) -> Option<&'static str> {
        let (has, why) = match need {
            Need::Nothing => return None,
            Need::EndLease => (self.end_lease.is_some(), "it needs `ends_leases_by`"),
            Need::Damage => (self.damage.is_some(), "it needs `damages_by`"),
            Need::Fill => (self.fill.is_some(), "it needs `fills_by`"),
            Need::Contents => (self.contents.is_some(), "it needs `contents_by`"),
            Need::Restart => (self.restart.is_some(), "it needs `restarts_by`"),
            Need::Awaited => (self.is_awaited, "it is about futures"),
        };
        (!has).then_some(why)
    }
}

impl fmt::Debug for StoreUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreUnderTest").finish_non_exhaustive()
    }
}

/// Runs one rule over a store, for [`store_conformance_tests!`](crate::store_conformance_tests). A rule that the store
/// cannot be asked is told on standard output.
///
/// # Panics
///
/// If the store does not hold to the rule, or none has this name. What is printed before tells the sentence that the
/// rule holds to.
pub fn test_rule(name: &str, store: StoreUnderTest) {
    let rule = RULES.iter().find(|rule| rule.name == name);
    let rule = rule.unwrap_or_else(|| panic!("none of the rules has the name {name}"));
    let why = store.skipped.as_deref().or_else(|| store.lacks(rule.needs));
    // libtest has no word for a skip, so that it is at least told.
    if let Some(why) = why {
        println!("{name}: not asked, {why}");
        return;
    }
    println!("{name}: “{}”", rule.says);
    let (done, ended) = channel::<()>();
    let run = rule.run;
    let running = thread::spawn(move || {
        // Dropped however the rule ends.
        let _done = done;
        run(&store);
    });
    // Nothing is ever sent: the sender is dropped at the end.
    let timed_out = ended.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout);
    assert!(!timed_out, "a call of the store does not return");
    if let Err(panicked) = running.join() {
        resume_unwind(panicked);
    }
}

/// Makes a `#[test]` of every rule that a store holds to, over a [`StoreUnderTest`](crate::conformance::StoreUnderTest)
/// that the expression makes anew for each. The front page of [`conformance`](crate::conformance) has an example. For two stores,
/// or for both forms of one, put each call into a module of its own.
#[macro_export]
macro_rules! store_conformance_tests {
    (@tests ($store:expr) $($rule:ident,)+) => {
        $(
            #[test]
            fn $rule() {
                $crate::conformance::test_rule(stringify!($rule), $store);
            }
        )+
    };
    (@names () $($rule:ident,)+) => {
        [$(stringify!($rule)),+]
    };
    (@each $do:tt $with:tt) => {
        $crate::store_conformance_tests! { @$do $with
            nothing_is_there_at_first,
            a_grant_is_given_back_whole,
            a_save_is_seen_by_all_at_once,
            a_load_waits_for_nobody,
            a_grant_outlives_the_handles,
            keys_that_differ_do_not_meet,
            many_users_at_once,
            one_handle_has_one_holder,
            two_handles_have_one_holder,
            patience_ends_in_time,
            patience_may_have_no_end,
            a_free_lock_needs_no_patience,
            a_dropped_lock_goes_to_the_one_that_waits,
            a_caller_that_gave_up_holds_nothing,
            a_panic_gives_the_lock_back,
            a_lock_outlives_its_handle,
            a_drop_does_not_wait,
            no_update_is_lost,
            a_holder_reads_what_is_there_now,
            prepare_changes_nothing,
            a_drop_without_a_save_changes_nothing,
            a_login_is_stored,
            a_lock_that_reads_needs_no_load,
            nothing_is_in_doubt_without_a_reason,
            a_removed_grant_is_gone,
            a_removed_grant_leaves_no_copy,
            an_ended_lease_goes_to_the_next,
            a_late_save_overwrites_nothing,
            a_late_save_undoes_no_logout,
            a_late_save_overwrites_no_new_login,
            a_late_first_save_overwrites_nothing,
            of_two_holders_one_saves,
            a_doubt_ends_with_a_save,
            a_late_drop_releases_nobody_else,
            a_late_holder_is_told_before_it_spends,
            a_damaged_row_is_an_error_until_a_login,
            a_full_store_is_told_before_it_costs,
            what_was_prepared_is_saved,
            a_save_survives_a_restart,
            a_removal_survives_a_restart,
            an_error_shows_no_token,
            a_lock_that_waits_takes_no_thread,
            a_lock_that_is_not_awaited_goes_to_the_next,
            a_lock_that_is_broken_off_is_free,
            a_save_that_is_broken_off_is_whole_or_nothing,
            a_removal_that_is_broken_off_is_whole_or_nothing,
            what_only_reads_may_be_broken_off,
            a_drop_outside_of_the_runtime_does_not_panic,
        }
    };
    ($store:expr) => {
        $crate::store_conformance_tests!(@each tests ($store));
    };
}
