//! What is left in the memory of a process after everything was dropped. A child process plays a scene and waits; its parent, which alone knows
//! what to look for, reads its writable memory.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{Command, Stdio};

use crate::secrets::{Found, Kind, Needles, Spelling, sentinel};

/// In the child: which scene it plays.
const SCENE: &str = "COZE_AUTH_LEAKS_SCENE";

/// What was found in a process: how often, by kind and spelling, and how much was searched.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) bytes: usize,
    pub(crate) found: BTreeMap<(Kind, Spelling), usize>,
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
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let range = fields.next().and_then(|range| range.split_once('-'));
        let (from, to) = range.expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = (address(from), address(to));
        if !fields.next().is_some_and(|rights| rights.starts_with("rw")) {
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
            *scan.found.entry((kind, spelling)).or_default() += 1;
            if std::env::var_os("COZE_AUTH_LEAKS_SHOW").is_some() {
                let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
                eprintln!("{line}\n  {kind} {spelling}: {}", around.escape_ascii());
            }
        }
    }
    scan
}

/// Plays a scene in a process of its own, and searches what it leaves.
pub(crate) fn after(scene: &str, needles: &Needles) -> Scan {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "memory::a_scene", "--nocapture"])
        .env(SCENE, scene)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.ends_with("over\n") {
        line.clear();
        let read = output.read_line(&mut line).expect("a line");
        assert_ne!(read, 0, "{scene}: {:?}", child.wait());
    }
    let found = scan(child.id(), needles);
    drop(child.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(child.wait().expect("it ends").success(), "{scene}: {rest}");
    found
}

/// In a child, the scene; else nothing.
#[test]
fn a_scene() {
    let Ok(scene) = std::env::var(SCENE) else {
        return;
    };
    let kept = match &*scene {
        "control" => Some(control()),
        "core" => {
            crate::scenes::core(&mut |_, _| {});
            None
        }
        other => panic!("unknown scene {other}"),
    };
    println!("over");
    std::io::stdout().flush().expect("a pipe");
    let _end = std::io::stdin().read(&mut [0]);
    drop(std::hint::black_box(kept));
}

/// A copy that is kept, and one that is dropped as any text is.
fn control() -> String {
    drop(std::hint::black_box(sentinel("dropped")));
    sentinel("kept")
}

#[test]
fn a_copy_is_found() {
    let mut needles = Needles::default();
    needles.add("kept", sentinel("kept").as_bytes());
    needles.add("dropped", sentinel("dropped").as_bytes());
    let scan = after("control", &needles);
    println!("{scan:?}");
    assert!(scan.found.contains_key(&("kept", "as it is")), "{scan:?}");
}

#[test]
fn the_core() {
    let mut needles = Needles::default();
    crate::scenes::core(&mut |kind, secret| needles.add(kind, secret));
    let scan = after("core", &needles);
    println!("{scan:?}");
    assert_eq!(scan.copies(), 0, "{scan:?}");
}
