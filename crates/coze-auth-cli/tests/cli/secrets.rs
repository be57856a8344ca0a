//! Keys and secrets in files, variables and arguments that people have damaged or put in a wrong place: no piece of one is in
//! anything that the command prints, nor in any error of the libraries.

use std::collections::HashSet;
use std::fmt::{Debug, Display};
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use coze_auth::authorize::PendingAuthorization;
use coze_auth::config::{Environment, OAuthConfig};
use coze_auth::jwt::RsaKey;
use coze_auth::store::{FileStore, GrantKey, GrantStore as _};
use coze_auth::{AccessToken, Region, TokenGrant, config_from_file};
use coze_auth_mock::{Fault, On};
use serde_json::{Value, json};

use crate::support::{Home, Run, WORKLOAD, fed};
use crate::workload::files;

/// So many characters or bytes in a row are a piece of a secret.
const PIECE: usize = 12;

/// What must not be shown, in each form in which a program may show bytes.
struct Secret {
    bytes: Vec<Vec<u8>>,
    pieces: HashSet<Vec<u8>>,
    hex: HashSet<Vec<u8>>,
}

impl Secret {
    fn new(pem: &str) -> Self {
        let body = body(pem);
        let der = STANDARD.decode(&body).expect("base64");
        let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            pieces: windows(&body, PIECE),
            hex: windows(&hex, 2 * PIECE),
            bytes: vec![der, body.into_bytes(), pem.as_bytes().to_vec()],
        }
    }

    /// The first piece of it in a text: as it is, over several lines, as numbers, in hex.
    fn in_text(&self, text: &str) -> Option<String> {
        let shown = |part: &[u8]| Some(String::from_utf8_lossy(part).into_owned());
        let flat: Vec<u8> = text.bytes().filter(u8::is_ascii_graphic).collect();
        if let Some(part) = flat.windows(PIECE).find(|part| self.pieces.contains(*part)) {
            return shown(part);
        }
        let digits = text.to_ascii_lowercase();
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        let hex = digits
            .windows(2 * PIECE)
            .find(|part| self.hex.contains(*part));
        if let Some(part) = hex {
            return shown(part);
        }
        let numbers = text
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty());
        let numbers: Vec<u8> = numbers.filter_map(|number| number.parse().ok()).collect();
        let is_piece = |part: &&[u8]| {
            let has = |bytes: &Vec<u8>| bytes.windows(PIECE).any(|own| own == *part);
            self.bytes.iter().any(has)
        };
        let part = numbers.windows(PIECE).find(is_piece)?;
        Some(format!("{part:?}"))
    }
}

fn windows(text: &str, length: usize) -> HashSet<Vec<u8>> {
    let windows = text.as_bytes().windows(length);
    windows.map(<[u8]>::to_vec).collect()
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.contains("-----")).collect()
}

