//! `env`, against a server. `just env` runs what it prints with the clients themselves.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::*;

const CLIENTS: [&str; 10] = [
    "python",
    "js",
    "go",
    "java",
    "rust",
    "shell",
    "loop-python",
    "loop-go",
    "loop-java",
    "workload-python",
];

/// What a shell has after it has evaluated what `env` printed for this client, with no other variables of ours.
#[cfg(unix)]
fn evaluated(url: &str, client: &str, more: &[&str]) -> std::collections::BTreeMap<String, String> {
    let mut arguments = vec!["env", "--url", url, "--for", client];
    arguments.extend(more);
    let printed = out(&arguments);
    // As people write it: all of the output, in double quotes.
    let shell = std::process::Command::new("sh")
        .args(["-eu", "-c", "eval \"$1\"; exec env -0", "sh", &printed])
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&shell.stderr).into_owned();
    assert!(
        shell.status.success() && said.is_empty(),
        "{client}: {said}"
    );
    let text = String::from_utf8(shell.stdout).expect("text");
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| name.starts_with("COZE"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(unix)]
#[test]
fn a_shell_evaluates_the_output_for_each_client() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let key = info["apps"][3]["private_key"].as_str().expect("a key");
    for client in CLIENTS {
        let set = evaluated(&url, client, &[]);
        let is = |name: &str, value: &str| assert_eq!(set[name], value, "{client}: {name}");
        if client.starts_with("loop-") {
            is("COZELOOP_API_BASE_URL", &url);
            is("COZELOOP_WORKSPACE_ID", "ws_a");
            is("COZELOOP_API_TOKEN", "pat_mock_alice");
            is("COZELOOP_JWT_OAUTH_CLIENT_ID", "100000000001");
            is("COZELOOP_JWT_OAUTH_PRIVATE_KEY", key.trim());
            is("COZELOOP_JWT_OAUTH_PUBLIC_KEY_ID", "mock-jwt-key-1");
            assert_eq!(set.len(), 6, "{client}: {:?}", set.keys());
            continue;
        }
        is("COZE_API_BASE", &url);
        is("COZE_API_TOKEN", "pat_mock_alice");
        is("COZE_WEB_OAUTH_CLIENT_SECRET", "mock-web-secret");
        is(
            "COZE_WEB_OAUTH_REDIRECT_URI",
            "http://localhost:8080/callback",
        );
        is(
            "COZE_PKCE_OAUTH_REDIRECT_URI",
            "http://localhost:8080/callback",
        );
        is("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "mock-jwt-key-1");
        is("COZE_JWT_OAUTH_PRIVATE_KEY", key.trim());
        let file = &set["COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH"];
        let read = std::fs::read_to_string(file).expect("the file of the key");
        assert_eq!(read, key, "{client}");
        is(
            "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
            &format!("{url}/.well-known/token"),
        );
        is(
            "COZE_OUTBOUND_AUTH_ENDPOINT",
            &format!("{url}/api/v1/secret"),
        );
        assert_eq!(set.len(), 18, "{client}: {:?}", set.keys());
    }
}

#[test]
fn each_client_but_the_shell_gets_a_program_that_uses_the_base() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let env = |client: &str| out(&["env", "--url", &url, "--for", client]);
    assert!(!env("shell").contains("<<"), "only variables");
    for (client, takes) in [
        ("python", "base_url=base"),
        ("js", "baseURL,"),
        ("go", "coze.WithBaseURL(base)"),
        ("java", ".baseURL(base)"),
        ("rust", "coze_auth::blocking"),
        ("loop-python", "cozeloop.new_client()"),
        ("loop-go", "cozeloop.NewClient()"),
        ("loop-java", ".baseUrl(base)"),
        ("workload-python", "with Client() as client:"),
    ] {
        let text = env(client);
        let (_, program) = text.split_once("\n: <<'").expect("a here-document");
        let (end, program) = program.split_once("'\n").expect("its end");
        let program = program.strip_suffix(&format!("{end}\n"));
        assert!(program.expect("its end").contains(takes), "{text}");
    }
}

#[test]
fn a_private_key_is_written_where_it_is_wanted_and_over_nobody_elses_file() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let folder = Folder::new("key-file");
    let wanted = folder.path("it's a key.pem");
    let text = out(&[
        "env",
        "--url",
        &url,
        "--for",
        "shell",
        "--key-file",
        &wanted,
    ]);
    let line = format!("FILE_PATH='{}'", wanted.replace('\'', r"'\''"));
    assert!(text.contains(&line), "{text}");
    let key = info["apps"][3]["private_key"].as_str().expect("a key");
    assert_eq!(std::fs::read_to_string(&wanted).expect("a file"), key);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&wanted).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    // In the temporary folder stands a file of this name with another key in it, and it stays as it is.
    let name = format!("coze-auth-mock-{}.pem", coze_auth_mock::fingerprint(key));
    let other = folder.write(&name, "another key");
    let mut env = command(&["env", "--url", &url, "--for", "go"]);
    let output = env.env("TMPDIR", folder.path("")).output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
    let (_, path) = text.split_once("FILE_PATH='").expect("a path");
    let (path, _) = path.split_once('\'').expect("its end");
    assert_ne!(path, other);
    assert_eq!(std::fs::read_to_string(path).expect("a file"), key);
    assert_eq!(
        std::fs::read_to_string(&other).expect("a file"),
        "another key"
    );

    let nowhere = folder.path("none/key.pem");
    let (status, said) = failure(&["env", "--url", &url, "--for", "go", "--key-file", &nowhere]);
    assert_eq!(status, 1);
    assert!(said.contains("name another one by --key-file"), "{said}");
}

