//! The sentinel secrets, the spellings in which one may be written, and the search for them.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A secret by what it is for.
pub(crate) type Kind = &'static str;

/// A sentinel of this kind, the same in each process: 48 letters and digits that look random, behind what such a secret begins with. It is
/// written at once to its place, so that the one who makes it leaves no other copy.
pub(crate) fn sentinel(kind: Kind) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(64);
    text.push_str(match kind {
        "PAT" => "pat_",
        "SAT" => "sat_",
        _ => "",
    });
    // FNV-1a, then splitmix64.
    let mut seed = kind.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    for number in 0..48 {
        // What JSON and URLs write otherwise, where a secret may have it.
        if number == 24 && WITH_SIGNS.contains(&kind) {
            text.push_str("/+=");
        }
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        text.push(char::from(DIGITS[((mixed ^ (mixed >> 31)) % 62) as usize]));
    }
    text
}

const WITH_SIGNS: [Kind; 5] = [
    "client secret",
    "authorization code",
    "refresh token",
    "workload client secret",
    "access token of a workload",
];

/// So many bytes in a row of a spelling are a piece of the secret: half a secret is a secret.
const PIECE: usize = 12;

/// In which spelling a piece was found.
pub(crate) type Spelling = &'static str;

/// The pieces of secrets in each spelling, in which texts and memory are searched for them.
#[derive(Default)]
pub(crate) struct Needles {
    pieces: HashMap<[u8; PIECE], (Kind, Spelling)>,
    /// A bit for each start of a piece, so that most places are passed over at once.
    starts: Vec<u64>,
    secrets: BTreeSet<(Kind, Vec<u8>)>,
}

const STARTS: usize = 1 << 20;

fn start(bytes: &[u8]) -> usize {
    let word = u64::from_le_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ]);
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44) as usize
}

/// What was found: of which kind, in which spelling, and where.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) spelling: Spelling,
    pub(crate) at: usize,
}

impl Needles {
    /// The number of secrets, each once.
    pub(crate) fn secrets(&self) -> usize {
        self.secrets.len()
    }

    pub(crate) fn kinds(&self) -> BTreeSet<Kind> {
        self.secrets.iter().map(|(kind, _)| *kind).collect()
    }

    /// Adds a secret. JSON and URLs write some of its characters otherwise, and leave pieces between those as they are.
    pub(crate) fn add(&mut self, kind: Kind, secret: &[u8]) {
        assert!(
            secret.len() >= PIECE,
            "{kind} is too short to be searched for"
        );
        if !self.secrets.insert((kind, secret.to_vec())) {
            return;
        }
        self.pieces_of(kind, "as it is", secret);
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        self.pieces_of(kind, "in hex", hex.as_bytes());
        self.pieces_of(kind, "in hex", hex.to_ascii_uppercase().as_bytes());
        // What stands before it in what is encoded moves it by none, one or two bytes.
        for before in 0..3 {
            let whole = [&[0; 2][..before], secret].concat();
            // The first and the last digit hang on the neighbours.
            let (from, to) = (
                before.div_ceil(1) + usize::from(before > 0),
                whole.len() / 3 * 4,
            );
            for text in [
                STANDARD_NO_PAD.encode(&whole),
                URL_SAFE_NO_PAD.encode(&whole),
            ] {
                self.pieces_of(kind, "in base64", &text.as_bytes()[from..to]);
            }
        }
        if let Ok(text) = std::str::from_utf8(secret) {
            let units = |write: fn(u16) -> [u8; 2]| -> Vec<u8> {
                text.encode_utf16().flat_map(write).collect()
            };
            self.pieces_of(kind, "in UTF-16", &units(u16::to_le_bytes));
            self.pieces_of(kind, "in UTF-16", &units(u16::to_be_bytes));
            let encoded: String = url::form_urlencoded::byte_serialize(secret).collect();
            self.pieces_of(kind, "in a URL", encoded.as_bytes());
            let json = serde_json::to_string(text).expect("a text");
            self.pieces_of(kind, "in JSON", &json.as_bytes()[1..json.len() - 1]);
        }
    }

    fn pieces_of(&mut self, kind: Kind, spelling: Spelling, text: &[u8]) {
        self.starts.resize(STARTS / 64, 0);
        for piece in text.windows(PIECE) {
            let at = start(piece);
            self.starts[at / 64] |= 1 << (at % 64);
            let piece = piece.try_into().expect("its length");
            self.pieces.entry(piece).or_insert((kind, spelling));
        }
    }

    /// Each stretch of pieces, once.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        if self.starts.is_empty() {
            return found;
        }
        let mut behind = 0;
        for (at, piece) in bytes.windows(PIECE).enumerate() {
            let start = start(piece);
            if self.starts[start / 64] >> (start % 64) & 1 == 0 {
                continue;
            }
            let Some((kind, spelling)) = self.pieces.get(piece) else {
                continue;
            };
            let goes_on = at < behind && found.last().is_some_and(|last| last.kind == *kind);
            behind = at + PIECE;
            if !goes_on {
                found.push(Found { kind, spelling, at });
            }
        }
        found
    }
}

#[test]
fn a_secret_is_found_in_each_spelling() {
    let mut needles = Needles::default();
    let secret = sentinel("client secret");
    needles.add("client secret", secret.as_bytes());
    let odd = format!("{}/+\"\\{}", &secret[..20], &secret[20..]);
    needles.add("odd", odd.as_bytes());
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect();
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    for before in ["", "a", "ab", "abc"] {
        for kind in [&secret, &odd] {
            let text = format!("{before}{kind}:");
            let spelled: [Vec<u8>; 7] = [
                text.clone().into(),
                format!("{text:?}").into(),
                STANDARD_NO_PAD.encode(&text).into(),
                URL_SAFE_NO_PAD.encode(&text).into(),
                String::into_bytes(hex(&text)),
                utf16(&text),
                text[..before.len() + PIECE].into(),
            ];
            for bytes in spelled {
                assert!(!needles.found_in(&bytes).is_empty(), "{bytes:?}");
            }
        }
    }
    assert_eq!(needles.found_in(b"nothing of them, in a longer text"), []);
    assert_eq!(needles.found_in(&secret.as_bytes()[..PIECE - 1]), []);
}
