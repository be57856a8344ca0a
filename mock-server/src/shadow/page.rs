//! The report as a page, beside the mock's own pages.

use askama::Template;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::report::{Report, Row};
use super::statements::About;
use crate::html::language;
use crate::html::page::page;
use crate::html::texts::Texts;

#[derive(Template)]
#[template(path = "shadow.html")]
struct ReportPage<'a> {
    t: &'static Texts,
    upstream: &'a str,
    report: &'a Report,
    differs: Vec<(About, &'a Row)>,
    not_judged: Vec<(About, &'a Row)>,
    agrees: Vec<(About, &'a Row)>,
}

/// The page, in the language that the browser prefers.
pub(crate) fn report(report: &Report, upstream: &str, headers: &HeaderMap) -> Response<Bytes> {
    let t = language::texts(headers);
    let of = |number: fn(&Row) -> u64| report.rows().filter(|(_, row)| number(row) > 0).collect();
    let shown = ReportPage {
        t,
        upstream,
        report,
        differs: of(|row| row.differs),
        not_judged: of(|row| row.not_judged),
        agrees: of(|row| row.agrees),
    };
    page(StatusCode::OK, t, &shown)
}
