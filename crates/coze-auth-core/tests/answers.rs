//! What comes back: every form of success and refusal, under any status (protocol §3, §4).

mod common;

use std::time::Duration;

use common::*;
use coze_auth_core::error::{ErrorCode, GrantType, Oddity, TransportFailure};
use coze_auth_core::{AccessToken, Body, Error, Flow, RefreshToken, Retry, TokenGrant, whoami};

fn refresh() -> coze_auth_core::Call<TokenGrant> {
    web().refresh(&RefreshToken::new("refresh-0").unwrap())
}

fn users_me() -> coze_auth_core::Call<coze_auth_core::whoami::User> {
    whoami(&base(), &AccessToken::new("pat_secret_value").unwrap())
}

fn refused(status: u16, body: &str) -> coze_auth_core::error::Refused {
    match error_of(refresh(), reply(status, body)) {
        Error::Refused(refused) => refused,
        other => panic!("{status} {body}: {other:?}"),
    }
}

fn odd(status: u16, body: impl AsRef<[u8]>) -> Oddity {
    match error_of(refresh(), reply(status, body.as_ref())) {
        Error::Unexpected(unexpected) => {
            assert_eq!(
                (unexpected.status(), unexpected.body_len()),
                (status, body.as_ref().len())
            );
            unexpected.oddity()
        }
        other => panic!("{status}: {other:?}"),
    }
}

