//! Which proxy the variables of an environment mean, for which address.

use std::collections::BTreeMap;

use coze_auth_core::error::Problem;
use coze_auth_core::proxy::Proxies;

/// `NAME=value` each.
fn proxies(variables: &[&str]) -> Proxies {
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|line| line.split_once('=').expect("a variable"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Proxies::from_lookup(|name| variables.get(name).cloned())
}

/// The proxy's URL, `direct`, or which variable is refused.
fn of(variables: &[&str], uri: &str) -> String {
    match proxies(variables).for_uri(&uri.parse().expect("a URI")) {
        Ok(None) => "direct".to_owned(),
        Ok(Some(proxy)) => proxy.expose().to_owned(),
        Err(error) => {
            assert_eq!(error.problem(), &Problem::Proxy);
            assert!(!error.to_string().contains("secret"), "{error}");
            format!("refused: {}", error.what())
        }
    }
}

const HTTPS: &str = "https://api.coze.test/x";
const HTTP: &str = "http://api.coze.test/x";

#[test]
fn the_variable_that_decides() {
    for (variables, https, http) in [
        (&[][..], "direct", "direct"),
        (&["HTTPS_PROXY=http://a:1"], "http://a:1", "direct"),
        (&["https_proxy=http://a:1"], "http://a:1", "direct"),
        (&["HTTP_PROXY=http://a:1"], "direct", "http://a:1"),
        (&["http_proxy=http://a:1"], "direct", "http://a:1"),
        (&["ALL_PROXY=http://a:1"], "http://a:1", "http://a:1"),
        (&["all_proxy=http://a:1"], "http://a:1", "http://a:1"),
        (
            &["ALL_PROXY=socks5://a:1", "HTTPS_PROXY=http://b:2"],
            "http://b:2",
            "socks5://a:1",
        ),
        (
            &["HTTPS_PROXY=http://a:1", "https_proxy=http://b:2"],
            "http://a:1",
            "direct",
        ),
        (
            &["https_proxy=http://a:1", "ALL_PROXY=http://b:2"],
            "http://a:1",
            "http://b:2",
        ),
        // Empty counts as not set.
        (
            &["HTTPS_PROXY=", "https_proxy= ", "ALL_PROXY=http://b:2"],
            "http://b:2",
            "http://b:2",
        ),
        // Who understands one need not understand the other.
        (
            &["ALL_PROXY=foo://a:1", "HTTPS_PROXY=http://b:2"],
            "http://b:2",
            "refused: ALL_PROXY",
        ),
        // Never around, and never by another that was not meant.
        (
            &["HTTPS_PROXY=foo://a:1", "ALL_PROXY=http://b:2"],
            "refused: HTTPS_PROXY",
            "http://b:2",
        ),
        (&["https_proxy=foo://a:1"], "refused: https_proxy", "direct"),
        // CVE-2016-5385.
        (
            &["REQUEST_METHOD=GET", "HTTP_PROXY=http://evil:1"],
            "direct",
            "direct",
        ),
        (
            &[
                "REQUEST_METHOD=",
                "HTTP_PROXY=http://evil:1",
                "http_proxy=http://b:2",
            ],
            "direct",
            "http://b:2",
        ),
        (
            &[
                "REQUEST_METHOD=GET",
                "HTTP_PROXY=http://evil:1",
                "ALL_PROXY=http://b:2",
            ],
            "http://b:2",
            "http://b:2",
        ),
        (
            &["REQUEST_METHOD=GET", "HTTPS_PROXY=http://a:1"],
            "http://a:1",
            "direct",
        ),
    ] {
        assert_eq!(of(variables, HTTPS), https, "{variables:?}");
        assert_eq!(of(variables, HTTP), http, "{variables:?}");
    }
}

#[test]
fn what_a_proxy_may_be() {
    for (value, expected) in [
        ("http://proxy.corp:3128", "http://proxy.corp:3128"),
        (" http://proxy.corp:3128/ ", "http://proxy.corp:3128"),
        ("proxy.corp:3128", "http://proxy.corp:3128"),
        ("proxy.corp", "http://proxy.corp:80"),
        ("HTTP://Proxy.Corp", "http://proxy.corp:80"),
        ("proxy_1:3128", "http://proxy_1:3128"),
        ("https://proxy.corp", "https://proxy.corp:443"),
        ("socks4://10.0.0.1", "socks4://10.0.0.1:1080"),
        ("socks4a://proxy.corp", "socks4a://proxy.corp:1080"),
        ("socks5://[fd00::1]", "socks5://[fd00::1]:1080"),
        ("SOCKS5H://[fd00::1]:9", "socks5h://[fd00::1]:9"),
        ("me:secret@proxy.corp:1", "http://me:secret@proxy.corp:1"),
        ("http://me@proxy.corp:1", "http://me@proxy.corp:1"),
        (
            "http://me:se%40cr%2Fet@proxy.corp:1",
            "http://me:se%40cr%2Fet@proxy.corp:1",
        ),
        // The last @ stands before the host.
        (
            "http://me@corp:s@cret@proxy.corp:1",
            "http://me%40corp:s%40cret@proxy.corp:1",
        ),
        (
            "http://me:秘 密@proxy.corp:1",
            "http://me:%E7%A7%98%20%E5%AF%86@proxy.corp:1",
        ),
        ("http://例え.corp:1", "http://xn--r8jz45g.corp:1"),
    ] {
        let all = format!("ALL_PROXY={value}");
        assert_eq!(of(&[&all], HTTPS), expected, "{value}");
    }
    for value in [
        "socks://proxy.corp:1", // 4 to curl, 5 to others
        "foo://proxy.corp:1",
        "ftp://proxy.corp:1",
        "://proxy.corp:1",
        "//proxy.corp:1",
        "http:proxy.corp:1",
        "http://",
        "http://:3128",
        "http://@",
        "http://me:secret@",
        "http://proxy.corp:",
        "http://proxy.corp:0",
        "http://proxy.corp:65536",
        "http://proxy.corp:+1",
        "http://proxy.corp:port",
        "http://proxy corp:1",
        "http://fd00::1",
        "http://[fd00::1",
        "http://proxy.corp:1/proxy.pac",
        "http://proxy.corp:1?x",
        "http://proxy.corp:1#x",
        "http://proxy.corp\\x",
        "http://me:1/secret@proxy.corp:1", // me:1 to a parser
        "http://me:1#secret@proxy.corp:1",
        "http://me:1?secret@proxy.corp:1",
        "http://me:secret\u{fffd}@proxy.corp:1",
        "http://pro\u{200b}xy.corp:1",
        "http://proxy.corp:1\n\nx",
        "\"http://proxy.corp:1\"",
        "'http://proxy.corp:1'",
        "http://proxy.corp:1,http://b:2",
        "http://proxy.corp:1 http://b:2",
    ] {
        let all = format!("all_proxy={value}");
        assert_eq!(of(&[&all], HTTPS), "refused: all_proxy", "{value}");
        // And nowhere that it does not matter.
        assert_eq!(of(&[&all], "http://127.0.0.1:1"), "direct");
        assert_eq!(of(&[&all, "NO_PROXY=*"], HTTPS), "direct");
    }
}

#[test]
fn what_is_spared() {
    let proxied = "http://p:1";
    for (list, uri, expected) in [
        ("coze.test", "https://coze.test", "direct"),
        ("coze.test", "https://api.coze.test", "direct"),
        ("coze.test", "https://a.b.coze.test:8443/x", "direct"),
        ("coze.test", "https://notcoze.test", proxied),
        ("coze.test", "https://coze.test.evil", proxied),
        ("coze.test", "https://test", proxied),
        (".coze.test", "https://coze.test", "direct"),
        (".coze.test", "https://api.coze.test", "direct"),
        (".coze.test", "https://notcoze.test", proxied),
        ("*.coze.test", "https://coze.test", "direct"),
        ("*.coze.test", "https://api.coze.test", "direct"),
        ("*.coze.test", "https://notcoze.test", proxied),
        ("COZE.Test", "https://api.coze.test", "direct"),
        ("coze.test", "https://API.COZE.TEST", "direct"),
        ("coze.test.", "https://api.coze.test", "direct"),
        ("coze.test", "https://api.coze.test.", "direct"),
        ("例え.test", "https://xn--r8jz45g.test", "direct"),
        (" x , coze.test ,, y ", "https://coze.test", "direct"),
        ("x coze.test\ty", "https://coze.test", "direct"),
        ("*", "https://coze.test", "direct"),
        ("x,*", "https://10.0.0.1", "direct"),
        // What means nothing here spares nothing.
        ("*coze.test", "https://coze.test", proxied),
        ("api.*", "https://api.coze.test", proxied),
        ("coze.*", "https://coze.test", proxied),
        ("https://coze.test", "https://coze.test", proxied),
        ("", "https://coze.test", proxied),
        (".", "https://coze.test", proxied),
        ("*.", "https://coze.test", proxied),
        ("..coze.test", "https://api.coze.test", proxied),
        ("test/8", "https://test", proxied),
        // Ports.
        ("coze.test:443", "https://api.coze.test", "direct"),
        ("coze.test:443", "https://api.coze.test:8443", proxied),
        ("coze.test:8443", "https://api.coze.test", proxied),
        ("coze.test:8443", "https://api.coze.test:8443", "direct"),
        ("*.coze.test:80", "http://api.coze.test", "direct"),
        ("coze.test:0", "https://coze.test", proxied),
        ("10.1.2.3:443", "https://10.1.2.3", "direct"),
        ("10.1.2.3:80", "https://10.1.2.3", proxied),
        ("[fd00::1]:443", "https://[fd00::1]", "direct"),
        ("[fd00::1]:80", "https://[fd00::1]", proxied),
        // Addresses and networks.
        ("10.1.2.3", "https://10.1.2.3", "direct"),
        ("10.1.2.3", "https://10.1.2.4", proxied),
        ("10.0.0.0/8", "https://10.255.0.1", "direct"),
        ("10.9.9.9/8", "https://10.255.0.1", "direct"),
        ("10.0.0.0/8", "https://11.0.0.1", proxied),
        ("10.0.0.0/31", "https://10.0.0.1", "direct"),
        ("10.0.0.0/31", "https://10.0.0.2", proxied),
        ("10.0.0.1/32", "https://10.0.0.1", "direct"),
        ("0.0.0.0/0", "https://10.0.0.1", "direct"),
        ("10.0.0.1/33", "https://10.0.0.1", proxied),
        ("10.0.0.0/x", "https://10.0.0.0", proxied),
        ("fd00::1", "https://[fd00::1]", "direct"),
        ("[fd00::1]", "https://[fd00::1]", "direct"),
        ("fd00::/8", "https://[fdff::1]", "direct"),
        ("fd00::/8", "https://[fe80::1]", proxied),
        ("::/0", "https://[fe80::1]", "direct"),
        ("::/0", "https://10.0.0.1", proxied),
        ("0.0.0.0/0", "https://[fe80::1]", proxied),
        ("10.1.2.3", "https://[::ffff:10.1.2.3]", "direct"),
        ("fd00::/129", "https://[fd00::1]", proxied),
        // Nobody looks a name up for it, and a name is no address.
        ("10.0.0.0/8", "https://coze.test", proxied),
        ("2.3", "https://10.1.2.3", proxied),
    ] {
        for name in ["NO_PROXY", "no_proxy"] {
            let no = format!("{name}={list}");
            let all = format!("ALL_PROXY={proxied}");
            assert_eq!(of(&[&all, &no], uri), expected, "{list} for {uri}");
        }
    }
    // The capital one is the one that counts, unless it is empty.
    let all = "ALL_PROXY=http://p:1";
    assert_eq!(of(&[all, "NO_PROXY=x", "no_proxy=*"], HTTPS), proxied);
    assert_eq!(of(&[all, "NO_PROXY=", "no_proxy=*"], HTTPS), "direct");
    for uri in ["http://127.9.9.9", "https://localhost:1", "http://[::1]/x"] {
        assert_eq!(of(&[all], uri), "direct");
    }
}

#[test]
fn a_proxy_is_printed_without_its_user() {
    let proxies = proxies(&[
        "ALL_PROXY=http://me:secret@proxy.corp:3128",
        "HTTP_PROXY=me:secret",
    ]);
    let proxy = proxies.https().expect("a proxy");
    assert_eq!(proxy.to_string(), "proxy.corp:3128");
    assert!(proxies.http().is_none());
    let text = format!("{proxies:?}");
    assert!(
        text.contains("proxy.corp:3128") && !text.contains("secret"),
        "{text}"
    );
}
