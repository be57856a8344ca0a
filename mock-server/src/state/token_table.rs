//! The table of issued codes and tokens, by fingerprint, with their states and their lineage.

use std::collections::HashMap;
use std::num::NonZeroU64;

use serde::Serialize;

use super::State;
use super::grants::{AccessToken, AppIndex, Code, Decision, Device, IdToken, RefreshToken};
use super::provenance::Mark;
use crate::protocol::digest::{Digest, Fingerprint, fingerprint_of, hex};

/// A request, as the journal names it.
#[derive(Debug, Serialize)]
pub(crate) struct Moment {
    pub(crate) seq: u64,
    pub(crate) logid: Option<String>,
}

impl Moment {
    fn new(mark: Mark, state: &State) -> Self {
        Self {
            seq: mark.seq(),
            logid: mark.logid(&state.journal.log_ids),
        }
    }
}

/// A code or token of a flow.
#[derive(Clone, Copy)]
struct Row {
    print: Fingerprint,
    kind: &'static str,
    state: &'static str,
    app: AppIndex,
    from: Option<Fingerprint>,
    made: Mark,
    spent: Option<Mark>,
    expires_ms: Option<u64>,
}

/// The shown form of a [`Row`].
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'static str>,
    /// `live`, `spent`, `revoked`, `denied`, `expired` or `evicted`.
    pub(crate) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) made: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spent: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_ms: Option<u64>,
}

impl Row {
    fn show(&self, state: &State) -> Shown {
        Shown {
            fingerprint: hex(&self.print),
            kind: Some(self.kind),
            state: self.state,
            client_id: Some(state.app(self.app).client_id.clone()),
            from: self.from.as_ref().map(hex),
            made: Some(Moment::new(self.made, state)),
            spent: self.spent.map(|spent| Moment::new(spent, state)),
            expires_ms: self.expires_ms,
        }
    }
}

/// The row of an evicted token, of which only its descendants are known.
fn evicted(print: &Fingerprint) -> Shown {
    Shown {
        fingerprint: hex(print),
        kind: None,
        state: "evicted",
        client_id: None,
        from: None,
        made: None,
        spent: None,
        expires_ms: None,
    }
}

/// The state of a code or token. The checks are in the order in which the endpoints refuse.
const fn state(revoked: bool, spent: bool, expired: bool) -> &'static str {
    match (revoked, spent, expired) {
        (true, ..) => "revoked",
        (_, true, _) => "spent",
        (.., true) => "expired",
        _ => "live",
    }
}

fn code((key, code): (&Digest, &Code), now: u64) -> Row {
    Row {
        print: fingerprint_of(key),
        kind: "code",
        state: state(false, code.used.is_some(), now >= code.expires_ms),
        app: code.app,
        from: None,
        made: code.made,
        spent: code.used,
        expires_ms: Some(code.expires_ms),
    }
}

fn device((key, device): (&Digest, &Device), now: u64) -> Row {
    let state = match device.decision {
        Decision::Denied => "denied",
        _ => state(false, device.used.is_some(), now >= device.expires_ms),
    };
    Row {
        print: fingerprint_of(key),
        kind: "device_code",
        state,
        app: device.app,
        from: None,
        made: device.made,
        spent: device.used,
        expires_ms: Some(device.expires_ms),
    }
}

fn refresh((key, token): (&Digest, &RefreshToken), now: u64) -> Row {
    let expired = now >= token.expires_ms;
    Row {
        print: fingerprint_of(key),
        kind: "refresh_token",
        state: state(token.revoked, token.spent.is_some(), expired),
        app: token.app,
        from: token.origin.from(),
        made: token.origin.made,
        spent: token.spent,
        expires_ms: Some(token.expires_ms),
    }
}

fn id_token((key, token): (&Digest, &IdToken), now: u64) -> Row {
    Row {
        print: fingerprint_of(key),
        kind: "id_token",
        state: state(false, false, now >= token.expires_ms),
        app: token.app,
        from: None,
        made: token.made,
        spent: None,
        expires_ms: Some(token.expires_ms),
    }
}

/// The row of an access token; none for a token from the console, which no flow issued.
fn access((key, token): (&Digest, &AccessToken), now: u64) -> Option<Row> {
    let expired = token.expires_ms.is_some_and(|expiry| now >= expiry.get());
    let origin = token.origin?;
    Some(Row {
        print: fingerprint_of(key),
        kind: "access_token",
        state: state(token.revoked, false, expired),
        app: token.app?,
        from: origin.from(),
        made: origin.made,
        spent: None,
        expires_ms: token.expires_ms.map(NonZeroU64::get),
    })
}

