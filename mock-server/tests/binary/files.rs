//! `init`, `check` and `serve -c`.

use crate::support::*;

#[test]
fn init_writes_what_check_accepts_and_never_over_a_file() {
    let folder = Folder::new("init");
    let file = folder.path("mock.toml");
    assert!(out(&["init", &file]).starts_with(&format!("wrote {file}; now: ")));
    let checked = out(&["check", &file]);
    assert!(checked.starts_with("ok\nAddresses\n"), "{checked}");
    for line in [
        "  listen                     127.0.0.1:9777",
        "  public_url                 none",
        "  web                        11111111111111111111111111111111.app.coze, to http://localhost:*/*, http://127.0.0.1:*/*, http://[::1]:*/*, https://app.example/callback",
        "  jwt                        100000000001, kid mock-jwt-key-1",
        "  accounts                   any",
        "All rules are as Coze has them",
        "  access token               15m",
        "  JWT grant, longest token   86399s",
        "  tolerance of that pause    250 ms",
        "  grants of a kind, a world  100000",
        "  consent pages waiting      10000",
        "  requests in the journal    2000",
        "  worlds                     1000",
        "  world kept unused          1h",
        "  body                       65536 bytes",
    ] {
        assert!(
            checked.lines().any(|found| found == line),
            "{line} is missing in {checked}"
        );
    }
    let (status, said) = failure(&["init", &file]);
    assert_eq!(status, 1);
    assert!(
        said.contains("exists already and was not changed"),
        "{said}"
    );
    assert_eq!(
        out(&["init", "-"]),
        std::fs::read_to_string(&file).expect("text")
    );
}

#[test]
fn check_says_all_mistakes_by_file_line_and_column_and_exits_with_2() {
    let folder = Folder::new("check");
    let text = "sede = 1\n[ttl]\naccess = \"15 m\"\n";
    let file = folder.write("bad.toml", text);
    let expected = format!(
        "{file}:1:1: unknown key \"sede\" in the configuration; did you mean \"seed\"?\n\
         {file}:3:10: access: \"15 m\" is not a duration; expected one such as 90, \"90s\", \"15m\", \"1h30m\" or \"30d\"\n"
    );
    assert_eq!(failure(&["check", &file]), (2, expected.clone()));
    assert_eq!(failure(&["serve", "-c", &file]), (2, expected));
    let none = folder.path("none.toml");
    let (status, said) = failure(&["check", &none]);
    assert_eq!(status, 2);
    assert!(
        said.starts_with(&format!("{none}: cannot read the configuration: ")),
        "{said}"
    );
    assert!(said.contains("`coze-auth-mock init` writes"), "{said}");
}

#[test]
fn check_says_what_is_not_as_coze() {
    let folder = Folder::new("changes");
    let text = "consent = \"approve\"\n[rules]\ncode.single_use = \"off\"\n[answers]\nrefresh.rotate = \"401:invalid_client\"\n[limits]\ngrants = 7\n";
    let checked = out(&["check", &folder.write("changes.toml", text)]);
    for line in [
        "Not as Coze",
        "  rule code.single_use is OFF, laxer than Coze",
        "  rule refresh.rotate is answered with 401 invalid_client",
        "  device                     33333333333333333333333333333333.app.coze, approved at once",
        "  grants of a kind, a world  7",
        "  consent pages waiting      7",
    ] {
        assert!(
            checked.lines().any(|found| found == line),
            "{line} is missing in {checked}"
        );
    }
}

#[test]
fn options_count_before_the_file() {
    let folder = Folder::new("options");
    let text = "listen = \"0.0.0.0:9\"\npublic_url = \"http://file.example\"\n[[app]]\nkind = \"pkce\"\nclient_id = \"app_pkce\"\n";
    let file = folder.write("mock.toml", text);
    let checked = out(&["check", &file]);
    for line in [
        "  listen                     0.0.0.0:9",
        "  public_url                 http://file.example",
    ] {
        assert!(checked.lines().any(|found| found == line), "{checked}");
    }
    let (_server, info) = serve(&["-c", &file]);
    assert_eq!(info["apps"][0]["client_id"], "app_pkce");
    assert_eq!(info["apps"].as_array().map(Vec::len), Some(1));
    assert_eq!(info["base_url"], "http://file.example");
    let (_server, info) = serve(&["-c", &file, "--public-url", "http://option.example/"]);
    assert_eq!(info["base_url"], "http://option.example");
}

#[test]
fn openapi_prints_the_document_of_a_mock_without_options() {
    let document: serde_json::Value = out(&["openapi"]).parse().expect("JSON");
    assert_eq!(document["servers"][0]["url"], "http://127.0.0.1:9777");
    let (_server, info) = serve(&[]);
    let answer = ask(
        &base_url(&info),
        "/_mock/v1/openapi.json",
        &["Host: localhost"],
    );
    let (_, served) = answer.split_once("\r\n\r\n").expect("a body");
    let served: serde_json::Value = served.parse().expect("JSON");
    assert_eq!(served["servers"][0]["url"], "http://localhost");
    assert_eq!(served["paths"], document["paths"]);
}
