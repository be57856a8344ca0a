//! The faults: each kind that the mock documents, as often as it shows in another way.

use std::time::Duration;

use coze_auth_mock::{Fault, MemberChange};
use serde_json::json;

use crate::flows::Flow;

/// A gateway's page.
const PAGE: &str = "<!DOCTYPE html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>";

/// A fault of one kind, for the requests of a flow.
pub(crate) struct Kind {
    /// As the mock names it.
    pub(crate) kind: &'static str,
    /// What of it, if there are several.
    pub(crate) which: &'static str,
    pub(crate) fault: fn(Flow) -> Fault,
    /// What happens in the browser acts on authorize requests, and not on those of a client.
    pub(crate) in_browser: bool,
    /// The client waits in vain for an answer or a callback, so it is given a short limit.
    pub(crate) hangs: bool,
}

const fn kind(kind: &'static str, which: &'static str, fault: fn(Flow) -> Fault) -> Kind {
    Kind {
        kind,
        which,
        fault,
        in_browser: false,
        hangs: false,
    }
}

const fn hanging(kind: &'static str, which: &'static str, fault: fn(Flow) -> Fault) -> Kind {
    Kind {
        hangs: true,
        ..self::kind(kind, which, fault)
    }
}

const fn in_browser(kind: &'static str, hangs: bool, fault: fn(Flow) -> Fault) -> Kind {
    Kind {
        in_browser: true,
        hangs,
        ..self::kind(kind, "", fault)
    }
}

/// In the order of the mock's table.
pub(crate) const KINDS: &[Kind] = &[
    kind("status", "502", |_| Fault::status(502)),
    kind("status", "503, `Retry-After: 120`", |_| {
        Fault::status(503).header("retry-after", "120")
    }),
    kind("status", "429", |_| Fault::status(429)),
    kind("status", "404 with a page of HTML", |_| {
        Fault::status(404).body("<h1>404 Not Found</h1>")
    }),
    kind("status", "500 with an error of Coze's API", |_| {
        Fault::status(500).body(r#"{"code":5000,"msg":"internal error"}"#)
    }),
    kind("delay", "", |_| Fault::delay(Duration::from_millis(5))),
    hanging("hold", "", |_| Fault::hold()),
    kind("reset", "", |_| Fault::reset()),
    kind("close_before_body", "", |_| Fault::close_before_body()),
    kind("truncate", "", |_| Fault::truncate()),
    kind("garbage", "", |_| Fault::garbage()),
    kind("slow_drip", "a byte each millisecond", |_| {
        Fault::slow_drip(Duration::from_millis(1))
    }),
    hanging("slow_drip", "a byte each ten seconds", |_| {
        Fault::slow_drip(Duration::from_secs(10))
    }),
    kind("redirect", "302", |_| {
        Fault::redirect(302, "https://elsewhere.invalid/login")
    }),
    kind("redirect", "307", |_| {
        Fault::redirect(307, "https://elsewhere.invalid/login")
    }),
    kind("wrong_content_type", "", |_| Fault::wrong_content_type()),
    kind("wrong_content_type", "a page of HTML", |_| {
        Fault::wrong_content_type().body(PAGE)
    }),
    kind("empty_200", "", |_| Fault::empty_200()),
    kind("dup_header", "", |_| Fault::dup_header()),
    kind("member", "what was asked for is absent", |flow| {
        Fault::member(flow.asked_for(), MemberChange::Absent)
    }),
    kind("member", "what was asked for is null", |flow| {
        Fault::member(flow.asked_for(), MemberChange::Null)
    }),
    kind("member", "what was asked for is of another type", |flow| {
        Fault::member(flow.asked_for(), MemberChange::OtherType)
    }),
    kind("member", "`expires_in` is absent", |_| {
        Fault::member("expires_in", MemberChange::Absent)
    }),
    kind("member", "`expires_in` is in milliseconds", |_| {
        Fault::member("expires_in", MemberChange::Milliseconds)
    }),
    kind("member", "`expires_in` is a text", |_| {
        Fault::member("expires_in", MemberChange::String)
    }),
    kind("member", "`expires_in` is a number of 30 digits", |_| {
        Fault::member("expires_in", MemberChange::TooLarge)
    }),
    kind("member", "an error code beside it", |_| {
        Fault::member("error_code", MemberChange::Value(json!("internal_error")))
    }),
    in_browser("consent_policy", true, |_| Fault::consent_policy()),
    in_browser("callback_307", true, |_| Fault::callback_307()),
    in_browser("callback_twice", false, |_| Fault::callback_twice()),
];
