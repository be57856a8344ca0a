//! The rules, and what of the store's documentation each holds to.

use super::{StoreUnderTest, dropped, holding, leases, locking, reading, trouble};

/// What a test has to be able to do beside opening the store.
#[derive(Clone, Copy)]
pub(super) enum Need {
    Nothing,
    EndLease,
    Damage,
    Fill,
    Contents,
    Restart,
    Awaited,
}

/// Something that a store holds to.
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// The words of `store.rs`.
    pub(super) says: &'static str,
    pub(super) needs: Need,
    pub(super) run: fn(&StoreUnderTest),
}

/// A rule is named as its function.
macro_rules! rule {
    ($says:literal, $needs:ident, $module:ident::$name:ident) => {
        Rule {
            name: stringify!($name),
            says: $says,
            needs: Need::$needs,
            run: $module::$name,
        }
    };
}

/// All, in the order of the page.
pub(super) const RULES: &[Rule] = &[
    rule!(
        "It is not an error that there is none.",
        Nothing,
        reading::nothing_is_there_at_first
    ),
    rule!(
        "It is what was saved last, whole, through whichever handle, also one that is gone.",
        Nothing,
        reading::a_grant_is_given_back_whole
    ),
    rule!(
        "It is what was saved last, whole, through whichever handle, also one that is gone.",
        Nothing,
        reading::a_save_is_seen_by_all_at_once
    ),
    rule!(
        "Reads the grant, without waiting for who holds the right to change it.",
        Nothing,
        reading::a_load_waits_for_nobody
    ),
    rule!(
        "It is what was saved last, whole, through whichever handle, also one that is gone.",
        Nothing,
        reading::a_grant_outlives_the_handles
    ),
    rule!(
        "What is stored for one key has nothing to do with what is stored for another, and neither have their locks.",
        Nothing,
        reading::keys_that_differ_do_not_meet
    ),
    rule!(
        "What is stored for one key has nothing to do with what is stored for another, and neither have their locks.",
        Nothing,
        reading::many_users_at_once
    ),
    rule!(
        "One holder has it at a time, through one handle or several.",
        Nothing,
        locking::one_handle_has_one_holder
    ),
    rule!(
        "One holder has it at a time, through one handle or several.",
        Nothing,
        locking::two_handles_have_one_holder
    ),
    rule!(
        "`StoreError::Locked` when the patience is at an end.",
        Nothing,
        locking::patience_ends_in_time
    ),
    rule!(
        "Waits for the right to change the grant, for at most `patience` of the machine's time, which may be `Duration::MAX`.",
        Nothing,
        locking::patience_may_have_no_end
    ),
    rule!(
        "A right that nobody has needs no patience.",
        Nothing,
        locking::a_free_lock_needs_no_patience
    ),
    rule!(
        "Dropping it gives it to the next at once, and changes nothing else; so does a panic.",
        Nothing,
        locking::a_dropped_lock_goes_to_the_one_that_waits
    ),
    rule!(
        "Dropping it gives it to the next at once, and changes nothing else; so does a panic.",
        Nothing,
        locking::a_caller_that_gave_up_holds_nothing
    ),
    rule!(
        "Dropping it gives it to the next at once, and changes nothing else; so does a panic.",
        Nothing,
        locking::a_panic_gives_the_lock_back
    ),
    rule!(
        "It is the holder's until it is dropped, on whichever thread, also when the handle is gone",
        Nothing,
        locking::a_lock_outlives_its_handle
    ),
    rule!(
        "So a drop must neither wait nor panic",
        Nothing,
        locking::a_drop_does_not_wait
    ),
    rule!(
        "A store therefore gives out the right to change a grant, one holder at a time",
        Nothing,
        locking::no_update_is_lost
    ),
    rule!(
        "Reads the grant as it is now.",
        Nothing,
        holding::a_holder_reads_what_is_there_now
    ),
    rule!(
        "What `load` gives stays the same.",
        Nothing,
        holding::prepare_changes_nothing
    ),
    rule!(
        "Dropping it gives it to the next at once, and changes nothing else; so does a panic.",
        Nothing,
        holding::a_drop_without_a_save_changes_nothing
    ),
    rule!(
        "Stores the grant in place of what the last `load` of this holder gave; without a `load` before it (a login), in place of nothing.",
        Nothing,
        holding::a_login_is_stored
    ),
    rule!(
        "`lock` reads the grant in the same step and `save` compares with what it read",
        Nothing,
        holding::a_lock_that_reads_needs_no_load
    ),
    rule!(
        "None if nothing speaks for that, or if the store cannot know.",
        Nothing,
        holding::nothing_is_in_doubt_without_a_reason
    ),
    rule!(
        "Removes the grant, with every copy that the store has of it. It is not an error that there is none.",
        Nothing,
        holding::a_removed_grant_is_gone
    ),
    rule!(
        "Removes the grant, with every copy that the store has of it.",
        Contents,
        holding::a_removed_grant_leaves_no_copy
    ),
    rule!(
        "a lock that ends by itself when its holder dies",
        EndLease,
        leases::an_ended_lease_goes_to_the_next
    ),
    rule!(
        "a holder whose lock has ended overwrites no later save, undoes no removal, and overwrites no login that followed one.",
        EndLease,
        leases::a_late_save_overwrites_nothing
    ),
    rule!(
        "a holder whose lock has ended overwrites no later save, undoes no removal, and overwrites no login that followed one.",
        EndLease,
        leases::a_late_save_undoes_no_logout
    ),
    rule!(
        "a holder whose lock has ended overwrites no later save, undoes no removal, and overwrites no login that followed one.",
        EndLease,
        leases::a_late_save_overwrites_no_new_login
    ),
    rule!(
        "Where something else is stored by now, that stays, and this is `Saved::Superseded`",
        EndLease,
        leases::a_late_first_save_overwrites_nothing
    ),
    rule!(
        "Of two that hold a lock at once, since the first one's lease has ended, one saves.",
        EndLease,
        leases::of_two_holders_one_saves
    ),
    rule!(
        "It is known when the holder has the lock, and stays the same until it saves.",
        EndLease,
        leases::a_doubt_ends_with_a_save
    ),
    rule!(
        "One holder has it at a time, through one handle or several.",
        EndLease,
        leases::a_late_drop_releases_nobody_else
    ),
    rule!(
        "A holder whose lock has ended, and whose grant another has changed, is told here.",
        EndLease,
        leases::a_late_holder_is_told_before_it_spends
    ),
    rule!(
        "A row that is not a grant is `StoreError::Corrupt` or another error, and its revision is remembered all the same: a login replaces it.",
        Damage,
        trouble::a_damaged_row_is_an_error_until_a_login
    ),
    rule!(
        "It is called just before the refresh token is spent, and a failure then costs nothing.",
        Fill,
        trouble::a_full_store_is_told_before_it_costs
    ),
    rule!(
        "Finds out whether the next `save` will succeed, as far as that can be known, by the same way of writing: with the rights that it needs, and with room for a grant.",
        Fill,
        trouble::what_was_prepared_is_saved
    ),
    rule!(
        "When this returns, the grant survives a loss of power.",
        Restart,
        trouble::a_save_survives_a_restart
    ),
    rule!(
        "Removes the grant, with every copy that the store has of it.",
        Restart,
        trouble::a_removal_survives_a_restart
    ),
    rule!(
        "No error shows a token, neither in its text nor in its `Debug`.",
        Nothing,
        trouble::an_error_shows_no_token
    ),
    rule!(
        "while it waits for a lock it takes no thread.",
        Awaited,
        dropped::a_lock_that_waits_takes_no_thread
    ),
    rule!(
        "gives a lock that it waited for to the next.",
        Awaited,
        dropped::a_lock_that_is_not_awaited_goes_to_the_next
    ),
    rule!(
        "gives a lock that it waited for to the next.",
        Awaited,
        dropped::a_lock_that_is_broken_off_is_free
    ),
    rule!(
        "A future that is dropped leaves the grant as it was or as it was to be",
        Awaited,
        dropped::a_save_that_is_broken_off_is_whole_or_nothing
    ),
    rule!(
        "A future that is dropped leaves the grant as it was or as it was to be",
        Awaited,
        dropped::a_removal_that_is_broken_off_is_whole_or_nothing
    ),
    rule!(
        "A future that is dropped leaves the grant as it was or as it was to be",
        Awaited,
        dropped::what_only_reads_may_be_broken_off
    ),
    rule!(
        "a drop must neither wait nor panic, also where no runtime is.",
        Awaited,
        dropped::a_drop_outside_of_the_runtime_does_not_panic
    ),
];
