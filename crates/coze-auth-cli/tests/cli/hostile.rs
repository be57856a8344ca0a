//! What an attacker may try: answers of a server, files in the folders, arguments and the environment.

use std::fs;
use std::process::Command;

use coze_auth_mock::{AppKind, Fault, On};

use crate::support::{Home, RawApi, Run, json_answer};

/// What a terminal would obey, or would not show: escapes of 7 and 8 bits, a reversal, an invisible tag, a bell.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{e0041}\u{200b}\r";

fn is_obeyed(text: &str) -> bool {
    let obeyed = |character: char| {
        character.is_control() && !matches!(character, '\n' | '\t')
            || "\u{202e}\u{e0041}\u{200b}".contains(character)
    };
    text.chars().any(obeyed)
}

fn is_clean(run: &Run) {
    assert!(!is_obeyed(&run.stdout), "{run:?}");
    assert!(!is_obeyed(&run.stderr), "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
}

/// Whatever a server says, and wherever in an answer.
#[test]
fn no_answer_steers_a_terminal_or_hides_what_it_says() {
    let evil = HOSTILE
        .replace('\u{1b}', "\\u001b")
        .replace('\u{7}', "\\u0007");
    let evil = evil.replace('\r', "\\r");
    for (status, body) in [
        (
            "200 OK",
            format!(
                r#"{{"code":0,"data":{{"user_id":"7{evil}","user_name":"{evil}","nick_name":"{evil}"}}}}"#
            ),
        ),
        ("200 OK", format!(r#"{{"code":4000,"msg":"{evil}"}}"#)),
        (
            "403 Forbidden",
            format!(r#"{{"code":4101,"msg":"{evil}","detail":{{"logid":"{evil}"}}}}"#),
        ),
        ("500 Internal Server Error", format!("<html>{HOSTILE}")),
    ] {
        for json in [&[][..], &["--json"]] {
            let home = Home::new();
            // Twice: a token that is refused is not asked for again, since it is of the console.
            let api = RawApi::new(&[&json_answer(status, &body)]);
            let mut command = home.command(&[&["whoami"], json].concat());
            command
                .env("COZE_API_BASE", &api.base)
                .env("COZE_API_TOKEN", "pat_x");
            let run = Run::of(command.output().expect("it runs"));
            is_clean(&run);
            assert!(!run.stderr.contains("pat_x"), "{run:?}");
            api.requests();
        }
    }
}

/// The pages and the code of a device login are told to a person.
#[test]
fn no_device_code_steers_a_terminal() {
    let home = Home::new();
    let evil = "\\u001b]0;owned\\u0007\u{202e}";
    let body = format!(
        r#"{{"device_code":"d","user_code":"AB{evil}","verification_uri":"http://127.0.0.1/{evil}","expires_in":1,"interval":1}}"#
    );
    let fault = Fault::status(200).header("content-type", "application/json");
    let _fault = home
        .mock
        .fault(On::endpoint("device_code"), fault.body(body));
    for json in [&[][..], &["--json"]] {
        let run = home.run(&[&["login", "--client-id", &home.app(AppKind::Device)], json].concat());
        assert_ne!(run.code, Some(0), "{run:?}");
        is_clean(&run);
    }
}

/// The log's reader has no more to fear than the terminal's.
#[test]
fn what_was_said_is_escaped_where_it_is_repeated() {
    let home = Home::new();
    home.sign_in();
    let named = format!("/no/{HOSTILE}");
    for arguments in [
        &[HOSTILE][..],
        &["token", HOSTILE],
        &["token", "--min-life", HOSTILE],
        &["--profile", HOSTILE, "token"],
        &["api", "POST", "/v1/x", "--input", &named],
        &["api", "GET", HOSTILE],
        &["login", "--config", &named],
        &["login", "--client-id", HOSTILE],
        &["exec", "--", &named],
    ] {
        for json in [&[][..], &["--json"]] {
            let run = home.run(&[json, arguments].concat());
            assert_ne!(run.code, Some(0), "{run:?}");
            is_clean(&run);
        }
    }
    let mut command = home.command(&["status"]);
    let run = command.env("COZE_AUTH_PROFILE", HOSTILE).output();
    let run = Run::of(run.expect("it runs"));
    assert_eq!(run.code, Some(7), "{run:?}");
    is_clean(&run);
    let folder = home.path.join(HOSTILE.replace('/', "-"));
    let mut command = home.command(&["login", "--with-token"]);
    let run = crate::support::fed(command.env("HOME", &folder), "pat_mock_alice");
    assert_eq!(run.code, Some(0), "{run:?}");
    is_clean(&run);
    let mut command = home.command(&["status"]);
    is_clean(&Run::of(
        command.env("HOME", &folder).output().expect("it runs"),
    ));
}

/// Nothing takes one as an argument, which `ps` shows to every user; who does it all the same does not find it in the log as well.
#[test]
fn a_token_among_the_arguments_is_refused_and_not_repeated() {
    let home = Home::new();
    for arguments in [
        &["login", "--with-token", "pat_S3CR3T"][..],
        &["login", "--with-token=pat_S3CR3T"],
        &["login", "--token", "pat_S3CR3T"],
        &["token", "czu_S3CR3T"],
        &["login", "--client-secret", "S3CR3T"],
        &["login", "--client-secret=S3CR3T"],
        &["login", "--private-key", "S3CR3T"],
        &["whoami", "--api-token=sat_S3CR3T"],
    ] {
        for json in [&[][..], &["--json"]] {
            let run = home.run(&[json, arguments].concat());
            assert_eq!(run.code, Some(2), "{run:?}");
            assert!(!run.stderr.contains("S3CR3T"), "{run:?}");
        }
    }
    let help = home.run(&["login", "--help"]).stdout;
    for word in ["--client-secret", "--private-key ", "--token "] {
        assert!(!help.contains(word), "{word}");
    }
    assert_eq!(home.mock.requests().len(), 0);
}

/// Another process sees the arguments of this one and of what it starts.
#[cfg(target_os = "linux")]
#[test]
fn no_argument_of_a_process_has_a_token() {
    let home = Home::new();
    home.sign_in();
    let run = home.run(&[
        "exec",
        "--",
        "sh",
        "-c",
        "cat /proc/$$/cmdline /proc/$PPID/cmdline",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("cmdline"), "{run:?}");
    assert!(!run.stdout.contains("pat_mock"), "{run:?}");
}

/// The program has the environment and the streams, and nothing else of ours is open: no lock, no pipe of signals.
#[cfg(target_os = "linux")]
#[test]
fn exec_leaves_nothing_open() {
    let home = Home::new();
    home.sign_in();
    // Without a pipeline, whose ends the shell has open for a moment.
    let list = ["sh", "-c", "echo /proc/$$/fd/*"];
    let open = |run: &Run| -> Vec<String> {
        let paths = run.stdout.split_whitespace();
        let names = paths.filter_map(|path| path.rsplit('/').next());
        names.map(str::to_owned).collect()
    };
    let run = home.run(&[&["exec", "--"], &list[..]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    let mut alone = Command::new(list[0]);
    alone.args(&list[1..]).stdin(std::process::Stdio::null());
    let alone = Run::of(alone.output().expect("it runs"));
    assert_eq!(open(&run), open(&alone), "as without the command");
}

/// A standard error that takes nothing costs neither a login nor its exit status.
#[cfg(target_os = "linux")]
#[test]
fn a_standard_error_that_takes_nothing_changes_nothing() {
    let home = Home::new();
    let full = || {
        let options = fs::OpenOptions::new().write(true).open("/dev/full");
        options.expect("Linux has it")
    };
    let mut command = home.command(&["token"]);
    assert_eq!(
        command.stderr(full()).status().expect("it runs").code(),
        Some(3)
    );
    let login = r#"printf pat_mock_alice | "$0" login --with-token 2> /dev/full"#;
    let mut sh = Command::new("sh");
    sh.args(["-c", login, env!("CARGO_BIN_EXE_coze-auth")]);
    let home_variable = ("HOME", home.path.as_os_str());
    sh.env_clear()
        .envs([home_variable])
        .env("COZE_API_BASE", home.mock.base_url());
    assert_eq!(sh.status().expect("it runs").code(), Some(0));
    assert_eq!(home.run(&["token"]).stdout, "pat_mock_alice\n");
}

#[cfg(target_os = "linux")]
mod files {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn profile(home: &Home) -> PathBuf {
        home.path.join(".config/coze-auth/profiles/default.json")
    }

    fn fifo(path: &PathBuf) {
        let _ = fs::remove_file(path);
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("made");
    }

    /// Runs it, and ends it if it waits.
    fn at_once(home: &Home, arguments: &[&str]) -> Run {
        let mut command = Command::new("timeout");
        command
            .args(["20", env!("CARGO_BIN_EXE_coze-auth")])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home.path);
        Run::of(command.output().expect("it runs"))
    }

    /// Nothing is waited for, and nothing is read without end.
    #[test]
    fn what_is_not_a_file_in_the_place_of_a_profile_is_told_at_once() {
        let home = Home::new();
        home.sign_in();
        let path = profile(&home);
        fifo(&path);
        for arguments in [
            &["token"][..],
            &["status"],
            &["logout"],
            &["exec", "--", "true"],
        ] {
            let run = at_once(&home, arguments);
            assert!(matches!(run.code, Some(7 | 125)), "{run:?}");
            assert!(run.stderr.contains("not a file"), "{run:?}");
        }
        fs::remove_file(&path).expect("removed");
        symlink("/dev/zero", &path).expect("linked");
        let run = at_once(&home, &["token"]);
        assert!(
            run.code == Some(7) && run.stderr.contains("not a file"),
            "{run:?}"
        );
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "x".repeat(100_000)).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let run = at_once(&home, &["token"]);
        assert!(
            run.code == Some(7) && run.stderr.contains("too long"),
            "{run:?}"
        );
        // A login replaces whatever it is.
        fifo(&path);
        home.sign_in();
        assert_eq!(home.run(&["token"]).code, Some(0));
    }

    /// It decides which key signs for whom, so nobody else may have written it.
    #[test]
    fn a_profile_that_others_may_write_to_is_not_taken() {
        let home = Home::new();
        home.sign_in();
        let path = profile(&home);
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            let run = home.run(&["token"]);
            assert_eq!(run.code, Some(7), "{mode:o}: {run:?}");
            assert!(run.stderr.contains("chmod go-w"), "{run:?}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(
            home.run(&["token"]).code,
            Some(0),
            "reading it harms nobody"
        );
        // Laid out by a program that keeps the files of a home elsewhere.
        let elsewhere = home.path.join("elsewhere.json");
        fs::rename(&path, &elsewhere).expect("moved");
        symlink(&elsewhere, &path).expect("linked");
        assert_eq!(home.run(&["token"]).code, Some(0));
    }

    #[test]
    fn a_profile_of_another_user_is_not_taken() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: giving a file to another user needs root");
            return;
        }
        let home = Home::new();
        home.sign_in();
        std::os::unix::fs::chown(profile(&home), Some(12345), None).expect("given");
        let run = home.run(&["token"]);
        assert_eq!(run.code, Some(7), "{run:?}");
        assert!(run.stderr.contains("another user's"), "{run:?}");
    }

    /// A link that lies ready under the names that are written does not lead what is written elsewhere.
    #[test]
    fn nothing_is_written_through_a_link() {
        let home = Home::new();
        home.sign_in();
        let (path, victim) = (profile(&home), home.path.join("victim"));
        fs::write(&victim, "mine").expect("written");
        let lock = path.with_extension("lock");
        fs::remove_file(&lock).expect("a lock");
        symlink(&victim, &lock).expect("linked");
        let run = home.run_with(&["login", "--with-token"], "pat_mock_alice\n");
        assert_eq!(run.code, Some(7), "{run:?}");
        fs::remove_file(&lock).expect("removed");
        // The file beside has the process's id in its name.
        fs::write(home.path.join("token"), "pat_mock_alice").expect("written");
        let login = r#"read go; exec "$0" login --with-token < "$HOME/token""#;
        let mut sh = Command::new("sh");
        sh.args(["-c", login, env!("CARGO_BIN_EXE_coze-auth")])
            .env_clear()
            .env("HOME", &home.path)
            .env("COZE_API_BASE", home.mock.base_url());
        let mut child = crate::support::piped(&mut sh);
        let beside = path.with_extension(format!("{}.tmp", child.id()));
        symlink(&victim, beside).expect("linked");
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, b"go\n").expect("sent");
        let run = Run::of(child.wait_with_output().expect("it ends"));
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(fs::read_to_string(&victim).expect("a file"), "mine");
        assert_eq!(home.run(&["token"]).code, Some(0));
    }

    /// A grant is judged by the store; here it is seen that the command does not hang, and says why.
    #[test]
    fn what_is_not_a_file_in_the_place_of_a_grant_is_told_at_once() {
        let home = Home::new();
        home.sign_in();
        let place = home.run(&["status", "--json"]).json()["place"].clone();
        let place = PathBuf::from(place.as_str().expect("a path"));
        fifo(&place);
        let run = at_once(&home, &["token"]);
        assert_eq!(run.code, Some(7), "{run:?}");
        assert!(run.stderr.contains("FIFO"), "{run:?}");
        fs::remove_file(&place).expect("removed");
        symlink("/etc/passwd", &place).expect("linked");
        let run = at_once(&home, &["token"]);
        assert_eq!(run.code, Some(7), "{run:?}");
        assert!(
            run.stderr.contains("symbolic link") && !run.stderr.contains("root:"),
            "{run:?}"
        );
        // A lock, too, which a FIFO would hold up for good.
        let lock = place.with_extension("lock");
        fs::remove_file(&place).expect("removed");
        fifo(&lock);
        let run = at_once(&home, &["logout"]);
        assert_eq!(run.code, Some(7), "{run:?}");
    }
}

/// A proxy's password is nobody's to read.
#[test]
fn the_password_of_a_proxy_is_not_told() {
    let home = Home::new();
    for proxy in [
        "http://user:S3CR3T@127.0.0.1:1",
        "http://user:S3CR3T@bad host",
        "nonsense://user:S3CR3T@127.0.0.1:1",
        "http://user:S3CR3T@127.0.0.1:99999",
    ] {
        for arguments in [&["whoami"][..], &["api", "GET", "/v1/users/me"]] {
            let mut command = home.command(arguments);
            command
                .env("HTTPS_PROXY", proxy)
                .env("COZE_API_BASE", "https://api.coze.invalid")
                .env("COZE_API_TOKEN", "pat_T0K3N");
            let run = Run::of(command.output().expect("it runs"));
            assert!(matches!(run.code, Some(6 | 7)), "{proxy}: {run:?}");
            assert!(
                !run.stderr.contains("S3CR3T") && !run.stderr.contains("pat_"),
                "{run:?}"
            );
        }
    }
}

/// Another program of this machine calls the port of a login: with callbacks of its own, with nothing, and with what is no HTTP. The
/// person's callback is taken all the same, and what it says reaches no terminal.
#[test]
fn another_program_at_the_port_of_a_login_changes_nothing() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let redirect = format!("http://127.0.0.1:{port}/callback");
    let id = home.app(AppKind::Pkce);
    let app = ["--client-id", &id, "--redirect-uri", &redirect];
    let mut command = home.command(&[&["login", "--pkce", "--json"], &app[..]].concat());
    let mut child = crate::support::piped(&mut command);
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("UTF-8");
    let shown: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let url = shown["authorize_url"].as_str().expect("an address");
    let state = url.split("&state=").nth(1).expect("a state");
    let state = state.split('&').next().expect("its end");
    let connect = || TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let ask = |request: &str| {
        let mut stream = connect();
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let silent: Vec<TcpStream> = (0..30).map(|_| connect()).collect();
    for request in [
        "GET /callback?code=evil&state=guessed HTTP/1.1\r\n\r\n".to_owned(),
        format!("POST /callback?code=evil&state={state} HTTP/1.1\r\n\r\n"),
        format!("GET /callback?code=evil&code=two&state={state} HTTP/1.1\r\n\r\n"),
        format!("GET /callback?code=evil&state={state} HTTP/1.1\r\nSec-Fetch-Dest: image\r\n\r\n"),
        format!("GET /callback?code=evil&state={state}%00 HTTP/1.1\r\n\r\n"),
        "\x16\x03\x01\r\n\r\n".to_owned(),
    ] {
        let answer = ask(&request);
        assert!(answer.starts_with("HTTP/1.1 4"), "{request}: {answer}");
        assert!(
            !answer.contains(state) && !answer.contains("evil"),
            "{answer}"
        );
    }
    assert!(child.try_wait().expect("it is there").is_none(), "it waits");
    let evil = "%1B%5D0%3Bowned%07%E2%80%AE%C2%9B";
    let callback =
        format!("/callback?error=server_error{evil}&error_description={evil}&state={state}");
    let answer = ask(&format!("GET {callback} HTTP/1.1\r\n\r\n"));
    assert!(
        answer.starts_with("HTTP/1.1 303") && !is_obeyed(&answer.replace("\r\n", "")),
        "{answer}"
    );
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_ne!(run.code, Some(0), "{run:?}");
    is_clean(&run);
    assert!(
        run.stderr.contains("owned") && !run.stderr.contains(state),
        "{run:?}"
    );
    drop(silent);
}

/// An address of an API is refused by every command in the same way, and its password is not repeated.
#[test]
fn the_password_in_an_address_is_not_told() {
    let home = Home::new();
    for base in [
        "http://user:S3CR3T@127.0.0.1:1",
        "http://127.0.0.1:1/?key=S3CR3T",
        "http://127.0.0.1:1/#S3CR3T",
    ] {
        for arguments in [
            &["whoami"][..],
            &["token"],
            &["status"],
            &["status", "--json"],
            &["exec", "--", "true"],
            &["api", "GET", "/v1/x"],
            &["login", "--client-id", "1"],
        ] {
            let mut command = home.command(arguments);
            command
                .env("COZE_API_BASE", base)
                .env("COZE_API_TOKEN", "pat_T0K3N");
            let run = Run::of(command.output().expect("it runs"));
            assert!(matches!(run.code, Some(7 | 125)), "{base}: {run:?}");
            let all = format!("{}{}", run.stdout, run.stderr);
            assert!(all.contains("COZE_API_BASE"), "{run:?}");
            assert!(!all.contains("S3CR3T") && !all.contains("pat_"), "{run:?}");
        }
    }
}
