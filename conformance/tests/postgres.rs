//! The statements for Postgres in the documentation of `GrantStore`, on a real server: `just postgres`, which sets `POSTGRES`.
//! Each connection is a `psql`, so that no client library is built for it.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coze_auth_store::conformance::StoreUnderTest;
use coze_auth_store::core::TokenGrant;
use coze_auth_store::{
    GrantKey, GrantStore, LockedGrant, Saved, StoreError, store_conformance_tests,
};

/// What stands in the documentation, word for word.
const TABLE: &str = "coze_grants (id text PRIMARY KEY, secret text NOT NULL, revision uuid NOT NULL DEFAULT gen_random_uuid())";
const TIMEOUT: &str = "SET lock_timeout = ";
const LOCK: &str = "SELECT pg_advisory_lock(('x' || left($1, 16))::bit(64)::bigint)";
const LOAD: &str = "SELECT secret, revision FROM coze_grants WHERE id = $1";
const UPDATE: &str = "UPDATE coze_grants SET secret = $2, revision = gen_random_uuid() WHERE id = $1 AND revision = $3 RETURNING revision";
const INSERT: &str = "INSERT INTO coze_grants (id, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING revision";
const REMOVE: &str = "DELETE FROM coze_grants WHERE id = $1";
const LONGEST: u128 = 2_147_483_647;

store_conformance_tests!(over_a_database());

#[test]
fn the_statements_are_those_of_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/coze-auth-store/src/store.rs");
    let text = std::fs::read_to_string(path).expect("the traits");
    let text = text.replace(r"\|\|", "||");
    for statement in [TABLE, TIMEOUT, LOCK, LOAD, UPDATE, INSERT, REMOVE] {
        assert!(text.contains(&format!("`{statement}`")), "{statement}");
    }
    for word in ["at least 1", &LONGEST.to_string(), "`55P03`"] {
        assert!(text.contains(word), "{word}");
    }
}

/// A statement with its values, quoted.
fn with(statement: &str, values: &[&str]) -> String {
    let mut whole = statement.to_owned();
    for (number, value) in (1..).zip(values) {
        whole = whole.replace(
            &format!("${number}"),
            &format!("'{}'", value.replace('\'', "''")),
        );
    }
    whole
}

fn failed(what: impl Into<String>) -> StoreError {
    StoreError::Other(Arc::new(std::io::Error::other(what.into())))
}

/// Runs a server while our end of the pipe is open, which is while this process lives.
const UNTIL_THE_END: &str = r#""$@" & read -r line; kill -QUIT $!; wait $!; rm -rf "$0""#;

/// A server of this process.
struct Server {
    folder: PathBuf,
    _process: Child,
}

/// A program of Postgres, as a user who is not root: it refuses to run as that.
fn of_postgres(program: &str) -> Command {
    let found = Command::new(program).arg("--version").output().is_ok();
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = installed
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .max();
    let path = match newest {
        Some(folder) if !found => folder.join("bin").join(program),
        _ => PathBuf::from(program),
    };
    let is_root = Command::new("id").arg("-u").output().expect("id").stdout == b"0\n";
    match is_root {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            command.arg("--").arg(path);
            command
        }
        false => Command::new(path),
    }
}

impl Server {
    fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Arc<Server>> = LazyLock::new(|| Arc::new(Server::start()));
        SHARED.clone()
    }

    fn start() -> Self {
        let name = format!("coze-auth-postgres-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).expect("its mode");
        let data = folder.join("data");
        let made = of_postgres("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(&data)
            .output()
            .expect("initdb is installed (apt-get install postgresql)");
        let told = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {told}");
        let server = of_postgres("postgres");
        let process = Command::new("sh")
            .args(["-c", UNTIL_THE_END])
            .arg(&folder)
            .arg(server.get_program())
            .args(server.get_args())
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-k"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        let server = Self {
            folder,
            _process: process,
        };
        let begun = Instant::now();
        while server.session("postgres").rows("SELECT 1").is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn session(&self, database: &str) -> Session {
        // Both kinds of output in one stream, in their order.
        let psql = "exec psql -X -q -A -t -F ' ' -h \"$0\" -U postgres -d \"$1\" 2>&1";
        let mut process = Command::new("sh")
            .args(["-c", psql])
            .arg(&self.folder)
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Session { process, output }
    }
}

/// A connection.
struct Session {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// The rows that a statement gives.
    fn rows(&mut self, statement: &str) -> Result<Vec<String>, StoreError> {
        let input = self.process.stdin.as_mut().expect("a pipe");
        let written = writeln!(input, "\\set VERBOSITY sqlstate\n{statement};\n\\echo END");
        written.map_err(|_| failed("the connection is lost"))?;
        let mut rows = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line);
            if read.map_err(|_| failed("the connection is lost"))? == 0 {
                return Err(failed("the connection is lost"));
            }
            match line.trim_end() {
                "END" => break,
                row => rows.push(row.to_owned()),
            }
        }
        match rows.iter().find(|row| row.starts_with("ERROR: ")) {
            // The number alone: the words may quote a row.
            Some(error) => Err(failed(error.clone())),
            None => Ok(rows),
        }
    }
}

