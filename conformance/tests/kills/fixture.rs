//! What all rounds share: the mock, the folder, and the two workers over it.

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coze_auth_conformance::SharedClock;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::config::Environment;
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{Entropy, RefreshToken, Region, TokenGrant};
use coze_auth_mock::{At, CozeAuthMock, Gate, JournalEntry, On, fingerprint};
use coze_auth_store::{FileStore, GrantKey, GrantStore as _};

use crate::moments::Moment;
use crate::process::{Word, Worker};
use crate::transports::{OnThreads, Tokens as _, Ureq};
use crate::worker::{BASE, CLIENT_ID, FOLDER};

/// How long another process is waited for. None that passes takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a token lives: at each tick the one in the file has ended.
const LIFE: Duration = Duration::from_secs(900);
/// One process over each.
const ADAPTERS: [&str; 2] = ["reqwest", "ureq"];

pub(crate) struct Fixture {
    pub(crate) mock: CozeAuthMock,
    pub(crate) store: FileStore,
    pub(crate) key: GrantKey,
    /// How long a tick takes on this machine, as last measured.
    pub(crate) cycle: Duration,
    folder: PathBuf,
    clock: SharedClock,
    app: PkceApp,
    workers: [Option<Worker>; 2],
    logins: Cell<u64>,
    leftovers: Cell<usize>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let clock = SharedClock::new();
        let mock = CozeAuthMock::builder()
            .seed(1)
            .clock(clock.handle())
            .journal_capacity(10_000)
            .start_blocking()
            .expect("a free port on 127.0.0.1");
        let app = Environment::new(Region::Cn, |name| mock.variable(name)).pkce_app();
        let app = app.expect("a ready-made app");
        let name = format!("coze-auth-kills-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let fixture = Self {
            mock,
            store: FileStore::new(&folder).expect("a folder"),
            key: GrantKey::new(&app.clone().into(), "alice").expect("a key"),
            cycle: Duration::ZERO,
            folder,
            clock,
            app,
            workers: [None, None],
            logins: Cell::new(0),
            leftovers: Cell::new(0),
        };
        fixture.log_in();
        fixture
    }

    /// A person logs in, and the grant goes to where all find it.
    pub(crate) fn log_in(&self) {
        self.logins.set(self.logins.get() + 1);
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.logins.get().to_be_bytes());
        let redirect = RedirectUri::new("http://localhost:8080/cb?from=coze").expect("a URL");
        let (url, pending) = self
            .app
            .authorize(&redirect, Entropy::from_bytes(bytes))
            .expect("a URL");
        let back = self.mock.authorize(url.as_str(), true);
        let back = back.unwrap_or_else(|refused| panic!("{refused}"));
        let callback = Callback::parse(&back).expect("a callback");
        let exchange = self.app.exchange(pending, &callback).expect("our state");
        let client = coze_auth_ureq::Client::new().expect("a client");
        let grant = client
            .with_time(crate::clocks::BlockingClock(self.clock.clone()))
            .run(exchange)
            .expect("a grant");
        self.source().install(grant).expect("stored");
    }

    /// A process that starts now, as far as a source can tell.
    pub(crate) fn source(&self) -> OnThreads<Ureq> {
        OnThreads::stored(&self.clock, self.app.clone(), self.store.clone())
    }

    /// Lets the token in the file end, and tells how late it is then.
    pub(crate) fn next_tick(&self) -> u64 {
        self.clock.advance(LIFE);
        self.clock.now().unix.as_secs()
    }

    pub(crate) fn worker(&mut self, which: usize) -> &mut Worker {
        self.workers[which].as_mut().expect("it was not killed")
    }

    /// Kills one: what it had said, and whether the file can be read at that moment.
    pub(crate) fn kill(&mut self, which: usize) -> (Option<Word>, bool) {
        let victim = self.workers[which].take().expect("it was not killed");
        let word = victim.kill();
        (
            word,
            self.store
                .load(&self.key)
                .is_ok_and(|grant| grant.is_some()),
        )
    }

    /// Both workers renew the grant once in peace: one request, and both have its token.
    pub(crate) fn warm_up(&mut self, round: usize) {
        let (folder, base) = (self.folder.clone(), self.mock.base_url().to_owned());
        let variables = [
            (BASE, base.as_str()),
            (CLIENT_ID, self.app.client_id()),
            (FOLDER, folder.to_str().expect("UTF-8")),
        ];
        for (worker, adapter) in self.workers.iter_mut().zip(ADAPTERS) {
            worker.get_or_insert_with(|| Worker::start(adapter, &variables));
        }
        self.worker(0).get_ready();
        self.worker(1).get_ready();
        let mark = self.mark();
        self.plant(round);
        let now = self.next_tick();
        let begun = Instant::now();
        self.worker(round % 2).tick(now);
        self.worker(1 - round % 2).tick(now);
        let first = self.worker(round % 2).word();
        self.cycle = begun.elapsed();
        let second = self.worker(1 - round % 2).word();
        assert_eq!(first, second, "one grant for both");
        assert_eq!(first, Word::Token(self.tokens().0), "the one in the file");
        let renewals = self.refreshes(mark);
        assert_eq!(renewals.len(), 1, "one renewal for both");
        assert!(renewals[0].issued.is_some(), "it was granted");
        assert!(!self.beside().exists(), "what was left is gone");
        self.check_files();
    }

    /// Leaves something where temporary files are, as a process that was killed in the middle would; whole at
    /// times, and readable by anybody. Nobody may take it for the grant.
    fn plant(&self, round: usize) {
        let path = self.store.path(&self.key);
        let beside = self.beside();
        if beside.exists() || !round.is_multiple_of(4) {
            return;
        }
        let mut whole = fs::read(path).expect("the file");
        if round.is_multiple_of(8) {
            whole.truncate(whole.len() / 2);
        } else {
            // Another's grant: whoever took it would be refused.
            let text = String::from_utf8(whole).expect("UTF-8");
            let refresh = self.stored().refresh_token.expect("a refresh token");
            whole = text.replace(refresh.expose(), "mock_none").into_bytes();
        }
        fs::write(beside, whole).expect("left behind");
    }

    fn beside(&self) -> PathBuf {
        self.store.path(&self.key).with_extension("tmp")
    }

    /// Who may read what, and that nothing piles up.
    pub(crate) fn check_files(&self) {
        let mode = |path: &Path| {
            let metadata = fs::metadata(path).expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode(&self.folder), 0o700, "the folder");
        assert_eq!(mode(&self.store.path(&self.key)), 0o600, "the grant");
        let id = self.key.id();
        for entry in fs::read_dir(&self.folder).expect("the folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_str().expect("UTF-8");
            let known = ["json", "lock", "tmp"].map(|kind| format!("{id}.{kind}"));
            assert!(known.iter().any(|known| known == name), "a stray {name}");
        }
    }

    /// Notes whether a kill has left a temporary file.
    pub(crate) fn count_leftovers(&self) {
        let left = usize::from(self.beside().exists());
        self.leftovers.set(self.leftovers.get() + left);
    }

    pub(crate) fn leftovers(&self) -> usize {
        self.leftovers.get()
    }

    pub(crate) fn stored(&self) -> TokenGrant {
        let grant = self.store.load(&self.key).expect("it can be read");
        grant.expect("a grant")
    }

    /// The fingerprints of what the file holds: access token and refresh token.
    pub(crate) fn tokens(&self) -> (String, String) {
        let grant = self.stored();
        let refresh = grant.refresh_token.as_ref().map(RefreshToken::expose);
        (
            fingerprint(grant.access_token.expose()),
            fingerprint(refresh.expect("a refresh token")),
        )
    }

    /// Lets the mock come to the end of what the dead have sent: it answers what came before first.
    pub(crate) fn settle(&self) {
        let address = self.mock.base_url().trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).expect("the mock listens");
        let request = format!("GET /_mock/v1/info HTTP/1.0\r\nhost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.0 200"), "no answer of the mock");
    }

    /// The last request so far.
    pub(crate) fn mark(&self) -> u64 {
        self.mock.requests().last().map_or(0, |entry| entry.seq)
    }

    /// The refreshes since then.
    pub(crate) fn refreshes(&self, mark: u64) -> Vec<JournalEntry> {
        let mut all = self.mock.requests();
        all.retain(|entry| entry.seq > mark && entry.grant == Some("refresh_token"));
        all
    }

    pub(crate) fn hold(&self, at: At) -> Gate {
        self.mock.gate("refresh", On::grant("refresh_token"), at)
    }

    /// What a failure is about.
    pub(crate) fn tell_if_it_fails(&self, round: usize, moment: Moment) -> TellIfItFails {
        TellIfItFails(format!("round {round}, killed {moment:?}"))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let requests = self.mock.requests();
            for entry in requests.iter().rev().take(6).rev() {
                let (came, gave) = (&entry.presented, &entry.issued);
                let (status, rule) = (entry.outcome.status, entry.outcome.rule);
                eprintln!(
                    "the mock saw: {} {came:?} → {status} {rule:?} {gave:?}",
                    entry.seq
                );
            }
        }
        self.workers = [None, None];
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) struct TellIfItFails(String);

impl Drop for TellIfItFails {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
