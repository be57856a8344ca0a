//! The language of a page.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::texts::{EN, Texts, ZH};

/// The texts in the language that `Accept-Language` prefers (RFC 9110 §12.5.4): English or Chinese, English if it prefers
/// neither.
pub(crate) fn texts(headers: &HeaderMap) -> &'static Texts {
    let lines = headers.get_all(ACCEPT_LANGUAGE).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut best: Option<(f32, &'static Texts)> = None;
    for range in lines.flat_map(|line| line.split(',')) {
        let (tag, weight) = weighed(range);
        let primary = tag.split('-').next().unwrap_or(tag);
        let texts = match primary.to_ascii_lowercase().as_str() {
            "en" => &EN,
            "zh" => &ZH,
            _ => continue,
        };
        // Of equal weights, the first counts.
        if weight > best.map_or(0.0, |(most, _)| most) {
            best = Some((weight, texts));
        }
    }
    best.map_or(&EN, |(_, texts)| texts)
}

/// A language range and its quality value, which is 0 if it cannot be parsed.
fn weighed(range: &str) -> (&str, f32) {
    let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
    let quality = parameters.trim().strip_prefix(['q', 'Q']);
    let quality = quality.and_then(|rest| rest.trim().strip_prefix('=')?.trim().parse().ok());
    let quality = quality.filter(|quality| (0.0..=1.0).contains(quality));
    (tag.trim(), quality.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_with_the_most_weight_is_taken() {
        for (accepted, lang) in [
            ("", "en"),
            ("*", "en"),
            ("fr", "en"),
            ("en-US,en;q=0.9,zh-CN;q=0.8", "en"),
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
            ("ZH-hans", "zh-CN"),
            ("fr, zh;q=0.2", "zh-CN"),
            ("en;q=0.1, zh;q=0.2", "zh-CN"),
            ("zh;q=0.5, en;q=0.5", "zh-CN"),
            ("zh;q=0", "en"),
            ("zh;q=0, en;q=0.1", "en"),
            ("zh;q=2, en;q=0.1", "en"),
            ("zh ; q = 0.3 , en ; q=0.2", "zh-CN"),
            ("zhx", "en"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, accepted.parse().expect("a value"));
            assert_eq!(texts(&headers).lang, lang, "{accepted}");
        }
        assert_eq!(texts(&HeaderMap::new()).lang, "en");
    }
}
