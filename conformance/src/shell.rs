//! Commands of the person who runs the suite.

use std::process::Command;

/// The command by the shell, not yet started. Without proxies: the mock is on loopback.
pub(crate) fn command(text: &str) -> Command {
    let mut shell = match cfg!(windows) {
        true => Command::new("cmd"),
        false => Command::new("sh"),
    };
    match cfg!(windows) {
        true => shell.arg("/C").arg(text),
        // So that what is ended is the program, and not a shell before it.
        false => shell.arg("-c").arg(format!("exec {text}")),
    };
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        shell.env_remove(name).env_remove(name.to_uppercase());
    }
    shell
}
