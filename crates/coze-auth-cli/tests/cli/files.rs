//! Where profiles and grants rest, and who can read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Home, Run};

/// All that is below a folder, by its path.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        all.extend(below(&path));
        all.push(path);
    }
    all
}

/// Signs in with these variables, from this folder.
fn sign_in(home: &Home, variables: &[(&str, &Path)], from: &Path) -> Run {
    let mut command = home.command(&["login", "--with-token"]);
    command
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir(from);
    crate::support::fed(&mut command, "pat_mock_alice\n")
}

/// XDG Base Directory Specification: the variables decide, and a path that is not absolute is to be ignored.
#[test]
fn the_variables_of_xdg_decide_unless_they_are_relative() {
    let home = Home::new();
    let (config, state) = (home.path.join("c/d"), home.path.join("s"));
    let run = sign_in(
        &home,
        &[("XDG_CONFIG_HOME", &config), ("XDG_STATE_HOME", &state)],
        &home.path,
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(config.join("coze-auth/profiles/default.json").is_file());
    let grants = below(&state.join("coze-auth/grants"));
    assert!(
        grants
            .iter()
            .any(|path| path.extension().is_some_and(|end| end == "json"))
    );
    for folder in [".config", ".local"] {
        assert!(!home.path.join(folder).exists(), "{folder}");
    }
    // Without them it is another place, where nobody is signed in.
    assert_eq!(home.run(&["status"]).code, Some(3));

    for relative in ["relative", "./relative", "../relative", "~/relative", ""] {
        let home = Home::new();
        let from = home.path.join("here");
        fs::create_dir(&from).expect("made");
        let path = Path::new(relative);
        let variables = [("XDG_CONFIG_HOME", path), ("XDG_STATE_HOME", path)];
        let run = sign_in(&home, &variables, &from);
        assert_eq!(run.code, Some(0), "{relative:?}: {run:?}");
        let profile = home.path.join(".config/coze-auth/profiles/default.json");
        assert!(profile.is_file(), "{relative:?}");
        assert!(home.path.join(".local/state/coze-auth/grants").is_dir());
        assert_eq!(below(&from), [""; 0].map(PathBuf::from), "{relative:?}");
        assert!(!home.path.join("relative").exists());
        assert_eq!(home.run(&["token"]).code, Some(0), "the same place");
    }
}

#[test]
fn without_a_home_it_is_told_which_variables_to_set() {
    let home = Home::new();
    for value in [None, Some(""), Some("relative")] {
        let mut command = home.command(&["status"]);
        match value {
            Some(value) => command.env("HOME", value),
            None => command.env_remove("HOME"),
        };
        let run = Run::of(command.current_dir(&home.path).output().expect("it runs"));
        assert_eq!(run.code, Some(7), "{value:?}: {run:?}");
        assert!(
            run.stderr.contains("set HOME") && run.stderr.contains("XDG_CONFIG_HOME"),
            "{run:?}"
        );
    }
    assert_eq!(below(&home.path), [""; 0].map(PathBuf::from));
}

/// Whatever the umask: the folders are the owner's, and so are the files.
#[cfg(unix)]
#[test]
fn folders_are_0700_and_files_0600() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    let home = Home::new();
    let (config, state) = (home.path.join("a/config"), home.path.join("b/state"));
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"umask 0; printf pat_mock_alice | "$0" login --with-token"#,
        ])
        .arg(env!("CARGO_BIN_EXE_coze-auth"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("COZE_API_BASE", home.mock.base_url())
        .env("XDG_CONFIG_HOME", &config)
        .env("XDG_STATE_HOME", &state);
    let run = Run::of(command.output().expect("it runs"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let modes: BTreeMap<PathBuf, u32> = below(&home.path)
        .into_iter()
        .map(|path| {
            let mode = path.metadata().expect("it is there").permissions().mode();
            (path, mode & 0o7777)
        })
        .collect();
    for (path, mode) in &modes {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, expected, "{mode:o}: {}", path.display());
    }
    let files = modes.keys().filter(|path| path.is_file());
    let mut ends: Vec<_> = files.filter_map(|path| path.extension()).collect();
    ends.sort_unstable();
    assert_eq!(
        ends,
        ["json", "json", "lock", "lock"],
        "a profile and a grant, and their locks"
    );
}
