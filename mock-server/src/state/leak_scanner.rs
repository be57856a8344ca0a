//! Finds secrets where they do not belong: in a URL, in a header other than `Authorization`, in a member of another
//! meaning, at an endpoint that does not take them.
//!
//! It keeps no plain text: a word that looks like a token is looked up by its digest, as a presented token is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::State;
use super::challenges::of_verifier;
use super::secret_kinds::{Kind, Place};
use crate::journal::draft::Draft;
use crate::journal::leak::Leak;
use crate::protocol::digest::{Digest, digest, fingerprint_of, hex};
use crate::protocol::endpoint::Endpoint;
use crate::protocol::json_body::Part;
use crate::protocol::request::{Body, Incoming};
use crate::redact::{self, json};

/// Maximum number of leaks of one request.
const MOST_OF_ONE: usize = 16;

/// Minimum length of a code verifier that is looked for: official SDKs send 32 characters and more.
const SHORTEST_VERIFIER: usize = 16;

struct Scan<'a> {
    state: &'a State,
    endpoint: Endpoint<'a>,
    found: Vec<Leak>,
}

/// Finds leaks in the members of a body.
pub(crate) fn of_members<'a>(
    state: &State,
    endpoint: Endpoint<'_>,
    members: impl Iterator<Item = (&'a str, Part<'a>)>,
) -> Vec<Leak> {
    let mut scan = Scan::new(state, endpoint);
    for (name, value) in members {
        scan.text(Place::Body, name);
        match value {
            Part::Text(text) => scan.text(Place::Member(name), text),
            Part::Other(other) => scan.value(other),
        }
    }
    scan.found
}

/// Finds leaks in the rest of a request, and in its body if no handler has read it.
pub(crate) fn of_request(
    state: &State,
    endpoint: Endpoint<'_>,
    request: &Incoming,
    draft: &mut Draft,
) {
    let mut scan = Scan::new(state, endpoint);
    scan.found = std::mem::take(&mut draft.leaks);
    scan.encoded(Place::Path, &request.path);
    let query = request.query.as_deref().unwrap_or("");
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        scan.encoded(Place::Query(""), &name);
        scan.encoded(Place::Query(&name), &value);
    }
    for (name, value) in &request.headers {
        let place = Place::Header(name.as_str());
        match value.to_str() {
            // Proxies and browsers record the URL in this form.
            Ok(text) if name != AUTHORIZATION => scan.encoded(place, text),
            Ok(text) => scan.text(place, text),
            Err(_) => {}
        }
    }
    if let (None, Body::Whole(body)) = (&draft.json, &request.body) {
        for (name, value) in form_urlencoded::parse(body) {
            scan.text(Place::Body, &name);
            scan.text(Place::Member(&name), &value);
        }
    }
    draft.leaks = scan.found;
}

/// Finds the secrets of this world in a text, such as the log of a client.
pub(crate) fn of_text(state: &State, text: &str) -> Vec<Leak> {
    let mut scan = Scan::new(state, Endpoint::Unknown);
    scan.encoded(Place::Text, text);
    scan.found
}

impl<'a> Scan<'a> {
    const fn new(state: &'a State, endpoint: Endpoint<'a>) -> Self {
        let found = Vec::new();
        Self {
            state,
            endpoint,
            found,
        }
    }

