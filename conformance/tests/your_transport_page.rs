//! docs/test-your-transport.md and docs/test-your-store.md: their code is the code that is tested here, and the commands end as the first says.
#![cfg(unix)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const TRANSPORT: &str = "docs/test-your-transport.md";

fn page() -> String {
    read(TRANSPORT)
}

#[test]
fn the_code_is_what_is_tested() {
    for (page, language, file) in [
        (TRANSPORT, "rust", "conformance/tests/your_transport.rs"),
        (
            TRANSPORT,
            "rust",
            "conformance/tests/your_async_transport.rs",
        ),
        (
            TRANSPORT,
            "python",
            "conformance/clients/shims/first_shim.py",
        ),
        (
            "docs/test-your-store.md",
            "rust",
            "conformance/tests/your_store.rs",
        ),
    ] {
        let block = format!("```{language}\n{}```\n", read(file));
        assert!(read(page).contains(&block), "{page} shows another {file}");
    }
}

/// In a folder of their own, in the order of the page.
#[test]
fn the_commands_end_as_it_says() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("your-transport");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(
        root().join("conformance/clients/shims/first_shim.py"),
        folder.join("first_shim.py"),
    )
    .expect("the shim");
    let binary = Path::new(env!("CARGO_BIN_EXE_coze-auth-conformance"));
    let path = env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", binary.parent().expect("a folder").display());
    let page = page();
    let mut shown = page.split("\n$ coze-auth-conformance ").skip(1).peekable();
    assert!(shown.peek().is_some(), "it shows no command");
    for text in shown {
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default();
        let (command, code) = line.split_once("# exit code ").unwrap_or((line, "0"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("coze-auth-conformance {command}")]);
        let ended = shell
            .current_dir(&folder)
            .env("PATH", &path)
            .output()
            .expect("a shell");
        let told = String::from_utf8_lossy(&ended.stdout);
        let ended = ended.status.code().map(|code| code.to_string());
        assert_eq!(ended.as_deref(), Some(code), "{line}\n{told}");
        let output = lines.take_while(|line| !line.starts_with("```") && !line.starts_with("$ "));
        // The totals change with every case that is added.
        let is_total = |line: &&str| line.starts_with("first 1: ") || line.ends_with(" s");
        for line in output.filter(|line| !is_total(line)) {
            assert!(told.lines().any(|other| other == line), "{line}\n{told}");
        }
    }
}
