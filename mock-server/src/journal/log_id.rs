//! The log ids of requests.

use jiff::Timestamp;

/// The start of the log ids of this second: its date and time.
pub(crate) fn digits(at_s: u64) -> String {
    let at = i64::try_from(at_s).ok();
    let at = at.and_then(|at| Timestamp::from_second(at).ok());
    let at = at.unwrap_or(Timestamp::MAX).to_string();
    at.chars().filter(char::is_ascii_digit).take(14).collect()
}

/// A log id: that start, then `MOCK` and the number of the request.
pub(crate) fn logid(digits: &str, seq: u64) -> String {
    // The same as `{seq:014X}` in a tenth of the time, since every request has a log id.
    let number = (0..14).rev().map(|place| {
        let digit = usize::try_from(seq >> (place * 4) & 0xF);
        char::from(b"0123456789ABCDEF"[digit.unwrap_or_default()])
    });
    let mut logid = String::with_capacity(digits.len() + 4 + 14);
    logid.push_str(digits);
    logid.push_str("MOCK");
    logid.extend(number);
    logid
}
