use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use coze_auth_core::error::ErrorKind;

use super::{SealError, SealKey, SealKeys, open};

const PLAIN: &str = r#"{"access_token":"at-secret","refresh_token":"rt-secret"}"#;
const ALICE: &str = "0123456789abcdef0123456789abcdef";
const BOB: &str = "fedcba9876543210fedcba9876543210";

/// A key whose bytes begin with this one and count up.
fn bytes(first: u8) -> [u8; 32] {
    std::array::from_fn(|at| first.wrapping_add(at as u8))
}

fn key(name: &str, first: u8) -> SealKey {
    SealKey::new(name, &bytes(first)).expect("a key")
}

fn one(name: &str, first: u8) -> SealKeys {
    SealKeys::new(key(name, first))
}

fn opened(keys: &SealKeys, stored: &str) -> Result<String, SealError> {
    open(Some(keys), stored, ALICE, 7).map(|plain| plain.to_string())
}

#[test]
fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
    let keys = one("a", 1);
    let stored = keys.seal(PLAIN, ALICE, 7).expect("sealed");
    assert!(stored.starts_with("sealed1:a:"), "{stored}");
    assert!(!stored.contains("secret"));
    assert_eq!(opened(&keys, &stored).unwrap(), PLAIN);
    let damaged = SealError::Damaged {
        key: Some("a".to_owned()),
    };
    // Another user, an older and a newer revision.
    for (grant, revision) in [(BOB, 7), (ALICE, 6), (ALICE, 8), (ALICE, 0), ("", 7)] {
        let error = open(Some(&keys), &stored, grant, revision).unwrap_err();
        assert_eq!(error, damaged, "{grant} {revision}");
        assert_eq!(error.kind(), ErrorKind::LoginNeeded);
    }
}

#[test]
fn two_values_never_look_alike() {
    let keys = one("a", 1);
    let seal = || keys.seal(PLAIN, ALICE, 7).expect("sealed");
    assert_ne!(seal(), seal());
}

#[test]
fn a_value_that_lost_or_changed_a_byte_does_not_open() {
    let keys = one("a", 1);
    let stored = keys.seal(PLAIN, ALICE, 7).expect("sealed");
    let head = "sealed1:a:".len() + 8 + 1;
    for at in head..stored.len() {
        let mut changed = stored.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        // The last character has bits that no byte has: then it is no base64, or the same bytes.
        match opened(&keys, &changed) {
            Err(SealError::Damaged { key: Some(key) }) => assert_eq!(key, "a"),
            other => panic!("byte {at}: {other:?}"),
        }
    }
    for end in head..stored.len() {
        let error = opened(&keys, &stored[..end]).unwrap_err();
        let expected = SealError::Damaged {
            key: Some("a".to_owned()),
        };
        assert_eq!(error, expected, "cut at {end}");
    }
    for end in "sealed".len()..head - 1 {
        let error = opened(&keys, &stored[..end]).unwrap_err();
        assert_eq!(error, SealError::Damaged { key: None }, "cut at {end}");
    }
    let longer = stored + "AAAA";
    assert!(matches!(
        opened(&keys, &longer),
        Err(SealError::Damaged { .. })
    ));
}

#[test]
fn the_name_of_the_key_cannot_be_exchanged() {
    // The same bytes under two names: nobody should, and the name is authenticated all the same.
    let stored = one("a", 1).seal(PLAIN, ALICE, 7).expect("sealed");
    let renamed = stored.replacen(":a:", ":b:", 1);
    let error = opened(&one("b", 1), &renamed).unwrap_err();
    let expected = SealError::Damaged {
        key: Some("b".to_owned()),
    };
    assert_eq!(error, expected);
}