/// Texts in which a key stands as people have damaged it, each with what happened to it.
fn damaged(pem: &str) -> Vec<(String, Vec<u8>)> {
    let lines: Vec<&str> = pem.trim_end().lines().collect();
    let body = body(pem);
    let der = STANDARD.decode(&body).expect("base64");
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, text: Vec<u8>| all.push((what.to_owned(), text));
    add("as it is", pem.into());
    add("without line ends", lines.concat().into());
    add("with spaces for line ends", lines.join(" ").into());
    add("with CRLF", lines.join("\r\n").into());
    add("with CR", lines.join("\r").into());
    add("with line ends written out", lines.join("\\n").into());
    add(
        "with line ends written out twice",
        lines.join("\\\\n").into(),
    );
    add("with a BOM", format!("\u{feff}{pem}").into());
    add(
        "in UTF-16",
        pem.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    );
    add("in DER", der.clone());
    let hex = der.iter().map(|byte| format!("{byte:02x}"));
    add("in hex", hex.collect::<String>().into());
    add("as numbers", format!("{der:?}").into());
    add("without BEGIN", lines[1..].join("\n").into());
    add("without END", lines[..lines.len() - 1].join("\n").into());
    add("without both", body.clone().into());
    add("its first line", lines[1].into());
    add("in base64 twice", STANDARD.encode(pem).into());
    add(
        "in base64 three times",
        STANDARD.encode(STANDARD.encode(pem)).into(),
    );
    add("in quotes", format!("\"{pem}\"").into());
    add(
        "in single quotes on one line",
        format!("'{}'", lines.join("\\n")).into(),
    );
    add("as a text of JSON", json!(pem).to_string().into());
    add("as a list of JSON", json!(lines).to_string().into());
    add("as a name of JSON", json!({ &body: 1 }).to_string().into());
    add("in JSON", json!({ "private_key": pem }).to_string().into());
    add(
        "in JSON that is cut off",
        format!("{{\"private_key\": \"{body}").into(),
    );
    add(
        "in JSON without quotes",
        format!("{{\"private_key\": {body}}}").into(),
    );
    add("in JSON, bare", format!("{{{body}}}").into());
    add(
        "in JSON with a wrong escape",
        format!("{{\"private_key\": \"\\q{body}\"}}").into(),
    );
    add("in TOML", format!("key = '''\n{pem}'''\n").into());
    add(
        "in YAML",
        format!("key: |\n  {}", lines.join("\n  ")).into(),
    );
    add(
        "in an env file",
        format!("COZE_JWT_OAUTH_PRIVATE_KEY='{pem}'").into(),
    );
    add("as a shell says it", format!("$(echo {body})").into());
    add("indented", format!("    {}", lines.join("\n    ")).into());
    add("twice", pem.repeat(2).into());
    add("twice on one line", lines.concat().repeat(2).into());
    add(
        "with a comment before it",
        format!("the key of our server: {pem}").into(),
    );
    add("as a path", format!("/home/me/{body}").into());
    add("as a file: URL", format!("file:///{body}").into());
    add("as a URL", format!("https://api.coze.cn/{body}").into());
    add(
        "as user info",
        format!("https://me:{body}@api.coze.cn").into(),
    );
    add(
        "as a host",
        format!("https://{}.coze.cn", &body[..60]).into(),
    );
    add("as an id", format!("{body}.app.coze").into());
    add("as the name of a user", format!("@{body}").into());
    add("with a zero byte", pem.replace('M', "\0").into());
    add(
        "with bytes that are not text",
        [&pem.as_bytes()[..200], b"\xff\xfe", &pem.as_bytes()[200..]].concat(),
    );
    for label in [
        "PUBLIC KEY",
        "CERTIFICATE",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "private key",
        "",
        "PRIVATE KEY BLOCK",
    ] {
        add(
            &format!("with the label {label:?}"),
            pem.replace("PRIVATE KEY", label).into(),
        );
        add(
            &format!("with BEGIN {label:?} alone"),
            pem.replacen("PRIVATE KEY", label, 1).into(),
        );
    }
    for sign in [
        '!', '=', '-', ' ', '_', '\t', 'é', '"', '\'', '\\', '{', '[', '#', ':', ',', '”',
    ] {
        let mut wrong = pem.to_owned();
        wrong.insert(120, sign);
        add(&format!("with {sign:?} in its body"), wrong.into());
    }
    for percent in (3..100).step_by(8) {
        let at = pem.len() * percent / 100;
        add(
            &format!("cut off after {percent} %"),
            pem.as_bytes()[..at].to_vec(),
        );
        let rest = &pem.as_bytes()[(at + 7).min(pem.len())..];
        add(
            &format!("without 7 bytes after {percent} %"),
            [&pem.as_bytes()[..at], rest].concat(),
        );
    }
    all
}

/// What is shown, by whom, and whether a piece of the secret is in it.
struct Watch {
    secret: Secret,
    shown: usize,
    found: Vec<String>,
}

