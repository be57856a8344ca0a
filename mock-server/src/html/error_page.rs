//! The page of a refused authorize request.

use http::{HeaderMap, StatusCode};

use super::language::texts;
use super::page::{Detail, Message, Mood, page};
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Reply;

/// The page of a refusal. A refused authorize request is not redirected (protocol §2.2).
pub(crate) fn refused(
    headers: &HeaderMap,
    status: StatusCode,
    error: &str,
    refusal: &Refusal,
    logid: &str,
) -> Reply {
    let t = texts(headers);
    let row = refusal.rule.text();
    let detail = |id, name, value| Detail { id, name, value };
    let message = refusal.message();
    let page_of = Message {
        t,
        title: t.oauth_error,
        text: t.refused_text,
        mood: Mood::Failed,
        details: &[
            detail("error", t.error, error),
            detail("message", t.message, &message),
            detail("rule", t.rule, refusal.rule.id()),
            detail("meaning", t.meaning, &row.text),
            detail("expected", t.expected, &refusal.expected),
            detail("actual", t.actual, &refusal.actual),
            detail("fix", t.fix, &row.fix),
            detail("logid", "Logid", logid),
        ],
        on: None,
    };
    page(status, t, &page_of)
}

/// The page of the error of a script.
pub(crate) fn scripted(
    headers: &HeaderMap,
    status: StatusCode,
    error: &str,
    message: &str,
    logid: &str,
) -> Reply {
    let t = texts(headers);
    let detail = |id, name, value| Detail { id, name, value };
    let page_of = Message {
        t,
        title: t.oauth_error,
        text: t.scripted_text,
        mood: Mood::Failed,
        details: &[
            detail("error", t.error, error),
            detail("message", t.message, message),
            detail("logid", "Logid", logid),
        ],
        on: None,
    };
    page(status, t, &page_of)
}
