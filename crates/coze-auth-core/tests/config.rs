//! Settings as Coze's users already have them (protocol §9).

mod common;

use std::io;

use common::*;
use coze_auth_core::authorize::RedirectUri;
use coze_auth_core::config::{Environment, OAuthConfig};
use coze_auth_core::error::Problem;
use coze_auth_core::{Entropy, Region};
use proptest::prelude::*;

fn file(members: &str) -> String {
    format!(r#"{{"client_id":"id-1","coze_api_base":"https://api.coze.cn",{members}}}"#)
}

#[test]
fn a_file_of_each_kind() {
    let web = r#""client_type":"web","client_secret":"s","coze_www_base":"https://www.coze.cn/","redirect_uris":["x"]"#;
    let Ok(OAuthConfig::Web(app)) = OAuthConfig::from_json(&file(web)) else {
        panic!("web")
    };
    let (url, _) = app.authorize(&redirect(), entropy()).unwrap();
    assert!(
        url.as_str()
            .starts_with("https://www.coze.cn/api/permission/oauth2/authorize?"),
        "{url}"
    );
    let Ok(OAuthConfig::Pkce(_)) = OAuthConfig::from_json(&file(r#""client_type":"pkce""#)) else {
        panic!("pkce")
    };
    let device = format!(
        "\u{feff}{}",
        file(r#""client_type":"device","client_secret":null"#)
    );
    let Ok(OAuthConfig::Device(_)) = OAuthConfig::from_json(&device) else {
        panic!("device")
    };
    let jwt = file(r#""client_type":"jwt","public_key_id":"kid","private_key":"-----BEGIN\nX""#);
    let Ok(OAuthConfig::Jwt(issuer, key)) = OAuthConfig::from_json(&jwt) else {
        panic!("jwt")
    };
    assert_eq!(key.expose(), "-----BEGIN\nX");
    assert!(
        format!("{issuer:?}").contains(r#"audience: "api.coze.cn""#),
        "{issuer:?}"
    );
}

#[test]
fn a_file_that_cannot_work_names_the_member() {
    for (text, what, problem) in [
        (
            r#"{"client_type":"web"}"#.to_owned(),
            "coze_api_base",
            Problem::Missing,
        ),
        (file(r#""client_type":"""#), "client_type", Problem::Missing),
        (
            file(r#""client_type":"server""#),
            "client_type",
            Problem::ClientType,
        ),
        (
            file(r#""client_type":"web""#),
            "client_secret",
            Problem::Missing,
        ),
        (
            file(r#""client_type":"web","client_secret":"a b""#),
            "client_secret",
            Problem::Character {
                at: 1,
                is: "a space",
            },
        ),
        (
            file(r#""client_type":"jwt","private_key":"x""#),
            "public_key_id",
            Problem::Missing,
        ),
        (
            file(r#""client_type":"jwt","public_key_id":"k""#),
            "private_key",
            Problem::Missing,
        ),
        (
            file(r#""client_type":"pkce","coze_www_base":"www.coze.cn""#),
            "coze_www_base",
            Problem::NoScheme,
        ),
        (
            file(r#""client_type":"pkce","coze_www_base":"https://www.coze.com""#),
            "coze_www_base",
            Problem::Host(
                "is of the other region than the API base: a login at one means nothing to the other",
            ),
        ),
        (
            file(r#""client_type":"pkce""#).replace("https", "http"),
            "coze_api_base",
            Problem::Insecure,
        ),
        (
            file(r#""client_type":"pkce""#).replace("id-1", ""),
            "client_id",
            Problem::Missing,
        ),
    ] {
        let error = OAuthConfig::from_json(&text).expect_err(&text);
        assert_eq!(
            (error.what(), error.problem()),
            (what, &problem),
            "for {text}"
        );
    }
}

fn environment<'a>(vars: &'a [(&'a str, &'a str)]) -> Environment<'a> {
    Environment::new(Region::Com, |name| {
        vars.iter()
            .find(|(var, _)| *var == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_region_is_the_callers_unless_a_base_is_set() {
    assert_eq!(
        environment(&[]).endpoints().unwrap().api_base(),
        "https://api.coze.com"
    );
    let set = environment(&[("COZE_API_BASE", "https://api.coze.cn/")]);
    assert_eq!(set.endpoints().unwrap().api_base(), "https://api.coze.cn");
    assert_eq!(
        environment(&[("COZE_API_BASE", "")])
            .endpoints()
            .unwrap()
            .api_base(),
        "https://api.coze.com"
    );
    let error = environment(&[("COZE_API_BASE", "api.coze.cn")])
        .endpoints()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "COZE_API_BASE: has no https:// in front (http:// is for this machine alone)"
    );
}

#[test]
fn every_credential_of_the_seed() {
    let vars = [
        ("COZE_API_BASE", "https://gateway.corp"),
        ("COZE_WWW_BASE", "https://login.corp"),
        ("COZE_API_TOKEN", "pat_x"),
        ("COZE_WEB_OAUTH_CLIENT_ID", "web-id"),
        ("COZE_WEB_OAUTH_CLIENT_SECRET", "secret"),
        ("COZE_WEB_OAUTH_REDIRECT_URI", "https://app.example/web"),
        ("COZE_PKCE_OAUTH_CLIENT_ID", "pkce-id"),
        ("COZE_DEVICE_OAUTH_CLIENT_ID", "device-id"),
        ("COZE_JWT_OAUTH_CLIENT_ID", "1"),
        ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "kid"),
        ("COZE_JWT_OAUTH_PRIVATE_KEY", "PEM"),
    ];
    let env = environment(&vars);
    assert_eq!(env.access_token().unwrap().expose(), "pat_x");
    let (web, redirect) = (env.web_app().unwrap(), env.web_redirect_uri().unwrap());
    assert_eq!(redirect.as_str(), "https://app.example/web");
    let (url, _) = web
        .authorize(&redirect, Entropy::from_bytes([1; 32]))
        .unwrap();
    assert!(
        url.as_str()
            .starts_with("https://login.corp/api/permission"),
        "{url}"
    );
    assert_eq!(
        env.pkce_redirect_uri().unwrap().as_str(),
        "https://app.example/web",
        "as the seed's sample has it"
    );
    env.device_app().unwrap();
    let (_, key) = env
        .jwt_issuer(|_| panic!("the key is in the variable"))
        .unwrap();
    assert_eq!(key.expose(), "PEM");

    let own = [
        &vars[..],
        &[("COZE_PKCE_OAUTH_REDIRECT_URI", "https://app.example/pkce")],
    ]
    .concat();
    assert_eq!(
        environment(&own).pkce_redirect_uri().unwrap().as_str(),
        "https://app.example/pkce"
    );
}

#[test]
fn a_key_can_be_in_a_file() {
    let vars = [
        ("COZE_JWT_OAUTH_CLIENT_ID", "1"),
        ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "kid"),
        ("COZE_JWT_OAUTH_PRIVATE_KEY", ""),
        ("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", "key.pem"),
    ];
    let read = |path: &str| match path {
        "key.pem" => Ok("PEM".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    assert_eq!(
        environment(&vars).jwt_issuer(read).unwrap().1.expose(),
        "PEM"
    );
    let error = environment(&vars)
        .jwt_issuer(|_| Err(io::ErrorKind::PermissionDenied.into()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH (key.pem): cannot be read: permission denied"
    );
    for (path, hint) in [
        (
            "~/key.pem",
            "; ~ and $NAME are not replaced here, as a shell does",
        ),
        (
            "$HOME/key.pem",
            "; ~ and $NAME are not replaced here, as a shell does",
        ),
        // Of a file with Windows' line ends: it is not the key itself.
        ("key.pem\r", "; there is white space around the path"),
        ("key.pem ", "; there is white space around the path"),
        ("\"key.pem\"", "; the path is in quotes"),
        ("'key.pem'", "; the path is in quotes"),
        ("missing.pem", ""),
    ] {
        let vars = [
            ("COZE_JWT_OAUTH_CLIENT_ID", "iss"),
            ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "kid"),
            ("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", path),
        ];
        let error = environment(&vars).jwt_issuer(read).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH ({}): cannot be read: entity not found{hint}",
                path.escape_debug()
            )
        );
    }
}

const WORKLOAD: [(&str, &str); 4] = [
    ("COZE_WORKLOAD_IDENTITY_CLIENT_ID", "workload-id"),
    ("COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", "SENTINEL"),
    (
        "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
        "https://a.example/id",
    ),
    (
        "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT",
        "https://b.example/access",
    ),
];

/// All endpoints are whole URLs, so the base and the region play no part.
#[test]
fn a_workload_is_what_the_platform_sets() {
    let app = environment(&WORKLOAD).workload_app().unwrap();
    assert_eq!(app.client_id(), "workload-id");
    assert_eq!(app.endpoints().identity(), "https://a.example/id");
    assert_eq!(app.endpoints().access(), "https://b.example/access");
    assert_eq!(app.endpoints().outbound(), None);
    assert_eq!(app.lane().as_str(), None);
    let more = [
        ("COZE_OUTBOUND_AUTH_ENDPOINT", "https://c.example/secret/"),
        ("COZE_SERVER_ENV", "ppe_x"),
        ("COZE_API_BASE", "not a base"),
    ];
    let app = environment(&[&WORKLOAD[..], &more].concat())
        .workload_app()
        .unwrap();
    assert_eq!(app.endpoints().outbound(), Some("https://c.example/secret"));
    assert_eq!(app.lane().as_str(), Some("ppe_x"));
    for no_lane in ["", "NONE"] {
        let vars = [&WORKLOAD[..], &[("COZE_SERVER_ENV", no_lane)]].concat();
        let app = environment(&vars).workload_app().unwrap();
        assert_eq!(app.lane().as_str(), None, "{no_lane:?}");
    }
}

#[test]
fn each_missing_variable_of_a_workload_is_named() {
    let names = WORKLOAD.map(|(name, _)| name);
    for missing in 1..16_u32 {
        let is_missing = |at: usize| missing & (1 << at) != 0;
        for absent in [None, Some("")] {
            let set = WORKLOAD.iter().enumerate();
            let vars: Vec<_> = set
                .filter_map(|(at, &(name, value))| match is_missing(at) {
                    true => absent.map(|empty| (name, empty)),
                    false => Some((name, value)),
                })
                .collect();
            let error = environment(&vars).workload_app().unwrap_err();
            let expected: Vec<_> = (0..4)
                .filter(|at| is_missing(*at))
                .map(|at| names[at])
                .collect();
            assert_eq!(error.problem(), &Problem::Missing);
            assert_eq!(error.what(), expected.join(", "));
        }
    }
    // The key beside them is the pair in base64, and is not taken in its place.
    let api_key = ("COZE_WORKLOAD_IDENTITY_API_KEY", "d29ya2xvYWQtaWQ6c2VjcmV0");
    let error = environment(&[api_key]).workload_app().unwrap_err();
    assert_eq!(error.what(), names.join(", "));
}

#[test]
fn a_variable_of_a_workload_that_cannot_work_is_named() {
    for (name, value, reason) in [
        (
            "COZE_WORKLOAD_IDENTITY_CLIENT_ID",
            "id\u{200b}",
            "has an invisible character at byte 2",
        ),
        (
            "COZE_WORKLOAD_IDENTITY_CLIENT_ID",
            "<client_id>",
            "is a placeholder",
        ),
        (
            "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET",
            "SENTINEL\n",
            "has a line break at byte 8",
        ),
        (
            "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET",
            "\"SENTINEL\"",
            "is in quotes",
        ),
        (
            "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
            "a.example/id",
            "has no https:// in front",
        ),
        (
            "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
            "http://a.example/id",
            "is http, which",
        ),
        (
            "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT",
            "https://SENTINEL@b.example/",
            "has a user name",
        ),
        (
            "COZE_OUTBOUND_AUTH_ENDPOINT",
            "https://c.example/?x=1",
            "has a query",
        ),
        ("COZE_SERVER_ENV", " ppe_x", "has a space at byte 0"),
        (
            "COZE_SERVER_ENV",
            "泳道",
            "has a character that is not ASCII at byte 0",
        ),
    ] {
        let mut vars = WORKLOAD.to_vec();
        vars.retain(|(other, _)| *other != name);
        vars.push((name, value));
        let error = environment(&vars).workload_app().unwrap_err();
        let begin = format!("{name}: {reason}");
        assert!(error.to_string().starts_with(&begin), "{error}");
        assert!(!format!("{error:?}").contains("SENTINEL"), "{error:?}");
    }
}

const LOOP: [(&str, &str); 3] = [
    ("COZELOOP_JWT_OAUTH_CLIENT_ID", "loop-id"),
    ("COZELOOP_JWT_OAUTH_PUBLIC_KEY_ID", "loop-kid"),
    ("COZELOOP_JWT_OAUTH_PRIVATE_KEY", "LOOP PEM"),
];

#[test]
fn a_jwt_app_may_stand_under_the_names_of_coze_loop() {
    let (issuer, key) = environment(&LOOP).jwt_issuer(|_| unreachable!()).unwrap();
    assert_eq!(
        (issuer.client_id(), issuer.key_id()),
        ("loop-id", "loop-kid")
    );
    assert_eq!(key.expose(), "LOOP PEM");
    assert_eq!(
        key.error(Problem::Empty).what(),
        "COZELOOP_JWT_OAUTH_PRIVATE_KEY"
    );
    // All three, and the missing ones are named.
    for missing in 1..7_u32 {
        let is_missing = |at: &usize| missing & (1 << at) != 0;
        let left = (0..3).map(|at| (LOOP[at].0, if is_missing(&at) { "" } else { LOOP[at].1 }));
        let vars: Vec<_> = left.collect();
        let error = environment(&vars)
            .jwt_issuer(|_| unreachable!())
            .unwrap_err();
        let expected: Vec<_> = (0..3).filter(is_missing).map(|at| LOOP[at].0).collect();
        assert_eq!(
            (error.what(), error.problem()),
            (&*expected.join(", "), &Problem::Missing)
        );
    }
    let odd = environment(&[LOOP[0], (LOOP[1].0, "kid\u{fffd}"), LOOP[2]]);
    let error = odd.jwt_issuer(|_| unreachable!()).unwrap_err();
    assert_eq!(error.what(), LOOP[1].0);
}

/// Two halves of two apps are not one.
#[test]
fn the_names_of_coze_loop_count_only_where_none_of_the_others_is_set() {
    let coze = [
        ("COZE_JWT_OAUTH_CLIENT_ID", "id"),
        ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "kid"),
        ("COZE_JWT_OAUTH_PRIVATE_KEY", "PEM"),
    ];
    let both = [&LOOP[..], &coze].concat();
    let (issuer, key) = environment(&both).jwt_issuer(|_| unreachable!()).unwrap();
    assert_eq!((issuer.client_id(), key.expose()), ("id", "PEM"));
    for (one, missing) in [
        (coze[0], "COZE_JWT_OAUTH_PUBLIC_KEY_ID"),
        (coze[1], "COZE_JWT_OAUTH_CLIENT_ID"),
        (coze[2], "COZE_JWT_OAUTH_CLIENT_ID"),
        (
            ("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", "key.pem"),
            "COZE_JWT_OAUTH_CLIENT_ID",
        ),
    ] {
        let vars = [&LOOP[..], &[one]].concat();
        let error = environment(&vars)
            .jwt_issuer(|_| unreachable!())
            .unwrap_err();
        assert_eq!(error.what(), missing, "{one:?}");
    }
    let none = environment(&[]).jwt_issuer(|_| unreachable!()).unwrap_err();
    assert_eq!(none.what(), "COZE_JWT_OAUTH_CLIENT_ID");
}

/// A program that listens for the callback itself has no URI before it listens.
#[test]
fn an_app_needs_no_redirect_uri_of_the_environment() {
    let env = environment(&[
        ("COZE_PKCE_OAUTH_CLIENT_ID", "pkce-id"),
        ("COZE_WEB_OAUTH_CLIENT_ID", "web-id"),
        ("COZE_WEB_OAUTH_CLIENT_SECRET", "secret"),
    ]);
    let redirect = RedirectUri::new("http://127.0.0.1:49152/callback").unwrap();
    let entropy = || Entropy::from_bytes([1; 32]);
    let (pkce, _) = (env.pkce_app().unwrap())
        .authorize(&redirect, entropy())
        .unwrap();
    let (web, _) = (env.web_app().unwrap())
        .authorize(&redirect, entropy())
        .unwrap();
    for url in [pkce, web] {
        let wants = "redirect_uri=http%3A%2F%2F127.0.0.1%3A49152%2Fcallback";
        assert!(url.as_str().contains(wants), "{url}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let env = environment(&[("COZE_WEB_OAUTH_CLIENT_SECRET", "s")]);
    let missing = |error: coze_auth_core::error::ConfigError| {
        assert_eq!(error.problem(), &Problem::Missing);
        error.what().to_owned()
    };
    assert_eq!(missing(env.access_token().unwrap_err()), "COZE_API_TOKEN");
    assert_eq!(
        missing(env.web_app().unwrap_err()),
        "COZE_WEB_OAUTH_CLIENT_ID"
    );
    assert_eq!(
        missing(env.pkce_app().unwrap_err()),
        "COZE_PKCE_OAUTH_CLIENT_ID"
    );
    assert_eq!(
        missing(env.device_app().unwrap_err()),
        "COZE_DEVICE_OAUTH_CLIENT_ID"
    );
    assert_eq!(
        missing(env.jwt_issuer(|_| unreachable!()).unwrap_err()),
        "COZE_JWT_OAUTH_CLIENT_ID"
    );
    let no_key = environment(&[
        ("COZE_JWT_OAUTH_CLIENT_ID", "iss"),
        ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "kid"),
    ])
    .jwt_issuer(|_| unreachable!())
    .unwrap_err();
    assert_eq!(
        missing(no_key),
        "COZE_JWT_OAUTH_PRIVATE_KEY or COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH"
    );
    assert_eq!(
        missing(env.pkce_redirect_uri().unwrap_err()),
        "COZE_PKCE_OAUTH_REDIRECT_URI"
    );
    assert_eq!(
        missing(env.web_redirect_uri().unwrap_err()),
        "COZE_WEB_OAUTH_REDIRECT_URI"
    );
    let garbled = environment(&[("COZE_DEVICE_OAUTH_CLIENT_ID", "id\u{fffd}")])
        .device_app()
        .unwrap_err();
    assert_eq!(
        (garbled.what(), garbled.problem()),
        (
            "COZE_DEVICE_OAUTH_CLIENT_ID",
            &Problem::Character {
                at: 2,
                is: "the mark of text that is not Unicode"
            }
        )
    );
    let bad = environment(&[("COZE_API_TOKEN", "pat_x\n")])
        .access_token()
        .unwrap_err();
    assert!(
        bad.to_string()
            .starts_with("COZE_API_TOKEN: has a line break at byte 5"),
        "{bad}"
    );
}

/// What stands in the file's text, and what the error says of it: of JSON the place, of a member its name.
fn said(text: &str) -> String {
    OAuthConfig::from_json(text).expect_err(text).to_string()
}

/// The parts of a JWT app's file as a person writes them: each of these can mean one thing only.
#[test]
fn a_file_edited_by_hand_is_taken_where_it_can_mean_one_thing_only() {
    let read = |text: &str| match OAuthConfig::from_json(text) {
        Ok(OAuthConfig::Jwt(issuer, key)) => (format!("{issuer:?}"), key.expose().to_owned()),
        other => panic!("{text}: {other:?}"),
    };
    let plain = r#"{
  "client_type": "jwt",
  "client_id": "1234567890123456789012",
  "public_key_id": "4567",
  "coze_www_base": "",
  "private_key": "-----BEGIN\nX",
  "coze_api_base": "https://api.coze.cn"
}"#;
    let expected = read(plain);
    assert!(
        expected
            .0
            .contains(r#"client_id: "1234567890123456789012""#),
        "{expected:?}"
    );
    assert_eq!(expected.1, "-----BEGIN\nX");
    let after = |place: &str, added: &str| plain.replacen(place, &format!("{place}{added}"), 1);
    for (what, text) in [
        (
            "a number for an id",
            plain.replace(r#""1234567890123456789012""#, "1234567890123456789012"),
        ),
        ("a number for a key id", plain.replace(r#""4567""#, "4567")),
        (
            "a // comment",
            after("{", " // mine, see https://x: {\"client_id\""),
        ),
        (
            "a // comment behind a value",
            after(r#""4567","#, " // kid, \"old\": 1"),
        ),
        ("a /* */ comment", after("{", "/* , { \n } */")),
        ("a # comment", after("{", " # mine")),
        ("a trailing comma", after(r#""https://api.coze.cn""#, ",")),
        ("a raw line break in the key", plain.replace("\\n", "\n")),
        ("lines of Windows", plain.replace('\n', "\r\n")),
        ("lines of old Macs", plain.replace('\n', "\r")),
        ("single quotes", plain.replace('"', "'")),
        (
            "Python's None",
            plain.replace(r#""coze_www_base": """#, r#""coze_www_base": None"#),
        ),
        (
            "Python's True in a member that nobody reads",
            after("{", r#""debug": True, "x": [1, {"y": -1.5e3}, [],],"#),
        ),
        (
            "a member that nobody reads, twice",
            after("{", r#""x": 1, "x": 2,"#),
        ),
        ("a byte order mark", format!("\u{feff}{plain}")),
        ("non-breaking spaces", plain.replace("  ", "\u{a0}\u{200b}")),
        (
            "\\/ and \\u",
            plain.replace("https://api", "https:\\/\\/\\u0061pi"),
        ),
        ("blank lines around", format!("\n\n{plain}\n\n")),
    ] {
        assert_eq!(read(&text), expected, "{what}:\n{text}");
    }
    let web = r#"{"client_type":"web","client_id":1,"client_secret":12345678901234567890,"coze_api_base":"https://api.coze.cn"}"#;
    assert!(matches!(
        OAuthConfig::from_json(web),
        Ok(OAuthConfig::Web(_))
    ));
}

#[test]
fn what_stands_in_the_place_of_a_text_is_named() {
    for (value, found) in [
        ("[\"a\"]", "a list"),
        ("{\"a\": 1}", "an object"),
        ("true", "true or false"),
        ("False", "true or false"),
        ("1.5", "a number with a sign, a fraction or an exponent"),
        ("-1", "a number with a sign, a fraction or an exponent"),
        ("1e21", "a number with a sign, a fraction or an exponent"),
    ] {
        let text = file(r#""client_type":"device""#).replace("\"id-1\"", value);
        assert_eq!(
            said(&text),
            format!("client_id: is {found}; a text is asked for")
        );
    }
    let number = file(r#""client_type":"device""#).replace("\"https://api.coze.cn\"", "5");
    assert_eq!(
        said(&number),
        "coze_api_base: is a number; a text is asked for"
    );
    let lines = r#""client_type":"jwt","public_key_id":"k","private_key":["-----BEGIN","X"]"#;
    assert_eq!(
        said(&file(lines)),
        "private_key: is a list; a text is asked for"
    );
    let twice = r#""client_type":"device","client_id":"id-2""#;
    assert_eq!(
        said(&file(twice)),
        "client_id: is there twice, and nobody can tell which one is meant"
    );
    assert_eq!(
        said(&file(r#""client_type":"server""#)),
        "client_type: is not a kind of app: web, pkce, device or jwt"
    );
}

#[test]
fn what_is_not_json_is_told_by_line_and_column() {
    for (text, place, why) in [
        (
            "",
            (1, 1),
            "the file ends here, and the { of an object is expected",
        ),
        (
            "  // nothing",
            (1, 13),
            "the file ends here, and the { of an object is expected",
        ),
        (
            "[]",
            (1, 1),
            "a list begins here; an object is asked for, such as {\"client_type\": …}",
        ),
        (
            "\"oauth\": {}",
            (1, 1),
            "a text begins here; the object's { is missing in front of it",
        ),
        (
            "client_type=web",
            (1, 1),
            "a word without quotes stands here, and the { of an object is expected",
        ),
        (
            "{\n  \"a\": \"SENTINEL\"\n  \"b\": 1\n}",
            (3, 3),
            "a quote stands here, and a comma or the } of the object is expected",
        ),
        (
            "{\n  \"a\": \"SENTINEL\",\n",
            (3, 1),
            "the file ends here, and a name in quotes, or the } of the object is expected",
        ),
        (
            "{\"a\": 1",
            (1, 8),
            "the file ends here, and a comma or the } of the object is expected",
        ),
        (
            "{\"a\": 1}, {}",
            (1, 9),
            "the object has ended, and something else stands behind it",
        ),
        (
            "{\"a\": 1}}",
            (1, 9),
            "the object has ended, and something else stands behind it",
        ),
        (
            "{\"a\": 1,, \"b\": 2}",
            (1, 9),
            "a comma stands here, and a name in quotes, or the } of the object is expected",
        ),
        (
            "{a: 1}",
            (1, 2),
            "a word without quotes stands here, and a name in quotes, or the } of the object is expected",
        ),
        (
            "{\"a\": SENTINEL}",
            (1, 7),
            "a text begins here without quotes",
        ),
        (
            "{\"a\": 12SENTINEL}",
            (1, 7),
            "a text begins here without quotes",
        ),
        (
            "{\"a\" = 1}",
            (1, 6),
            "a = stands here, and the : behind a name is expected",
        ),
        (
            "{\"a\":}",
            (1, 6),
            "a } stands here, and a value is expected",
        ),
        (
            "{\"a\": <SENTINEL>}",
            (1, 7),
            "a < stands here, and a value is expected",
        ),
        (
            "{\r\n\u{201c}a\u{201d}: 1}",
            (2, 1),
            "a typographic quote stands here, and a name in quotes, or the } of the object is expected",
        ),
        (
            "{\"a\": 1\u{ff0c} \"b\": 2}",
            (1, 8),
            "a full-width comma or colon stands here, and a comma or the } of the object is expected",
        ),
        (
            "{\"扣\": \"SENTINEL,\n\"b\": 1}",
            (1, 7),
            "a text begins here that does not end on its line: its closing quote is missing, or a line break stands in it",
        ),
        (
            "{\"private_key\": \"SENTINEL",
            (1, 17),
            "a text begins here whose closing quote is missing",
        ),
        (
            "{\"a\": \"C:\\SENTINEL\"}",
            (1, 10),
            "a \\ stands here before something that it does not escape (a \\ itself is written \\\\)",
        ),
        (
            "{\r/* SENTINEL }",
            (2, 1),
            "a comment begins here that does not end",
        ),
        (
            "{\"a\": [1, 2}",
            (1, 12),
            "a } stands here, and a comma or the ] of the list is expected",
        ),
    ] {
        let error = OAuthConfig::from_json(text).expect_err(text);
        let (line, column) = place;
        let why = why.to_owned();
        assert_eq!(
            (error.what(), error.problem()),
            (
                "coze_oauth_config.json",
                &Problem::Json { line, column, why }
            ),
            "for {text}"
        );
        assert!(
            !format!("{error} {error:?}").contains("SENTINEL"),
            "{error:?}"
        );
    }
    let deep = format!("{{\"a\": {}", "[".repeat(100_000));
    assert!(
        said(&deep).contains("it is nested too deep here"),
        "and the stack is not used up"
    );
    let display = OAuthConfig::from_json("{\n 5}").unwrap_err().to_string();
    assert!(
        display.starts_with(
            "coze_oauth_config.json: is not JSON: line 2, column 2: a number stands here"
        ),
        "{display}"
    );
}

/// In the place of a setting, the things that people paste there, and what the error says of each.
const PASTED: &[(&str, &str)] = &[
    ("\"{}\"", "is in quotes; set it without them"),
    ("'{}'", "is in quotes; set it without them"),
    ("`{}`", "is in quotes; set it without them"),
    ("\u{201c}{}\u{201d}", "is in quotes; set it without them"),
    ("\"{}\",", "is in quotes; set it without them"),
    ("<{}>", "is a placeholder"),
    ("<your_token>", "is a placeholder"),
    ("\u{3010}{}\u{3011}", "is a placeholder"),
    ("[{}]", "is a placeholder"),
    ("{{}}", "is a placeholder"),
    ("${COZE_API_TOKEN}", "is a placeholder"),
    ("{{ secrets.COZE }}", "is a placeholder"),
    ("$TOKEN", "is a placeholder"),
    ("%TOKEN%", "is a placeholder"),
    ("your_token", "is a placeholder"),
    ("YOUR-CLIENT-ID", "is a placeholder"),
    ("your token here", "is a placeholder"),
    ("\u{4f60}\u{7684}\u{4ee4}\u{724c}", "is a placeholder"),
    ("xxx", "is a placeholder"),
    ("XXXXXXXX", "is a placeholder"),
    ("***", "is a placeholder"),
    ("...", "is a placeholder"),
    ("\u{2026}", "is a placeholder"),
    ("pat_xxxxxx", "is a placeholder"),
    ("changeme", "is a placeholder"),
    ("undefined", "is a placeholder"),
    ("None", "is a placeholder"),
    ("null", "is a placeholder"),
    (
        "COZE_API_TOKEN={}",
        "has its name in front; set the value alone",
    ),
    (
        "COZE_API_TOKEN: {}",
        "has its name in front; set the value alone",
    ),
    (
        "export COZE_API_TOKEN={}",
        "has its name in front; set the value alone",
    ),
    (
        "client_secret={}",
        "has its name in front; set the value alone",
    ),
    ("\"client_id\": \"{}\"", "is in quotes"),
    (
        "client_id: {}",
        "has its name in front; set the value alone",
    ),
    (
        "COZE_API_TOKEN",
        "is the name of a variable and not its value",
    ),
    (
        "$COZE_API_TOKEN",
        "is the name of a variable and not its value",
    ),
    (r#"{"access_token":"{}"}"#, "is JSON; set the value alone"),
    (
        "-----BEGIN PUBLIC KEY----- {}",
        "is a key or certificate in PEM, which does not belong here",
    ),
    ("Bearer {}", "begins with Bearer"),
    ("bearer {}", "begins with Bearer"),
    ("Authorization: Bearer {}", "begins with Bearer"),
];

#[test]
fn what_is_pasted_in_the_place_of_a_setting_is_refused_by_name() {
    use coze_auth_core::authorize::RedirectUri;
    use coze_auth_core::jwt::JwtIssuer;
    use coze_auth_core::{AccessToken, ClientSecret, Endpoints};
    for (pasted, reason) in PASTED {
        let value = pasted.replace("{}", "SENTINEL");
        let value = value.as_str();
        let cn = Endpoints::cn;
        for (what, error) in [
            ("access token", AccessToken::new(value).err()),
            ("client secret", ClientSecret::new(value).err()),
            (
                "client id",
                coze_auth_core::pkce::PkceApp::new(cn(), value).err(),
            ),
            (
                "client id",
                coze_auth_core::device::DeviceApp::new(cn(), value).err(),
            ),
            ("client id", JwtIssuer::new(cn(), value, "kid").err()),
            ("key id", JwtIssuer::new(cn(), "1", value).err()),
            ("redirect URI", RedirectUri::new(value).err()),
            ("API base", Endpoints::custom(value).err()),
        ] {
            let error = error.unwrap_or_else(|| panic!("{what} {value:?} is taken"));
            assert_eq!(error.what(), what, "for {value:?}");
            assert!(
                matches!(error.problem(), Problem::Looks(why) if why.starts_with(reason)),
                "{what} {value:?}: {error}"
            );
            assert!(
                !format!("{error} {error:?}").contains("SENTINEL"),
                "{error:?}"
            );
        }
        for (name, error) in [
            (
                "COZE_API_TOKEN",
                environment(&[("COZE_API_TOKEN", value)])
                    .access_token()
                    .err(),
            ),
            (
                "COZE_API_BASE",
                environment(&[("COZE_API_BASE", value)]).endpoints().err(),
            ),
            (
                "COZE_WEB_OAUTH_CLIENT_SECRET",
                environment(&[("COZE_WEB_OAUTH_CLIENT_SECRET", value)])
                    .web_app()
                    .err(),
            ),
            (
                "COZE_JWT_OAUTH_PUBLIC_KEY_ID",
                environment(&[
                    ("COZE_JWT_OAUTH_CLIENT_ID", "1"),
                    ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", value),
                ])
                .jwt_issuer(|_| unreachable!())
                .err(),
            ),
        ] {
            let error = error.unwrap_or_else(|| panic!("{name} {value:?} is taken"));
            assert_eq!(error.what(), name, "for {value:?}");
            assert!(
                matches!(error.problem(), Problem::Looks(_)),
                "{name} {value:?}: {error}"
            );
        }
    }
    for (token, reason) in [
        ("pat_abc***xyz", "is masked or shortened"),
        ("pat_abcd...", "is masked or shortened"),
        ("\"pat_x", "is in quotes"),
        ("pat_x\"", "is in quotes"),
        ("https://api.coze.cn", "is a URL"),
        ("/run/secrets/coze_token", "is a path"),
    ] {
        let error = AccessToken::new(token).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("access token: {reason}")),
            "{error}"
        );
    }
    // A variable's value in the place of its neighbour's.
    for url in ["https://app.example/callback", "HTTP://127.0.0.1:9777"] {
        for error in [
            ClientSecret::new(url).err(),
            JwtIssuer::new(Endpoints::cn(), url, "kid").err(),
            JwtIssuer::new(Endpoints::cn(), "1", url).err(),
        ] {
            let error = error.expect(url).to_string();
            assert!(
                error.ends_with(": is a URL, which does not belong here"),
                "{error}"
            );
        }
    }
    for (token, is, at) in [
        ("pat_\u{200b}x", "an invisible character", 4),
        ("pat_x\u{feff}", "an invisible character", 5),
        ("pat_\u{ff41}", "a full-width character", 4),
        ("pat\u{3002}x", "a full-width character", 3),
        ("pat_x\u{a0}", "a wide or non-breaking space", 5),
        ("pat_ x", "a space", 4),
        ("pat_\u{430}", "a character that is not ASCII", 4),
    ] {
        let error = AccessToken::new(token).unwrap_err();
        assert_eq!(
            error.problem(),
            &Problem::Character { at, is },
            "for {token:?}"
        );
    }
}

/// What could be real is taken, however odd it looks.
#[test]
fn what_could_be_a_setting_is_taken() {
    use coze_auth_core::jwt::JwtIssuer;
    use coze_auth_core::{AccessToken, ClientSecret, Endpoints};
    for token in [
        "pat_x",
        "a",
        "eyJ.eyJ.sig==",
        "xx",
        "token==",
        "COZE",
        "bearer",
        "yourself",
        "a/b+c=",
        "id:1",
        "/x",
    ] {
        AccessToken::new(token).unwrap_or_else(|error| panic!("{token}: {error}"));
    }
    for secret in [
        "\"abc",
        "abc'",
        "<abc",
        "abc>",
        "a=b",
        "$1",
        "$a$b",
        "%4x%",
        "..",
        "a...b",
        "x***y",
        "null0",
        "A=COZE_B",
        "pass:word",
    ] {
        ClientSecret::new(secret).unwrap_or_else(|error| panic!("{secret}: {error}"));
    }
    for id in [
        "1",
        "1234.app.coze",
        "my-app",
        "\u{6263}\u{5b50}",
        "a b",
        "youth",
        "nullable",
    ] {
        JwtIssuer::new(Endpoints::cn(), id, "k").unwrap_or_else(|error| panic!("{id}: {error}"));
    }
}

/// A server's token is taken as it comes.
#[test]
fn a_token_from_a_server_is_not_judged_by_its_looks() {
    for token in ["your_token", "***", "<x>", "\"x\"", "null"] {
        let body = serde_json::json!({ "access_token": token, "expires_in": UNIX + 900 });
        let grant = answered(
            pkce().refresh(&coze_auth_core::RefreshToken::new("r").unwrap()),
            reply(200, body.to_string()),
        );
        let grant = grant.unwrap_or_else(|error| panic!("{token}: {error}"));
        assert_eq!(grant.access_token.expose(), token);
        let saved = grant.to_secret_json();
        coze_auth_core::TokenGrant::from_secret_json(saved.expose()).expect("and kept");
    }
}

#[cfg(feature = "rs256-aws-lc")]
#[test]
fn a_key_is_named_by_its_variable_or_member() {
    let ids = [
        ("COZE_JWT_OAUTH_CLIENT_ID", "1"),
        ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "kid"),
    ];
    let said = |variable: &'static str, value: &str, file: &str| {
        let vars = [&ids[..], &[(variable, value)]].concat();
        let file = file.to_owned();
        let key = environment(&vars)
            .jwt_issuer(|_| Ok(file))
            .map(|(_, key)| key);
        key.and_then(|key| key.rsa_key()).unwrap_err().to_string()
    };
    const KEY: &str = "COZE_JWT_OAUTH_PRIVATE_KEY";
    const FILE: &str = "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH";
    assert_eq!(
        said(KEY, "/etc/key.pem", ""),
        "COZE_JWT_OAUTH_PRIVATE_KEY: is not a usable RSA private key: it looks like a path: the text of the key is asked for here \
         (or COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH)"
    );
    assert_eq!(
        said(FILE, "/etc/key.pem", "-----BEGIN PUBLIC KEY-----"),
        "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH (/etc/key.pem): is not a usable RSA private key: it is the public key; \
         the private one is asked for"
    );
    assert_eq!(
        said(FILE, "/etc/key\u{1b}.pem", ""),
        "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH (/etc/key\\u{1b}.pem): is empty"
    );
    for key in [
        "-----BEGIN PRIVATE KEY-----\nSENTINEL",
        "-----BEGIN PRIVATE KEY-----SENTINEL",
        &"SENTINEL".repeat(100),
    ] {
        assert_eq!(
            said(FILE, key, ""),
            "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH: is not a path but the key itself, as it seems; that belongs into \
             COZE_JWT_OAUTH_PRIVATE_KEY"
        );
    }
    let jwt = file(r#""client_type":"jwt","public_key_id":"kid","private_key":"x""#);
    let Ok(OAuthConfig::Jwt(_, key)) = OAuthConfig::from_json(&jwt) else {
        panic!("jwt")
    };
    let error = key.rsa_key().unwrap_err();
    assert_eq!(error.what(), "private_key");
}

/// Parts of settings, and what lies beside them; put together in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("SENTINEL"),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("\\u00"),
        Just("\\ud83d"),
        Just("\\n"),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(":"),
        Just(","),
        Just("/"),
        Just("//"),
        Just("/*"),
        Just("*/"),
        Just("#"),
        Just("\n"),
        Just("\r"),
        Just("\u{6263}"),
        Just("\u{ff0e}"),
        Just("\u{200b}"),
        Just("\u{1f600}"),
        Just("\u{2014}"),
        Just("%"),
        Just("%0"),
        Just("`"),
        Just("`n"),
        Just("-----"),
        Just("BEGIN"),
        Just("PRIVATE KEY"),
        Just("RSA"),
        Just("END"),
        Just("MII"),
        Just("="),
        Just("=="),
        Just("https://"),
        Just("api.coze.cn"),
        Just("@"),
        Just("?"),
        Just("<"),
        Just(">"),
        Just("$"),
        Just("COZE_"),
        Just("client_id"),
        Just("private_key"),
        Just("null"),
        Just("1"),
        Just("."),
        Just("code"),
        Just("state"),
        Just("error"),
        Just("&"),
        Just(" "),
        Just("HTTP/1.1"),
        Just("LS0t"),
        Just("-"),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    /// Whatever is handed over, nothing panics and no error repeats it.
    #[test]
    fn no_setting_is_too_odd(text in pieces(), file in pieces()) {
        let quiet = |error: Option<coze_auth_core::error::ConfigError>| {
            let shown = error.map(|error| format!("{error} {error:?}")).unwrap_or_default();
            prop_assert!(!shown.contains("SENTINEL"), "{}", shown);
            Ok(())
        };
        quiet(OAuthConfig::from_json(&text).err())?;
        quiet(OAuthConfig::from_json(&format!("{{\"private_key\":\"{file}\", {text}")).err())?;
        quiet(coze_auth_core::AccessToken::new(&*text).err())?;
        quiet(coze_auth_core::ClientSecret::new(&*text).err())?;
        quiet(coze_auth_core::Endpoints::custom(&text).err())?;
        quiet(coze_auth_core::workload::WorkloadEndpoints::custom(&format!("https://{text}"), &text).err())?;
        quiet(coze_auth_core::workload::WorkloadEndpoints::cn().with_outbound(&format!("https://{file}")).err())?;
        quiet(coze_auth_core::workload::Lane::new(&text).err())?;
        quiet(coze_auth_core::Endpoints::custom(&format!("https://{text}")).err())?;
        quiet(coze_auth_core::authorize::RedirectUri::new(format!("https://{text}")).err())?;
        quiet(coze_auth_core::jwt::JwtIssuer::new(coze_auth_core::Endpoints::cn(), &*text, &*file).err())?;
        let _ = coze_auth_core::authorize::Callback::parse(&text);
        #[cfg(feature = "rs256-aws-lc")]
        quiet(coze_auth_core::jwt::RsaKey::from_pem(&text).err())?;
    }
}