#[test]
fn the_configuration_of_a_quickstart_has_what_each_kind_requires() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    for (number, kind) in ["web", "pkce", "device", "jwt"].into_iter().enumerate() {
        let text = out(&["env", "--url", &url, "--config", kind]);
        let mut file: Value = serde_json::from_str(&text).expect("JSON");
        let app = &info["apps"][number];
        let mut take = |member: &str| {
            let members = file.as_object_mut().expect("an object");
            members.remove(member).unwrap_or(Value::Null)
        };
        assert_eq!(take("client_type"), kind);
        assert_eq!(take("client_id"), app["client_id"]);
        assert_eq!(take("coze_api_base"), *url);
        assert_eq!(take("coze_www_base"), *url);
        assert_eq!(take("client_secret"), app["client_secret"]);
        assert_eq!(take("public_key_id"), app["key_id"]);
        assert_eq!(take("private_key"), app["private_key"]);
        assert_eq!(file, serde_json::json!({}), "{kind}");
    }
    let folder = Folder::new("no-device");
    let text = "[[app]]\nkind = \"pkce\"\nclient_id = \"app\"\nredirect_uris = [\"http://localhost:*/*\"]\n";
    let (_server, info) = serve(&["-c", &folder.write("mock.toml", text)]);
    let (status, said) = failure(&["env", "--url", &base_url(&info), "--config", "device"]);
    assert_eq!(status, 1);
    assert!(said.contains("no app of kind device"), "{said}");
    let (status, said) = failure(&["env", "--url", &base_url(&info)]);
    assert_eq!(status, 2);
    assert!(said.contains("--for <CLIENT>|--config <KIND>"), "{said}");
}

#[test]
fn a_plain_http_base_that_rust_refuses_comes_with_the_permission() {
    for (public, permitted) in [
        ("http://mock:9777", true),
        ("http://alpha.localhost:9777", true),
        ("http://192.0.2.1:9777", true),
        ("https://mock:9777", false),
        ("http://localhost:9777", false),
        ("http://127.0.0.2:9777", false),
        ("http://[::1]:9777", false),
    ] {
        // The mock tells only the public URL, so its port has to be known before.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let listen = free.expect("a free port").to_string();
        let (_server, info) = serve_at(&listen, &["--public-url", public]);
        assert_eq!(info["base_url"], public);
        let at = format!("http://{listen}");
        let rust = run(&["env", "--url", &at, "--for", "rust"]);
        let printed = String::from_utf8(rust.stdout).expect("text");
        assert_eq!(printed.contains("custom_insecure("), permitted, "{public}");
        assert!(rust.stderr.is_empty(), "{public}");
        let config = run(&["env", "--url", &at, "--config", "web"]);
        let said = String::from_utf8(config.stderr).expect("text");
        assert_eq!(
            said.contains("Endpoints::custom_insecure"),
            permitted,
            "{public}: {said}"
        );
    }
}

/// What a shell makes of the lines is what the mock has.
#[cfg(unix)]
#[test]
fn a_shell_reads_every_value_back() {
    let folder = Folder::new("quotes");
    let text = "[[app]]\nkind = \"web\"\nclient_id = \"app_web\"\nclient_secret = \"it's$HOME\"\nredirect_uris = [\"https://app.example/cb?a='b'\"]\n[[token]]\nkind = \"sat\"\nvalue = \"sat'1\"\n";
    let (_server, info) = serve(&["-c", &folder.write("mock.toml", text)]);
    let set = evaluated(&base_url(&info), "shell", &[]);
    assert_eq!(set["COZE_WEB_OAUTH_CLIENT_SECRET"], "it's$HOME");
    assert_eq!(
        set["COZE_WEB_OAUTH_REDIRECT_URI"],
        "https://app.example/cb?a='b'"
    );
    assert_eq!(set["COZE_API_TOKEN"], "sat'1");
    assert!(
        !set.contains_key("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH"),
        "no JWT app"
    );
}

/// The Java SDK drops the path of a base URL, and lands in the first world then.
#[test]
fn a_world_is_named_by_a_port_of_its_own() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let base = |arguments: &[&str]| {
        let text = out(&[&["env", "--url", &url], arguments].concat());
        let (_, base) = text.split_once("API_BASE").expect("a base");
        base.split('\'').nth(1).expect("a value").to_owned()
    };
    let own = base(&["--world", "w", "--for", "java"]);
    assert_eq!(own.matches('/').count(), 2, "{own} has no path");
    assert_ne!(own, url);
    assert_eq!(base(&["--world", "w", "--for", "loop-go"]), own, "it stays");
    assert_eq!(base(&["--for", "java"]), url, "the first world needs none");
    let config = out(&["env", "--url", &format!("{url}/t/w"), "--config", "web"]);
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["coze_api_base"], own);
    let me = ask(
        &own,
        "/v1/users/me",
        &["Host: localhost", "Authorization: Bearer pat_mock_alice"],
    );
    assert!(me.starts_with("HTTP/1.1 200"), "{me}");
    let count = |more: &[&str]| {
        let text = out(&[&["ctl", "--url", &url], more, &["requests"]].concat());
        text.matches("/v1/users/me").count()
    };
    assert_eq!((count(&["--world", "w"]), count(&[])), (1, 0));
}
