//! What the headers of an answer say about time (RFC 9110 §5.6.7, §6.6.1, §10.2.3).

mod common;

use std::time::Duration;

use common::*;
use coze_auth_core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_core::{AccessToken, Error, RefreshToken, Retry, TokenGrant, whoami};

/// The start of the test, [`UNIX`], in the three forms of a date.
const START: [&str; 3] = [
    "Sun, 15 Jun 2025 15:06:40 GMT",
    "Sunday, 15-Jun-25 15:06:40 GMT",
    "Sun Jun 15 15:06:40 2025",
];
const TEN_MINUTES_ON: &str = "Sun, 15 Jun 2025 15:16:40 GMT";
const AN_HOUR_ON: &str = "Sun, 15 Jun 2025 16:06:40 GMT";
const AN_HOUR_AGO: &str = "Sun, 15 Jun 2025 14:06:40 GMT";

struct Signs;

impl Signer for Signs {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, coze_auth_core::error::SigningError> {
        Ok(vec![1; 256])
    }
}

fn jwt() -> coze_auth_core::jwt::JwtCall {
    let app = JwtApp::new(base(), "1000000001", "kid", Signs).expect("an app");
    app.grant(&JwtGrant::new(), entropy())
}

fn refresh() -> coze_auth_core::Call<TokenGrant> {
    web().refresh(&RefreshToken::new("refresh-0").unwrap())
}

/// What a 503 with these headers asks for.
fn pause(headers: &[(&str, &str)]) -> Retry {
    let call = whoami(&base(), &AccessToken::new("pat").unwrap());
    error_of(call, reply_with(503, headers, "")).retry()
}

fn secs(secs: u64) -> Retry {
    Retry::After(Duration::from_secs(secs))
}

#[test]
fn retry_after_in_seconds() {
    for (value, expected) in [
        ("0", 0),
        ("30", 30),
        (" 30 ", 30),
        ("0.0", 0),
        ("0.1", 1),
        ("30.0", 30),
        ("30.000001", 31),
        ("99999999999999999999", u64::MAX),
    ] {
        assert_eq!(pause(&[("retry-after", value)]), secs(expected), "{value}");
    }
    // None, so the usual second.
    for garbage in [
        "",
        "soon",
        "-5",
        "-0.5",
        "+5",
        "5s",
        "1e3",
        "1,5",
        "1.2.3",
        "NaN",
        "inf",
        "0x10",
        "Sun, 15 Jun",
        "Mon, 15 Jun 2025 15:06:40 GMT",
    ] {
        assert_eq!(pause(&[("retry-after", garbage)]), secs(1), "{garbage}");
    }
}

#[test]
fn retry_after_as_a_date_counts_from_the_answers_own() {
    for date in START {
        let by_servers = [("retry-after", TEN_MINUTES_ON), ("date", date)];
        assert_eq!(pause(&by_servers), secs(600), "{date}");
        let by_ours = [("retry-after", date)];
        assert_eq!(pause(&by_ours), secs(0), "{date}: it is now");
    }
    assert_eq!(pause(&[("retry-after", TEN_MINUTES_ON)]), secs(600));
    // The server's clock is an hour behind ours, then ahead of it.
    let behind = [("retry-after", AN_HOUR_ON), ("date", AN_HOUR_AGO)];
    assert_eq!(pause(&behind), secs(7200));
    let passed = [("retry-after", TEN_MINUTES_ON), ("date", AN_HOUR_ON)];
    assert_eq!(pause(&passed), secs(0));
    let unreadable = [("retry-after", TEN_MINUTES_ON), ("date", "today")];
    assert_eq!(pause(&unreadable), secs(600));
    let out_of_a_cache = [
        ("retry-after", TEN_MINUTES_ON),
        ("date", START[0]),
        ("age", "60"),
    ];
    assert_eq!(pause(&out_of_a_cache), secs(540));
}

