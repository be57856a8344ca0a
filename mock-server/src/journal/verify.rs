//! Expectations about the requests of a journal, and reports of unmet ones.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Journal;
use super::filter::RequestFilter;
use super::record::Record;

/// One expectation about the requests of a world.
///
/// ```
/// use coze_auth_mock::{CozeAuthMock, Expect, On, RequestFilter};
///
/// let mock = CozeAuthMock::builder().build()?;
/// # let get = |mock: &CozeAuthMock, token: &str| {
/// #     let request = http::Request::get("/v1/users/me").header("Authorization", format!("Bearer {token}"));
/// #     mock.call_blocking(request.body(bytes::Bytes::new()).unwrap()).status().as_u16()
/// # };
/// get(&mock, "pat_mock_alice");
/// mock.verify(&[Expect::exactly(1, RequestFilter::from(On::endpoint("users_me")).status(200))])?;
/// let unmet = mock.verify(&[Expect::at_least(2, RequestFilter::any())]).unwrap_err();
/// println!("{unmet}"); // names the nearest request
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expect(Want);

#[derive(Clone, Debug)]
enum Want {
    Count {
        filter: RequestFilter,
        least: usize,
        most: usize,
    },
    Order(Vec<RequestFilter>),
    Gaps {
        filter: RequestFilter,
        min_ms: u64,
    },
}

impl Expect {
    /// Expects exactly `n` matching requests.
    #[must_use]
    pub fn exactly(n: usize, filter: impl Into<RequestFilter>) -> Self {
        Self::between(n, n, filter.into())
    }

    /// Expects at least `n` matching requests.
    #[must_use]
    pub fn at_least(n: usize, filter: impl Into<RequestFilter>) -> Self {
        Self::between(n, usize::MAX, filter.into())
    }

    /// Expects at most `n` matching requests.
    #[must_use]
    pub fn at_most(n: usize, filter: impl Into<RequestFilter>) -> Self {
        Self::between(0, n, filter.into())
    }

    pub(crate) const fn between(least: usize, most: usize, filter: RequestFilter) -> Self {
        Self(Want::Count {
            filter,
            least,
            most,
        })
    }

    /// Expects matching requests in this order, with any others in between.
    #[must_use]
    pub fn order<C: Into<RequestFilter>>(filter: impl IntoIterator<Item = C>) -> Self {
        Self(Want::Order(filter.into_iter().map(Into::into).collect()))
    }

