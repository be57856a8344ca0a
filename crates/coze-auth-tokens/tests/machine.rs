//! Randomness, environment and files.

use std::path::Path;
use std::process::Command;

use coze_auth_tokens::core::Region;
use coze_auth_tokens::core::config::OAuthConfig;
use coze_auth_tokens::core::error::{ConfigError, Problem};
use coze_auth_tokens::{Error, config_from_file, core, entropy, environment, jwt_app_from_env};

/// In every secret, so that a leak can be found.
const SENTINEL: &str = "SENTINEL";

/// A file of this test process, gone when dropped.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let name = format!("coze-auth-tokens-{}-{name}", std::process::id());
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
        assert_eq!(
            error.problem(),
            &Problem::Character {
                at: 4,
                is: "the mark of text that is not Unicode"
            }
        );
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
    let file = File::new("key.pem", key.serialize_pem());
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
        let text = error.to_string();
        assert!(
            text.contains(" (/no/such/key.pem): cannot be read: "),
            "{text}"
        );
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

    let file = File::new("bad.json", text.replace("web", "cli"));
    let error = config_error(config_from_file(file.path()));
    assert_eq!(
        error.to_string(),
        format!(
            "client_type ({}): is not a kind of app: web, pkce, device or jwt",
            file.path()
        )
    );

    let jwt = r#"{"client_type":"jwt","client_id":"1","public_key_id":"k","private_key":"key.pem","coze_api_base":"https://api.coze.cn"}"#;
    let file = File::new("no-key.json", jwt);
    let Ok(OAuthConfig::Jwt(_, key)) = config_from_file(file.path()) else {
        panic!("a JWT app");
    };
    let error = key.rsa_key().unwrap_err().to_string();
    let start = format!(
        "private_key ({}): is not a usable RSA private key: ",
        file.path()
    );
    assert!(error.starts_with(&start), "{error}");

    let error = failed(config_from_file("/no/such/config.json"));
    let Error::File { path, cause } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(path, Path::new("/no/such/config.json"));
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!("/no/such/config.json cannot be read: {cause}")
    );
}

/// What it says of a key file with this content.
fn key_file(test: &str, content: &[u8]) -> Option<String> {
    if is_child() {
        let error = config_error(jwt_app_from_env(Region::Cn));
        assert_eq!(error.what(), "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH");
        let text = error.to_string();
        let path = std::env::var("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH").unwrap();
        return Some(text.replace(&path, "PATH"));
    }
    let file = File::new(test, content);
    run_child(
        test,
        &[
            ("COZE_JWT_OAUTH_CLIENT_ID", "1"),
            ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "key-1"),
            ("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", file.path()),
        ],
    );
    None
}

#[test]
fn a_bad_key_is_named_by_its_variable_and_path() {
    let public = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    if let Some(said) = key_file("a_bad_key_is_named_by_its_variable_and_path", public) {
        assert_eq!(
            said,
            "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH (PATH): is not a usable RSA private key: it is the public key; \
             the private one is asked for"
        );
    }
}

#[test]
fn a_bad_key_in_the_environment_is_named_by_its_variable() {
    if is_child() {
        let error = config_error(jwt_app_from_env(Region::Cn));
        assert_eq!(error.what(), "COZE_JWT_OAUTH_PRIVATE_KEY");
        return;
    }
    run_child(
        "a_bad_key_in_the_environment_is_named_by_its_variable",
        &[
            ("COZE_JWT_OAUTH_CLIENT_ID", "1"),
            ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "key-1"),
            ("COZE_JWT_OAUTH_PRIVATE_KEY", SENTINEL),
        ],
    );
}

#[test]
fn a_key_file_that_is_der_is_said_to_be() {
    let der = [&[0x30, 0x82, 1, 0][..], &[0xff; 256]].concat();
    if let Some(said) = key_file("a_key_file_that_is_der_is_said_to_be", &der) {
        assert_eq!(
            said,
            "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH (PATH): cannot be read: it is DER and not text; openssl pkey \
             -inform der -in FILE makes PEM of a key"
        );
    }
}

#[test]
fn a_config_file_may_be_in_utf_16_and_not_endless() {
    let text =
        r#"{"client_type":"device","client_id":"扣子","coze_api_base":"https://api.coze.cn"}"#;
    let (mut little, mut big) = (vec![0xff, 0xfe], vec![0xfe, 0xff]);
    for unit in text.encode_utf16() {
        little.extend(unit.to_le_bytes());
        big.extend(unit.to_be_bytes());
    }
    for (name, bytes) in [("little.json", little), ("big.json", big)] {
        let file = File::new(name, bytes);
        let config = config_from_file(file.path()).unwrap();
        assert!(matches!(config, OAuthConfig::Device(_)), "{config:?}");
    }
    for (name, bytes, kind) in [
        (
            "gbk.json",
            b"{\"a\":\"\xbf\xdb\"}".to_vec(),
            std::io::ErrorKind::InvalidData,
        ),
        (
            "cut.json",
            vec![0xff, 0xfe, 0, 0xd8],
            std::io::ErrorKind::InvalidData,
        ),
        (
            "endless.json",
            vec![b' '; 256 * 1024 + 1],
            std::io::ErrorKind::FileTooLarge,
        ),
    ] {
        let file = File::new(name, bytes);
        let error = failed(config_from_file(file.path()));
        let Error::File { cause, .. } = &error else {
            panic!("{name}")
        };
        assert_eq!(cause.kind(), kind, "{name}: {cause}");
        // What is wrong with it stands in the words, and not the kind alone.
        assert_eq!(
            error.to_string(),
            format!("{} cannot be read: {cause}", file.path())
        );
    }
}