impl Watch {
    fn look(&mut self, what: &str, by: &str, text: &str) {
        self.shown += 1;
        if let Some(piece) = self.secret.in_text(text) {
            self.found
                .push(format!("{what}, {by}: {piece} in {text:.160}"));
        }
    }

    fn run(&mut self, what: &str, by: &str, run: &Run) {
        self.look(what, by, &format!("{}\n{}", run.stdout, run.stderr));
    }

    /// An error, and all that is behind it.
    fn error<T, E: Display + Debug>(&mut self, what: &str, by: &str, result: Result<T, E>) {
        if let Err(error) = result {
            self.look(what, by, &format!("{error}\n{error:?}\n{error:#?}"));
        }
    }

    fn nothing(self, at_least: usize) {
        let Self { shown, found, .. } = self;
        assert!(shown >= at_least, "{shown} were looked at");
        let all = found.len();
        assert!(
            found.is_empty(),
            "{all} of {shown}:\n{}",
            found[..all.min(20)].join("\n")
        );
    }
}

fn watch(home: &Home) -> (Watch, String) {
    let pem = home
        .mock
        .variable("COZE_JWT_OAUTH_PRIVATE_KEY")
        .expect("a JWT app");
    let pem = pem.trim_start().to_owned();
    let secret = Secret::new(&pem);
    let watch = Watch {
        secret,
        shown: 0,
        found: Vec::new(),
    };
    (watch, pem)
}

/// The members of a configuration, each in turn with the text in the place of its value, and raw.
fn configurations(home: &Home, text: &str) -> Vec<(String, String)> {
    let base = home.mock.base_url();
    let whole = json!({ "client_type": "jwt", "client_id": "1", "client_secret": "s", "coze_api_base": base, "coze_www_base": base,
        "public_key_id": "k", "private_key": "p" });
    let mut all = Vec::new();
    for kind in ["jwt", "web"] {
        for name in whole.as_object().expect("an object").keys() {
            for value in [json!(text), json!([text]), json!({ text: text })] {
                let mut config = whole.clone();
                config["client_type"] = json!(kind);
                config[name] = value;
                all.push((format!("{kind}: {name}"), config.to_string()));
            }
        }
    }
    all.push(("raw".to_owned(), text.to_owned()));
    let raw = json!(whole)
        .to_string()
        .replace("\"p\"", &format!("\"{text}\""));
    all.push(("raw as the private key".to_owned(), raw));
    all
}

/// Members of a profile, in the same way.
fn profiles(text: &str) -> Vec<(String, String)> {
    let whole = json!({ "version": 1, "app": "jwt", "client_id": "1", "api_base": "http://127.0.0.1:9", "config": null,
        "key_id": "k", "key_file": "key.pem", "store": "file" });
    let mut all = Vec::new();
    for name in whole.as_object().expect("an object").keys() {
        for value in [json!(text), json!([text]), json!({ text: text })] {
            let mut profile = whole.clone();
            profile[name] = value;
            all.push((name.clone(), profile.to_string()));
        }
    }
    let mut other = whole.clone();
    other["more"] = json!({ text: text });
    all.push(("another member".to_owned(), other.to_string()));
    all.push(("raw".to_owned(), text.to_owned()));
    all
}

