//! What gateways and proxies make of an answer on its way: compressed, cut, mixed with another encoding, blown up.

mod common;

use std::io::Write as _;

use common::*;
use coze_auth_core::error::{ErrorCode, Oddity, Refused};
use coze_auth_core::whoami::User;
use coze_auth_core::{AccessToken, Body, Call, Error, RefreshToken, Retry, TokenGrant, whoami};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

fn refresh() -> Call<TokenGrant> {
    web().refresh(&RefreshToken::new("refresh-0").unwrap())
}

fn users_me() -> Call<User> {
    whoami(&base(), &AccessToken::new("pat_secret_value").unwrap())
}

fn refused(body: impl AsRef<[u8]>) -> Refused {
    match error_of(refresh(), reply(400, body.as_ref())) {
        Error::Refused(refused) => refused,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(body.as_ref())),
    }
}

fn gzip(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn no_coding_is_asked_for() {
    let request = request_of(&mut refresh(), at(0));
    assert_eq!(request.headers()["accept-encoding"], "identity");
    let request = request_of(&mut users_me(), at(0));
    assert_eq!(request.headers()["accept-encoding"], "identity");
}

#[test]
fn a_compressed_answer_is_read_all_the_same() {
    let token = token_json();
    for (coding, body) in [
        (Some("gzip"), gzip(&token)),
        (Some("x-gzip"), gzip(&token)),
        (Some("GZip"), gzip(&token)),
        (None, gzip(&token)),
        (Some("identity"), gzip(&token)),
        (
            Some("gzip"),
            [gzip(&token[..9]), gzip(&token[9..])].concat(),
        ),
        (Some("deflate"), zlib(&token)),
        (Some("deflate"), deflate(&token)),
        // Packed by one gateway after the other.
        (Some("gzip, gzip"), gzip(gzip(&token))),
        (Some("gzip"), gzip(gzip(&token))),
        (Some("gzip, identity"), gzip(gzip(gzip(&token)))),
        (Some("deflate, gzip"), gzip(zlib(&token))),
        (Some("deflate, gzip"), gzip(deflate(&token))),
        // Under a wrong name.
        (Some("gzip"), zlib(&token)),
        (None, zlib(&token)),
        (Some("deflate"), gzip(&token)),
        // With padding behind.
        (Some("gzip"), [gzip(&token), vec![0; 8]].concat()),
        (Some("gzip"), [&*gzip(&token), b"\r\n"].concat()),
        (Some("gzip"), gzip(format!("\u{feff}{token}"))),
        // The HTTP client has decoded it and left the header in place.
        (Some("gzip"), token.clone().into()),
        (Some("deflate"), token.clone().into()),
        (Some("br"), token.clone().into()),
        (Some("br"), format!(" \u{feff} {token}").into()),
        (Some("identity"), token.clone().into()),
        (Some(""), token.clone().into()),
    ] {
        let headers: Vec<_> = coding
            .map(|coding| ("content-encoding", coding))
            .into_iter()
            .collect();
        let grant = answered(refresh(), reply_with(200, &headers, &body));
        let grant = grant.unwrap_or_else(|error| panic!("{coding:?}: {error}"));
        let renewed = grant.refresh_token.expect("a refresh token");
        assert_eq!(renewed.expose(), "refresh-1", "{coding:?}");
    }
    let refusal = gzip(r#"{"error_code":"invalid_grant"}"#);
    assert_eq!(refused(refusal).code(), &ErrorCode::InvalidGrant);
}

#[test]
fn a_coding_that_cannot_be_read_is_named() {
    let token = token_json();
    let cut = |body: Vec<u8>| body[..body.len() - 9].to_vec();
    for (coding, body, named) in [
        (
            "br",
            b"\x0b\x02\x80abc\x03".to_vec(),
            "the coding br, which was not asked for",
        ),
        ("zstd", b"\x28\xb5\x2f\xfd\x00".to_vec(), "the coding zstd,"),
        ("gzip, br", b"\x0b\x02".to_vec(), "the coding gzip, br,"),
        (
            "gzip",
            cut(gzip(&token)),
            "the coding gzip, and damaged or cut off",
        ),
        (
            "gzip, gzip",
            gzip(cut(gzip(&token))),
            "the coding gzip, gzip, and damaged",
        ),
        (
            "deflate",
            cut(zlib(&token)),
            "the coding deflate, and damaged",
        ),
        (
            "deflate",
            b"\xff\xff\xff".to_vec(),
            "the coding deflate, and damaged",
        ),
        ("pat_refresh-0", b"\x00".to_vec(), "the coding pat_***,"),
    ] {
        let answer = reply_with(200, &[("content-encoding", coding)], &body);
        let error = error_of(refresh(), answer);
        let Error::Unexpected(odd) = &error else {
            panic!("{coding}: {error:?}");
        };
        assert_eq!(odd.oddity(), Oddity::Coding, "{coding}");
        assert_eq!(odd.coding(), Some(&*coding.replace("refresh-0", "***")));
        assert!(matches!(error.retry(), Retry::MaybeSpent(_)), "{coding}");
        let shown = error.to_string();
        assert!(shown.contains(named), "{shown}");
        assert!(!shown.contains("czu_"), "{shown}");
    }
    let error = error_of(refresh(), reply(200, cut(gzip(&token))));
    assert!(error.to_string().contains("the coding gzip,"), "{error}");
}

#[test]
fn a_bomb_is_refused() {
    let spaces = " ".repeat(4 * Body::READ_AT_MOST);
    let twice = [gzip(&spaces), gzip(&spaces)].concat();
    for (coding, bomb) in [
        ("gzip", gzip(&spaces)),
        ("gzip", twice),
        ("deflate", zlib(&spaces)),
        ("deflate", deflate(&spaces)),
    ] {
        assert!(
            bomb.len() < Body::READ_AT_MOST / 4,
            "{coding}: it is no bomb"
        );
        let answer = reply_with(200, &[("content-encoding", coding)], &bomb);
        let mut error = None;
        let held = allocation_counter::measure(|| error = Some(error_of(refresh(), answer)));
        let error = error.expect("it ran");
        assert!(
            matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::TooLong),
            "{coding}: {error:?}"
        );
        let most = 4 * Body::READ_AT_MOST as u64;
        assert!(held.bytes_max < most, "{coding}: {} bytes", held.bytes_max);
    }
}

/// Each of these stands beside a code, and must not hide it.
#[test]
fn what_nobody_needs_does_not_hide_the_code() {
    let gbk = b"\xca\xda\xc8\xa8\xc2\xeb\xd2\xd1\xca\xa7\xd0\xa7"; // 授权码已失效
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let message = |words: &[u8]| [b"\"error_message\":\"", words, b"\""].concat();
    let members: &[Vec<u8>] = &[
        message(br"cut \ud83d"),
        message(br"\udc36\ud83d back to front"),
        message(br"\ud83d\n"),
        message(br"\ud83dA\ud83d\u0041"),
        message(gbk),
        message(b"cut \xe6\x89"),
        // The second byte of this character in GBK and Big5 is that of the backslash.
        message(b"\xd5\x5c"),
        message(b"two\r\nlines\tand \x00 \x1b"),
        message(br"C:\windows \x41 \u12 \'"),
        message(b"\xff\xfe"),
        b"\"msg\":{},\"error_message\":[7]".to_vec(),
        b"\"msg\":\"a\",\"msg\":\"b\"".to_vec(),
        b"\"msg\":1e999".to_vec(),
        b"\"access_token\":\"\\ud83d\",\"expires_in\":1e999".to_vec(),
        b"\"k\\ud83d\\u12\xff\x01\":1".to_vec(),
        b"\"\":{},\"\":{}".to_vec(),
        format!(r#""data":{deep},"detail":{deep},"x":{deep}"#).into(),
        format!(
            r#""detail":{}1{}"#,
            r#"{"detail":"#.repeat(50_000),
            "}".repeat(50_000)
        )
        .into(),
        b"\"detail\":{\"logid\":\"\xff\",\"logid\":2}".to_vec(),
    ];
    for member in members {
        for mark in ["", "\u{feff}", "\r\n\u{feff}\n"] {
            for first in [false, true] {
                let code: &[u8] = b"\"error_code\":\"invalid_grant\"";
                let (a, b) = if first {
                    (&**member, code)
                } else {
                    (code, &**member)
                };
                let body = [mark.as_bytes(), b"{", a, b",", b, b"}\n"].concat();
                assert_eq!(refused(body).code(), &ErrorCode::InvalidGrant);
            }
        }
    }
    let shown = refused([b"{\"error\":\"invalid_grant\",", &*message(gbk), b"}"].concat());
    assert!(shown.message().contains('\u{fffd}'), "{shown}");
    let cut = refused(br#"{"error":"invalid_grant","error_description":"cut \ud83d"}"#);
    assert_eq!(cut.message(), "cut \u{fffd}");
    let whole =
        refused(br#"{"error":"invalid_grant","msg":"\ud83d\udc36 \u6263\"\\\/\b\f\n\r\t"}"#);
    assert_eq!(whole.message(), r#"🐶 扣"\/\u{8}\u{c}\u{a}\u{d}\u{9}"#);
}

#[test]
fn nor_does_it_cost_a_token() {
    let token = token_json();
    for noise in [
        &b"\"msg\":\"\xb3\xc9\xb9\xa6\","[..],
        b"\"msg\":\"\\ud83d\",",
        b"\"msg\":\"a\nb\",",
        b"\"token_type\":\"\xff\",",
        b"\"detail\":[[[[]]]],",
    ] {
        for mark in ["", "\u{feff}"] {
            let body = [mark.as_bytes(), b"{", noise, &token.as_bytes()[1..]].concat();
            let grant = answered(refresh(), reply(200, body)).expect("a grant");
            assert_eq!(grant.access_token.expose(), "czu_access");
            assert_eq!(grant.refresh_token.expect("one").expose(), "refresh-1");
        }
    }
}

/// Lenient about what is shown, strict about what is used.
#[test]
fn a_token_that_is_not_text_is_refused() {
    for bad in [
        &b"\xff"[..],
        br"\ud83d",
        b"\x01",
        br"\x",
        b"\n",
        "\u{fffd}".as_bytes(),
    ] {
        for member in ["access_token", "refresh_token"] {
            let begin = format!("\"{member}\":\"");
            let token = token_json();
            let at = token.find(&begin).expect("a member") + begin.len();
            let body = [&token.as_bytes()[..at], bad, &token.as_bytes()[at..]].concat();
            let error = error_of(refresh(), reply(200, body));
            assert!(
                matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::BadValue(member)),
                "{member} {bad:?}: {error:?}"
            );
        }
    }
}

/// Cut off, or written by hand, behind the code: it says what it says. A success that is cut off says nothing.
#[test]
fn a_code_before_the_damage_counts() {
    for body in [
        &br#"{"error":"invalid_grant","msg":"cut"#[..],
        br#"{"error":"invalid_grant""#,
        br#"{"error":"invalid_grant"} and more"#,
        b"{\"error\":\"invalid_grant\"}\x00",
        b"{\"error\":\"invalid_grant\",\xff}",
        br#"{"error":"invalid_grant",}"#,
        br#"{"error":"invalid_grant","msg":"say "no" now"}"#,
        br#"{"error":"invalid_grant","left":NaN}"#,
    ] {
        let what = String::from_utf8_lossy(body);
        let error = error_of(refresh(), reply(400, body));
        assert_eq!(error.code(), Some(&ErrorCode::InvalidGrant), "{what}");
        assert!(error.needs_login(), "{what}");
        let error = error_of(refresh(), reply(200, body));
        assert!(
            matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::NotJson),
            "{what}: {error:?}"
        );
    }
}

/// What still is not JSON: a cut-off answer without a whole code, another encoding as a whole.
#[test]
fn what_is_no_json_is_not_made_json() {
    let utf_16: Vec<u8> = "\u{feff}{\"error\":\"slow_down\"}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for body in [
        &br#"{"error":"invalid_gr"#[..],
        br#"{"code":4100"#,
        br#"{"code":41"#,
        br#"{"msg":"cut","error":invalid_grant}"#,
        br#"{'error':'invalid_grant'}"#,
        br#"[{"error":"invalid_grant"}]"#,
        &utf_16,
    ] {
        let error = error_of(refresh(), reply(400, body));
        assert!(
            matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::NotJson),
            "{}: {error:?}",
            String::from_utf8_lossy(body)
        );
    }
    let error = error_of(refresh(), reply(400, "\u{feff}"));
    assert!(matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::Empty));
}

