//! Stores with one fault: each turns red for the rules that are about it, and for no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::engine::{Fault, Fault::*, engine};
use super::*;

/// How long a call may take here, since the engine is in this process.
const TIMES: Times = Times {
    soon: Duration::from_millis(500),
    patience: Duration::from_secs(2),
};
/// How long a fault lasts that takes time.
const LONG: Duration = Duration::from_millis(800);

/// A fault, and the rules that find it, in their order. Those of futures are planted in the awaited form.
const PLANTED: &[(Fault, &[&str])] = &[
    (KeysInSmallLetters, &["keys_that_differ_do_not_meet"]),
    (KeysWithoutTheBase, &["keys_that_differ_do_not_meet"]),
    (KeysRunTogether, &["keys_that_differ_do_not_meet"]),
    (KeysCutOff, &["keys_that_differ_do_not_meet"]),
    (OneLockForAllKeys, &["keys_that_differ_do_not_meet"]),
    (AllUsersAreOneRow, &["many_users_at_once"]),
    (TheOldRefreshTokenStays, &["a_grant_is_given_back_whole"]),
    (LongTokensAreCutOff, &["a_grant_is_given_back_whole"]),
    (TimesAreFloats, &["a_grant_is_given_back_whole"]),
    (
        TheLockIsOfOneHandle,
        &[
            "two_handles_have_one_holder",
            "patience_ends_in_time",
            "a_dropped_lock_goes_to_the_one_that_waits",
            "a_caller_that_gave_up_holds_nothing",
            "a_lock_outlives_its_handle",
            "an_ended_lease_goes_to_the_next",
            "a_late_drop_releases_nobody_else",
            "an_error_shows_no_token",
        ],
    ),
    (
        AHandleTakesItsLockTwice,
        &[
            "one_handle_has_one_holder",
            "two_handles_have_one_holder",
            "patience_ends_in_time",
            "a_dropped_lock_goes_to_the_one_that_waits",
            "a_caller_that_gave_up_holds_nothing",
        ],
    ),
    (
        AThreadTakesItsLockTwice,
        &[
            "one_handle_has_one_holder",
            "two_handles_have_one_holder",
            "patience_ends_in_time",
            "a_caller_that_gave_up_holds_nothing",
            "a_lock_outlives_its_handle",
            "a_late_drop_releases_nobody_else",
            "an_error_shows_no_token",
        ],
    ),
    (PatienceIsNotHeeded, &["patience_ends_in_time"]),
    (
        PatienceIsOverAtOnce,
        &[
            "one_handle_has_one_holder",
            "two_handles_have_one_holder",
            "patience_ends_in_time",
            "patience_may_have_no_end",
            "a_dropped_lock_goes_to_the_one_that_waits",
            "a_drop_does_not_wait",
            "no_update_is_lost",
            "an_ended_lease_goes_to_the_next",
        ],
    ),
    (PatienceOverflows, &["patience_may_have_no_end"]),
    (NoPatienceIsNoLock, &["a_free_lock_needs_no_patience"]),
    (
        WaitsInLongSteps,
        &[
            "a_dropped_lock_goes_to_the_one_that_waits",
            "an_ended_lease_goes_to_the_next",
        ],
    ),
    (
        WhoGaveUpGetsTheLock,
        &[
            "one_handle_has_one_holder",
            "two_handles_have_one_holder",
            "a_caller_that_gave_up_holds_nothing",
            "a_lock_outlives_its_handle",
            "an_error_shows_no_token",
        ],
    ),
    (
        ADropWithoutASaveKeepsTheLock,
        &[
            "keys_that_differ_do_not_meet",
            "one_handle_has_one_holder",
            "two_handles_have_one_holder",
            "patience_may_have_no_end",
            "a_free_lock_needs_no_patience",
            "a_dropped_lock_goes_to_the_one_that_waits",
            "a_caller_that_gave_up_holds_nothing",
            "a_panic_gives_the_lock_back",
            "a_drop_does_not_wait",
            "a_holder_reads_what_is_there_now",
            "prepare_changes_nothing",
            "a_drop_without_a_save_changes_nothing",
            "nothing_is_in_doubt_without_a_reason",
            "a_removed_grant_is_gone",
            "a_damaged_row_is_an_error_until_a_login",
            "a_full_store_is_told_before_it_costs",
            "an_error_shows_no_token",
        ],
    ),
    (APanicKeepsTheLock, &["a_panic_gives_the_lock_back"]),
    (TheLockEndsWithItsHandle, &["a_lock_outlives_its_handle"]),
    (TheDropWaits, &["a_drop_does_not_wait"]),
    (
        TheLockIsLookedAtThenTaken,
        &["one_handle_has_one_holder", "two_handles_have_one_holder"],
    ),
    (
        PrepareGivesTheLockBack,
        &[
            "one_handle_has_one_holder",
            "two_handles_have_one_holder",
            "nothing_is_in_doubt_without_a_reason",
        ],
    ),
    (
        ALockInsertsARow,
        &[
            "nothing_is_there_at_first",
            "many_users_at_once",
            "a_holder_reads_what_is_there_now",
            "prepare_changes_nothing",
            "a_drop_without_a_save_changes_nothing",
            "a_removed_grant_is_gone",
            "a_late_first_save_overwrites_nothing",
        ],
    ),
    (
        LoadsAreCached,
        &[
            "a_grant_is_given_back_whole",
            "a_save_is_seen_by_all_at_once",
            "keys_that_differ_do_not_meet",
            "prepare_changes_nothing",
            "a_lock_that_reads_needs_no_load",
            "a_removed_grant_is_gone",
            "a_late_first_save_overwrites_nothing",
            "a_full_store_is_told_before_it_costs",
            "a_save_survives_a_restart",
        ],
    ),
    (
        CachesMissRemovals,
        &["keys_that_differ_do_not_meet", "a_removed_grant_is_gone"],
    ),
    (
        HoldersReadWhatTheirHandleRead,
        &[
            "a_holder_reads_what_is_there_now",
            "prepare_changes_nothing",
            "a_removed_grant_is_gone",
        ],
    ),
    (LoadsWaitForTheHolder, &["a_load_waits_for_nobody"]),
    (
        GrantsAreOfOneHandle,
        &[
            "a_grant_is_given_back_whole",
            "a_save_is_seen_by_all_at_once",
            "a_load_waits_for_nobody",
            "a_grant_outlives_the_handles",
            "keys_that_differ_do_not_meet",
            "many_users_at_once",
            "a_panic_gives_the_lock_back",
            "a_lock_outlives_its_handle",
            "no_update_is_lost",
            "a_holder_reads_what_is_there_now",
            "prepare_changes_nothing",
            "a_drop_without_a_save_changes_nothing",
            "a_login_is_stored",
            "a_lock_that_reads_needs_no_load",
            "a_removed_grant_is_gone",
            "a_late_save_overwrites_nothing",
            "a_late_save_undoes_no_logout",
            "a_late_save_overwrites_no_new_login",
            "a_late_first_save_overwrites_nothing",
            "of_two_holders_one_saves",
            "a_doubt_ends_with_a_save",
            "a_late_drop_releases_nobody_else",
            "a_late_holder_is_told_before_it_spends",
            "a_damaged_row_is_an_error_until_a_login",
            "a_save_survives_a_restart",
        ],
    ),
    (
        SavesAreWrittenAtTheDrop,
        &[
            "a_grant_is_given_back_whole",
            "prepare_changes_nothing",
            "a_login_is_stored",
            "a_late_save_overwrites_nothing",
            "a_late_save_undoes_no_logout",
            "a_late_save_overwrites_no_new_login",
            "a_late_first_save_overwrites_nothing",
            "of_two_holders_one_saves",
            "a_doubt_ends_with_a_save",
            "a_full_store_is_told_before_it_costs",
            "what_was_prepared_is_saved",
        ],
    ),
    (
        SavesDoNotCompare,
        &[
            "a_late_save_overwrites_nothing",
            "a_late_save_undoes_no_logout",
            "a_late_save_overwrites_no_new_login",
            "a_late_first_save_overwrites_nothing",
            "of_two_holders_one_saves",
        ],
    ),
    (RevisionsBeginAnew, &["a_late_save_overwrites_no_new_login"]),
    (
        ASaveBringsARemovedGrantBack,
        &["a_late_save_undoes_no_logout"],
    ),
    (
        AFirstSaveDoesNotCompare,
        &["a_late_first_save_overwrites_nothing"],
    ),
    (
        SupersededSavesAreStored,
        &[
            "a_late_save_overwrites_nothing",
            "a_late_save_undoes_no_logout",
            "a_late_save_overwrites_no_new_login",
            "a_late_first_save_overwrites_nothing",
            "of_two_holders_one_saves",
        ],
    ),
    (
        LoginsAreSupersededForEver,
        &[
            "a_grant_is_given_back_whole",
            "a_save_is_seen_by_all_at_once",
            "a_grant_outlives_the_handles",
            "a_lock_outlives_its_handle",
            "no_update_is_lost",
            "a_holder_reads_what_is_there_now",
            "prepare_changes_nothing",
            "a_login_is_stored",
            "a_lock_that_reads_needs_no_load",
            "a_removed_grant_is_gone",
            "a_removed_grant_leaves_no_copy",
            "a_late_save_overwrites_nothing",
            "a_late_first_save_overwrites_nothing",
            "of_two_holders_one_saves",
            "a_doubt_ends_with_a_save",
            "a_late_drop_releases_nobody_else",
            "a_late_holder_is_told_before_it_spends",
            "a_damaged_row_is_an_error_until_a_login",
            "a_full_store_is_told_before_it_costs",
            "what_was_prepared_is_saved",
            "a_save_survives_a_restart",
            "an_error_shows_no_token",
        ],
    ),
    (
        ADropWithoutASaveRemoves,
        &[
            "a_panic_gives_the_lock_back",
            "a_lock_outlives_its_handle",
            "prepare_changes_nothing",
            "a_drop_without_a_save_changes_nothing",
            "a_late_drop_releases_nobody_else",
            "a_damaged_row_is_an_error_until_a_login",
            "a_full_store_is_told_before_it_costs",
        ],
    ),
    (PrepareWrites, &["prepare_changes_nothing"]),
    (
        PrepareSaysYes,
        &[
            "a_late_holder_is_told_before_it_spends",
            "a_full_store_is_told_before_it_costs",
            "what_was_prepared_is_saved",
        ],
    ),
    (
        PrepareDoesNotLookAtTheRoom,
        &[
            "a_full_store_is_told_before_it_costs",
            "what_was_prepared_is_saved",
        ],
    ),
    (SavesNeedRoom, &["what_was_prepared_is_saved"]),
    (
        ALateDropReleasesTheNext,
        &["a_late_drop_releases_nobody_else"],
    ),
    (ALockSaysThatItReads, &["a_lock_that_reads_needs_no_load"]),
    (
        ASaveLeavesADoubt,
        &[
            "nothing_is_in_doubt_without_a_reason",
            "a_doubt_ends_with_a_save",
        ],
    ),
    (ADropLeavesADoubt, &["nothing_is_in_doubt_without_a_reason"]),
    (
        EndedLeasesStay,
        &[
            "an_ended_lease_goes_to_the_next",
            "a_late_save_overwrites_nothing",
            "a_late_save_undoes_no_logout",
            "a_late_save_overwrites_no_new_login",
            "a_late_first_save_overwrites_nothing",
            "of_two_holders_one_saves",
            "a_doubt_ends_with_a_save",
            "a_late_drop_releases_nobody_else",
            "a_late_holder_is_told_before_it_spends",
        ],
    ),
    (ARemovalLeavesACopy, &["a_removed_grant_leaves_no_copy"]),
    (
        ARemovalIsOfOneHandle,
        &[
            "keys_that_differ_do_not_meet",
            "a_holder_reads_what_is_there_now",
            "a_removed_grant_is_gone",
            "a_removed_grant_leaves_no_copy",
            "a_late_save_undoes_no_logout",
            "a_late_save_overwrites_no_new_login",
            "a_damaged_row_is_an_error_until_a_login",
            "a_removal_survives_a_restart",
        ],
    ),
    (RemovingNothingFails, &["a_removed_grant_is_gone"]),
    (
        WhatIsDamagedIsNotThere,
        &["a_damaged_row_is_an_error_until_a_login"],
    ),
    (
        WhatIsDamagedStays,
        &[
            "a_removed_grant_leaves_no_copy",
            "a_damaged_row_is_an_error_until_a_login",
            "an_error_shows_no_token",
        ],
    ),
    (
        ErrorsQuoteTheRow,
        &[
            "a_damaged_row_is_an_error_until_a_login",
            "an_error_shows_no_token",
        ],
    ),
    (
        FailedSavesQuoteTheGrant,
        &["what_was_prepared_is_saved", "an_error_shows_no_token"],
    ),
    (SavesAreNotDurable, &["a_save_survives_a_restart"]),
    (RemovalsAreNotDurable, &["a_removal_survives_a_restart"]),
    (
        ALockThatIsBrokenOffStays,
        &["a_lock_that_is_broken_off_is_free"],
    ),
    (
        AnAwaitedLockBlocks,
        &[
            "a_lock_that_waits_takes_no_thread",
            "a_lock_that_is_not_awaited_goes_to_the_next",
        ],
    ),
    (
        WhoIsDroppedGetsTheLock,
        &[
            "a_lock_that_is_not_awaited_goes_to_the_next",
            "a_lock_that_is_broken_off_is_free",
        ],
    ),
    (
        ASaveIsADeleteAndAnInsert,
        &["a_save_that_is_broken_off_is_whole_or_nothing"],
    ),
    (
        ASaveLeavesTheRowBusy,
        &["a_save_that_is_broken_off_is_whole_or_nothing"],
    ),
    (
        ARemovalEmptiesTheRowFirst,
        &["a_removal_that_is_broken_off_is_whole_or_nothing"],
    ),
    (ALoadTakesTheRowOut, &["what_only_reads_may_be_broken_off"]),
    (
        ADropNeedsTheRuntime,
        &["a_drop_outside_of_the_runtime_does_not_panic"],
    ),
];

