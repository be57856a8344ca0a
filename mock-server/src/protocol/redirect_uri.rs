//! Which redirect URIs can be one at all.

use url::Url;

/// Why a redirect URI is none, or the URI.
pub(crate) fn redirect_uri(uri: &str) -> Result<Url, &'static str> {
    // `Url` would drop tabs and line breaks silently, so they are looked for first.
    if uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("a URI with a space or control character");
    }
    let Ok(url) = Url::parse(uri) else {
        return Err("no absolute URL");
    };
    match url {
        _ if !matches!(url.scheme(), "http" | "https") => {
            Err("a URL that is neither http nor https")
        }
        _ if !url.username().is_empty() || url.password().is_some() => Err("a URL with user info"),
        url => Ok(url),
    }
}