#[test]
fn no_error_of_the_libraries_has_a_piece_of_a_key() {
    let home = Home::new();
    let (mut watch, pem) = watch(&home);
    let store = FileStore::new(home.path.join("grants")).expect("a folder");
    let id = GrantKey::of(&Region::Cn.into(), "1", "me").expect("a key");
    let texts = damaged(&pem);
    assert!(texts.len() >= 100, "{}", texts.len());
    for (what, bytes) in &texts {
        let text = String::from_utf8_lossy(bytes);
        watch.error(what, "key", RsaKey::from_pem(&text));
        watch.error(what, "token", AccessToken::new(&*text));
        watch.error(what, "grant", TokenGrant::from_secret_json(&text));
        watch.error(
            what,
            "attempt",
            PendingAuthorization::from_secret_json(&text),
        );
        for (member, config) in configurations(&home, &text) {
            match OAuthConfig::from_json(&config) {
                Ok(OAuthConfig::Jwt(_, key)) => watch.error(what, &member, key.rsa_key()),
                read => watch.error(what, &member, read),
            }
        }
        let file = home.path.join("file");
        fs::write(&file, bytes).expect("written");
        watch.error(what, "configuration file", config_from_file(&file));
        watch.error(what, "configuration path", config_from_file(&*text));
        for name in [
            "API_BASE",
            "WWW_BASE",
            "API_TOKEN",
            "WEB_OAUTH_CLIENT_ID",
            "WEB_OAUTH_CLIENT_SECRET",
            "WEB_OAUTH_REDIRECT_URI",
            "PKCE_OAUTH_CLIENT_ID",
            "DEVICE_OAUTH_CLIENT_ID",
            "JWT_OAUTH_CLIENT_ID",
            "JWT_OAUTH_PUBLIC_KEY_ID",
            "JWT_OAUTH_PRIVATE_KEY",
            "JWT_OAUTH_PRIVATE_KEY_FILE_PATH",
        ] {
            let variables =
                Environment::new(Region::Cn, |asked| match asked.strip_prefix("COZE_")? {
                    asked if asked == name => Some(text.clone().into_owned()),
                    "API_BASE" | "WWW_BASE" => None,
                    "JWT_OAUTH_PRIVATE_KEY" => None,
                    "JWT_OAUTH_PRIVATE_KEY_FILE_PATH" => file.to_str().map(str::to_owned),
                    asked if asked.ends_with("URI") => None,
                    _ => Some("1".to_owned()),
                });
            watch.error(what, name, variables.endpoints());
            watch.error(what, name, variables.access_token());
            watch.error(what, name, variables.web_app());
            watch.error(what, name, variables.web_redirect_uri());
            watch.error(what, name, variables.pkce_app());
            watch.error(what, name, variables.device_app());
            watch.error(what, name, coze_auth::tokens::jwt_app(&variables));
        }
        // The grant's own file, and a folder whose name is the text.
        let guard = store.lock(&id, std::time::Duration::from_secs(1));
        drop(guard);
        for entry in fs::read_dir(home.path.join("grants")).expect("it is there") {
            let path = entry.expect("an entry").path();
            fs::write(path.with_extension("json"), bytes).expect("written");
        }
        watch.error(what, "grant's file", store.load(&id));
        watch.error(
            what,
            "grant's app",
            GrantKey::of(&Region::Cn.into(), &*text, "me"),
        );
    }
    watch.nothing(texts.len() * 20);
}