/// Where a race decides whether a fault shows: threads that starve each other.
const RACES: &[(Fault, &str)] = &[
    (AHandleTakesItsLockTwice, "no_update_is_lost"),
    (TheLockIsLookedAtThenTaken, "no_update_is_lost"),
    (WaitsInLongSteps, "one_handle_has_one_holder"),
    (WaitsInLongSteps, "two_handles_have_one_holder"),
    (WaitsInLongSteps, "no_update_is_lost"),
];

/// Whether the store with this fault fails by the rule.
fn is_red(fault: Fault, rule: &str) -> bool {
    let mut store = engine(Some(fault), fault.is_of_futures(), LONG);
    store.times = TIMES;
    catch_unwind(AssertUnwindSafe(|| test_rule(rule, store))).is_err()
}

/// Each of them is in the table, and each rule is in some row: a rule that finds nothing is none.
#[test]
fn every_rule_finds_a_fault() {
    for rule in RULES {
        let finds = PLANTED.iter().any(|(_, rules)| rules.contains(&rule.name));
        assert!(finds, "{}", rule.name);
    }
}

#[test]
fn each_fault_turns_its_rules_red_and_no_other() {
    let runs = PLANTED
        .iter()
        .flat_map(|planted| RULES.iter().map(move |rule| (planted, rule)));
    let runs = Mutex::new(runs);
    let wrong = Mutex::new(Vec::new());
    // They wait most of the time.
    given::on_threads(96, |_| {
        loop {
            let next = runs.lock().expect("no panic").next();
            let Some(((fault, rules), rule)) = next else {
                return;
            };
            if RACES.contains(&(*fault, rule.name)) {
                continue;
            }
            let expected = rules.contains(&rule.name);
            if is_red(*fault, rule.name) != expected {
                let what = if expected {
                    "is not found by"
                } else {
                    "is found by"
                };
                wrong
                    .lock()
                    .expect("no panic")
                    .push(format!("{fault:?} {what} {}", rule.name));
            }
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
