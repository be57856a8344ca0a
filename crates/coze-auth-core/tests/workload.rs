//! Workload identity: two requests for a token, then integrations and project variables (protocol §15).
//!
//! The names in the tables of answers are those of what the released `coze-workload-identity` 0.1.14 was run against.

mod common;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use common::*;
use coze_auth_core::cache::RefreshPolicy;
use coze_auth_core::error::{GrantType, Oddity, Problem};
use coze_auth_core::workload::{
    IntegrationCredential, Lane, ProjectEnv, ProjectVariable, WorkloadApp, WorkloadCall,
    WorkloadEndpoints,
};
use coze_auth_core::{
    AccessToken, ClientSecret, Error, ErrorKind, Flow, Now, Request, Response, Retry, Step,
    TokenGrant, TransportFailure, http,
};

const ID: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "a/b+c=d&e%f~g*h";
const ID_TOKEN: &str = "eyJoZWFkZXI.eyJzdWIiOiJzZW50aW5lbC1jbGFpbXMifQ.c2lnbmF0dXJl+/";

fn endpoints() -> WorkloadEndpoints {
    WorkloadEndpoints::custom("https://api.example/id/token", "https://api.example/access")
        .and_then(|endpoints| endpoints.with_outbound("https://out.example/secret"))
        .expect("endpoints")
}

fn app() -> WorkloadApp {
    let secret = ClientSecret::new(SECRET).expect("a secret");
    WorkloadApp::new(endpoints(), ID, secret).expect("an app")
}

fn token() -> AccessToken {
    AccessToken::received("access-token-1").expect("a token")
}

