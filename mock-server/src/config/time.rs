//! Durations as people write them.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Parses a duration such as `15m`, `1h30m`, `500ms` or `30d`, as configurations and `coze-auth-mock ctl` do. A number
/// without a unit is seconds.
///
/// # Errors
///
/// A text that says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{text:?} is not a duration; expected one such as 90, \"90s\", \"15m\", \"1h30m\" or \"30d\""
        )
    };
    let ms = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse::<u64>().ok();
        seconds.and_then(|seconds| seconds.checked_mul(1_000))
    } else {
        sum(text)
    };
    ms.map(Duration::from_millis).ok_or_else(wrong)
}

fn sum(mut text: &str) -> Option<u64> {
    let mut sum: u64 = 0;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, rest) = text.split_at(digits);
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(letters);
        let (_, ms) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(ms)?)?;
        text = rest;
    }
    Some(sum)
}

/// Writes a number of seconds in the largest unit that fits.
pub(super) fn written(seconds: u64) -> String {
    let fits = |(_, ms): &&(&str, u64)| (seconds * 1_000).is_multiple_of(*ms);
    let unit = UNITS.iter().rev().find(fits);
    match unit {
        Some((unit, ms)) if seconds > 0 => format!("{}{unit}", seconds * 1_000 / ms),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in [
            ("90", 90_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("30d", 2_592_000_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for text in [
            "",
            "m",
            "15 m",
            "15x",
            "-1",
            "1.5h",
            "99999999999999999999",
            "15m3",
            "999999999999999999d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(written(900), "15m");
        assert_eq!(written(90), "90s");
        assert_eq!(written(86_399), "86399s");
        assert_eq!(written(2_592_000), "30d");
    }
}
