//! Settings as Coze's users already have them (protocol §9).

mod common;

use std::io;

use common::*;
use coze_auth_core::config::{Environment, OAuthConfig};
use coze_auth_core::error::Problem;
use coze_auth_core::{Entropy, Region};

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
        ("".to_owned(), "coze_oauth_config.json", Problem::NotJson),
        ("[]".to_owned(), "coze_oauth_config.json", Problem::NotJson),
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
            Problem::Character { at: 1 },
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
            Problem::NotAUrl,
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
        "COZE_API_BASE: is not an absolute http or https URL, such as https://host.example/path"
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
    let (web, redirect) = env.web_app().unwrap();
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
        env.pkce_app().unwrap().1.as_str(),
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
        environment(&own).pkce_app().unwrap().1.as_str(),
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
        "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH: cannot be read: permission denied"
    );
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
    let no_redirect = environment(&[("COZE_PKCE_OAUTH_CLIENT_ID", "id")])
        .pkce_app()
        .unwrap_err();
    assert_eq!(missing(no_redirect), "COZE_PKCE_OAUTH_REDIRECT_URI");
    let garbled = environment(&[("COZE_DEVICE_OAUTH_CLIENT_ID", "id\u{fffd}")])
        .device_app()
        .unwrap_err();
    assert_eq!(
        (garbled.what(), garbled.problem()),
        ("COZE_DEVICE_OAUTH_CLIENT_ID", &Problem::Character { at: 2 })
    );
    let bad = environment(&[("COZE_API_TOKEN", "pat_x\n")])
        .access_token()
        .unwrap_err();
    assert!(
        bad.to_string()
            .starts_with("COZE_API_TOKEN: has a character at byte 5"),
        "{bad}"
    );
}
