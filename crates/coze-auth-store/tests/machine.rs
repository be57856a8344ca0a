//! Randomness, environment and files.

use std::path::Path;
use std::process::Command;

use coze_auth_store::core::Region;
use coze_auth_store::core::config::OAuthConfig;
use coze_auth_store::core::error::{ConfigError, Problem};
use coze_auth_store::{Error, config_from_file, core, entropy, environment, jwt_app_from_env};

/// In every secret, so that a leak can be found.
const SENTINEL: &str = "SENTINEL";

/// A file of this test process, gone when dropped.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("coze-auth-store-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

fn config_error<T>(result: Result<T, Error>) -> ConfigError {
    match failed(result) {
        Error::Core {
            error: core::Error::Config(error),
            ..
        } => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn entropy_differs_each_time() {
    let state = || {
        let app = core::pkce::PkceApp::new(core::Endpoints::cn(), "app").unwrap();
        let redirect = core::authorize::RedirectUri::new("https://app.example/").unwrap();
        let (url, _) = app.authorize(&redirect, entropy().unwrap()).unwrap();
        url.to_string()
    };
    assert_ne!(state(), state());
}

#[test]
fn the_environment_is_the_processs() {
    if is_child() {
        let environment = environment(Region::Com);
        assert_eq!(environment.access_token().unwrap().expose(), "pat_child");
        let endpoints = environment.endpoints().unwrap();
        assert_eq!(endpoints.api_base(), "https://api.coze.com");
        return;
    }
    run_child(
        "the_environment_is_the_processs",
        &[("COZE_API_TOKEN", "pat_child"), ("COZE_API_BASE", "")],
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_unicode_is_refused_by_name() {
    use std::os::unix::ffi::OsStrExt as _;
    if is_child() {
        let result = environment(Region::Cn).access_token();
        let error = config_error(result.map_err(Error::from));
        assert_eq!(error.what(), "COZE_API_TOKEN");
        assert_eq!(error.problem(), &Problem::Character { at: 4 });
        return;
    }
    let value = std::ffi::OsStr::from_bytes(b"pat_\xff");
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_value_that_is_not_unicode_is_refused_by_name"])
        .env(CHILD, "1")
        .env("COZE_API_TOKEN", value)
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_jwt_app_comes_from_the_environment_and_its_key_file() {
    if is_child() {
        let app = jwt_app_from_env(Region::Cn).unwrap();
        let text = format!("{app:?}");
        assert!(text.contains("1000000001"), "{text}");
        assert!(!text.contains("PRIVATE"), "{text}");
        return;
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let file = File::new("key.pem", &key.serialize_pem());
    run_child(
        "a_jwt_app_comes_from_the_environment_and_its_key_file",
        &[
            ("COZE_JWT_OAUTH_CLIENT_ID", "1000000001"),
            ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "key-1"),
            ("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", file.path()),
        ],
    );
}

#[test]
fn a_key_file_that_is_not_there_is_named() {
    if is_child() {
        let error = config_error(jwt_app_from_env(Region::Cn));
        assert_eq!(error.what(), "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH");
        assert!(matches!(error.problem(), Problem::Unreadable(_)));
        return;
    }
    run_child(
        "a_key_file_that_is_not_there_is_named",
        &[
            ("COZE_JWT_OAUTH_CLIENT_ID", "1000000001"),
            ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "key-1"),
            ("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", "/no/such/key.pem"),
        ],
    );
}

#[test]
fn a_config_file_is_read_and_its_faults_are_named() {
    let text = format!(
        r#"{{"client_type":"web","client_id":"app","client_secret":"{SENTINEL}","coze_api_base":"https://api.coze.cn"}}"#
    );
    let file = File::new("config.json", &text);
    let config = config_from_file(file.path()).unwrap();
    assert!(matches!(config, OAuthConfig::Web(_)), "{config:?}");

    let file = File::new("bad.json", &text.replace("web", "cli"));
    let error = config_error(config_from_file(file.path()));
    assert_eq!(error.what(), "client_type");

    let error = failed(config_from_file("/no/such/config.json"));
    let Error::File { path, cause } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(path, Path::new("/no/such/config.json"));
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "/no/such/config.json cannot be read");
}

/// The error, checked to tell no secret.
fn failed<T>(result: Result<T, Error>) -> Error {
    let Err(error) = result else {
        panic!("it succeeded");
    };
    let text = format!("{error} {error:?}");
    assert!(!text.contains(SENTINEL), "{text}");
    error
}

/// Set in a test's child process.
const CHILD: &str = "COZE_AUTH_TEST_CHILD";

/// Whether this is the process that [`run_child`] started. What depends on the process's environment is
/// tested in a child, since setting a variable in this one would be seen by all tests.
fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this binary in a process with these variables.
fn run_child(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
