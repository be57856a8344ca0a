#!/usr/bin/env python3
"""`just model`: the shared state of the token sources under the model checker, and planted faults that it must find.

Works in a copy of the tree, since cargo takes a mutated copy for fresh where two trees share a target folder.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
COPY = ROOT / "target" / "model"
TOKENS = "crates/coze-auth-tokens/src"
# How many interleavings of a case are searched for a planted fault: many times what is tried of what is right.
PLANTED = "30000"

# Name, the test that must turn red, file, what is there, what is put in its place.
FAULTS = [
    (
        "race: who waits looks under one lock and joins the queue under another",
        "tasks_make_one_request_and_all_are_woken",
        f"{TOKENS}/wait.rs",
        """        let (over, _unneeded) =
            self.source
                .shared
                .with_waiters(|waiters| match waiters.round == self.round {
                    true => (false, waiters.wakers.insert(self.name, waker)),
                    false => (true, Some(waker)),
                });
        over""",
        """        let shared = &self.source.shared;
        let over = shared.with_waiters(|waiters| waiters.round != self.round);
        if !over {
            shared
                .with_waiters(|waiters| waiters.wakers.insert(self.name, waker));
        }
        over""",
    ),
    (
        "race: the slot is written after the lock is let go",
        "a_token_that_was_refused_is_out_of_the_slot",
        f"{TOKENS}/shared.rs",
        """        self.slot
            .publish(published.map(|(token, validity)| (token.clone(), validity)));
        (result, state)
    }""",
        """        let published = published.map(|(token, validity)| (token.clone(), validity));
        drop(state);
        self.slot.publish(published);
        (result, locked(&self.state))
    }""",
    ),
    (
        "a late success is dropped",
        "a_late_success_is_served",
        "crates/coze-auth-core/src/cache.rs",
        "Ok(grant) if same_grant || self.outlived_by(&grant) =>",
        "Ok(grant) if latest && (same_grant || self.outlived_by(&grant)) =>",
    ),
    (
        "a token is handed out before it is stored",
        "what_is_handed_out_is_stored",
        f"{TOKENS}/refresh.rs",
        "                return self.keep(grant).await;",
        """                self.complete(Ok(grant.clone()));
                return self.keep(grant).await;""",
    ),
    (
        "a renewal that is dropped tells nobody",
        "a_renewal_that_is_dropped_wakes_those_who_wait",
        f"{TOKENS}/refresh.rs",
        "        self.complete(Err(Error::Interrupted));",
        "        drop(self.ticket.take());",
    ),
    (
        "a refused token stays in the slot",
        "nobody_is_given_a_token_that_was_refused_before",
        "crates/coze-auth-core/src/cache.rs",
        "current.filter(|current| !current.rejected && !current.unstored)?;",
        "current.filter(|current| !current.unstored)?;",
    ),
    (
        "a login that could not be stored is forgotten for a renewal of the grant before it",
        "a_login_that_could_not_be_stored_is_not_lost",
        f"{TOKENS}/shared.rs",
        ".is_none_or(|waits| waits.from.is_some())",
        ".is_none_or(|_| true)",
    ),
    (
        "a stored token is not served while it is renewed",
        "a_stored_token_is_served_while_its_renewal_runs",
        f"{TOKENS}/shared.rs",
        "self.change(|state| state.cache.adopt(ticket, stored, now));",
        "let _ = (ticket, stored, now);",
    ),
    (
        "the store is not locked",
        "two_sources_of_one_store_make_one_request",
        "crates/coze-auth-store/src/memory.rs",
        """            .wait_timeout_while(kept, patience, |kept| kept.locked.contains(key))
            .unwrap_or_else(PoisonError::into_inner);
        match kept.locked.insert(key.clone()) {
            true =>""",
        """            .wait_timeout_while(kept, patience, |_| false)
            .unwrap_or_else(PoisonError::into_inner);
        match kept.locked.insert(key.clone()) || true {
            true =>""",
    ),
    (
        "race: a source takes no turn and joins the queue under another lock",
        "two_apps_at_the_bound_renew_all",
        f"{TOKENS}/turns.rs",
        """            return Err(queue.join(source));""",
        """            drop(queue);
            return Err(locked(&self.queue).join(source));""",
    ),
    (
        "race: a turn is lost with the caller that leaves while its source is called",
        "two_apps_at_the_bound_renew_all",
        f"{TOKENS}/turns.rs",
        "                locked(&self.queue).taken.remove(&number);",
        "                let _ = number;",
    ),
    (
        "a turn ends where the request begins",
        "two_apps_at_the_bound_renew_all",
        f"{TOKENS}/refresh.rs",
        "            Ok(Before::Send(renewal)) => Next::Send(self, renewal),",
        """            Ok(Before::Send(renewal)) => {
                let mut early = self;
                early.turn = None;
                Next::Send(early, renewal)
            }""",
    ),
    (
        "a login whose renewed grant is not stored is evicted",
        "what_is_evicted_during_its_renewal_is_not_lost",
        f"{TOKENS}/kept.rs",
        "it.is_stored() && (is_held(source) || it.is_at_work())",
        "it.is_stored() && is_held(source)",
    ),
    (
        "race: whether a login is held is looked at before nobody can get it any more",
        "what_is_evicted_during_its_renewal_is_not_lost",
        f"{TOKENS}/kept.rs",
        """            let mut table = writing(self.table(hash));
            let found = table.find_entry(hash, |entry| entry.place == place).ok()?;
            // Under this lock nobody else gets it: who has it, has it already.
            if has_to_stay(&found.get().source) {""",
        """            let early = reading(self.table(hash));
            let stays = early.find(hash, |entry| entry.place == place);
            let stays = stays.is_some_and(|entry| has_to_stay(&entry.source));
            drop(early);
            let mut table = writing(self.table(hash));
            let found = table.find_entry(hash, |entry| entry.place == place).ok()?;
            if stays {""",
    ),
    (
        "a renewal from before a logout counts after it",
        "a_logout_during_a_renewal_brings_nothing_back",
        "crates/coze-auth-core/src/cache.rs",
        """        self.failures = 0;
        self.void = self.tickets;
    }""",
        """        self.failures = 0;
    }""",
    ),
    (
        "race: what was read of the store before a logout is served after it",
        "a_logout_while_the_store_is_read_brings_nothing_back",
        "crates/coze-auth-core/src/cache.rs",
        """        if ticket.id <= self.void {
            return;
        }
        let is_better""",
        """        let _ = ticket;
        let is_better""",
    ),
    (
        "closing lets a token out that comes later",
        "a_source_that_is_closed_wakes_those_who_wait_and_keeps_what_runs",
        f"{TOKENS}/shared.rs",
        "state.cache.published().filter(|_| !self.is_closed())",
        "state.cache.published()",
    ),
]


def model(test: str = "") -> subprocess.CompletedProcess:
    command = ["cargo", "test", "--locked", "--package", "coze-auth-tokens", "--test", "model", "--", "--exact"]
    if test:
        command.append(test)
    else:
        command.remove("--exact")
    environment = dict(os.environ, RUSTFLAGS="--cfg coze_auth_model", CARGO_TARGET_DIR=str(COPY / "target"))
    if test:
        # A planted fault ends the search where it is found; until then luck must not hide it.
        environment.setdefault("COZE_AUTH_MODEL", PLANTED)
    return subprocess.run(command, cwd=COPY / "tree", env=environment, capture_output=True, text=True)


def refresh_copy() -> None:
    tree = COPY / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            # With a new time, so that cargo looks at it again after a planted fault.
            shutil.copyfile(ROOT / name, tree / name)


def main() -> int:
    refresh_copy()
    run = model()
    print(run.stdout[-2000:])
    if run.returncode != 0:
        print(run.stderr[-4000:])
        return 1
    missed = 0
    for name, test, file, there, instead in FAULTS:
        path = COPY / "tree" / file
        text = path.read_text()
        if text.count(there) != 1:
            print(f"STALE   {name}: its place in {file} is not there, once")
            missed += 1
            continue
        path.write_text(text.replace(there, instead))
        run = model(test)
        path.write_text(text)
        if "test result: FAILED. 0 passed; 1 failed" in run.stdout:
            print(f"found   {name} ({test})")
        else:
            print(f"MISSED  {name} ({test})\n{run.stdout[-1500:]}{run.stderr[-3000:]}")
            missed += 1
    print(f"planted={len(FAULTS)} found={len(FAULTS) - missed}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