/// Bodies of a MiB, less what makes them too long, in the shapes that blow up most.
#[test]
fn memory_is_bounded_by_a_small_multiple_of_the_answer() {
    let room = Body::READ_AT_MOST - 100;
    let many = |member: &str| member.repeat(room / member.len());
    let with = |begin: &[u8], unit: &[u8], end: &[u8]| {
        [
            begin,
            &unit.repeat((room - begin.len() - end.len()) / unit.len()),
            end,
        ]
        .concat()
    };
    let code = br#""error_code":"invalid_grant"}"#;
    for (what, body) in [
        ("many empty members", with(b"{", br#""":{},"#, code)),
        (
            "a member that is read, again and again",
            with(b"{", br#""msg":0,"#, code),
        ),
        (
            "one in data",
            with(
                br#"{"data":{"#,
                br#""code":{},"#,
                [&br#""a":1},"#[..], code].concat().as_slice(),
            ),
        ),
        (
            "nested arrays",
            format!(
                r#"{{"x":{}{},{}"#,
                "[".repeat(room / 2 - 50),
                "]".repeat(room / 2 - 50),
                String::from_utf8_lossy(code)
            )
            .into(),
        ),
        ("nested objects", with(b"{", br#""x":{"y":{}},"#, code)),
        (
            "escapes in the message",
            with(
                br#"{"msg":""#,
                br"\n",
                [&br#"","#[..], code].concat().as_slice(),
            ),
        ),
        (
            "one escape in a long message",
            with(
                br#"{"msg":"\n"#,
                b"m",
                [&br#"","#[..], code].concat().as_slice(),
            ),
        ),
        (
            "half pairs",
            with(
                br#"{"msg":""#,
                br"\ud83d",
                [&br#"","#[..], code].concat().as_slice(),
            ),
        ),
        (
            "another encoding",
            with(
                br#"{"msg":""#,
                b"\xff",
                [&br#"","#[..], code].concat().as_slice(),
            ),
        ),
        (
            "another encoding, mixed",
            with(
                br#"{"msg":"\n"#,
                b"a\xff",
                [&br#"","#[..], code].concat().as_slice(),
            ),
        ),
        (
            "a secret, again and again",
            with(
                br#"{"msg":""#,
                b"refresh-0",
                [&br#"","#[..], code].concat().as_slice(),
            ),
        ),
        ("a long code", with(br#"{"error":""#, b"c", br#""}"#)),
        (
            "a long code with an escape",
            with(br#"{"error":"\n"#, b"c", br#""}"#),
        ),
        (
            "a long log id",
            with(
                br#"{"detail":{"logid":"\n"#,
                b"l",
                [&br#""},"#[..], code].concat().as_slice(),
            ),
        ),
        ("no JSON", many("{").into()),
        ("a page", many("<p>").into()),
        ("not even text", with(b"{\"", b"\xff\xfe", b"")),
        (
            "numbers",
            with(br#"{"code":"#, b"9", br#","error":"invalid_grant"}"#),
        ),
    ] {
        assert!(
            body.len() > room - 100 && body.len() < Body::READ_AT_MOST,
            "{what}: {}",
            body.len()
        );
        let length = body.len() as u64;
        let answer = reply(400, body);
        let mut error = None;
        let held = allocation_counter::measure(|| error = Some(error_of(refresh(), answer)));
        // With the body itself that makes five times its length, for the worst of all, and what it takes to look through a message.
        assert!(
            held.bytes_max < 4 * length + 80 * 1024,
            "{what}: {} bytes",
            held.bytes_max
        );
        let error = error.expect("it ran").to_string();
        assert!(error.len() < 2000, "{what}: {error}");
    }
}