#[test]
fn a_wrong_key_and_an_unknown_one_are_told_apart_from_damage() {
    let stored = one("a", 1).seal(PLAIN, ALICE, 7).expect("sealed");
    let told = |keys: Option<&SealKeys>| {
        let error = open(keys, &stored, ALICE, 7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
        // Neither what is sealed nor what it is sealed as, nor a key.
        let said = format!("{error} {error:?} {keys:?}");
        let sealed = &stored["sealed1:a:".len()..][..12];
        assert!(
            ![sealed, "secret", "[1, 2,", "010203", "AQID"]
                .iter()
                .any(|part| said.contains(part)),
            "{said}"
        );
        (error.to_string(), error)
    };
    let (text, error) = told(Some(&one("a", 2)));
    assert_eq!(
        error,
        SealError::WrongKey {
            key: "a".to_owned()
        }
    );
    assert!(
        text.contains("a key that is named a and is not the key"),
        "{text}"
    );
    let two = one("b", 1).and(key("c", 2)).expect("two names");
    let (text, error) = told(Some(&two));
    let known = "b, c".to_owned();
    assert_eq!(
        error,
        SealError::UnknownKey {
            key: "a".to_owned(),
            known
        }
    );
    assert!(text.contains("does not have (it has b, c)"), "{text}");
    let (text, error) = told(None);
    assert_eq!(
        error,
        SealError::NoKeys {
            key: "a".to_owned()
        }
    );
    assert!(text.contains("was given no keys"), "{text}");
}

#[test]
fn a_form_of_later_is_told_from_damage() {
    let keys = one("a", 1);
    for (stored, expected) in [
        ("sealed2:a:b", SealError::Newer { version: 2 }),
        ("sealed77:", SealError::Newer { version: 77 }),
        ("sealed0:a:b:c", SealError::Damaged { key: None }),
        ("sealed", SealError::Damaged { key: None }),
        ("sealed-2:x", SealError::Damaged { key: None }),
        ("sealed1", SealError::Damaged { key: None }),
        ("sealed1:a", SealError::Damaged { key: None }),
        ("sealed1:\x1b[31m:b:c", SealError::Damaged { key: None }),
        ("sealed1::b:c", SealError::Damaged { key: None }),
    ] {
        assert_eq!(opened(&keys, stored).unwrap_err(), expected, "{stored}");
        assert_eq!(
            open(None, stored, ALICE, 7).unwrap_err(),
            expected,
            "{stored}"
        );
    }
    // The check of the right key and no value behind it.
    let stored = keys.seal(PLAIN, ALICE, 7).expect("sealed");
    let head = &stored[.."sealed1:a:".len() + 9];
    for rest in ["", "AAAA", "?", "AAAAAAAAAAAAAAAA", "é"] {
        let expected = SealError::Damaged {
            key: Some("a".to_owned()),
        };
        assert_eq!(
            opened(&keys, &format!("{head}{rest}")).unwrap_err(),
            expected,
            "{rest}"
        );
    }
}

/// The order of the documentation, with two processes that take each step at another time.
#[test]
fn a_key_is_rotated_without_a_value_that_somebody_cannot_read() {
    let old = || key("2025", 1);
    let new = || key("2026", 2);
    let steps = [
        SealKeys::new(old()),
        SealKeys::new(old()).and(new()).expect("two"),
        SealKeys::new(new()).and(old()).expect("two"),
        SealKeys::new(new()),
    ];
    let mut revision = 1;
    let mut stored = steps[0].seal(PLAIN, ALICE, revision).expect("sealed");
    // Two machines, never more than one step apart. The second of each pair is late.
    for pair in steps.windows(2).take(2) {
        for keys in pair.iter().chain(pair.iter().rev()) {
            let plain = open(Some(keys), &stored, ALICE, revision).expect("each opens it");
            revision += 1;
            stored = keys.seal(&plain, ALICE, revision).expect("sealed");
        }
    }
    // A save after the second step is with the new key, and then the old one can go.
    stored = steps[2].seal(PLAIN, ALICE, revision).expect("sealed");
    assert!(stored.starts_with("sealed1:2026:"), "{stored}");
    assert_eq!(
        *open(Some(&steps[3]), &stored, ALICE, revision).expect("opens"),
        PLAIN
    );
    // What was not saved since does not open without it, and says which key is missing.
    let left = steps[1].seal(PLAIN, ALICE, 1).expect("sealed");
    let error = open(Some(&steps[3]), &left, ALICE, 1).unwrap_err();
    assert_eq!(
        error,
        SealError::UnknownKey {
            key: "2025".to_owned(),
            known: "2026".to_owned()
        }
    );
    // Two steps at once, on one machine only: why the order is what it is.
    let ahead = steps[2].seal(PLAIN, ALICE, 2).expect("sealed");
    let error = open(Some(&steps[0]), &ahead, ALICE, 2).unwrap_err();
    assert!(
        error.to_string().contains("goes to all machines before"),
        "{error}"
    );
}

#[test]
fn a_plain_value_is_read_until_it_is_refused() {
    let keys = one("a", 1);
    assert_eq!(opened(&keys, PLAIN).expect("migration"), PLAIN);
    assert_eq!(*open(None, PLAIN, ALICE, 7).expect("no keys"), PLAIN);
    let strict = one("a", 1).sealed_only();
    let error = opened(&strict, PLAIN).unwrap_err();
    assert_eq!(error, SealError::Plain);
    assert_eq!(error.kind(), ErrorKind::Settings);
    let stored = strict.seal(PLAIN, ALICE, 7).expect("sealed");
    assert_eq!(opened(&strict, &stored).expect("opens"), PLAIN);
}

#[test]
fn a_key_has_one_meaning_in_each_of_its_texts() {
    let raw: [u8; 32] = std::array::from_fn(|at| 0xff - at as u8 * 7);
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    let texts = [
        STANDARD.encode(raw),
        STANDARD_NO_PAD.encode(raw),
        URL_SAFE.encode(raw),
        URL_SAFE_NO_PAD.encode(raw),
        hex.to_uppercase(),
        format!("  {hex}\r\n"),
        hex,
    ];
    assert!(
        texts[0].contains(['+', '/']),
        "the alphabets differ: {}",
        texts[0]
    );
    let stored = SealKeys::new(SealKey::new("a", &raw).expect("a key"))
        .seal(PLAIN, ALICE, 7)
        .expect("sealed");
    for text in texts {
        let keys = SealKeys::new(SealKey::from_text("a", &text).expect("a key"));
        assert_eq!(
            opened(&keys, &stored).expect("the same key"),
            PLAIN,
            "{text}"
        );
    }
}

#[test]
fn a_text_that_is_not_a_key_is_told_why() {
    let short = STANDARD.encode(&bytes(1)[..31]);
    let long = STANDARD.encode([bytes(1).as_slice(), &[9]].concat());
    let hex63 = "0123456789abcdef".repeat(4)[..63].to_owned();
    let hex62 = "0123456789abcdef".repeat(4)[..62].to_owned();
    let hex66 = "0123456789abcdef".repeat(4) + "01";
    for (text, expected) in [
        ("", "seal key: is empty"),
        (" \n", "seal key: is empty"),
        (
            "correct horse battery staple",
            "seal key: has a character at byte 7",
        ),
        ("\"AAAA\"", "seal key: has a character at byte 0"),
        (
            "KEY=AAAA",
            "seal key: is neither base64 nor 64 hexadecimal digits",
        ),
        (&short, "seal key: has 31 bytes; 32 random ones"),
        (&long, "seal key: has 33 bytes; 32 random ones"),
        (&hex62, "seal key: "),
        (&hex63, "seal key: "),
        (&hex66, "seal key: "),
        (&"00".repeat(32), "seal key: is the same byte 32 times"),
        (&"A".repeat(43), "seal key: is the same byte 32 times"),
        ("schlüssel", "seal key: has a character at byte 4"),
    ] {
        let error = SealKey::from_text("a", text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
        assert!(text.len() < 5 || !error.contains(text.trim()), "{error}");
    }
    let of_hex = |text: &str| SealKey::from_text("a", text).unwrap_err().to_string();
    assert_eq!(
        of_hex(&hex62),
        of_hex(&hex66).replace("49", "46"),
        "both are base64 of another length"
    );
}

#[test]
fn a_name_is_a_name_and_not_the_key() {
    for (name, expected) in [
        ("", "is empty"),
        ("a:b", "has a character"),
        ("ключ", "has a character"),
        ("a b", "has a character"),
        (&STANDARD.encode(bytes(1)), "is longer than 32 characters"),
        (&"9f".repeat(32), "is longer than 32 characters"),
    ] {
        let error = SealKey::new(name, &bytes(1)).unwrap_err();
        assert_eq!(error.what(), "name of a seal key");
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(
            name.len() < 5 || !error.to_string().contains(name),
            "{error}"
        );
    }
    assert!(SealKey::new(&"x".repeat(32), &bytes(1)).is_ok());
    let twice = one("a", 1).and(key("a", 2)).unwrap_err();
    assert!(twice.to_string().contains("there twice"), "{twice}");
}

#[test]
fn nothing_shows_a_key_or_a_value() {
    let keys = one("a", 1).and(key("b", 2)).expect("two");
    assert_eq!(format!("{keys:?}"), r#"SealKeys(["a", "b"])"#);
    assert_eq!(format!("{:?}", key("a", 1)), r#"SealKey("a")"#);
    let stored = keys.seal(PLAIN, ALICE, 7).expect("sealed");
    let strict = one("a", 1).sealed_only();
    let errors = [
        open(Some(&one("a", 9)), &stored, ALICE, 7).unwrap_err(),
        open(Some(&one("x", 9)), &stored, ALICE, 7).unwrap_err(),
        open(Some(&keys), &stored, BOB, 7).unwrap_err(),
        open(Some(&strict), PLAIN, ALICE, 7).unwrap_err(),
    ];
    let text = stored.rsplit(':').next().expect("base64");
    for error in errors {
        for told in [error.to_string(), format!("{error:?}")] {
            assert!(
                !told.contains("secret") && !told.contains(&text[..12]),
                "{told}"
            );
        }
    }
}
