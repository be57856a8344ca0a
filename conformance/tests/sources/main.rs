//! Token sources over real sockets: every case over both adapters, on one virtual clock.

mod adapters;
mod api;
mod cancelled;
mod clock_cases;
#[path = "../subjects/clocks.rs"]
mod clocks;
mod herd;
#[path = "../subjects/raw_socket.rs"]
mod raw_socket;
mod redirects;
mod refusals;
mod renewal;
mod stores;
mod support;

/// Makes a `#[test]` of each case over each adapter.
macro_rules! over_both {
    ($($case:ident,)+) => {
        mod over_reqwest {
            $(#[test]
            fn $case() {
                super::$case::<crate::adapters::Reqwest>();
            })+
        }
        mod over_ureq {
            $(#[test]
            fn $case() {
                super::$case::<crate::adapters::Ureq>();
            })+
        }
    };
}
pub(crate) use over_both;