fn token_with(expires_in: &str) -> String {
    format!(r#"{{"access_token":"czu_a","expires_in":{expires_in}}}"#)
}

#[test]
fn a_grant_has_its_expiry_as_a_moment() {
    let grant = answered(refresh(), reply(200, token_json())).unwrap();
    assert_eq!(grant.access_token.expose(), "czu_access");
    assert_eq!(grant.refresh_token.as_ref().unwrap().expose(), "refresh-1");
    assert_eq!(grant.issued_at.as_secs(), UNIX);
    assert_eq!(grant.expires_at.as_secs(), UNIX + 3600);
    assert_eq!(grant.remaining(at(600).unix), Duration::from_secs(3000));
    assert_eq!(grant.remaining(at(4000).unix), Duration::ZERO);
}

#[test]
fn a_grant_may_come_with_201_an_envelope_and_more_members() {
    let body = format!(
        r#" {{"code":0,"msg":"","error":"","error_code":null,"new":{{"a":[1,2.5,true]}},"access_token":"czu_a","expires_in":{UNIX}}} "#
    );
    for status in [200, 201] {
        answered(refresh(), reply(status, &body)).expect("a grant");
    }
}

#[test]
fn an_omitted_refresh_token_is_carried_over() {
    for body in [
        token_with("1750003600"),
        token_with("1750003600").replace('}', r#","refresh_token":null}"#),
        token_with("1750003600").replace('}', r#","refresh_token":""}"#),
    ] {
        let grant = answered(refresh(), reply(200, &body)).unwrap();
        assert_eq!(
            grant.refresh_token.expect("kept").expose(),
            "refresh-0",
            "for {body}"
        );
    }
}

#[test]
fn an_expiry_that_cannot_be_meant() {
    for (expires_in, oddity) in [
        ("null", Oddity::Missing("expires_in")),
        ("true", Oddity::WrongType("expires_in")),
        ("[1750003600]", Oddity::WrongType("expires_in")),
        ("99999999999999999999", Oddity::BadValue("expires_in")),
        ("1e400", Oddity::BadValue("expires_in")),
        ("1.75e12", Oddity::BadValue("expires_in")),
        ("900.0", Oddity::BadValue("expires_in")),
        ("-1750003600.0", Oddity::BadValue("expires_in")),
        (r#""900""#, Oddity::BadValue("expires_in")),
        (r#""1750003600000""#, Oddity::BadValue("expires_in")),
        (r#""1750003600abc""#, Oddity::BadValue("expires_in")),
        (r#""1,750,003,600""#, Oddity::BadValue("expires_in")),
        (r#""0x684EE0D0""#, Oddity::BadValue("expires_in")),
        (r#""inf""#, Oddity::BadValue("expires_in")),
        (r#""2025-06-15T16:06:40Z""#, Oddity::BadValue("expires_in")),
        (r#"" ""#, Oddity::BadValue("expires_in")),
        (r#""""#, Oddity::Missing("expires_in")),
        ("-1750003600", Oddity::BadValue("expires_in")),
        ("0", Oddity::BadValue("expires_in")),
        ("900", Oddity::BadValue("expires_in")),
        ("999999999", Oddity::BadValue("expires_in")),
        ("1750003600000", Oddity::BadValue("expires_in")),
        ("9223372036854775807", Oddity::BadValue("expires_in")),
    ] {
        assert_eq!(odd(200, token_with(expires_in)), oddity, "for {expires_in}");
    }
    assert_eq!(
        odd(200, r#"{"access_token":"czu_a"}"#),
        Oddity::Missing("expires_in")
    );
    answered(refresh(), reply(200, token_with("1000000000"))).expect("long past, but a moment");
}

/// A rotated refresh token comes with it, so what can mean one thing only is taken.
#[test]
fn an_expiry_in_another_spelling() {
    for spelling in [
        "1750003600",
        "1750003600.0",
        "1.7500036e9",
        "17500036E+2",
        "1750003600.9",
        r#""1750003600""#,
        r#""1750003600.0""#,
        r#"" 1750003600\n""#,
        r#""1.7500036e9""#,
    ] {
        let grant = answered(refresh(), reply(200, token_with(spelling))).expect(spelling);
        assert_eq!(grant.expires_at.as_secs(), 1_750_003_600, "{spelling}");
    }
}

#[test]
fn a_success_without_a_usable_token() {
    let until = |token: &str| format!(r#"{{"access_token":{token},"expires_in":1750003600}}"#);
    for (body, oddity) in [
        (
            r#"{"expires_in":1750003600}"#.to_owned(),
            Oddity::Missing("access_token"),
        ),
        ("{}".to_owned(), Oddity::Missing("access_token")),
        (until("null"), Oddity::Missing("access_token")),
        (until(r#""""#), Oddity::Missing("access_token")),
        (until("7"), Oddity::WrongType("access_token")),
        (
            until(r#""a\r\nX-Evil: 1""#),
            Oddity::BadValue("access_token"),
        ),
        (until(r#""a b""#), Oddity::BadValue("access_token")),
        (until(r#""扣子""#), Oddity::BadValue("access_token")),
        (
            until(r#""a","access_token":"b""#),
            Oddity::Repeated("access_token"),
        ),
        (
            until(r#""a","refresh_token":"a\u0000""#),
            Oddity::BadValue("refresh_token"),
        ),
        (
            until(r#""a","refresh_token":[1]"#),
            Oddity::WrongType("refresh_token"),
        ),
    ] {
        assert_eq!(odd(200, &body), oddity, "for {body}");
    }
}

#[test]
fn answers_that_are_not_json_objects() {
    for (body, oddity) in [
        ("", Oddity::Empty),
        (" \r\n", Oddity::Empty),
        ("<html><h1>502 Bad Gateway</h1></html>", Oddity::NotJson),
        (r#"{"access_token":"czu_a","expires_"#, Oddity::NotJson),
        ("[]", Oddity::NotJson),
        ("null", Oddity::NotJson),
        (r#""czu_a""#, Oddity::NotJson),
        ("{} {}", Oddity::NotJson),
    ] {
        for status in [200, 400, 502] {
            assert_eq!(odd(status, body), oddity, "for {body}");
        }
    }
    let no_text = b"{\"access_token\":\"\xff\"}";
    assert_eq!(odd(200, no_text), Oddity::BadValue("access_token"));
    assert_eq!(odd(200, "[".repeat(100_000)), Oddity::NotJson);
    assert_eq!(odd(200, vec![b' '; Body::READ_AT_MOST]), Oddity::TooLong);
}

#[test]
fn a_status_that_is_no_success_needs_no_error_code_to_fail() {
    for status in [199, 400, 404, 500, 503] {
        assert_eq!(
            odd(status, token_json()),
            Oddity::Unexplained,
            "for {status}"
        );
    }
}

#[test]
fn a_redirect_is_refused_before_its_body_is_looked_at() {
    for status in [301, 302, 303, 307, 308, 304] {
        assert_eq!(odd(status, token_json()), Oddity::Redirect, "for {status}");
        assert_eq!(
            odd(status, r#"{"error":"authorization_pending"}"#),
            Oddity::Redirect,
            "for {status}"
        );
    }
}

#[test]
fn every_spelling_of_a_refusal_under_any_status() {
    for body in [
        r#"{"error_code":"invalid_client","error_message":"why","error":"invalid_client"}"#,
        r#"{"error":"invalid_client","error_description":"why"}"#,
        r#"{"error":"invalid_client","error_message":"why"}"#,
        r#"{"error_code":"invalid_client","error":"another","error_message":"why","msg":"other"}"#,
        r#"{"error_code":"","error":"invalid_client","msg":"why"}"#,
        r#"{"error_code":"invalid_client","error_message":"","error_description":7,"msg":"why"}"#,
        r#"{"code":0,"error":"invalid_client","msg":"why","access_token":"czu_a","expires_in":1750003600}"#,
    ] {
        for status in [200, 400, 401, 403, 428, 500] {
            let refused = refused(status, body);
            assert_eq!(refused.code(), &ErrorCode::InvalidClient, "for {body}");
            assert_eq!(
                (refused.message(), refused.status()),
                ("why", status),
                "for {body}"
            );
        }
    }
    let numbered = refused(401, r#"{"code":4100,"msg":"authentication is invalid"}"#);
    assert_eq!(
        (numbered.code(), numbered.message()),
        (&ErrorCode::Number(4100), "authentication is invalid")
    );
    assert_eq!(
        refused(200, r#"{"code":"4101"}"#).code(),
        &ErrorCode::Number(4101)
    );
    assert_eq!(
        refused(200, r#"{"error":4100}"#).code(),
        &ErrorCode::Number(4100)
    );
    assert_eq!(
        refused(400, r#"{"error":"brand_new"}"#).code(),
        &ErrorCode::Other("brand_new".into())
    );
    assert_eq!(
        refused(400, r#"{"error":"access_deny"}"#).code(),
        &ErrorCode::AccessDeny
    );
    assert_eq!(
        refused(400, r#"{"error":"access_denied"}"#).code(),
        &ErrorCode::AccessDenied
    );
}

/// Words are recognised as they came, even where they hold something that was sent.
#[test]
fn a_secret_within_a_code_does_not_hide_it() {
    for (token, code, expected) in [
        ("r", "internal_error", ErrorCode::InternalError),
        ("41", "4100", ErrorCode::Number(4100)),
        ("grant", "invalid_grant", ErrorCode::InvalidGrant),
        ("brand", "brand_new", ErrorCode::Other("***_new".into())),
        ("4711", "4711", ErrorCode::Other("***".into())),
    ] {
        let call = web().refresh(&RefreshToken::new(token).unwrap());
        let error = error_of(call, reply(400, format!(r#"{{"error":"{code}"}}"#)));
        assert!(
            matches!(&error, Error::Refused(refused) if refused.code() == &expected),
            "{token}: {error:?}"
        );
    }
}

/// A JWT is parts with a point between, and a server may quote one of them. What is short may be any word.
#[test]
fn a_part_of_a_token_is_hidden_if_it_can_be_a_secret() {
    let (short, part) = ("p".repeat(11), "q".repeat(12));
    let token = AccessToken::new(format!("{short}.{part}.r")).unwrap();
    let body = format!(r#"{{"code":4100,"msg":"not {part}, nor {short}, nor r"}}"#);
    let error = error_of(whoami(&base(), &token), reply(401, body));
    let told = format!("not ***, nor {short}, nor r");
    assert!(error.to_string().contains(&told), "{error}");
}

#[test]
fn a_code_of_another_type_is_no_success() {
    for (member, value) in [
        ("code", "4100.5"),
        ("code", "18446744073709551615"),
        ("code", "1e400"),
        ("code", "true"),
        ("code", "[4100]"),
        ("code", "{}"),
        ("error", "{}"),
        ("error", "[]"),
        ("error", "true"),
        ("error_code", "[1e3]"),
    ] {
        let body = format!(
            r#"{{"{member}":{value},"access_token":"czu_a","expires_in":1750003600,"data":{{"user_id":"1"}}}}"#
        );
        for error in [
            error_of(refresh(), reply(200, &body)),
            error_of(users_me(), reply(200, &body)),
        ] {
            assert!(
                matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::WrongType(member)),
                "{body}: {error:?}"
            );
        }
    }
}

#[test]
fn a_code_in_another_spelling() {
    for (members, code) in [
        (r#""code":4100.0"#, ErrorCode::Number(4100)),
        (r#""code":4.1e3"#, ErrorCode::Number(4100)),
        (r#""code":" 4100.0 ""#, ErrorCode::Number(4100)),
        (
            r#""error_code":" invalid_grant\n""#,
            ErrorCode::InvalidGrant,
        ),
        (r#""error":false,"code":4100"#, ErrorCode::Number(4100)),
        // What is not understood does not hide what is.
        (r#""error":{"why":1},"code":4100"#, ErrorCode::Number(4100)),
        (
            r#""error":"a","error":"b","code":4100"#,
            ErrorCode::Number(4100),
        ),
        (
            r#""error_code":1e400,"error":"invalid_grant""#,
            ErrorCode::InvalidGrant,
        ),
    ] {
        assert_eq!(
            refused(400, &format!("{{{members}}}")).code(),
            &code,
            "{members}"
        );
    }
    for zero in [
        "0", "0.0", "-0", r#""0""#, r#""0.0""#, r#""""#, r#"" ""#, "null", "false",
    ] {
        for name in ["error_code", "error", "code"] {
            let body = token_json().replacen('{', &format!(r#"{{"{name}":{zero},"#), 1);
            answered(refresh(), reply(200, &body)).expect(&body);
        }
    }
}

#[test]
fn the_log_id_comes_from_the_header_else_from_the_body() {
    let body = r#"{"code":4100,"msg":"no","detail":{"logid":"from-body"}}"#;
    let both = error_of(
        users_me(),
        reply_with(401, &[("X-Tt-Logid", "from-header")], body),
    );
    assert_eq!(both.log_id(), Some("from-header"));
    assert_eq!(
        error_of(users_me(), reply(401, body)).log_id(),
        Some("from-body")
    );
    for detail in [
        r#""text""#,
        "null",
        "{}",
        r#"{"logid":7}"#,
        r#"{"logid":""}"#,
    ] {
        let body = format!(r#"{{"code":4100,"detail":{detail}}}"#);
        assert_eq!(
            error_of(users_me(), reply(401, &body)).log_id(),
            None,
            "for {body}"
        );
    }
    let html = error_of(
        users_me(),
        reply_with(502, &[("x-tt-logid", "of-html")], "<html>"),
    );
    assert_eq!(html.log_id(), Some("of-html"));
    let shown = both.to_string();
    assert!(shown.ends_with("[log id from-header]"), "{shown}");
}

#[test]
fn whoami_reads_the_user() {
    let body = r#"{"code":0,"msg":"","data":{"user_id":"73","user_name":"alice","nick_name":null},"detail":{"logid":"l"}}"#;
    let user = answered(users_me(), reply(200, body)).unwrap();
    assert_eq!(
        (
            &*user.user_id,
            user.user_name.as_raw(),
            user.nick_name.as_raw()
        ),
        ("73", "alice", "")
    );
    assert!(user.nick_name.is_empty());
    assert_eq!(user.avatar_url, None);
    for (data, oddity) in [
        ("null", Oddity::Missing("data")),
        ("[]", Oddity::WrongType("data")),
        ("{}", Oddity::Missing("user_id")),
        (r#"{"user_id":[73]}"#, Oddity::WrongType("user_id")),
        (r#"{"user_id":7.5}"#, Oddity::BadValue("user_id")),
        (r#"{"user_id":"7\u001b[2J"}"#, Oddity::BadValue("user_id")),
        (r#"{"user_id":"7<b>"}"#, Oddity::BadValue("user_id")),
        (r#"{"user_id":"7\ud83d"}"#, Oddity::BadValue("user_id")),
    ] {
        let error = error_of(
            users_me(),
            reply(200, format!(r#"{{"code":0,"data":{data}}}"#)),
        );
        assert!(
            matches!(&error, Error::Unexpected(odd) if odd.oddity() == oddity),
            "{data}: {error:?}"
        );
    }
}

fn user(members: &[u8]) -> coze_auth_core::whoami::User {
    let body = [br#"{"code":0,"data":{"user_id":"73","#, members, b"}}"].concat();
    answered(users_me(), reply(200, body)).expect("a name never makes the answer a failure")
}

#[test]
fn a_name_steers_neither_terminal_nor_page() {
    let named = |name: &str| {
        let name = serde_json::to_string(name).expect("JSON");
        user(format!(r#""user_name":{name},"nick_name":{name}"#).as_bytes())
    };
    for (raw, shown) in [
        ("alice", "alice"),
        ("爱丽丝 O", "爱丽丝 O"),
        (
            "👩\u{200d}👩\u{200d}👧\u{fe0f}",
            "👩\u{200d}👩\u{200d}👧\u{fe0f}",
        ),
        ("\u{1b}]0;owned\u{7}", r"\u{1b}]0;owned\u{7}"),
        ("\u{9b}2J\r\n\u{0}\u{7f}", r"\u{9b}2J\u{d}\u{a}\u{0}\u{7f}"),
        ("\u{202e}exe.\u{2066}", r"\u{202e}exe.\u{2066}"),
        (
            "\u{feff}a\u{200b}\u{ad}\u{e0041}",
            r"\u{feff}a\u{200b}\u{ad}\u{e0041}",
        ),
        ("\u{2028}\u{85}", r"\u{2028}\u{85}"),
        ("<script>", r"\u{3c}script\u{3e}"),
        (r#"&"'`\"#, r"\u{26}\u{22}\u{27}\u{60}\u{5c}"),
    ] {
        let user = named(raw);
        for name in [&user.user_name, &user.nick_name] {
            assert_eq!(name.to_string(), shown);
            assert_eq!(format!("{name:?}"), format!("\"{shown}\""));
            assert_eq!(name.as_raw(), raw);
            assert_eq!(*name, raw);
        }
        assert!(format!("{user:?}").contains(&format!("user_name: \"{shown}\"")));
    }
}

#[test]
fn whatever_stands_for_a_name_is_no_failure() {
    for (value, raw) in [
        (&br#""cut \ud83d""#[..], "cut \u{fffd}"),
        (b"\"\xb0\xae\"", "\u{fffd}"),
        (b"\"a\nb\"", "a\u{fffd}b"),
        (b"7", "7"),
        (b"null", ""),
        (b"true", ""),
        (br#"["alice"]"#, ""),
        (br#"{"first":"alice"}"#, ""),
        (br#""a","user_name":"b""#, ""),
    ] {
        let user = user(&[b"\"user_name\":", value].concat());
        assert_eq!(user.user_name.as_raw(), raw);
        assert_eq!(user.user_id, "73");
    }
}

#[test]
fn only_a_link_to_a_picture_is_one() {
    let avatar = |link: &str| {
        let link = serde_json::to_string(link).expect("JSON");
        user(format!(r#""avatar_url":{link}"#).as_bytes()).avatar_url
    };
    for (link, taken) in [
        (
            "https://p.example/a.png?x=1&y=2",
            "https://p.example/a.png?x=1&y=2",
        ),
        ("HTTPS://P.example/a", "https://p.example/a"),
        ("http://127.0.0.1:9777/a.png", "http://127.0.0.1:9777/a.png"),
        ("http://localhost/a", "http://localhost/a"),
        ("http://[::1]:1/a", "http://[::1]:1/a"),
        (
            r#"https://p.example/"onload='x'>?"'`<#"'`<"#,
            "https://p.example/%22onload=%27x%27%3E?%22%27%60%3C#%22%27%60%3C",
        ),
        (
            "https://例子.example/头像\u{202e}",
            "https://xn--fsqu00a.example/%E5%A4%B4%E5%83%8F%E2%80%AE",
        ),
    ] {
        assert_eq!(avatar(link).as_deref(), Some(taken), "{link}");
    }
    for other in [
        "",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://p.example/a.png",
        "http://127.0.0.1.p.example/a",
        "//p.example/a.png",
        "/a.png",
        "file:///etc/passwd",
        "https://alice@p.example/a",
        "https://p.example/a b",
        "https://p.example/\u{1b}]0;",
        "java\nscript:alert(1)",
        " https://p.example/",
        "https:p.example",
        "https://p.example/\u{fffd}",
        "ftp://p.example/a",
    ] {
        assert_eq!(avatar(other), None, "{other}");
    }
    assert_eq!(
        user(br#""avatar_url":{"url":"https://p.example/"}"#).avatar_url,
        None
    );
    assert_eq!(user(br#""avatar_url":7"#).avatar_url, None);
}

#[test]
fn device_codes_and_durations() {
    let start = |members: &str| {
        let body = format!(
            r#"{{"device_code":"d","verification_uri":"https://www.example/activate?l=zh",{members}}}"#
        );
        answered(device().start(), reply(200, body))
    };
    let started = start(r#""user_code":"VIK AZC","expires_in":300,"interval":null"#).unwrap();
    assert_eq!(started.interval, Duration::from_secs(5));
    assert_eq!(started.expires_in, Duration::from_secs(300));
    assert_eq!(
        started.verification_uri_complete,
        "https://www.example/activate?l=zh&user_code=VIK+AZC"
    );
    assert_eq!(
        start(r#""user_code":123456,"expires_in":300"#)
            .unwrap()
            .user_code,
        "123456"
    );
    // More digits than a number of ours has.
    let long = "98765432109876543210987654321098765432109876543210";
    assert_eq!(
        start(&format!(r#""user_code":{long},"expires_in":300"#))
            .unwrap()
            .user_code,
        long
    );
    assert_eq!(
        start(r#""user_code":"A","expires_in":300,"interval":0"#)
            .unwrap()
            .interval,
        Duration::from_secs(1)
    );
    for (members, lives, pause) in [
        (r#""expires_in":"300","interval":"7""#, 300, 7),
        (r#""expires_in":300.0,"interval":7.0"#, 300, 7),
        (r#""expires_in":3e2,"interval":"6.5""#, 300, 7),
        (r#""expires_in":300.9,"interval":"""#, 300, 5),
    ] {
        let started = start(&format!(r#""user_code":"A",{members}"#)).expect(members);
        let seconds = (started.expires_in.as_secs(), started.interval.as_secs());
        assert_eq!(seconds, (lives, pause), "{members}");
    }
    let given = r#""user_code":"A","expires_in":300,"verification_uri_complete":"https://www.example/x?c=A""#;
    assert_eq!(
        start(given).unwrap().verification_uri_complete,
        "https://www.example/x?c=A"
    );

    for (members, oddity) in [
        (r#""user_code":"A""#, Oddity::Missing("expires_in")),
        (
            r#""user_code":"A","expires_in":null"#,
            Oddity::Missing("expires_in"),
        ),
        (
            r#""user_code":"A","expires_in":0"#,
            Oddity::BadValue("expires_in"),
        ),
        (
            r#""user_code":"A","expires_in":-1"#,
            Oddity::BadValue("expires_in"),
        ),
        (
            r#""user_code":"A","expires_in":1750003600"#,
            Oddity::BadValue("expires_in"),
        ),
        (
            r#""user_code":"A","expires_in":300,"interval":-5"#,
            Oddity::BadValue("interval"),
        ),
        (
            r#""user_code":"A","expires_in":"5 min""#,
            Oddity::BadValue("expires_in"),
        ),
        (
            r#""user_code":"A","expires_in":300,"interval":[5]"#,
            Oddity::WrongType("interval"),
        ),
        (
            r#""user_code":"A\ud83d","expires_in":300"#,
            Oddity::BadValue("user_code"),
        ),
        (
            r#""user_code":"A\u001b[2J","expires_in":300"#,
            Oddity::BadValue("user_code"),
        ),
        (r#""expires_in":300"#, Oddity::Missing("user_code")),
        (
            r#""user_code":"A","expires_in":300,"verification_uri_complete":"javascript:x""#,
            Oddity::BadValue("verification_uri_complete"),
        ),
    ] {
        let error = start(members).expect_err(members);
        assert!(
            matches!(&error, Error::Unexpected(odd) if odd.oddity() == oddity),
            "{members}: {error:?}"
        );
    }
}

#[test]
fn retry_advice_knows_what_may_be_spent() {
    let pause = |secs| Retry::After(Duration::from_secs(secs));
    let spent = |secs| Retry::MaybeSpent(Duration::from_secs(secs));
    let of = |error: Error| error.retry();
    let answer = |status, body: &str| {
        (
            of(error_of(refresh(), reply(status, body))),
            of(error_of(users_me(), reply(status, body))),
        )
    };

    assert_eq!(
        answer(400, r#"{"error":"invalid_grant"}"#),
        (Retry::Never, Retry::Never)
    );
    assert_eq!(
        answer(401, r#"{"code":4100}"#),
        (Retry::Never, Retry::Never)
    );
    assert_eq!(answer(429, r#"{"code":4009}"#), (pause(1), pause(1)));
    assert_eq!(answer(429, "slow"), (pause(1), pause(1)));
    assert_eq!(
        answer(500, r#"{"error":"internal_error"}"#),
        (spent(1), pause(1))
    );
    assert_eq!(answer(502, "<html>"), (spent(1), pause(1)));
    assert_eq!(answer(200, "<html>"), (spent(1), Retry::Never));
    assert_eq!(answer(201, "<html>"), (spent(1), Retry::Never));
    assert_eq!(answer(302, ""), (Retry::Never, Retry::Never));
    let asked = reply_with(503, &[("retry-after", "30")], "");
    assert_eq!(of(error_of(users_me(), asked.clone())), pause(30));
    assert_eq!(of(error_of(refresh(), asked)), spent(30));

    let failed = |failure| {
        let mut call = refresh();
        request_of(&mut call, at(0));
        call.receive(Err(failure), at(1));
        let mut other = users_me();
        request_of(&mut other, at(0));
        other.receive(Err(failure), at(1));
        (
            of(result_of(&mut call, at(1)).unwrap_err()),
            of(result_of(&mut other, at(1)).unwrap_err()),
        )
    };
    assert_eq!(failed(TransportFailure::NotSent), (pause(1), pause(1)));
    assert_eq!(failed(TransportFailure::NoAnswer), (spent(1), pause(1)));
    assert_eq!(failed(TransportFailure::Timeout), (spent(1), pause(1)));
}

#[test]
fn only_what_may_have_arrived_may_be_spent() {
    for (failure, spent) in [
        (TransportFailure::NotSent, false),
        (TransportFailure::NoAnswer, true),
    ] {
        let shown = Error::Transport {
            failure,
            grant: Some(GrantType::AuthorizationCode),
            to: "https://api.example".into(),
        }
        .to_string();
        assert_eq!(shown.contains("may be spent"), spent, "{shown}");
        assert!(shown.starts_with("https://api.example: "), "{shown}");
        let shown = Error::Transport {
            failure,
            grant: Some(GrantType::Assertion),
            to: "https://api.example".into(),
        }
        .to_string();
        assert!(!shown.contains("may be spent"), "{shown}");
    }
}

#[test]
fn a_grant_survives_storage_with_its_moments() {
    let grant = answered(refresh(), reply(200, token_json())).unwrap();
    let saved = grant.to_secret_json();
    let loaded = TokenGrant::from_secret_json(saved.expose()).unwrap();
    assert_eq!(loaded.to_secret_json().expose(), saved.expose());
    assert_eq!(
        (loaded.issued_at, loaded.expires_at),
        (grant.issued_at, grant.expires_at)
    );
    assert!(TokenGrant::from_secret_json(r#"{"access_token":""}"#).is_err());
    let rewritten =
        r#"{"access_token":"a\/b","refresh_token":"c\u002fd","issued_at":1,"expires_at":2}"#;
    let loaded = TokenGrant::from_secret_json(rewritten).unwrap();
    assert_eq!(loaded.access_token.expose(), "a/b");
    assert_eq!(loaded.refresh_token.unwrap().expose(), "c/d");
}
