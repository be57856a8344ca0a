//! What of an answer may be shown: words that mean the same for everybody.

/// Shorter values are not looked for in texts: they stand in any.
pub(super) const SHORTEST: usize = 6;

/// The members of an answer that are shown, by [`code`] and [`message`], and those that are numbers or words of the protocol.
const TOLD: [&str; 9] = [
    "error",
    "error_code",
    "error_message",
    "error_description",
    "msg",
    "code",
    "token_type",
    "issued_token_type",
    "verification_uri",
];

pub(super) fn is_told(member: &str) -> bool {
    TOLD.contains(&member)
}

/// The words of messages that are known or likely. An app's name is none of them.
const WORDS: &str = "a access account after algorithm allowed already an and app are at aud audience authentication authorization bad be been \
    bearer before bind body by challenge channel claim claims client code code_challenge code_verifier connector content currently deactivated \
    decode denied device device_code does duration empty error exceeded exchange exist exp expired expires failed fast field for form format found grant has header iat id \
    in incorrect insufficient internal invalid is iss issued issuer json jti jwt key kid later length limit limited login long malformed match method \
    mismatch missing must no not number of on once only or owner parameter parse parsing pending permission permissions please poll polling polls rate \
    redirect redirect_uri refresh refresh_token registered registred repeated request required requests response response_type \
    retry scope secret segments server service session should signature slow state supported than that the this time to token too \
    try type unauthorized unexpected unknown unsupported uri used user users valid value verification verifier verify was with workspace wrong \
    client_id client_secret grant_type code_challenge_method subject_token subject_token_type";

/// A code of an error: a word in lower case, or a number. Anything else is somebody's own.
pub(super) fn code(code: &str) -> String {
    let is_word = code.len() <= 40
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_number = code.len() <= 10 && code.bytes().all(|byte| byte.is_ascii_digit());
    match is_word || is_number {
        true => code.to_owned(),
        false => format!("(a text of {} characters)", code.chars().count()),
    }
}

/// A message, with `…` for each word that is not known.
pub(super) fn message(message: &str) -> String {
    let known = |word: &str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '_');
        let lower = word.to_ascii_lowercase();
        word.is_empty() || WORDS.split_whitespace().any(|own| own == lower)
    };
    let mut made: Vec<&str> = Vec::new();
    for word in message.split_whitespace().take(30) {
        match known(word) {
            true => made.push(word),
            false if made.last() != Some(&"…") => made.push("…"),
            false => {}
        }
    }
    made.join(" ")
}

/// Lines of a file that somebody else may have written, in words that are known. At most 1,000 characters.
pub(super) fn lines(lines: &[&str]) -> String {
    let told = lines.join("; ");
    told.chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(1000)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_word_of_the_protocol_is_not_shown() {
        let told = "app: Acme Bot is currently deactivated by the owner";
        let shown = "app: … is currently deactivated by the owner";
        assert_eq!(message(told), shown);
        assert_eq!(
            message("invalid jwt: kid not been registred"),
            "invalid jwt: kid not been registred"
        );
        assert_eq!(message("polling too fast"), "polling too fast");
        assert_eq!(message("用户 张三 token=czu_abc"), "…");
        assert_eq!(message("张三code：the，code"), "…");
        assert_eq!(code("invalid_grant"), "invalid_grant");
        assert_eq!(code("4100"), "4100");
        assert_eq!(code("czu_0123456789"), "(a text of 14 characters)");
    }
}