fn rows(state: &State) -> impl Iterator<Item = Row> + '_ {
    let now = state.now_ms();
    let codes = state.codes.entries().map(move |entry| code(entry, now));
    let devices = state.devices.entries();
    let access_tokens = state.access_tokens.entries();
    let refresh_tokens = state.refresh_tokens.entries();
    let id_tokens = state.id_tokens.entries();
    codes
        .chain(id_tokens.map(move |entry| id_token(entry, now)))
        .chain(devices.map(move |entry| device(entry, now)))
        .chain(access_tokens.filter_map(move |entry| access(entry, now)))
        .chain(refresh_tokens.map(move |entry| refresh(entry, now)))
}

/// All rows in the order in which they were made, so that each stands after the one from which it was made.
fn in_order(state: &State) -> Vec<Row> {
    let mut all: Vec<_> = rows(state).collect();
    // The sort is stable: of one request the access token is first.
    all.sort_by_key(|row| row.made.seq());
    all
}

/// Number of codes and tokens of each kind that would be accepted.
pub(crate) fn live(state: &State) -> [(&'static str, usize); 5] {
    let mut live = [
        "code",
        "device_code",
        "access_token",
        "refresh_token",
        "id_token",
    ]
    .map(|kind| (kind, 0));
    for row in rows(state).filter(|row| row.state == "live") {
        let counted = live.iter_mut().find(|(kind, _)| *kind == row.kind);
        counted.into_iter().for_each(|(_, n)| *n += 1);
    }
    live
}

/// Number of codes and tokens that were evicted.
pub(crate) fn evicted_count(state: &State) -> u64 {
    state.codes.evicted()
        + state.devices.evicted()
        + state.access_tokens.evicted()
        + state.refresh_tokens.evicted()
        + state.id_tokens.evicted()
}

/// The newest `most` rows, oldest first.
pub(crate) fn list(state: &State, most: usize) -> Vec<Shown> {
    let all = in_order(state);
    let newest = &all[all.len().saturating_sub(most)..];
    newest.iter().map(|row| row.show(state)).collect()
}

/// The lineage of `wanted`: all codes and tokens made from the same root, itself included. Returns their number, and the
/// root followed by the newest `most` of them. Returns none if `wanted` is unknown.
pub(crate) fn lineage(
    state: &State,
    wanted: Fingerprint,
    most: usize,
) -> Option<(usize, Vec<Shown>)> {
    let all = in_order(state);
    let mut roots: HashMap<Fingerprint, Fingerprint> = HashMap::with_capacity(all.len());
    for row in &all {
        let root = match row.from {
            // An evicted one becomes the root, since its own origin is unknown.
            Some(from) => *roots.entry(from).or_insert(from),
            None => row.print,
        };
        roots.insert(row.print, root);
    }
    let root = roots.get(&wanted).copied()?;
    let family: Vec<_> = all
        .iter()
        .filter(|row| roots.get(&row.print) == Some(&root))
        .collect();
    let mut shown = Vec::new();
    let first = family.first().filter(|row| row.print == root);
    shown.push(match first {
        Some(row) => row.show(state),
        None => evicted(&root),
    });
    let later = &family[usize::from(first.is_some())..];
    let newest = &later[later.len().saturating_sub(most)..];
    shown.extend(newest.iter().map(|row| row.show(state)));
    Some((later.len() + 1, shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::log_id::LogIds;
    use crate::protocol::digest::digest;
    use crate::state::provenance::Origin;
    use crate::state::settings::Settings;

    /// The descendants of a token stay together after the token was evicted.
    #[test]
    fn a_lineage_begins_with_the_oldest_that_is_known_of() {
        let mut settings = Settings::standard([1; 32]);
        settings.cap = 2;
        let mut state = State::new(settings, LogIds::new("", 0));
        let now = state.now_ms();
        let mut prints = Vec::new();
        let mut from = digest("a code");
        for seq in 1..=4 {
            let origin = Origin::new(Some(&from), Mark::new(now, seq));
            let user = state.user.clone();
            let tokens = state.issue_pair(0, user, now, origin);
            from = tokens.refresh_key.expect("a refresh token");
            prints.push((fingerprint_of(&tokens.access_key), fingerprint_of(&from)));
        }
        let gone = prints[1].1;
        for wanted in [gone, prints[2].0, prints[3].1] {
            let (total, shown) = lineage(&state, wanted, 10).expect("a lineage");
            let states = shown.iter().map(|row| (row.state, row.fingerprint.clone()));
            let expected = [
                ("evicted", hex(&gone)),
                ("live", hex(&prints[2].0)),
                ("live", hex(&prints[2].1)),
                ("live", hex(&prints[3].0)),
                ("live", hex(&prints[3].1)),
            ];
            assert_eq!(states.collect::<Vec<_>>(), expected);
            assert_eq!(total, 5);
        }
        let (total, shown) = lineage(&state, gone, 1).expect("a lineage");
        assert_eq!((total, shown.len()), (5, 2), "the first, and the newest");
        assert!(
            lineage(&state, prints[0].1, 10).is_none(),
            "nobody knows it"
        );
        assert_eq!(evicted_count(&state), 4);
    }
}