impl Drop for Session {
    /// The server ends a session whose client is gone, with its lock.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Clone)]
struct Database {
    server: Arc<Server>,
    name: String,
}

impl Database {
    fn session(&self) -> Session {
        self.server.session(&self.name)
    }

    fn does(&self, statement: &str) -> Vec<String> {
        self.session().rows(statement).expect("a statement")
    }
}

struct Postgres {
    database: Database,
    reads: Mutex<Session>,
}

struct Holder {
    session: Session,
    id: String,
    seen: Option<String>,
}

/// The grant of a row, and its revision.
fn read(session: &mut Session, id: &str) -> Result<Option<(String, String)>, StoreError> {
    let rows = session.rows(&with(LOAD, &[id]))?;
    let row = rows.first().and_then(|row| row.rsplit_once(' '));
    Ok(row.map(|(secret, revision)| (secret.to_owned(), revision.to_owned())))
}

fn grant_in(row: Option<(String, String)>) -> Result<Option<TokenGrant>, StoreError> {
    let grant = row.map(|(secret, _)| TokenGrant::from_secret_json(&secret));
    grant
        .transpose()
        .map_err(|why| StoreError::Other(Arc::new(why)))
}

impl GrantStore for Postgres {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        let mut session = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        grant_in(read(&mut session, &key.id())?)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let (mut session, id) = (self.database.session(), key.id());
        let millis = patience.as_millis().clamp(1, LONGEST);
        session.rows(&format!("{TIMEOUT}{millis}"))?;
        match session.rows(&with(LOCK, &[&id])) {
            Ok(_) => {}
            Err(StoreError::Other(error)) if error.to_string().contains("55P03") => {
                return Err(StoreError::Locked { waited: patience });
            }
            Err(error) => return Err(error),
        }
        let seen = None;
        Ok(Box::new(Holder { session, id, seen }))
    }
}

impl Holder {
    fn statement(&self, grant: &TokenGrant) -> String {
        let json = grant.to_secret_json();
        match &self.seen {
            Some(seen) => with(UPDATE, &[&self.id, "$json", seen]),
            None => with(INSERT, &[&self.id, "$json"]),
        }
        // Last, since a token may look like a place for a value.
        .replace("'$json'", &with("$1", &[json.expose()]))
    }
}

impl LockedGrant for Holder {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let row = read(&mut self.session, &self.id)?;
        self.seen = row.as_ref().map(|(_, revision)| revision.clone());
        grant_in(row)
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let like = r#"{"access_token":"room","issued_at":0,"expires_at":0}"#;
        let like = TokenGrant::from_secret_json(like).expect("a grant");
        let statement = self.statement(&like);
        self.session.rows("BEGIN")?;
        let rows = self.session.rows(&statement);
        self.session.rows("ROLLBACK")?;
        match rows?.is_empty() {
            true => Err(StoreError::Superseded),
            false => Ok(()),
        }
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let statement = self.statement(grant);
        match self.session.rows(&statement)?.pop() {
            None => Ok(Saved::Superseded),
            revision => {
                self.seen = revision;
                Ok(Saved::Stored)
            }
        }
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.session.rows(&with(REMOVE, &[&self.id]))?;
        self.seen = None;
        Ok(())
    }
}

/// A store in a database of its own.
fn over_a_database() -> StoreUnderTest {
    if std::env::var_os("POSTGRES").is_none() {
        return StoreUnderTest::skipped("`just postgres` asks for it");
    }
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let server = Server::shared();
    let created = server
        .session("postgres")
        .rows(&format!("CREATE DATABASE {name}"));
    created.expect("a database");
    let database = Database { server, name };
    database.does(&format!("CREATE TABLE {TABLE}"));
    let (ended, damaged, read) = (database.clone(), database.clone(), database.clone());
    StoreUnderTest::blocking(move || Postgres {
        reads: Mutex::new(database.session()),
        database: database.clone(),
    })
    .ends_leases_by(move |key| {
        let lock = with("('x' || left($1, 16))::bit(64)::bigint", &[&key.id()]);
        let holders = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND (classid::bigint << 32) + objid::bigint = {lock}"
        );
        assert_eq!(ended.does(&holders), ["t"]);
    })
    .damages_by(move |key| {
        let damage = "UPDATE coze_grants SET secret = left(secret, -1) WHERE id = $1";
        damaged.does(&with(damage, &[&key.id()]));
    })
    .contents_by(move || read.does("SELECT * FROM coze_grants").concat().into_bytes())
}