#[test]
fn nothing_that_the_command_prints_has_a_piece_of_a_key() {
    let home = Home::new();
    let (mut watch, pem) = watch(&home);
    let key = home.path.join("key.pem");
    let config = home.path.join("coze_oauth_config.json");
    let (key_path, config_path) = (key.to_str().expect("text"), config.to_str().expect("text"));
    let profile = home.path.join(".config/coze-auth/profiles/default.json");
    let jwt = ["login", "--jwt", "--client-id", "1", "--key-id", "k"];
    home.sign_in();
    let place = home.run(&["status", "--json"]).json()["place"].clone();
    let place = place.as_str().expect("a path").to_owned();
    let signed_in = fs::read(&profile).expect("a profile");
    for (n, (what, bytes)) in damaged(&pem).into_iter().enumerate() {
        // What a shell makes of $(cat FILE).
        let text = String::from_utf8_lossy(&bytes).replace('\0', "");
        let json: &[&str] = if n % 3 == 0 { &["--json"] } else { &[] };
        let run = |arguments: &[&str]| home.run(&[arguments, json].concat());
        fs::write(&key, &bytes).expect("written");
        watch.run(
            &what,
            "key file",
            &run(&[&jwt[..], &["--key-file", key_path]].concat()),
        );
        let variables = [
            "COZE_JWT_OAUTH_PRIVATE_KEY",
            "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH",
            "COZE_API_BASE",
            "COZE_AUTH_PROFILE",
        ];
        let variable = variables[n % variables.len()];
        let mut command = home.command(&[&jwt[..], json].concat());
        let output = command.env(variable, &text).output().expect("it runs");
        watch.run(&what, variable, &Run::of(output));
        // Half of the texts are enough for the rest.
        if n % 4 > 1 {
            continue;
        }
        let arguments: [&[&str]; 9] = [
            &["login", "--config", &text],
            &["login", "--jwt", "--client-id", &text],
            &["login", "--jwt", "--client-id", "1", "--key-id", &text],
            &[
                "login",
                "--jwt",
                "--client-id",
                "1",
                "--key-id",
                "k",
                "--key-file",
                &text,
            ],
            &[
                "login",
                "--pkce",
                "--client-id",
                "1",
                "--redirect-uri",
                &text,
            ],
            &["token", "--profile", &text],
            &["api", "GET", &text],
            &["api", "POST", "/v1/users/me", "--input", &text],
            &[&text],
        ];
        for nth in [n % arguments.len(), n * 4 % arguments.len()] {
            watch.run(&what, &format!("arguments {nth}"), &run(arguments[nth]));
        }
        let configurations = configurations(&home, &text);
        for nth in [n % configurations.len(), configurations.len() - 1 - n % 2] {
            let (member, content) = &configurations[nth];
            fs::write(&config, content).expect("written");
            watch.run(&what, member, &run(&["login", "--config", config_path]));
        }
        let profiles = profiles(&text);
        for (nth, command) in [
            (n, ["token"]),
            (n * 7 + 3, ["status"]),
            (profiles.len() - 1, ["whoami"]),
        ] {
            let (member, content) = &profiles[nth % profiles.len()];
            fs::write(&profile, content).expect("written");
            watch.run(
                &what,
                &format!("profile: {member}, {command:?}"),
                &run(&command),
            );
        }
        fs::write(&profile, &signed_in).expect("written");
        fs::write(&place, &bytes).expect("written");

        match n % 2 {
            0 => watch.run(&what, "grant's file", &run(&["token"])),
            _ => watch.run(
                &what,
                "standard input",
                &fed(
                    &mut home.command(&["login", "--with-token", "--profile", "other"]),
                    &text,
                ),
            ),
        }
    }
    watch.nothing(600);
}

/// The message says where, and what is missing, and never what stands there.
#[test]
fn a_profile_that_cannot_be_read_is_told_by_line_and_name() {
    let home = Home::new();
    home.sign_in();
    let profile = home.path.join(".config/coze-auth/profiles/default.json");
    let good: Value =
        serde_json::from_slice(&fs::read(&profile).expect("a profile")).expect("JSON");
    let secret = "sec_0123456789abcdefghij";
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        serde_json::to_string_pretty(&changed).expect("JSON")
    };
    let mut without = good.clone();
    without
        .as_object_mut()
        .expect("an object")
        .remove("api_base");
    for (content, told) in [
        (
            with("app", json!(secret)),
            ": the value of app is not one that a profile has",
        ),
        (
            with("version", json!(secret)),
            "the value of version is not one that a profile has",
        ),
        (
            with("store", json!({ secret: secret })),
            "the value of store is not one that a profile has",
        ),
        (
            with("client_id", json!([secret])),
            "the value of client_id is not one that a profile has",
        ),
        (without.to_string(), "api_base is missing"),
        (
            format!("{{\"app\": \"{secret}\", {secret}}}"),
            "line 1, column 37: it is not JSON",
        ),
        (format!("{{\n\"app\": \"{secret}"), "line 2"),
        (format!("\"{secret}\""), "it is not an object"),
        (format!("[\"{secret}\"]"), "it is not an object"),
        (secret.to_owned(), "it is not JSON"),
        (String::new(), "it is not JSON"),
    ] {
        fs::write(&profile, &content).expect("written");
        for json in [false, true] {
            let run = home.run(if json {
                &["token", "--json"]
            } else {
                &["token"]
            });
            assert_eq!(run.code, Some(7), "{run:?}");
            assert!(run.stderr.contains(told), "{told}: {run:?}");
            assert!(
                run.stderr.contains("default.json is not a profile")
                    && run.stderr.contains("run coze-auth login"),
                "{run:?}"
            );
            assert!(!run.stderr.contains("sec_0123"), "{run:?}");
        }
    }
}