/// docs/security.md promises that what was read is wiped: a process looks for it in its own memory.
#[test]
fn nothing_is_left_of_a_configuration_or_a_key() {
    const TEST: &str = "nothing_is_left_of_a_configuration_or_a_key";
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: only Linux shows a process its memory in /proc/self/mem");
        return;
    }
    if is_child() {
        let hex = |name: &str| {
            let text = std::env::var(name).unwrap();
            let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(byte).collect::<Vec<_>>()
        };
        // Turned around, so that what is looked for is not itself in memory.
        let turned = [hex("TEXT"), hex("BASE64"), hex("DER")];
        let path = std::env::var("CONFIG").unwrap();
        let mut memory = Memory::new();
        let config = config_from_file(&path).unwrap();
        let OAuthConfig::Jwt(issuer, key) = config else {
            panic!("{config:?}")
        };
        assert!(
            memory.has(&turned[1]),
            "the key is held, so it must be found"
        );
        let app = core::jwt::JwtApp::from_issuer(issuer, key.rsa_key().unwrap());
        drop(key);
        let left = turned.each_ref().map(|turned| memory.has(turned));
        assert_eq!(
            left, [false; 3],
            "text of the file, text of the key, its DER"
        );
        drop(app);
        return;
    }
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let pem = pair.serialize_pem();
    let line = pem.lines().nth(12).unwrap();
    let der = pair.serialize_der();
    let json = pem.replace('\n', "\\n");
    // Many of them: what is left behind is soon covered, in part.
    let notes = format!("\"{SENTINEL} of the whole text\",").repeat(1000);
    let text = format!(
        r#"{{"client_type":"jwt","client_id":"1","public_key_id":"k","notes":[{notes}""],"private_key":"{json}","coze_api_base":"https://api.coze.cn"}}"#
    );
    let file = File::new("wiped.json", text);
    let turned = |bytes: &[u8]| {
        let hex = bytes.iter().rev().map(|byte| format!("{byte:02x}"));
        hex.collect::<String>()
    };
    run_child(
        TEST,
        &[
            ("CONFIG", file.path()),
            (
                "TEXT",
                &turned(format!("{SENTINEL} of the whole text").as_bytes()),
            ),
            ("BASE64", &turned(line.as_bytes())),
            // From the private numbers, far behind the modulus.
            ("DER", &turned(&der[700..732])),
        ],
    );
}

/// What a look at this process's memory needs, made before there is anything to find: memory that it took
/// later would cover just what was left behind.
struct Memory {
    maps: String,
    piece: Vec<u8>,
}

impl Memory {
    fn new() -> Self {
        Self {
            maps: String::with_capacity(1 << 20),
            piece: vec![0; 1 << 20],
        }
    }

    /// Whether these bytes, turned around, stand in what this process may write to.
    fn has(&mut self, turned: &[u8]) -> bool {
        use std::io::{Read as _, Seek as _, SeekFrom};
        self.maps.clear();
        let mut maps = std::fs::File::open("/proc/self/maps").unwrap();
        maps.read_to_string(&mut self.maps).unwrap();
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        let piece = &mut self.piece;
        let own = piece.as_ptr() as u64..piece.as_ptr() as u64 + piece.len() as u64;
        for line in self.maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let hex = |text| u64::from_str_radix(text, 16).unwrap();
            let (mut at, end) = (hex(start), hex(end));
            while at < end {
                let length = usize::try_from(end - at).unwrap().min(piece.len());
                memory.seek(SeekFrom::Start(at)).unwrap();
                let Ok(read) = memory.read(&mut piece[..length]) else {
                    break;
                };
                let mut windows = piece[..read].windows(turned.len()).enumerate();
                let found = windows.any(|(from, window)| {
                    window[0] == turned[turned.len() - 1]
                        && !own.contains(&(at + from as u64))
                        && window.iter().eq(turned.iter().rev())
                });
                if found {
                    return true;
                }
                // Pieces overlap, so that nothing is cut in two.
                at += read.saturating_sub(turned.len()).max(1) as u64;
            }
        }
        false
    }
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
