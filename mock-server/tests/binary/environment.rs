//! `env`, against a server.

use crate::support::*;

#[test]
fn each_language_gets_the_environment_and_what_its_sdk_takes() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let env = |language: &str| out(&["env", "--url", &url, "--world", "w", "--for", language]);
    let shell = env("shell");
    for line in [
        format!("export COZE_API_BASE='{url}/t/w'"),
        "export COZE_API_TOKEN='pat_mock_alice'".to_owned(),
        "export COZE_WEB_OAUTH_REDIRECT_URI='http://localhost:8080/callback'".to_owned(),
        "export COZE_JWT_OAUTH_PUBLIC_KEY_ID='mock-jwt-key-1'".to_owned(),
    ] {
        assert!(
            shell.lines().any(|found| found == line),
            "{line} is missing in {shell}"
        );
    }
    assert!(
        shell.ends_with("-----END PRIVATE KEY-----'\n"),
        "nothing that eval would stumble over"
    );
    for (language, takes) in [
        ("python", "base_url=os.environ[\"COZE_API_BASE\"]"),
        ("js", "baseURL: process.env.COZE_API_BASE"),
        ("go", "coze.WithBaseURL(os.Getenv(\"COZE_API_BASE\"))"),
        ("java", ".baseURL(System.getenv(\"COZE_API_BASE\"))"),
        ("rust", "endpoints()"),
    ] {
        let text = env(language);
        let snippet = text.strip_prefix(&*shell).expect("the environment first");
        assert!(snippet.contains(takes), "{snippet}");
        assert_eq!(
            snippet.trim().lines().count(),
            4,
            "a comment and three lines: {snippet}"
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
    let shell = out(&["env", "--for", "shell", "--url", &base_url(&info)]);
    let script = format!(
        "{shell}printf '%s\\n' \"$COZE_WEB_OAUTH_CLIENT_SECRET\" \"$COZE_WEB_OAUTH_REDIRECT_URI\" \"$COZE_API_TOKEN\""
    );
    let said = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("a shell");
    let said = String::from_utf8(said.stdout).expect("text");
    assert_eq!(said, "it's$HOME\nhttps://app.example/cb?a='b'\nsat'1\n");
}