/// Nor is a token.
#[test]
fn a_token_in_the_place_of_a_path_or_an_id_is_not_shown() {
    let home = Home::new();
    home.sign_in();
    let profile = home.path.join(".config/coze-auth/profiles/default.json");
    let good = fs::read_to_string(&profile).expect("a profile");
    let good: Value = serde_json::from_str(&good).expect("JSON");
    for token in [
        "pat_0123456789abcdefghij",
        "sat_XYZ0123456789",
        "czu_mock_0123456789",
        "cztei_0123456789",
    ] {
        let jwt = ["login", "--jwt", "--client-id", "1", "--key-id", "k"];
        let mut by_variable = home.command(&jwt);
        by_variable.env("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", token);
        let mut runs = vec![
            (7, home.run(&["login", "--config", token])),
            (
                7,
                home.run(&[&jwt[..], &["--key-file", token, "--json"]].concat()),
            ),
            (7, Run::of(by_variable.output().expect("it runs"))),
            (
                2,
                home.run(&["api", "POST", "/v1/users/me", "--input", token]),
            ),
            (2, home.run(&["login", "--key-file", token])),
            (2, home.run(&["token", token])),
        ];
        for name in ["client_id", "key_id", "key_file", "config"] {
            let mut changed = good.clone();
            changed[name] = json!(token);
            fs::write(&profile, changed.to_string()).expect("written");
            let run = home.run(&["status"]);
            let told = format!("the value of {name} seems to be a secret");
            assert!(run.stderr.contains(&told), "{name}: {run:?}");
            runs.push((7, run));
        }
        fs::write(&profile, good.to_string()).expect("written");
        for (code, run) in runs {
            let shown = format!("{}{}", run.stdout, run.stderr);
            assert!(!shown.contains(token), "{run:?}");
            assert_eq!(run.code, Some(code), "{run:?}");
        }
    }
    let run = home.run(&["login", "--config", "pat_of_the_console.json"]);
    assert!(
        run.stderr
            .contains("pat_of_the_console.json cannot be read"),
        "{run:?}"
    );
}

