#!/usr/bin/env python3
"""`just model`: the shared state of the token sources under the model checker, the lease and the revisions of the Redis store under a
model of the engine, and planted faults that they must find. With `--quick` none is planted.

Works in a copy of the tree, since cargo takes a mutated copy for fresh where two trees share a target folder.
"""

import os
import re
import shutil
import subprocess
import sys
import time
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
        "                Next::Send(self, renewal)\n",
        """                self.turn = None;
                Next::Send(self, renewal)
""",
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


REDIS = "crates/coze-auth-redis/src"
MIRROR = "crates/coze-auth-redis/model/src/mirror.rs"
# How many walks of a kind, where nothing is planted, and for a planted fault.
WALKS = "15"
PLANTED_WALKS = "400"
UNCLEAR = "walk::answers_that_are_lost_and_calls_that_are_repeated_spend_nothing_twice"
LATE = "walk::calls_that_are_late_or_never_done_bring_nothing_back"
DEATHS = "walk::after_a_death_or_a_leap_the_second_knows"
BACK = "walk::a_server_that_goes_back_gives_no_fence_again_and_keeps_what_it_answers"
SCHEDULES = "schedules"
BESIDE = "differential::the_scripts_of_the_model_answer_as_the_real_ones"

# Name, the test that must turn red, and of each change: file, what is there, what is put in its place. A script is changed with its
# mirror in the model, or the test that compares the two finds it (`BESIDE`).
REDIS_FAULTS = [
    (
        "race: a save does not compare the revision",
        LATE,
        [
            (
                f"{REDIS}/scripts.rs",
                "if num(h[1]) > tonumber(ARGV[2]) then return {'superseded'} end",
                "",
            ),
            (MIRROR, 'if hash.number("r") > number(replaces) {', 'if hash.number("r") > number(replaces) + u64::MAX / 2 {'),
        ],
    ),
    (
        "race: a lease is extended after another has it",
        DEATHS,
        [
            (f"{REDIS}/scripts.rs", "if redis.call('HGET', k, 'h') ~= ARGV[1] then return {'lost'} end\nlocal ttl", "local ttl"),
            (
                MIRROR,
                """    if hash.get("h") != Some(holder) {
        return said("lost");
    }
    hash.ends = hash.ends.map""",
                """    let _ = holder;
    hash.ends = hash.ends.map""",
            ),
        ],
    ),
    (
        "race: a release drops the lease of another",
        UNCLEAR,
        [
            (f"{REDIS}/scripts.rs", "if h[1] ~= ARGV[1] then return {'lost'} end\nif h[2] then", "if h[2] then"),
            (
                MIRROR,
                """    if hash.get("h") != Some(holder) {
        return said("lost");
    }
    if hash.get("r")""",
                """    if hash.get("h").is_none() {
        return said(if holder.is_empty() { "" } else { "lost" });
    }
    if hash.get("r")""",
            ),
        ],
    ),
    (
        "a lease that is asked for again is given another fence",
        UNCLEAR,
        [
            (f"{REDIS}/scripts.rs", "  since = h[6] or since\nelse", "  since = h[6] or since\nend\ndo"),
            (MIRROR, "if !mine {\n        if held.is_some()", "{\n        if !mine && held.is_some()"),
        ],
    ),
    (
        "race: a save without an answer is repeated over whatever is there",
        LATE,
        [
            (
                f"{REDIS}/store.rs",
                "                self.write(&save).await\n            }\n            said => said,",
                """                let stored = self.shared.read(&self.place).await?;
                let blind = Save {
                    replaces: stored.revision,
                    revision: stored.revision + 1,
                    name: format!("{}.again", self.holder),
                    ..save.clone()
                };
                self.write(&blind).await
            }
            said => said,""",
            )
        ],
    ),
    (
        "fences begin at 1 again on a server that starts empty",
        BACK,
        [
            (
                f"{REDIS}/scripts.rs",
                "f = math.max(f + 1, num(r) + 1, tonumber(ARGV[3]) + 1, now)",
                "f = f + 1",
            ),
            (
                MIRROR,
                """            number(&fence) + 1,
            number(&revision) + 1,
            number(known) + 1,
            now,
""",
                """            number(&fence) + 1 + number(known) * 0,
""",
            ),
        ],
    ),
    (
        "the next holder is not told that the refresh token may be spent",
        DEATHS,
        [
            (f"{REDIS}/scripts.rs", "  if h[4] and doubt == '' then doubt = h[6] or since end\n", ""),
            (MIRROR, "if held.is_some() && doubt.is_empty() {", "if held.is_some() && doubt.is_empty() && now == 0 {"),
        ],
    ),
    (
        "a holder that could not save gives the lease back as if nothing was spent",
        f"{SCHEDULES}::who_cannot_save_for_a_minute_lets_the_next_know",
        [(f"{REDIS}/store.rs", "self.place.release(&self.holder, state.may_be_spent)", "self.place.release(&self.holder, false)")],
    ),
    (
        "a holder whose request has no answer gives the lease back as if nothing was spent",
        f"{SCHEDULES}::a_mark_of_a_spent_token_is_left_though_its_release_is_lost",
        [(f"{REDIS}/store.rs", "        self.0.state().may_be_spent = true;\n", "")],
    ),
    (
        "a request for the lease that arrives late takes it for nobody",
        f"{SCHEDULES}::a_late_request_for_the_lease_is_taken_back",
        [(f"{REDIS}/store.rs", '== "released" || !may_come_late', '== "released" || !may_come_late || said.word == "lost"')],
    ),
    (
        "what could not be saved waits for the next call of its process",
        f"{SCHEDULES}::what_could_not_be_saved_is_saved_before_another_has_the_lease",
        [(f"{REDIS}/store.rs", "if lease.state().unsaved.is_none() {", "if lease.state().unsaved.take().is_none_or(|_| true) {")],
    ),
    (
        "a holder that cannot save keeps the lease for ever",
        f"{SCHEDULES}::who_cannot_save_for_a_minute_lets_the_next_know",
        [(f"{REDIS}/store.rs", "lease.save_later(KEPT_AT_MOST)", "lease.save_later(Duration::MAX)")],
    ),
    (
        "a logout leaves what could not be saved",
        f"{SCHEDULES}::what_could_not_be_saved_undoes_no_logout",
        [
            (f"{REDIS}/scripts.rs", "r = text(math.max(r + 1, tonumber(ARGV[1]) + 1, now))", "r = text(r)"),
            (MIRROR, "(hash.number(\"r\") + 1).max(number(known) + 1).max(now)", "hash.number(\"r\") + 0 * now * number(known)"),
        ],
    ),
    (
        "a late holder saves under the fence that it had",
        f"{SCHEDULES}::a_late_holder_s_login_outlives_whatever_others_have_seen",
        [(f"{REDIS}/store.rs", "let is_late = self.state().holder.is_late(self.shared.now());", "let is_late = false;")],
    ),
    (
        "those who wait find out one after another that the server is away",
        f"{SCHEDULES}::those_who_wait_have_no_answer_together",
        [(f"{REDIS}/engine.rs", "            **turn = Some(error.clone());\n", "            let _ = (turn, error);\n")],
    ),
    (
        "nobody asks any more when the one who asked for all has gone",
        f"{SCHEDULES}::those_who_wait_go_on_when_the_one_who_asks_for_them_goes_away",
        [(f"{REDIS}/engine.rs", "self.has_turn = Some(turn);\n                Ok(Some(true))", "std::mem::forget(turn);\n                Ok(Some(true))")],
    ),
    (
        "a waiter waits for a lease that the clock has made endless",
        DEATHS,
        [(f"{REDIS}/lease.rs", "        busy.left.min(rest)\n", "        self.is_overdue = false;\n        busy.left.min(rest)\n")],
    ),
    (
        "a script is changed and its mirror is not",
        BESIDE,
        [(f"{REDIS}/scripts.rs", "redis.call('HDEL', k, 'w', 'd')", "redis.call('HDEL', k, 'w')")],
    ),
]


