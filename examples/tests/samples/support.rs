//! The samples, built, and a run of one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use coze_auth_mock::CozeAuthMock;

/// The folder of the package, where the samples stand.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all samples, by their files.
pub(crate) fn names() -> Vec<String> {
    let files = std::fs::read_dir(package()).expect("the folder");
    let files = files.map(|file| file.expect("a file").path());
    let mut names: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into())
        .collect();
    names.sort();
    names
}

/// Where they are, built by cargo, which knows whether they have to be. With the whole workspace, so that they are built with the
/// features that they have in a test of the workspace, and so are there already.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().expect("a path");
    let profile = test.ancestors().nth(2).expect("deps lies in it");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--offline", "--workspace"])
        .arg("--target-dir")
        .arg(profile.parent().expect("the target folder"))
        .current_dir(package());
    for name in names() {
        cargo.args(["--example", &name]);
    }
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success());
    profile.join("examples")
});

/// A sample without any variable of Coze's.
pub(crate) fn sample(name: &str) -> Command {
    let mut command = Command::new(BUILT.join(name));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COZE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A sample with these variables, as the mock has them, and where the API is.
pub(crate) fn sample_of(mock: &CozeAuthMock, name: &str, variables: &[&str]) -> Command {
    let mut command = sample(name);
    let all = coze_auth_examples::variables(mock).expect("a port");
    let read = |name: &str| name == "COZE_API_BASE" || variables.contains(&name);
    command.envs(all.into_iter().filter(|(name, _)| read(name)));
    coze_auth_examples::past_proxies(&mut command);
    command
}

/// A folder of a test, removed with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("coze-auth-samples-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