/// Whatever a server quotes, and wherever somebody has put it: neither the secret of a workload, nor the API key that spells it otherwise,
/// nor an id token, with which anybody gets an access token, is in anything that the command prints or stores.
#[test]
fn nothing_that_the_command_prints_has_the_secret_of_a_workload() {
    const ID_TOKEN: &str = "sentinel0123.of-the-id.token4567";
    let home = Home::new();
    let variable = |name| home.mock.variable(name).expect("a workload");
    let (id, secret) = (variable(WORKLOAD[0]), variable(WORKLOAD[1]));
    let pair = format!("{id}:{secret}");
    let keys =
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|form| form.encode(&pair));
    let secrets: Vec<&str> = [&*secret, ID_TOKEN]
        .into_iter()
        .chain(keys.iter().map(String::as_str))
        .collect();
    let mut looked_at = 0;
    let mut look = |what: &str, run: &Run| {
        looked_at += 1;
        let shown = format!("{}\n{}", run.stdout, run.stderr);
        for secret in &secrets {
            assert!(!shown.contains(secret), "{what}: {shown}");
        }
    };
    let commands: [&[&str]; 9] = [
        &["login", "--workload"],
        &["login", "--workload", "--json"],
        &["token"],
        &["whoami"],
        &["status"],
        &["exec", "--", "true"],
        &["integration", "integration-feishu-base"],
        &["project-env", "--json"],
        &["project-env", "PGDATABASE_URL", "--json"],
    ];
    let project =
        |arguments: &[&str]| Run::of(home.in_project(arguments).output().expect("it runs"));
    for arguments in commands {
        let run = project(arguments);
        assert_eq!(run.code, Some(0), "{arguments:?}: {run:?}");
        look("as it is", &run);
    }
    let place = project(&["status", "--json"]).json()["place"].clone();
    let place = place.as_str().expect("a path");
    // A server that quotes all that it was sent, at each step.
    let bodies = |quoted: &str| {
        [
            json!({ "error": "invalid_client", "error_description": quoted }).to_string(),
            json!({ "error": quoted }).to_string(),
            json!({ "code": 4100, "msg": quoted }).to_string(),
            json!({ "access_token": [quoted] }).to_string(),
            quoted.to_owned(),
        ]
    };
    let elsewhere = format!("https://elsewhere.example/?{}", secrets.join("&"));
    let id_token = json!({ "access_token": ID_TOKEN, "expires_in": 600 }).to_string();
    let answer = |status: u16, body: &str| {
        Fault::status(status)
            .header("content-type", "application/json")
            .body(body.to_owned())
    };
    for (on, arguments) in [
        (On::grant("client_credentials"), commands[0]),
        (On::grant("token_exchange"), commands[1]),
        (On::grant("token_exchange"), commands[5]),
        (On::endpoint("integration"), commands[6]),
        (On::endpoint("project_env"), commands[8]),
    ] {
        let is_exchange = on == On::grant("token_exchange");
        let grant = On::grant("client_credentials");
        let first = is_exchange.then(|| home.mock.fault(grant, answer(200, &id_token)));
        let mut quoted = secrets.clone();
        quoted.retain(|secret| is_exchange || *secret != ID_TOKEN);
        for body in &bodies(&quoted.join(" ")) {
            for status in [200, 302, 401, 500] {
                let fault = answer(status, body)
                    .header("location", &elsewhere)
                    .header("x-tt-logid", &secret);
                let fault = home.mock.fault(on.clone(), fault);
                // So that a new token is asked for.
                let _gone = fs::remove_file(place);
                let run = project(arguments);
                assert!(
                    !matches!(run.code, None | Some(0)),
                    "{arguments:?} {status} {body}: {run:?}"
                );
                look(&format!("{arguments:?} {status} {body}"), &run);
                drop(fault);
            }
        }
        drop(first);
    }
    // In another variable, and as an argument.
    let mixed = "VT4elrV3gUMU1JaJJACnDrb0ww6DsGODjcmFQ8kcCFmqw96qlCb9EB6yS8e0obN3";
    for name in WORKLOAD.into_iter().filter(|name| *name != WORKLOAD[1]) {
        for arguments in [commands[0], commands[2], commands[4], commands[6]] {
            let mut command = home.in_project(arguments);
            command.env(name, mixed).env(WORKLOAD[1], mixed);
            let run = Run::of(command.output().expect("it runs"));
            assert!(!format!("{run:?}").contains(mixed), "{name}: {run:?}");
            let is_told = run.stderr.contains("seems to be a secret");
            assert_eq!(is_told, name == WORKLOAD[0], "{name}: {run:?}");
        }
    }
    for place in [
        ["integration", &secret],
        ["project-env", &secret],
        ["integration", &keys[0]],
    ] {
        let run = project(&place);
        assert_ne!(run.code, Some(0), "{run:?}");
        look("as an argument", &run);
    }
    assert_eq!(project(&["token"]).code, Some(0));
    let stored = files(&home.path);
    assert!(stored.iter().any(|(name, _)| name == place));
    for (name, text) in stored {
        assert!(
            !secrets.iter().any(|secret| text.contains(secret)),
            "{name}"
        );
    }
    assert!(looked_at > 100, "{looked_at}");
}
