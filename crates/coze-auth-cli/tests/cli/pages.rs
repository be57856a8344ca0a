//! The shell blocks of the guide that run the command against the mock.

use std::path::Path;
use std::process::Command;

use crate::support::{Home, Run};

/// Where the pages say that the mock is.
const MOCK: &str = "http://127.0.0.1:9777";

#[cfg(unix)]
#[test]
fn the_commands_of_the_guide_print_what_it_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("docs/pat.md").exists() {
        println!("skipped: the guide is not in the package");
        return;
    }
    for page in ["pat.md", "zh-CN/pat.md", "workload.md", "zh-CN/workload.md"] {
        let page = &format!("docs/{page}");
        let text = std::fs::read_to_string(root.join(page)).expect("a page");
        let blocks: Vec<&str> = text
            .split("```console\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect();
        assert_eq!(blocks.len(), 1, "{page}");
        let home = Home::new();
        let own = Path::new(env!("CARGO_BIN_EXE_coze-auth"));
        let folder = own.parent().expect("a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        let lines = || blocks.iter().flat_map(|block| block.lines());
        let commands: Vec<&str> = lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let script = commands.join("\n").replace(MOCK, home.mock.base_url());
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-euc", &format!("exec 2>&1; {script}")])
            .env_clear()
            .env("PATH", format!("{folder}:{path}"))
            .env("HOME", &home.path)
            .envs(home.project())
            .current_dir(&home.path);
        let run = Run::of(bash.output().expect("bash runs"));
        assert_eq!(run.code, Some(0), "{page}: {run:?}");
        let printed = run.stdout.replace(home.mock.base_url(), MOCK);
        let shown: Vec<&str> = lines().filter(|line| !line.starts_with("$ ")).collect();
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(shown.len(), printed.len(), "{page}: {printed:?}");
        for (shown, printed) in shown.iter().zip(&printed) {
            // What follows is of the machine, or of the moment.
            let (beginning, _) = shown.split_once('…').unwrap_or((shown, ""));
            assert!(
                printed.starts_with(beginning),
                "{page}: {shown:?} {printed:?}"
            );
            assert!(
                shown.contains('…') || shown == printed,
                "{page}: {printed:?}"
            );
        }
    }
}
