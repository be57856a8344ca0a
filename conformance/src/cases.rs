//! The cases, by area. Each is a function over a [`Stage`](crate::Stage) that panics where it fails.

pub mod device;
pub mod jwt;
pub mod pkce;
pub mod refresh;
pub mod tokens;
pub mod web;
pub mod wire;

/// Lists the cases for [`conformance_tests!`](crate::conformance_tests).
///
/// `$` stands for itself in the macro that this one makes.
macro_rules! cases {
    ($d:tt $($area:ident { $($case:ident,)+ })+) => {
        /// Makes a `#[test]` of every case over a [`Subject`](crate::Subject), in a module an area, so that
        /// `cargo test device::` runs one area.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d subject:ty) => {
                $(mod $area {
                    #[allow(unused_imports)] // a subject may be named by its full path
                    use super::*;
                    $(#[test]
                    fn $case() {
                        $d crate::run_case::<$d subject>($d crate::cases::$area::$case);
                    })+
                })+
            };
        }
    };
}

cases! { $
    tokens {
        personal_token,
        service_token,
        unknown_token,
        expired_token,
        revoked_token,
    }
    web {
        login,
        login_in_a_workspace,
        login_to_a_fragment,
        denied,
        wrong_secret,
        stray_callback_first,
        code_used_twice,
        code_expired,
        code_of_another_app,
        redirect_of_another_login,
        redirect_not_registered,
    }
    pkce {
        login,
        login_with_plain_challenge,
        login_in_a_workspace,
        verifier_of_another_login,
        login_survives_storage,
    }
    refresh {
        rotates_for_web,
        rotates_for_pkce,
        rotates_for_device,
        spent_token,
        expired_token,
        token_of_another_app,
        a_month_of_refreshing,
    }
    device {
        approved_after_a_while,
        in_a_workspace,
        denied,
        expired_at_the_server,
        expired_here,
        waits_at_least_the_interval,
        survives_a_clock_that_leaps,
        unknown_app,
    }
    jwt {
        grant,
        session_scope_and_ttl,
        for_an_account,
        for_an_enterprise,
        every_call_its_own_assertion,
        unknown_key_id,
        wrong_key,
        wrong_audience,
        assertion_expired,
        replayed_assertion,
    }
    wire {
        what_the_server_sees,
        nobody_listens,
        redirect_not_followed,
        cut_before_an_answer,
        cut_within_an_answer,
        endless_answer,
        refusals_are_read,
        html_of_a_gateway,
    }
}