fn id_answer() -> Response {
    reply(
        200,
        format!(r#"{{"access_token":"{ID_TOKEN}","expires_in":3600}}"#),
    )
}

fn access_answer(more: &str) -> Response {
    reply(200, format!(r#"{{"access_token":"access-token-1"{more}}}"#))
}

fn form(request: &Request) -> Vec<(String, String)> {
    assert_eq!(
        request.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    url::form_urlencoded::parse(request.body().as_bytes())
        .into_owned()
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A call whose id token is there.
fn second() -> WorkloadCall {
    let mut call = app().grant();
    request_of(&mut call, at(0));
    call.receive(Ok(id_answer()), at(0));
    call
}

fn first_error(response: Response) -> Error {
    let error = error_of(app().grant(), response);
    assert_eq!(error.grant_type(), Some(GrantType::ClientCredentials));
    error
}

fn second_error(response: Response) -> Error {
    let error = error_of(second(), response);
    assert_eq!(error.grant_type(), Some(GrantType::TokenExchange));
    error
}

fn granted(answer: Response) -> TokenGrant {
    answered(second(), answer).expect("a grant")
}

fn credential(answer: Response) -> Result<IntegrationCredential, Error> {
    answered(
        app()
            .integration(&token(), "integration-x")
            .expect("a call"),
        answer,
    )
}

fn variables(answer: Response) -> Result<ProjectEnv, Error> {
    answered(app().project_env(&token()).expect("a call"), answer)
}

fn oddity(error: &Error) -> Oddity {
    match error {
        Error::Unexpected(unexpected) => unexpected.oddity(),
        other => panic!("{other}"),
    }
}

// ---------------------------------------------------------------------------------------------
// What goes out.

#[test]
fn a_grant_is_two_forms_and_the_secret_goes_out_once() {
    let mut call = app().grant();
    let request = request_of(&mut call, at(0));
    assert_eq!(request.uri(), "https://api.example/id/token");
    assert_eq!(request.method(), "POST");
    let members = [
        ("client_id", ID),
        ("client_secret", SECRET),
        ("grant_type", "client_credentials"),
    ];
    assert_eq!(form(&request), pairs(&members));
    assert_eq!(bearer(&request), None, "the secret is in the form alone");

    call.receive(Ok(id_answer()), at(0));
    let request = request_of(&mut call, at(0));
    assert_eq!(request.uri(), "https://api.example/access");
    assert_eq!(request.method(), "POST");
    let members = [
        ("client_id", ID),
        ("subject_token", ID_TOKEN),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:id_token",
        ),
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
    ];
    assert_eq!(form(&request), pairs(&members));
    assert_eq!(bearer(&request), None);
    assert_eq!(request.headers()["accept"], "application/json");

    call.receive(Ok(access_answer(r#","expires_in":900"#)), at(1));
    let grant = result_of(&mut call, at(1)).expect("a grant");
    assert_eq!(grant.access_token.expose(), "access-token-1");
    assert!(grant.refresh_token.is_none());
    assert!(matches!(
        call.step(at(1)),
        Step::Done(Err(Error::FlowFinished))
    ));
}

/// As a browser writes it (`application/x-www-form-urlencoded`, the URL standard).
#[test]
fn what_stands_for_something_in_a_form_is_encoded() {
    let mut call = app().grant();
    let request = request_of(&mut call, at(0));
    let body = std::str::from_utf8(request.body().as_bytes()).expect("ASCII");
    assert_eq!(
        body,
        format!(
            "client_id={ID}&client_secret=a%2Fb%2Bc%3Dd%26e%25f%7Eg*h&grant_type=client_credentials"
        )
    );
}

#[test]
fn a_step_without_an_answer_asks_for_the_same_again() {
    let mut call = app().grant();
    let first = form(&request_of(&mut call, at(0)));
    assert_eq!(form(&request_of(&mut call, at(9))), first);
    call.receive(Ok(id_answer()), at(9));
    let second = form(&request_of(&mut call, at(9)));
    assert_eq!(form(&request_of(&mut call, at(99))), second);
    assert_ne!(first, second);
}

#[test]
fn an_integration_is_asked_for_by_name_and_variables_without_one() {
    let request = request_of(
        &mut app().integration(&token(), "integration-飞书").unwrap(),
        at(0),
    );
    assert_eq!(
        shape(&request),
        (
            "POST https://out.example/secret/integration".to_owned(),
            r#"{"integration_name":"integration-飞书"}"#.to_owned()
        )
    );
    assert_eq!(bearer(&request), Some("access-token-1"));

    let request = request_of(&mut app().project_env(&token()).unwrap(), at(0));
    assert_eq!(request.method(), "GET");
    assert_eq!(request.uri(), "https://out.example/secret/env");
    assert!(request.body().is_empty());
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(bearer(&request), Some("access-token-1"));
}

#[test]
fn an_integration_name_that_cannot_be_meant() {
    for (name, problem) in [
        ("", Problem::Empty),
        (
            "a\nb",
            Problem::Character {
                at: 1,
                is: "a line break",
            },
        ),
        (
            " a",
            Problem::Character {
                at: 0,
                is: "a space",
            },
        ),
        (&"x".repeat(257), Problem::TooLong(256)),
    ] {
        let error = app().integration(&token(), name).unwrap_err();
        assert_eq!(
            (error.what(), error.problem()),
            ("integration name", &problem)
        );
    }
    let longest = app().integration(&token(), "x".repeat(256));
    assert!(longest.is_ok());
}

#[test]
fn a_lane_is_named_by_every_request() {
    let headers = |lane: &str| -> Vec<_> {
        let app = app().with_lane(Lane::new(lane).expect("a lane"));
        let mut grant = app.grant();
        let mut requests = vec![request_of(&mut grant, at(0))];
        grant.receive(Ok(id_answer()), at(0));
        requests.push(request_of(&mut grant, at(0)));
        requests.push(request_of(
            &mut app.integration(&token(), "x").unwrap(),
            at(0),
        ));
        requests.push(request_of(&mut app.project_env(&token()).unwrap(), at(0)));
        let header = |request: &Request, name: &str| {
            let value = request.headers().get(name);
            value.map(|value| value.to_str().expect("ASCII").to_owned())
        };
        let lanes = requests.iter();
        lanes
            .map(|request| (header(request, "x-tt-env"), header(request, "x-use-ppe")))
            .collect()
    };
    for (lane, env, ppe) in [
        ("", None, None),
        ("NONE", None, None),
        ("none", Some("none"), None),
        ("ppe_x", Some("ppe_x"), Some("1")),
        ("PPE_x", Some("PPE_x"), None),
        ("boe_x", Some("boe_x"), None),
        ("other", Some("other"), None),
        ("ppe", Some("ppe"), None),
    ] {
        let expected = (env.map(str::to_owned), ppe.map(str::to_owned));
        assert_eq!(headers(lane), vec![expected; 4], "{lane}");
    }
}

#[test]
fn a_lane_that_no_header_holds_is_refused() {
    for (lane, at, is) in [
        (" ppe_x", 0, "a space"),
        ("x\r\nX-Injected: 1", 1, "a line break"),
        ("泳道", 0, "a character that is not ASCII"),
        ("ppe é", 3, "a space"),
    ] {
        let error = Lane::new(lane).unwrap_err();
        assert_eq!(error.problem(), &Problem::Character { at, is }, "{lane}");
        assert_eq!(error.what(), "lane");
    }
    assert_eq!(
        Lane::new(&"x".repeat(257)).unwrap_err().problem(),
        &Problem::TooLong(256)
    );
}

#[test]
fn the_endpoints_of_cn_are_as_reported() {
    let cn = WorkloadEndpoints::cn();
    assert_eq!(cn.identity(), "https://api.coze.cn/.well-known/token");
    assert_eq!(cn.access(), "https://api.coze.cn/.well-known/token");
    assert_eq!(
        cn.outbound(),
        Some("https://integration.coze.cn/api/v1/secret")
    );
    assert_eq!(cn.api().api_base(), "https://api.coze.cn");
    // And as the platform sets them, one by one.
    let set = WorkloadEndpoints::custom(cn.identity(), cn.access()).unwrap();
    let set = set.with_outbound(cn.outbound().unwrap()).unwrap();
    assert_eq!(
        (set.identity(), set.access(), set.outbound()),
        (cn.identity(), cn.access(), cn.outbound())
    );
    let app = WorkloadApp::new(cn, ID, ClientSecret::new(SECRET).unwrap()).unwrap();
    let request = request_of(&mut app.project_env(&token()).unwrap(), at(0));
    assert_eq!(
        request.uri(),
        "https://integration.coze.cn/api/v1/secret/env"
    );
}

/// A slash at the end of a whole URL is a part of it; behind it, names are added to the outbound one.
#[test]
fn endpoints_are_taken_as_they_are_given() {
    let endpoints = WorkloadEndpoints::custom(
        " http://127.0.0.1:9777/t/a/.well-known/token\n",
        "http://[::1]:9777/access/",
    )
    .unwrap();
    assert_eq!(
        endpoints.identity(),
        "http://127.0.0.1:9777/t/a/.well-known/token"
    );
    assert_eq!(endpoints.access(), "http://[::1]:9777/access/");
    assert_eq!(endpoints.outbound(), None);
    assert_eq!(endpoints.api().api_base(), "http://[::1]:9777");
    let endpoints = endpoints
        .with_outbound("http://localhost:9777/secret//")
        .unwrap();
    assert_eq!(endpoints.outbound(), Some("http://localhost:9777/secret"));
    let app = WorkloadApp::new(endpoints, ID, ClientSecret::new(SECRET).unwrap()).unwrap();
    let request = request_of(&mut app.integration(&token(), "x").unwrap(), at(0));
    assert_eq!(request.uri(), "http://localhost:9777/secret/integration");
    let mock = WorkloadEndpoints::custom(
        "http://127.0.0.1:9777/t/a/.well-known/token",
        "http://127.0.0.1:9777/t/a/.well-known/token",
    );
    assert_eq!(
        mock.unwrap().api().api_base(),
        "http://127.0.0.1:9777/t/a",
        "the API is beside it"
    );
}

#[test]
fn endpoints_that_cannot_work() {
    const GOOD: &str = "https://api.example/token";
    for (url, problem) in [
        ("", Problem::Empty),
        ("127.0.0.1:9777/id", Problem::NoScheme),
        ("api.coze.cn/.well-known/token", Problem::NoScheme),
        ("ftp://api.example/id", Problem::NotAUrl),
        ("http://api.example/id", Problem::Insecure),
        (
            "https://u:p@api.example/id",
            Problem::UrlPart("user name or password"),
        ),
        ("https://api.example/id?x=1", Problem::UrlPart("query")),
        ("https://api.example/id?", Problem::UrlPart("query")),
        ("https://api.example/id#x", Problem::UrlPart("fragment")),
        (
            "https://api.example/i d",
            Problem::Character {
                at: 21,
                is: "a space",
            },
        ),
        (
            "https://api.coze.cn/",
            Problem::Looks(
                "is a host of Coze's alone; the whole URL is asked for, as the platform sets it",
            ),
        ),
        (
            "https://api.coze.cn/api/permission/oauth2/token",
            Problem::Path(
                "of the endpoint for logins and JWT apps, which is not one for workloads",
            ),
        ),
        (
            "https://api.coze.cn./.well-known/token",
            Problem::Host("ends in a full stop, and so is another name to Coze; leave it out"),
        ),
        (
            "\"https://api.example/id\"",
            Problem::Looks("is in quotes; set it without them"),
        ),
    ] {
        let identity = WorkloadEndpoints::custom(url, GOOD).unwrap_err();
        assert_eq!(identity.what(), "identity token endpoint", "{url}");
        let access = WorkloadEndpoints::custom(GOOD, url).unwrap_err();
        assert_eq!(access.what(), "access token endpoint", "{url}");
        let outbound = WorkloadEndpoints::custom(GOOD, GOOD).unwrap();
        let outbound = outbound.with_outbound(url).unwrap_err();
        assert_eq!(outbound.what(), "outbound endpoint", "{url}");
        for error in [identity, access, outbound] {
            assert_eq!(error.problem(), &problem, "{url}: {error}");
        }
    }
    let insecure = WorkloadEndpoints::custom_insecure("http://a.example/id", "http://b.example/a");
    insecure
        .unwrap()
        .with_outbound("http://c.example/s")
        .unwrap();
}

#[test]
fn without_an_outbound_endpoint_the_variable_is_named() {
    let endpoints = WorkloadEndpoints::custom("https://a.example/id", "https://a.example/a");
    let app = WorkloadApp::new(endpoints.unwrap(), ID, ClientSecret::new(SECRET).unwrap()).unwrap();
    for error in [
        app.integration(&token(), "x").map(drop).unwrap_err(),
        app.project_env(&token()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.problem(), &Problem::Missing);
        assert_eq!(
            error.to_string(),
            "outbound endpoint (COZE_OUTBOUND_AUTH_ENDPOINT): not set"
        );
    }
}

// ---------------------------------------------------------------------------------------------
// What comes back: the id token.

#[test]
fn an_answer_without_an_id_token_is_not_one() {
    for (case, status, body, expected) in [
        (
            "id_200_id_token_member_only",
            200,
            r#"{"id_token":"a.b.c","expires_in":60}"#,
            Oddity::Missing("access_token"),
        ),
        (
            "id_200_envelope_data",
            200,
            r#"{"code":0,"msg":"","data":{"access_token":"a.b.c"}}"#,
            Oddity::Missing("access_token"),
        ),
        ("id_200_array", 200, "[]", Oddity::NotJson),
        ("id_200_json_string", 200, r#""a""#, Oddity::NotJson),
        ("id_200_json_number", 200, "7", Oddity::NotJson),
        ("id_200_html", 200, "<html>", Oddity::NotJson),
        ("id_200_empty", 200, "", Oddity::Empty),
        ("id_502_html", 502, "<html>", Oddity::NotJson),
        ("id_503", 503, "{}", Oddity::Unexplained),
        (
            "a number",
            200,
            r#"{"access_token":7}"#,
            Oddity::WrongType("access_token"),
        ),
        (
            "an empty one",
            200,
            r#"{"access_token":""}"#,
            Oddity::Missing("access_token"),
        ),
        (
            "a control character",
            200,
            r#"{"access_token":"a\u0000b"}"#,
            Oddity::BadValue("access_token"),
        ),
        (
            "twice",
            200,
            r#"{"access_token":"a","access_token":"b"}"#,
            Oddity::Repeated("access_token"),
        ),
    ] {
        let error = first_error(reply(status, body));
        assert_eq!(oddity(&error), expected, "{case}");
        let passes = matches!(error.retry(), Retry::After(_));
        assert_eq!(passes, status >= 500, "{case}");
        assert!(
            error.to_string().contains(
                "of https://api.example (step 1 of 2, client credentials) cannot be read"
            ),
            "{case}: {error}"
        );
    }
}

#[test]
fn whatever_stands_beside_an_id_token_is_not_read() {
    for (case, more) in [
        ("id_200_error_null", r#""error":null"#),
        ("id_200_error_empty", r#""error":"","code":0"#),
        ("id_200_both_members", r#""id_token":"other""#),
        (
            "a life that cannot be meant",
            r#""expires_in":"soon","token_type":7"#,
        ),
    ] {
        let mut call = app().grant();
        request_of(&mut call, at(0));
        let body = format!(r#"{{"access_token":"{ID_TOKEN}",{more}}}"#);
        call.receive(Ok(reply(200, body)), at(0));
        let sent = form(&request_of(&mut call, at(0)));
        assert_eq!(sent[1].1, ID_TOKEN, "{case}");
    }
}

#[test]
fn a_refusal_keeps_its_code_its_text_and_its_log_id_under_any_status() {
    type Refusal = (&'static str, &'static str, ErrorKind);
    use ErrorKind::{Other, Settings};
    let oauth: Refusal = (
        r#"{"error":"invalid_client","error_description":"bad secret"}"#,
        "invalid_client",
        Settings,
    );
    for (case, status, (body, code, kind)) in [
        ("id_401_oauth_error", 401, oauth),
        ("id_400_oauth_error", 400, oauth),
        ("id_200_error_member", 200, oauth),
        (
            "id_401_coze_error",
            401,
            (r#"{"code":4100,"msg":"bad secret"}"#, "4100", Settings),
        ),
        (
            "id_200_coze_code",
            200,
            (
                r#"{"code":190000007,"msg":"bad secret"}"#,
                "190000007",
                Other,
            ),
        ),
        (
            "id_200_coze_error_code",
            200,
            (
                r#"{"error_code":"invalid_grant","error_message":"bad secret"}"#,
                "invalid_grant",
                Settings,
            ),
        ),
        (
            "an unknown code under 401",
            401,
            (r#"{"error":"nope","msg":"bad secret"}"#, "nope", Settings),
        ),
    ] {
        type Sent = fn(Response) -> Error;
        for (step, sent) in [
            ("(step 1 of 2, client credentials)", first_error as Sent),
            ("(step 2 of 2, token exchange)", second_error),
        ] {
            let error = sent(reply_with(status, &[("x-tt-logid", "log-1")], body));
            let Error::Refused(refused) = &error else {
                panic!("{case}: {error}")
            };
            assert_eq!(refused.code().to_string(), code, "{case}");
            assert_eq!(refused.message(), "bad secret", "{case}");
            assert_eq!(refused.status(), status, "{case}");
            assert_eq!(error.log_id(), Some("log-1"), "{case}");
            assert_eq!(error.retry(), Retry::Never, "{case}");
            assert_eq!(error.kind(), kind, "{case}: {error}");
            let words = error.to_string();
            let begin = format!("Coze refused {step}: {code} (HTTP {status}): bad secret");
            assert!(words.starts_with(&begin), "{case}: {words}");
            assert!(
                !words.contains("access token is wrong"),
                "{case}: none was sent"
            );
        }
    }
}

/// Nothing is spent by either request.
#[test]
fn what_passes_is_tried_again_after_a_pause() {
    let pause = Duration::from_secs;
    let throttled = |error: Error, seconds| {
        assert_eq!(error.retry(), Retry::After(pause(seconds)), "{error}");
        assert_eq!(error.kind(), ErrorKind::Wait(pause(seconds)), "{error}");
    };
    let busy = || reply_with(429, &[("retry-after", "7")], r#"{"error":"slow_down"}"#);
    throttled(first_error(busy()), 7);
    throttled(second_error(busy()), 7);
    throttled(second_error(reply(200, r#"{"code":4020,"msg":"x"}"#)), 1);
    for failure in [
        TransportFailure::NotSent,
        TransportFailure::NoAnswer,
        TransportFailure::Timeout,
    ] {
        for (mut call, step) in [
            (app().grant(), "step 1 of 2, client credentials"),
            (second(), "step 2 of 2, token exchange"),
        ] {
            request_of(&mut call, at(0));
            call.receive(Err(failure), at(0));
            let error = result_of(&mut call, at(0)).unwrap_err();
            throttled(error.clone(), 1);
            let begin = format!("https://api.example ({step}): {failure}");
            assert!(error.to_string().starts_with(&begin), "{error}");
        }
    }
}

#[test]
fn a_redirect_is_an_error_whatever_stands_in_it() {
    for status in [301, 302, 303, 307, 308] {
        let redirect = || {
            let body = format!(r#"{{"access_token":"{ID_TOKEN}","expires_in":900}}"#);
            reply_with(status, &[("location", "https://other.example/")], body)
        };
        for error in [
            first_error(redirect()),
            second_error(redirect()),
            credential(redirect()).unwrap_err(),
            variables(redirect()).unwrap_err(),
        ] {
            assert_eq!(oddity(&error), Oddity::Redirect, "{status}");
            assert!(
                error.to_string().contains("or that of the endpoint"),
                "{error}"
            );
            assert_eq!(error.kind(), ErrorKind::Settings, "{status}");
        }
    }
}

// ---------------------------------------------------------------------------------------------
// The access token, and how long it lives.

#[test]
fn a_life_is_a_duration_or_a_moment_and_five_minutes_if_it_is_not_said() {
    let moment = UNIX + 900;
    for (case, more, lives) in [
        ("exp_missing", String::new(), 300),
        ("exp_null", r#","expires_in":null"#.to_owned(), 300),
        ("empty", r#","expires_in":"""#.to_owned(), 300),
        ("one second", r#","expires_in":1"#.to_owned(), 1),
        ("exp_30", r#","expires_in":30"#.to_owned(), 30),
        ("exp_60", r#","expires_in":60"#.to_owned(), 60),
        ("exp_61", r#","expires_in":61"#.to_owned(), 61),
        ("exp_float", r#","expires_in":900.7"#.to_owned(), 900),
        ("exp_string", r#","expires_in":"900""#.to_owned(), 900),
        (
            "31 years",
            r#","expires_in":999999999"#.to_owned(),
            999_999_999,
        ),
        ("exp_absolute", format!(r#","expires_in":{moment}"#), 900),
        (
            "the same as a text",
            format!(r#","expires_in":"{moment}","refresh_token":7"#),
            900,
        ),
    ] {
        let grant = granted(access_answer(&more));
        assert_eq!(
            grant.remaining(at(0).unix),
            Duration::from_secs(lives),
            "{case}"
        );
        assert_eq!(grant.issued_at, at(0).unix, "{case}");
        assert!(grant.refresh_token.is_none(), "{case}");
    }
    let ended = granted(access_answer(r#","expires_in":1000000000"#));
    assert_eq!(
        ended.expires_at.as_secs(),
        1_000_000_000,
        "long past, but a moment"
    );
}

#[test]
fn a_life_that_cannot_be_meant() {
    let life = Oddity::BadValue("expires_in");
    for (case, value, expected) in [
        ("exp_zero", "0", life),
        ("half a second", "0.5", life),
        ("exp_negative", "-900", life),
        ("exp_string", r#""soon""#, life),
        ("a date", r#""2026-11-29T00:00:00Z""#, life),
        ("milliseconds", "1750000900000", life),
        ("beyond moments", "100000000000", life),
        ("exp_true", "true", Oddity::WrongType("expires_in")),
        ("a list", "[900]", Oddity::WrongType("expires_in")),
    ] {
        let error = second_error(access_answer(&format!(r#","expires_in":{value}"#)));
        assert_eq!(oddity(&error), expected, "{case}");
        assert_eq!(error.retry(), Retry::Never, "{case}");
    }
    let error = second_error(reply(200, r#"{"expires_in":900}"#));
    assert_eq!(
        oddity(&error),
        Oddity::Missing("access_token"),
        "exchange_no_access_token"
    );
    let error = second_error(reply(200, r#"{"access_token":"a b","expires_in":900}"#));
    assert_eq!(oddity(&error), Oddity::BadValue("access_token"));
}

/// A duration ends by our own clock, so however wrong that is, the token is used for as long as it lives.
#[test]
fn a_wrong_clock_does_not_change_a_duration() {
    // An hour before `at(0)`, and an hour after.
    for date in [
        "Sun, 15 Jun 2025 14:06:40 GMT",
        "Sun, 15 Jun 2025 16:06:40 GMT",
    ] {
        let dated = |body: &str| reply_with(200, &[("date", date)], body);
        let grant = granted(dated(r#"{"access_token":"a","expires_in":900}"#));
        assert_eq!(grant.remaining(at(0).unix), Duration::from_secs(900));
        assert_eq!(grant.clock_skew, None, "it plays no part");
        let grant = granted(dated(&format!(
            r#"{{"access_token":"a","expires_in":{UNIX}}}"#
        )));
        let skew = grant.clock_skew.expect("a moment is of Coze's clock");
        assert_eq!(skew.as_secs().abs(), 3600);
    }
}

/// The official client never keeps a token that lives for a minute.
#[test]
fn a_short_life_is_renewed_a_tenth_of_it_early() {
    let policy = RefreshPolicy::new(Duration::from_secs(200));
    for (life, fresh_for) in [(30, 27), (60, 54), (900, 840)] {
        let grant = granted(access_answer(&format!(r#","expires_in":{life}"#)));
        let stale = policy.stale_from(&grant);
        assert_eq!(
            at(0).unix.until(stale),
            Duration::from_secs(fresh_for),
            "{life}"
        );
    }
}

// ---------------------------------------------------------------------------------------------
// Integrations and variables.

#[test]
fn a_credential_is_handed_over_as_it_arrived() {
    for (case, status, body, expected) in [
        (
            "integration",
            200,
            r#"{"code":0,"msg":"success","data":{"credential":"t-1"}}"#,
            "t-1",
        ),
        (
            "JSON in a text",
            200,
            r#"{"code":0,"data":{"credential":"{\"ark_api_key\":\"k\"}\n"}}"#,
            "{\"ark_api_key\":\"k\"}\n",
        ),
        (
            "integration_201",
            201,
            r#"{"code":0,"data":{"credential":"t-1"}}"#,
            "t-1",
        ),
        (
            "integration_code_text_0",
            200,
            r#"{"code":"0","data":{"credential":"t-1"}}"#,
            "t-1",
        ),
        (
            "integration_code_missing",
            200,
            r#"{"data":{"credential":"t-1"}}"#,
            "t-1",
        ),
    ] {
        let credential = credential(reply(status, body)).expect(case);
        assert_eq!(credential.expose(), expected, "{case}");
        assert_eq!(format!("{credential:?}"), "IntegrationCredential(***)");
    }
}

#[test]
fn what_is_not_a_credential() {
    let missing = Oddity::Missing("credential");
    for (case, data, expected) in [
        (
            "integration_credential_not_text",
            r#"{"credential":{"a":1}}"#,
            Oddity::WrongType("credential"),
        ),
        (
            "integration_credential_empty",
            r#"{"credential":""}"#,
            missing,
        ),
        ("null", r#"{"credential":null}"#, missing),
        ("none", "{}", missing),
        ("no data", "null", Oddity::Missing("data")),
        ("a list", "[]", Oddity::WrongType("data")),
    ] {
        let body = format!(r#"{{"code":0,"data":{data}}}"#);
        let error = credential(reply(200, body)).unwrap_err();
        assert_eq!(oddity(&error), expected, "{case}");
        assert_eq!(error.grant_type(), None);
    }
}

#[test]
fn refusals_of_integrations_and_variables_keep_their_code() {
    let message = r#""msg":"PLACEHOLDER message""#;
    for (case, status, code, kind) in [
        ("integration_200_code", 200, "190000007", ErrorKind::Other),
        ("1001", 200, "1001", ErrorKind::Other),
        ("env_400", 400, "400", ErrorKind::Other),
        ("no permission", 403, "4101", ErrorKind::Settings),
        ("refused token", 401, "4100", ErrorKind::Other),
    ] {
        let body = format!(r#"{{"code":{code},{message}}}"#);
        for error in [
            credential(reply(status, &body)).unwrap_err(),
            variables(reply(status, &body)).unwrap_err(),
        ] {
            let Error::Refused(refused) = &error else {
                panic!("{case}: {error}")
            };
            assert_eq!(refused.code().to_string(), code, "{case}");
            assert_eq!(refused.message(), "PLACEHOLDER message", "{case}");
            assert_eq!(
                (error.kind(), error.retry()),
                (kind, Retry::Never),
                "{case}"
            );
        }
    }
    for (case, status) in [("integration_404_html", 404), ("integration_502_html", 502)] {
        let error = credential(reply(status, "<html>")).unwrap_err();
        assert_eq!(oddity(&error), Oddity::NotJson, "{case}");
        assert_eq!(
            matches!(error.retry(), Retry::After(_)),
            status == 502,
            "{case}"
        );
    }
}

/// Whoever repeats the request gets 500 again, until somebody enables the integration.
#[test]
fn an_integration_that_is_not_enabled_is_not_asked_for_again() {
    const ADVICE: &str = "its name may be wrong, or it is not enabled for this project";
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"code":500,"msg":"x"}"#,
        r#"{"code":5000,"msg":"x"}"#,
        r#"{"error":"internal_error"}"#,
    ] {
        let error = credential(reply(500, body)).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Settings, Retry::Never),
            "{body}"
        );
        assert!(error.to_string().contains(ADVICE), "{error}");
        let error = variables(reply(500, body)).unwrap_err();
        assert!(matches!(error.retry(), Retry::After(_)), "{body}");
        assert!(!error.to_string().contains(ADVICE), "{error}");
    }
    let passes = credential(reply(503, "{}")).unwrap_err();
    assert!(matches!(passes.retry(), Retry::After(_)));
    assert!(!passes.to_string().contains(ADVICE), "{passes}");
}

#[test]
fn variables_keep_their_order_and_the_first_of_a_name_counts() {
    let body = r#"{"code":0,"msg":"success","data":{"secrets":[
        {"key":"A","value":"1"},{"key":"B","value":""},{"key":"A","value":"2","more":[]},{"key":"密钥","value":"\"\n"}]}}"#;
    let variables = variables(reply(200, body)).expect("variables");
    let all: Vec<_> = variables
        .iter()
        .map(|variable| (variable.name(), variable.expose()))
        .collect();
    assert_eq!(all, [("A", "1"), ("B", ""), ("A", "2"), ("密钥", "\"\n")]);
    assert_eq!(variables.get("A").map(ProjectVariable::expose), Some("1"));
    assert!(variables.get("C").is_none());
    assert_eq!((variables.len(), variables.is_empty()), (4, false));
    let none = r#"{"code":0,"data":{"secrets":[]}}"#;
    assert!(self::variables(reply(200, none)).unwrap().is_empty());
}

#[test]
fn one_variable_that_cannot_be_read_fails_all() {
    for (case, secrets, expected) in [
        ("env_secrets_null", "null", Oddity::Missing("secrets")),
        ("not a list", "{}", Oddity::WrongType("secrets")),
        ("a text", r#""[]""#, Oddity::WrongType("secrets")),
        ("not objects", r#"["a"]"#, Oddity::WrongType("secrets")),
        ("null among them", "[null]", Oddity::WrongType("secrets")),
        (
            "env_value_not_text",
            r#"[{"key":"A","value":1}]"#,
            Oddity::WrongType("value"),
        ),
        (
            "env_value_null",
            r#"[{"key":"A","value":null}]"#,
            Oddity::Missing("value"),
        ),
        ("no value", r#"[{"key":"A"}]"#, Oddity::Missing("value")),
        (
            "two values",
            r#"[{"key":"A","value":"1","value":"2"}]"#,
            Oddity::Repeated("value"),
        ),
        (
            "half a character",
            r#"[{"key":"A","value":"\ud83d"}]"#,
            Oddity::BadValue("value"),
        ),
        (
            "no name",
            r#"[{"key":"A","value":"1"},{"key":"","value":"1"}]"#,
            Oddity::Missing("key"),
        ),
    ] {
        let body = format!(r#"{{"code":0,"data":{{"secrets":{secrets}}}}}"#);
        let error = variables(reply(200, body)).unwrap_err();
        assert_eq!(oddity(&error), expected, "{case}");
    }
}

// ---------------------------------------------------------------------------------------------
// Secrets.

/// Every spelling of the pair that a server may quote, in every answer.
#[test]
fn the_secret_the_api_key_and_the_tokens_are_masked() {
    let pair = format!("{ID}:{SECRET}");
    let everywhere = [
        SECRET.to_owned(),
        STANDARD.encode(&pair),
        STANDARD_NO_PAD.encode(&pair),
        URL_SAFE.encode(&pair),
    ];
    let id_token = || {
        let parts = ID_TOKEN.split('.').filter(|part| part.len() > 16);
        parts.chain([ID_TOKEN]).map(str::to_owned)
    };
    type Fail = fn(Response) -> Error;
    let fails: [(&str, Fail, Vec<String>); 4] = [
        ("step 1", first_error, vec![]),
        ("step 2", second_error, id_token().collect()),
        (
            "integration",
            |answer| credential(answer).unwrap_err(),
            vec!["access-token-1".to_owned()],
        ),
        (
            "variables",
            |answer| variables(answer).unwrap_err(),
            vec!["access-token-1".to_owned()],
        ),
    ];
    for (what, fail, more) in fails {
        for secret in everywhere.iter().chain(&more) {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let text = format!("<{secret}> <{encoded}>");
            let body = serde_json::json!({ "error": text, "error_description": text });
            let answer = reply_with(403, &[("x-tt-logid", &text)], body.to_string());
            let error = fail(answer);
            let Error::Refused(refused) = &error else {
                panic!("{error}")
            };
            assert_eq!(refused.message(), "<***> <***>", "{what}: {secret}");
            assert_eq!(
                refused.code().to_string(),
                "<***> <***>",
                "{what}: {secret}"
            );
            assert_eq!(error.log_id(), Some("<***> <***>"), "{what}: {secret}");
        }
    }
}

#[test]
fn nothing_that_has_a_secret_prints_it() {
    let sentinel = "SENTINEL-0123456789";
    let secret = ClientSecret::new(sentinel).unwrap();
    let app = WorkloadApp::new(endpoints(), ID, secret).unwrap();
    let mut call = app.grant();
    let mut shown = format!("{app:?} {call:?} {:?}", call.step(at(0)));
    let body = format!(r#"{{"access_token":"{sentinel}.x.y","expires_in":900}}"#);
    call.receive(Ok(reply(200, body)), at(0));
    shown += &format!("{call:?} {:?}", call.step(at(0)));
    call.receive(
        Ok(reply(
            200,
            format!(r#"{{"access_token":"{sentinel}","expires_in":900}}"#),
        )),
        at(0),
    );
    shown += &format!("{call:?} {:?}", call.step(at(0)));
    let token = AccessToken::received(sentinel).unwrap();
    let mut call = app.integration(&token, "x").unwrap();
    shown += &format!("{call:?} {:?}", call.step(at(0)));
    let body = format!(r#"{{"data":{{"credential":"{sentinel}"}}}}"#);
    call.receive(Ok(reply(200, body)), at(0));
    shown += &format!("{call:?} {:?}", call.step(at(0)));
    let mut call = app.project_env(&token).unwrap();
    shown += &format!("{call:?}");
    request_of(&mut call, at(0));
    let body = format!(r#"{{"data":{{"secrets":[{{"key":"{sentinel}","value":"{sentinel}"}}]}}}}"#);
    call.receive(Ok(reply(200, body)), at(0));
    shown += &format!("{call:?}");
    let variables = result_of(&mut call, at(0)).unwrap();
    shown += &format!("{variables:?} {:?}", variables.get(sentinel));
    assert!(!shown.contains("SENTINEL"), "{shown}");
    assert!(
        !shown.contains(&STANDARD.encode(format!("{ID}:{sentinel}"))),
        "{shown}"
    );
    assert!(
        shown.contains(ID),
        "which workload it is may be seen: {shown}"
    );
}

/// A driver that is handed an answer too many changes nothing.
#[test]
fn an_answer_to_nothing_is_nothing() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let mut call = second();
    is_send_and_sync(&call);
    let now: Now = at(0);
    request_of(&mut call, now);
    call.receive(Ok(access_answer(r#","expires_in":900"#)), now);
    call.receive(Ok(http::Response::new(b"{}".to_vec().into())), now);
    result_of(&mut call, now).expect("the first answer counts");
    call.receive(Ok(http::Response::new(b"{}".to_vec().into())), now);
    assert!(matches!(
        call.step(now),
        Step::Done(Err(Error::FlowFinished))
    ));
}
