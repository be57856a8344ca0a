//! `serve --watch`.

use crate::support::*;

const APP: &str = "[[app]]\nkind = \"pkce\"\nclient_id = \"app_pkce\"\n";

#[test]
fn a_changed_file_is_read_again_and_a_bad_one_changes_nothing() {
    let folder = Folder::new("watch");
    let file = folder.write("mock.toml", APP);
    let (mut server, info) = serve(&["-c", &file, "--watch"]);
    let url = base_url(&info);
    let errors = server.0.stderr.take().expect("its standard error");
    let lines = Lines::of(errors);
    let until = |words: &str| lines.after(words);
    let apps = |world: &str| {
        let all = out(&["env", "--for", "shell", "--url", &url, "--world", world]);
        all.lines()
            .filter(|line| line.contains("CLIENT_ID"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(apps("w"), ["export COZE_PKCE_OAUTH_CLIENT_ID='app_pkce'"]);
    out(&["ctl", "--url", &url, "revoke", "pat_mock_alice"]);

    folder.write(
        "mock.toml",
        &format!("{APP}[[app]]\nkind = \"device\"\nclient_id = \"app_device\"\n"),
    );
    until("was read again");
    assert_eq!(apps("w").len(), 2, "in a world that was there");
    assert_eq!(apps("new").len(), 2, "and in one that was not");
    let me = ask(
        &url,
        "/v1/users/me",
        &["Host: localhost", "Authorization: Bearer pat_mock_alice"],
    );
    assert!(
        me.starts_with("HTTP/1.1 401"),
        "what was done to a token stays: {me}"
    );

    folder.write("mock.toml", "sead = 1\n");
    until("mock.toml:1:1: unknown key \"sead\" in the configuration; did you mean \"seed\"?");
    until("the mock keeps its configuration");
    assert_eq!(apps("w").len(), 2);
    folder.write("mock.toml", APP);
    until("was read again");
    assert_eq!(apps("w").len(), 1, "an app that is gone is gone");
}

#[test]
fn there_is_nothing_to_watch_without_a_file() {
    let (status, said) = failure(&["serve", "--watch"]);
    assert_eq!(status, 2);
    assert!(said.contains("--config <FILE>"), "{said}");
}