    /// Scans a text as it is, and again without percent-encoding.
    fn encoded(&mut self, place: Place<'_>, text: &str) {
        if !text.contains('%') {
            return self.text(place, text);
        }
        let mut plain = std::borrow::Cow::Borrowed(text);
        for _ in 0..4 {
            let decoded = redact::decoded_once(&plain).into_owned();
            plain = decoded.into();
        }
        self.text(place, &plain);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text(Place::Body, text),
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(members) => {
                for (name, value) in members {
                    self.text(Place::Body, name);
                    self.value(value);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, place: Place<'_>, text: &str) {
        let mut keys = self
            .state
            .apps
            .iter()
            .filter_map(|app| app.api_key.as_deref());
        if keys.any(|key| text.len() >= key.len() && text.contains(key)) {
            self.report(place, Kind::ApiKey, "");
        }
        for word in redact::long_words(text) {
            let word = word.trim_matches(['.', '-', '~']);
            let Some(kind) = self.kind(place, word) else {
                // `v1.czu_mock_…` is one word, and a verifier may have dots.
                if word.contains('.') || word.contains('~') {
                    // Of one letter at a time, which is found fast.
                    for part in word.split('.').flat_map(|part| part.split('~')) {
                        if let Some(kind) = self.kind(place, part) {
                            self.report(place, kind, part);
                        }
                    }
                }
                continue;
            };
            self.report(place, kind, word);
        }
    }

    fn report(&mut self, place: Place<'_>, kind: Kind, word: &str) {
        if place.takes(kind, self.endpoint) || self.found.len() == MOST_OF_ONE {
            return;
        }
        let name = match place {
            Place::Query(name) | Place::Member(name) if !name.is_empty() => {
                Some(json::member_name(name).to_owned())
            }
            Place::Header(name) => Some(redact::places::header_name(name).to_owned()),
            _ => None,
        };
        // Other secrets may be short enough to be guessed from their fingerprint.
        let long = matches!(
            kind,
            Kind::Access | Kind::Refresh | Kind::Code | Kind::DeviceCode | Kind::IdToken
        );
        let leak = Leak {
            kind: kind.name(),
            place: place.name(),
            name,
            fingerprint: long.then(|| hex(&fingerprint_of(&digest(word)))),
            logid: String::new(),
        };
        if !self.found.contains(&leak) {
            self.found.push(leak);
        }
    }

    /// The kind of secret of this world that a word is, or none. Secrets that belong in this place are not looked up.
    fn kind(&self, place: Place<'_>, word: &str) -> Option<Kind> {
        if let Some(kind) = Kind::by_shape(word) {
            let known = place.takes(kind, self.endpoint) || self.knows(kind, &digest(word));
            return known.then_some(kind);
        }
        let apps = &self.state.apps;
        let mut secrets = apps.iter().filter_map(|app| app.client_secret.as_deref());
        if secrets.any(|secret| secret == word) {
            return Some(Kind::ClientSecret);
        }
        if word.starts_with("eyJ") {
            if self.is_assertion(word) {
                return Some(Kind::Assertion);
            }
            let key = digest(word);
            let of_workload = [Kind::Access, Kind::IdToken];
            let found = of_workload.into_iter().find(|kind| self.knows(*kind, &key));
            if found.is_some() {
                return found;
            }
        }
        let may_be = word.len() >= SHORTEST_VERIFIER && !self.state.challenges.is_empty();
        let is = may_be && self.state.challenges.get(&of_verifier(word)).is_some();
        is.then_some(Kind::Verifier)
    }

    fn knows(&self, kind: Kind, key: &Digest) -> bool {
        let state = self.state;
        match kind {
            Kind::Access => state.access_tokens.get(key).is_some(),
            Kind::Refresh => state.refresh_tokens.get(key).is_some(),
            Kind::Code => state.codes.get(key).is_some(),
            Kind::DeviceCode => state.devices.get(key).is_some(),
            Kind::IdToken => state.id_tokens.get(key).is_some(),
            Kind::Pat | Kind::Sat => state.console_tokens.get(key).is_some(),
            Kind::ClientSecret | Kind::Verifier | Kind::Assertion | Kind::ApiKey => false,
        }
    }

    /// Returns true if the word has three parts, and the key id of an app of this world.
    fn is_assertion(&self, word: &str) -> bool {
        let parts: Vec<_> = word.splitn(4, '.').collect();
        let &[header, _, signature] = &parts[..] else {
            return false;
        };
        let header = URL_SAFE_NO_PAD.decode(header).ok();
        let header = header.and_then(|header| serde_json::from_slice::<Map<_, _>>(&header).ok());
        let kid = header.as_ref().and_then(|header| header.get("kid"));
        let kid = kid.and_then(Value::as_str);
        let known = |kid| self.state.apps.iter().any(|app| app.key(kid).is_some());
        !signature.is_empty() && kid.is_some_and(known)
    }
}