    /// Expects two or more matching requests, each at least `min` after the one before, by the mock's clock.
    #[must_use]
    pub fn gaps(min: Duration, filter: impl Into<RequestFilter>) -> Self {
        Self(Want::Gaps {
            filter: filter.into(),
            min_ms: u64::try_from(min.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn check(&self, journal: &Journal) -> Result<(), String> {
        match &self.0 {
            Want::Count {
                filter,
                least,
                most,
            } => count(journal, filter, *least, *most),
            Want::Order(all) => order(journal, all),
            Want::Gaps { filter, min_ms } => gaps(journal, filter, *min_ms),
        }
    }
}

/// An expectation that was not met.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct UnmetExpectation {
    /// The position of the expectation, counted from 0.
    pub index: usize,
    /// What was expected, which requests matched, and which other request was nearest.
    pub why: String,
}

/// Unmet expectations; [`Display`](fmt::Display) says why.
#[derive(Clone)]
#[non_exhaustive]
pub struct VerifyError {
    /// The unmet expectations, in their order.
    pub failures: Vec<UnmetExpectation>,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, failure) in self.failures.iter().enumerate() {
            let line = if n == 0 { "" } else { "\n" };
            write!(f, "{line}expectation {}: {}", failure.index, failure.why)?;
        }
        Ok(())
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for VerifyError {}

pub(crate) fn verify(journal: &Journal, expected: &[Expect]) -> Vec<UnmetExpectation> {
    let unmet = expected.iter().enumerate().filter_map(|(index, expect)| {
        let why = expect.check(journal).err()?;
        Some(UnmetExpectation { index, why })
    });
    unmet.collect()
}

/// Reports that entries are missing, so that a verdict would not be certain.
fn evicted(journal: &Journal) -> Option<String> {
    let n = journal.evicted();
    (n > 0).then(|| format!("the journal has evicted the oldest {n}: raise its capacity"))
}

fn count(
    journal: &Journal,
    filter: &RequestFilter,
    least: usize,
    most: usize,
) -> Result<(), String> {
    let matched: Vec<_> = journal
        .iter()
        .filter(|entry| filter.matches(entry))
        .collect();
    let n = matched.len();
    let lost = evicted(journal);
    // Evicted entries may have matched, too.
    if n >= least && n <= most && (lost.is_none() || most == usize::MAX) {
        return Ok(());
    }
    let expected = match (least, most) {
        (least, most) if least == most => format!("exactly {least}"),
        (least, usize::MAX) => format!("at least {least}"),
        (0, most) => format!("at most {most}"),
        (least, most) => format!("{least} to {most}"),
    };
    let mut why = format!("expected {expected} of {filter}; {}", listed(&matched));
    if n < least {
        why.push_str("; ");
        why.push_str(&nearest(journal.iter(), filter));
    }
    if let Some(lost) = lost {
        why.push_str("; ");
        why.push_str(&lost);
    }
    Err(why)
}

const LISTED: usize = 5;

fn listed(entries: &[&Record]) -> String {
    let some = entries.iter().take(LISTED).map(|entry| named(entry));
    let some = some.collect::<Vec<_>>().join(", ");
    match entries.len() {
        0 => "none matched".to_owned(),
        n @ 1..=LISTED => format!("{n} matched ({some})"),
        n => format!("{n} matched ({some}, …)"),
    }
}

fn named(entry: &Record) -> String {
    format!("seq {} {}", entry.seq, entry.outcome.logid)
}

/// Describes the entry that does not match but differs in the fewest members; of several, the newest.
fn nearest<'a>(entries: impl Iterator<Item = &'a Record>, filter: &RequestFilter) -> String {
    let others = entries.filter_map(|entry| {
        let differences = filter.differences(entry);
        (!differences.is_empty()).then_some((entry, differences))
    });
    let nearest =
        others.min_by_key(|(entry, differences)| (differences.len(), u64::MAX - entry.seq));
    let Some((entry, differences)) = nearest else {
        return "the journal has no others".to_owned();
    };
    let differs = differences
        .iter()
        .map(|(name, expected, actual)| format!("{name} {actual}, not {expected}"));
    let mut text = differs.collect::<Vec<_>>().join("; ");
    // The reader also needs to know why it was refused.
    if let Some(rule) = entry.outcome.rule.filter(|_| !text.contains("rule ")) {
        text.push_str(&format!("; rule {rule} refused it"));
    }
    format!("nearest other: {}: {text}", named(entry))
}

fn order(journal: &Journal, all: &[RequestFilter]) -> Result<(), String> {
    let mut rest = journal.iter();
    let mut found: Vec<&Record> = Vec::new();
    for filter in all {
        let after = rest.clone();
        if let Some(entry) = rest.find(|entry| filter.matches(entry)) {
            found.push(entry);
            continue;
        }
        let place = found.len() + 1;
        let before = match found.last() {
            Some(last) => format!("after {}", named(last)),
            None => "in the journal".to_owned(),
        };
        let mut why = format!(
            "request {place} of {}, {filter}, is missing {before}; {}",
            all.len(),
            nearest(after, filter),
        );
        let too_early = journal.iter().filter(|entry| filter.matches(entry));
        let mut too_early = too_early.filter(|entry| found.iter().all(|one| one.seq != entry.seq));
        if let Some(early) = too_early.next_back() {
            why.push_str(&format!("; an earlier one: {}", named(early)));
        }
        if let Some(lost) = evicted(journal) {
            why.push_str("; ");
            why.push_str(&lost);
        }
        return Err(why);
    }
    Ok(())
}

fn gaps(journal: &Journal, filter: &RequestFilter, min_ms: u64) -> Result<(), String> {
    let matched: Vec<_> = journal
        .iter()
        .filter(|entry| filter.matches(entry))
        .collect();
    // One request has no gap, so any expectation would be met.
    if matched.len() < 2 {
        let near = nearest(journal.iter(), filter);
        let listed = listed(&matched);
        return Err(format!(
            "a gap is between two of {filter}; {listed}; {near}"
        ));
    }
    let gaps = matched.windows(2).filter_map(|pair| {
        let gap = pair[1].at_ms.saturating_sub(pair[0].at_ms);
        (gap < min_ms).then_some((gap, pair[0], pair[1]))
    });
    let short: Vec<_> = gaps.collect();
    let Some((gap, before, after)) = short.iter().min_by_key(|(gap, ..)| *gap) else {
        return Ok(());
    };
    Err(format!(
        "expected {min_ms} ms between any two of {filter}; {} of {} gaps are shorter, the shortest {gap} ms, from {} to {}",
        short.len(),
        matched.len() - 1,
        named(before),
        named(after),
    ))
}
