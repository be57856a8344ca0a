//! The syntax of redirect URIs.

use url::Url;

/// Parses a redirect URI. The error says why the text cannot be one.
pub(crate) fn redirect_uri(uri: &str) -> Result<Url, &'static str> {
    // `Url` would silently drop tabs and line breaks, so they are checked first.
    if uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("a URI with a space or control character");
    }
    // A browser reads it as a slash, and other readers as a part of the host or path.
    if uri.contains('\\') {
        return Err("a URL with a backslash");
    }
    // Even an empty one, which a parser of URLs may drop (RFC 6749 §3.1.2).
    if uri.contains('#') {
        return Err("a URL with a fragment");
    }
    let Ok(url) = Url::parse(uri) else {
        return Err("not an absolute URL");
    };
    match url {
        _ if !matches!(url.scheme(), "http" | "https") => {
            Err("a URL that is neither http nor https")
        }
        _ if !url.username().is_empty() || url.password().is_some() => Err("a URL with user info"),
        url => Ok(url),
    }
}
