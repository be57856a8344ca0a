//! What is left in the memory of a process after everything was dropped. A child process plays a scene and waits; its parent, which alone knows
//! what to look for, reads its writable memory.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{Command, Stdio};

use crate::secrets::{Found, Kind, Needles, Spelling, sentinel};
use crate::server::Server;
use crate::{clients, scenes};

/// In the child: which scene it plays.
const SCENE: &str = "COZE_AUTH_LEAKS_SCENE";

/// What was found in a process: how often, by kind and spelling, and how much was searched.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) bytes: usize,
    pub(crate) found: BTreeMap<(Kind, Spelling), usize>,
    /// Of them, on stacks: what registers of the processor held when code of other crates searched a text. Nothing can wipe it.
    pub(crate) on_stacks: usize,
}

impl Scan {
    pub(crate) fn copies(&self) -> usize {
        self.found.values().sum()
    }
}

/// Reads the writable memory of a process that stands still.
fn scan(id: u32, needles: &Needles) -> Scan {
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).expect("its maps");
    let mut memory = std::fs::File::open(format!("/proc/{id}/mem")).expect("its memory");
    let mut scan = Scan::default();
    let mut guard = None;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let range = fields.next().and_then(|range| range.split_once('-'));
        let (from, to) = range.expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = (address(from), address(to));
        let rights = fields.next().unwrap_or_default();
        // A thread's stack stands above a page that nobody may touch.
        let is_stack = guard.take() == Some(from) || line.ends_with("[stack]");
        if rights.starts_with("---") && to - from <= 0x4000 {
            guard = Some(to);
        }
        if !rights.starts_with("rw") {
            continue;
        }
        let mut bytes = vec![0; (to - from) as usize];
        memory.seek(SeekFrom::Start(from)).expect("an address");
        // Pages that were never touched, and those of devices, cannot be read.
        if memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        scan.bytes += bytes.len();
        for Found { kind, spelling, at } in needles.found_in(&bytes) {
            if is_stack && kind != "kept" {
                scan.on_stacks += 1;
            } else {
                *scan.found.entry((kind, spelling)).or_default() += 1;
            }
            if std::env::var_os("COZE_AUTH_LEAKS_SHOW").is_some() {
                let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
                eprintln!("{line}\n  {kind} {spelling}: {}", around.escape_ascii());
            }
        }
    }
    scan
}

/// Plays a scene in a process of its own, and searches what it leaves for the secrets that are known, and for those that it tells. The server, if it
/// has one, is here.
fn after(scene: &str) -> Scan {
    let server = Server::start();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "memory::a_scene", "--nocapture"])
        .env(SCENE, scene)
        .env(BASE, server.base())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut needles = Needles::default();
    let mut add = |kind: Kind, secret: &[u8]| needles.add(kind, secret);
    scenes::tell_all(&mut add);
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.ends_with("over\n") {
        line.clear();
        let read = output.read_line(&mut line).expect("a line");
        assert_ne!(read, 0, "{scene}: {:?}", child.wait());
        if let Some((_, told)) = line.trim_end().split_once(TOLD) {
            let (kind, hidden) = told.split_once('=').expect("a kind");
            let kind = *OF_A_RUN
                .iter()
                .find(|known| **known == kind)
                .expect("a kind");
            add(kind, &revealed(hidden));
        }
    }
    for request in server.sent() {
        scenes::assertions_of(&String::from_utf8_lossy(&request), &mut add);
    }
    let found = scan(child.id(), &needles);
    drop(child.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(child.wait().expect("it ends").success(), "{scene}: {rest}");
    found
}

/// In the child: the server.
const BASE: &str = "COZE_AUTH_LEAKS_BASE";
/// Those that only the child knows.
const OF_A_RUN: [Kind; 7] = [
    "assertion",
    scenes::OF_AWS_LC,
    "raw signature",
    "code verifier",
    "state",
    "kept",
    "dropped",
];
/// Begins what the child tells of a secret, in which no byte is the secret's.
const TOLD: &str = "secret: ";
const MASK: u8 = 0x5a;

fn tell(kind: Kind, secret: &[u8]) {
    if !OF_A_RUN.contains(&kind) {
        return;
    }
    let mut line = String::with_capacity(1024 + 2 * secret.len());
    line.push_str(TOLD);
    line.push_str(kind);
    line.push('=');
    for byte in secret.iter().map(|byte| byte ^ MASK) {
        for digit in [byte >> 4, byte & 15] {
            line.extend(char::from_digit(digit.into(), 16));
        }
    }
    println!("{line}");
}

fn revealed(hidden: &str) -> Vec<u8> {
    let digits = hidden
        .as_bytes()
        .chunks(2)
        .map(|two| std::str::from_utf8(two).expect("ASCII"));
    digits
        .map(|two| u8::from_str_radix(two, 16).expect("hex") ^ MASK)
        .collect()
}

/// In a child, the scene; else nothing.
#[test]
fn a_scene() {
    let Ok(scene) = std::env::var(SCENE) else {
        return;
    };
    let kept = (scene == "control").then(|| {
        tell("dropped", scenes::secret("dropped").as_bytes());
        tell("kept", scenes::secret("kept").as_bytes());
        // One that is kept, and one that is dropped as any text is.
        let kept = sentinel("kept");
        drop(std::hint::black_box(sentinel("dropped").repeat(20)));
        kept
    });
    match &*scene {
        "control" => {}
        "core" => scenes::core(&mut tell),
        "stores" => scenes::stores(tell),
        "reqwest" => clients::scene("reqwest", &std::env::var(BASE).expect("a base")),
        "ureq" => clients::scene("ureq", &std::env::var(BASE).expect("a base")),
        other => panic!("unknown scene {other}"),
    }
    println!("over");
    std::io::stdout().flush().expect("a pipe");
    let _end = std::io::stdin().read(&mut [0]);
    drop(std::hint::black_box(kept));
}

/// What is found of each scene. A copy that is kept is found, or the search is worth nothing; of the core and the stores nothing is.
pub(crate) fn figure() -> String {
    if !cfg!(target_os = "linux") {
        return "not searched, which takes Linux".to_owned();
    }
    let control = after("control");
    assert!(
        control.found.contains_key(&("kept", "as it is")),
        "{control:?}"
    );
    let mut figure = String::new();
    for scene in ["core", "stores"] {
        let mut scan = after(scene);
        // It is for the screen, and in a text that the application has.
        scan.found.retain(|(kind, _), _| *kind != "user code");
        // aws-lc-rs signs to a `Box` of its own, copies it out and does not wipe it. One of a signer of the application is searched for.
        let mut signatures = 0;
        scan.found.retain(|(kind, _), copies| {
            let theirs = *kind == scenes::OF_AWS_LC;
            signatures += if theirs { *copies } else { 0 };
            !theirs
        });
        assert_eq!(scan.copies(), 0, "{scene}: {scan:?}");
        figure += &format!(
            "{scene} 0 of {} kB (and {} of a register on stacks, {signatures} of a raw signature in aws-lc-rs), ",
            scan.bytes / 1000,
            scan.on_stacks
        );
    }
    let [reqwest, ureq] = ["reqwest", "ureq"].map(after);
    let dropped = control.found.get(&("dropped", "as it is")).unwrap_or(&0);
    figure
        + &format!(
            "reqwest {} copies, ureq {} copies (theirs, not promised); controls: the kept one found, and {dropped} stretches of one that was dropped unwiped",
            reqwest.copies(),
            ureq.copies()
        )
}
