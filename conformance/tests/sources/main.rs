//! Token sources over real sockets: every case over each transport, on one virtual clock.

mod api;
mod cancelled;
mod clock_cases;
#[path = "../subjects/clocks.rs"]
mod clocks;
mod herd;
mod keys;
mod logins;
#[path = "../common/platform.rs"]
mod platform;
#[path = "../subjects/raw_socket.rs"]
mod raw_socket;
mod redirects;
mod refusals;
mod renewal;
mod shared;
mod stores;
mod support;
mod transports;
mod workload;

/// Makes a `#[test]` of each case over each transport: both adapters, and two of one's own.
macro_rules! over_each {
    ($($case:ident,)+) => {
        mod over_reqwest {
            $(#[test]
            fn $case() {
                super::$case::<crate::transports::OnTokio<crate::transports::Reqwest>>();
            })+
        }
        mod over_ureq {
            $(#[test]
            fn $case() {
                super::$case::<crate::transports::OnThreads<crate::transports::Ureq>>();
            })+
        }
        mod over_hyper {
            $(#[test]
            fn $case() {
                super::$case::<crate::transports::OnTokio<crate::transports::Hyper>>();
            })+
        }
        mod over_attohttpc {
            $(#[test]
            fn $case() {
                super::$case::<crate::transports::OnThreads<crate::transports::Attohttpc>>();
            })+
        }
    };
}
pub(crate) use over_each;