def model(package: str, test: str = "") -> subprocess.CompletedProcess:
    target = ["--test", "model"] if package == "coze-auth-tokens" else ["--lib"]
    command = ["cargo", "test", "--locked", "--package", package, *target, "--"]
    if test:
        command += ["--exact", test]
    environment = dict(os.environ, RUSTFLAGS="--cfg coze_auth_model", CARGO_TARGET_DIR=str(COPY / "target"))
    # Nobody debugs what is built here, and without it each fault is built sooner.
    environment["CARGO_PROFILE_DEV_DEBUG"] = "0"
    if test:
        # A planted fault ends the search where it is found; until then luck must not hide it.
        environment.setdefault("COZE_AUTH_MODEL", PLANTED)
    environment.setdefault("COZE_AUTH_MODEL_WALKS", PLANTED_WALKS if test else WALKS)
    return subprocess.run(command, cwd=COPY / "tree", env=environment, capture_output=True, text=True)


def what_was_wrong(run: subprocess.CompletedProcess) -> str:
    """What a walk says that it found, if it was a walk."""
    said = re.search(r"^seed \d+: .*$", run.stdout + run.stderr, re.MULTILINE)
    return f": {said[0][:160]}" if said else ""


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
    # Each planted fault builds a crate anew: --quick looks only whether its place is still there.
    is_quick = "--quick" in sys.argv
    only = set(sys.argv[1:]) - {"--quick"}
    packages = {
        "coze-auth-tokens": [(name, test, [(file, there, instead)]) for name, test, file, there, instead in FAULTS],
        "coze-auth-redis-model": REDIS_FAULTS,
    }
    packages = {package: faults for package, faults in packages.items() if not only or package in only}
    refresh_copy()
    for package in packages:
        run = model(package)
        print(run.stdout[-2000:])
        if run.returncode != 0:
            print(run.stderr[-4000:])
            return 1
    faults = [
        (package, name, test, changes)
        for package, known in packages.items()
        for name, test, changes in known
    ]
    missed = 0
    for package, name, test, changes in faults:
        if test == BESIDE and not shutil.which("redis-server"):
            print(f"skipped {name}: redis-server is not installed (apt-get install redis-server)")
            continue
        whole = {file: (COPY / "tree" / file).read_text() for file, _, _ in changes}
        stale = [file for file, there, _ in changes if whole[file].count(there) != 1]
        if stale:
            print(f"STALE   {name}: its place in {stale[0]} is not there, once")
            missed += 1
            continue
        if is_quick:
            continue
        for file, there, instead in changes:
            (COPY / "tree" / file).write_text(whole[file].replace(there, instead))
        began = time.monotonic()
        run = model(package, test)
        for file, text in whole.items():
            (COPY / "tree" / file).write_text(text)
        if "test result: FAILED. 0 passed; 1 failed" in run.stdout:
            print(f"found   {name} ({test}){what_was_wrong(run)} {time.monotonic() - began:.0f} s")
        else:
            print(f"MISSED  {name} ({test})\n{run.stdout[-1500:]}{run.stderr[-3000:]}")
            missed += 1
    if is_quick:
        print(f"planted=0 of {len(faults)}, stale={missed}: just model plants them")
    else:
        print(f"planted={len(faults)} found={len(faults) - missed}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
