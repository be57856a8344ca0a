//! `completions`: a script for each shell.

use std::fs;
use std::process::Command;

use crate::support::Home;

const COMMANDS: &[&str] = &[
    "login",
    "token",
    "whoami",
    "status",
    "logout",
    "exec",
    "api",
    "integration",
    "project-env",
    #[cfg(feature = "bridge")]
    "bridge",
    "completions",
];

#[test]
fn each_shell_has_a_script_that_names_every_command() {
    let home = Home::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = home.run(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{shell}");
        for command in COMMANDS {
            assert!(run.stdout.contains(command), "{shell} has no {command}");
        }
        assert!(run.stdout.contains("profile"), "{shell} has no --profile");
    }
    assert_eq!(home.run(&["completions", "tcsh"]).code, Some(2));
}

#[cfg(unix)]
#[test]
fn bash_completes_by_it() {
    let home = Home::new();
    let script = home.path.join("coze-auth.bash");
    fs::write(&script, home.run(&["completions", "bash"]).stdout).expect("written");
    // What bash does at a tab: the function that is registered, with the words and the place.
    let ask = r#"
        source "$1"; shift
        function=$(complete -p coze-auth | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        "$function" coze-auth "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let completed = |words: &[&str]| -> Vec<String> {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", ask, "bash"]).arg(&script);
        let run = bash.arg("coze-auth").args(words).output();
        let Ok(run) = run else {
            println!("skipped: bash is not there");
            return Vec::new();
        };
        assert_eq!(String::from_utf8_lossy(&run.stderr), "");
        let lines = String::from_utf8(run.stdout).expect("UTF-8");
        lines.lines().map(str::to_owned).collect()
    };
    let commands = completed(&[""]);
    if commands.is_empty() {
        return;
    }
    for command in COMMANDS {
        assert!(commands.iter().any(|word| word == command), "{commands:?}");
    }
    assert_eq!(completed(&["log"]), ["login", "logout"]);
    assert_eq!(completed(&["login", "--sto"]), ["--store"]);
    assert_eq!(completed(&["login", "--wo"]), ["--workload"]);
    assert_eq!(completed(&["project-env", "--js"]), ["--json"]);
    assert_eq!(completed(&["login", "--store", ""]), ["file", "keyring"]);
    assert_eq!(completed(&["login", "--region", "c"]), ["cn", "com"]);
}