#[test]
fn a_grant_knows_how_far_the_clock_is_off() {
    let skew = |headers: &[(&str, &str)]| {
        let grant = answered(refresh(), reply_with(200, headers, token_json())).expect("a grant");
        let stored = TokenGrant::from_secret_json(grant.to_secret_json().expose()).unwrap();
        assert_eq!(stored.clock_skew, None, "that was then");
        grant.clock_skew
    };
    for (date, expected) in [
        (AN_HOUR_AGO, Some(3600)),
        (AN_HOUR_ON, Some(-3600)),
        ("Sun, 15 Jun 2025 15:07:41 GMT", Some(-61)),
        ("Sun, 15 Jun 2025 15:05:39 GMT", Some(61)),
        ("Sun, 15 Jun 2025 15:07:40 GMT", None),
        ("Sun, 15 Jun 2025 15:05:40 GMT", None),
        ("yesterday", None),
    ] {
        let found = skew(&[("date", date)]).map(|skew| skew.as_secs());
        assert_eq!(found, expected, "{date}");
    }
    assert_eq!(skew(&[]), None);
    assert_eq!(skew(&[("date", AN_HOUR_AGO), ("age", "3600")]), None);
    let ahead = skew(&[("date", AN_HOUR_AGO)]).expect("an hour").to_string();
    assert_eq!(
        ahead,
        "this machine's clock is 3600 s ahead of the server's"
    );
    let behind = skew(&[("date", AN_HOUR_ON)]).expect("an hour").to_string();
    assert_eq!(behind, "this machine's clock is 3600 s behind the server's");
}

#[test]
fn a_refusal_names_the_clock_where_that_can_be_why() {
    let under = |date: &'static str, body: &str| reply_with(401, &[("date", date)], body);
    let ahead = |body: &str| under(AN_HOUR_AGO, body);
    let skewed = |error: &Error| match error {
        Error::Refused(refused) => refused.clock_skew().map(|skew| skew.as_secs()),
        other => panic!("{other:?}"),
    };
    let user = || whoami(&base(), &AccessToken::new("pat").unwrap());
    let invalid_client = r#"{"error_code":"invalid_client"}"#;
    let expired = r#"{"code":4100}"#;
    let set_it = "; this machine's clock is 3600 s ahead of the server's: set it";
    let behind = "; this machine's clock is 3600 s behind the server's: set it";
    for (error, named) in [
        (error_of(jwt(), ahead(invalid_client)), Some((3600, set_it))),
        (
            error_of(jwt(), under(AN_HOUR_ON, invalid_client)),
            Some((-3600, behind)),
        ),
        (
            error_of(jwt(), ahead(r#"{"error":"invalid_request"}"#)),
            Some((3600, set_it)),
        ),
        (
            error_of(jwt(), ahead(r#"{"error":"internal_error"}"#)),
            None,
        ),
        (
            error_of(user(), under(AN_HOUR_ON, expired)),
            Some((-3600, behind)),
        ),
        (
            error_of(user(), under(AN_HOUR_ON, r#"{"code":4101}"#)),
            None,
        ),
        // A clock that is ahead lets no token get too old.
        (error_of(user(), ahead(expired)), None),
        (error_of(user(), reply(401, expired)), None),
        // The clocks agree.
        (error_of(jwt(), under(START[0], invalid_client)), None),
        // No clock is in a client secret or a refresh token.
        (error_of(refresh(), ahead(invalid_client)), None),
    ] {
        let shown = error.to_string();
        assert_eq!(skewed(&error), named.map(|(secs, _)| secs), "{shown}");
        let words = named.map_or("", |(_, words)| words);
        assert!(shown.contains(words), "{shown}");
        assert_eq!(shown.contains("clock"), named.is_some(), "{shown}");
    }
    // Nobody says what time it is there.
    let unknown = error_of(jwt(), reply(401, invalid_client)).to_string();
    assert!(
        unknown.contains("; check this machine's clock, too"),
        "{unknown}"
    );
}
