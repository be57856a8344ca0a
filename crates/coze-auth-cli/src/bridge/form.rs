//! What a client sends: a form, and who it says it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// The parameters of a request that are read here. Others are passed over (RFC 6749 §3.1, §3.2), and may be there twice, as `resource`
/// of RFC 8707 may.
#[derive(Default)]
pub(super) struct Form {
    members: Vec<(&'static str, Zeroizing<String>)>,
}

/// All that any endpoint reads.
pub(super) const KNOWN: [&str; 16] = [
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "duration_seconds",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "scope",
    "session_name",
    "state",
    "workspace_id",
];

impl Form {
    /// Reads a query or a body. A parameter without a value counts as absent.
    ///
    /// # Errors
    ///
    /// `invalid_request` if a parameter is there twice.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut members: Vec<(&'static str, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            let Some(name) = KNOWN.into_iter().find(|known| *known == name) else {
                continue;
            };
            if members.iter().any(|(there, _)| *there == name) {
                return Err(Refusal::invalid(format!(
                    "the parameter {name} is there twice (RFC 6749 section 3.2)"
                )));
            }
            members.push((name, Zeroizing::new(value.into_owned())));
        }
        Ok(Self { members })
    }

    /// The body of a request to an endpoint for programs.
    ///
    /// # Errors
    ///
    /// `invalid_request` if it is not a form, or the query has what belongs into it.
    pub(super) fn of_post(
        headers: &HeaderMap,
        query: Option<&str>,
        body: &[u8],
    ) -> Result<Self, Refusal> {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::invalid(
                "the body is not a form: send Content-Type: application/x-www-form-urlencoded (RFC 6749); JSON is for Coze itself",
            ));
        }
        let query = Self::parse(query.unwrap_or_default().as_bytes())?;
        if let Some((name, _)) = query.members.first() {
            return Err(Refusal::invalid(format!(
                "the parameter {name} is in the URL, where logs show it: send it in the body (RFC 6749 section 2.3.1)"
            )));
        }
        Self::parse(body)
    }

    pub(super) fn get(&self, name: &'static str) -> Option<&str> {
        debug_assert!(KNOWN.contains(&name), "{name}");
        let mut all = self.members.iter();
        let value = all.find_map(|(there, value)| (*there == name).then_some(value))?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// # Errors
    ///
    /// `invalid_request` if it is not there.
    pub(super) fn need(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::invalid(format!("the parameter {name} is missing")))
    }
}

/// Who a client says it is.
pub(super) struct ClientAuth {
    pub(super) id: String,
    /// None of a public client.
    pub(super) secret: Option<Zeroizing<String>>,
}

impl ClientAuth {
    /// Reads `client_secret_basic` and `client_secret_post` (RFC 6749 §2.3.1), and the id alone of a public client.
    ///
    /// # Errors
    ///
    /// `invalid_client` for credentials that cannot be read, `invalid_request` for none and for two.
    pub(super) fn of(headers: &HeaderMap, form: &Form) -> Result<Self, Refusal> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let header = match (all.next(), all.next()) {
            (None, _) => {
                return Ok(Self {
                    id: form.need("client_id")?.to_owned(),
                    secret: form
                        .get("client_secret")
                        .map(|secret| secret.to_owned().into()),
                });
            }
            (Some(header), None) => header,
            _ => {
                return Err(Refusal::invalid(
                    "the request has the header Authorization twice",
                ));
            }
        };
        let Some(pair) = basic(header.as_bytes()) else {
            return Err(Refusal::client(
                "the header Authorization cannot be read: it is Basic, with client id and client secret (RFC 6749 section 2.3.1)",
            ));
        };
        let (id, secret) = pair;
        if form.get("client_secret").is_some() {
            return Err(Refusal::invalid(
                "the client says who it is twice, in the header Authorization and in the body: only one is allowed (RFC 6749 section 2.3)",
            ));
        }
        if form.get("client_id").is_some_and(|other| other != *id) {
            return Err(Refusal::invalid(
                "the client id of the header Authorization is another than that of the body",
            ));
        }
        if id.is_empty() {
            return Err(Refusal::client("the header Authorization has no client id"));
        }
        Ok(Self {
            id: id.to_string(),
            secret: Some(secret).filter(|secret| !secret.is_empty()),
        })
    }
}

/// Id and secret of a Basic credential, each of which is form-encoded (RFC 6749 §2.3.1).
fn basic(header: &[u8]) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let (scheme, credential) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = Zeroizing::new(STANDARD.decode(credential.trim_ascii()).ok()?);
    let pair = std::str::from_utf8(&pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((decoded(id), decoded(secret)))
}

/// A form-encoded text. Many libraries do not encode: a `%` that is none of an encoding shows it, and a `+` is itself, since none of
/// our clients has a space in its id or secret.
fn decoded(text: &str) -> Zeroizing<String> {
    let is_encoded = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !is_encoded {
        return Zeroizing::new(text.to_owned());
    }
    let one = Zeroizing::new(
        text.replace('+', "%2B")
            .replace('&', "%26")
            .replace('=', "%3D"),
    );
    let mut pairs = form_urlencoded::parse(one.as_bytes());
    let decoded = pairs
        .next()
        .map(|(name, _)| Zeroizing::new(name.into_owned()));
    decoded.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_however_a_library_encodes_it() {
        for (written, id, secret) in [
            ("1234.app.coze:secret", "1234.app.coze", "secret"),
            ("a%3Ab:c%25d", "a:b", "c%d"),
            // Not encoded.
            ("a:b+c/d==", "a", "b+c/d=="),
            ("a:100%", "a", "100%"),
            ("a:%zz", "a", "%zz"),
            ("a:b&c=d", "a", "b&c=d"),
            ("a:b:c", "a", "b:c"),
            ("a:", "a", ""),
            (":b", "", "b"),
        ] {
            for scheme in ["Basic", "basic", "BASIC"] {
                let header = format!("{scheme} {}", STANDARD.encode(written));
                let pair = basic(header.as_bytes()).expect("a pair");
                assert_eq!(
                    (pair.0.as_str(), pair.1.as_str()),
                    (id, secret),
                    "{written}"
                );
            }
        }
    }

    #[test]
    fn a_form_has_what_is_known_and_no_empty_value() {
        let form = Form::parse(b"code=a%20b+c&state=&x=1&x=2&client_id=%E6%89%A3").expect("a form");
        assert_eq!(form.get("code"), Some("a b c"));
        assert_eq!((form.get("state"), form.get("scope")), (None, None));
        assert_eq!(form.get("client_id"), Some("\u{6263}"));
        assert!(form.need("state").is_err());
        assert!(Form::parse(b"code=a&code=").is_err());
    }
}
