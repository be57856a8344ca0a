//! What the mistakes of a configuration are called.

use coze_auth_mock::{ConfigErrors, CozeAuthMock};

pub(crate) fn errors(text: &str) -> ConfigErrors {
    let built = CozeAuthMock::builder().toml(text);
    built.err().unwrap_or_else(|| panic!("a mistake in {text}"))
}

/// Each says where it is, what is wrong and what would be right, in the words that people then search for.
#[test]
fn every_mistake_names_its_place_and_its_fix() {
    let ec = "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdn7SOx5+0NkD54eZlQKU/B8VA4Ue\\nrAohKA6Uy2My9xDsCO/xzh4puN0QOhhJhXZNTisXJeVGDYqinhFhbfYL9w==\\n-----END PUBLIC KEY-----";
    let jwt = |key: &str| {
        format!("[[app]]\nkind = \"jwt\"\nclient_id = \"1\"\nkeys = [{{ kid = \"k\", {key} }}]")
    };
    let web = |line: &str| {
        format!("[[app]]\nkind = \"web\"\nclient_id = \"w\"\nclient_secret = \"s\"\n{line}")
    };
    let cases: &[(String, &str)] = &[
        (
            "publc_url = \"http://mock\"".into(),
            r#"line 1, column 1: unknown key "publc_url" in the configuration; did you mean "public_url"?"#,
        ),
        (
            "\n  proxy = 1".into(),
            r#"line 2, column 3: unknown key "proxy" in the configuration; expected one of seed, listen, public_url, allowed_origins, allowed_hosts, tls, tls_names, consent, accounts, enterprises, workload_paths, clock, rules, answers, ttl, limits, user, app, token, fault, api"#,
        ),
        (
            "[[fault]]\non = { endpoint = \"token\" }\nfault = { kind = \"delay\", status = 500 }"
                .into(),
            "line 1, column 1: the fault delay takes ms",
        ),
        (
            "[[fault]]\non = { endpoint = \"tokn\" }\nfault = { kind = \"reset\" }".into(),
            "line 1, column 1: endpoint is one of authorize, token, device_code, workload_token, integration, project_env, users_me, workspaces, api, unknown",
        ),
        (
            "[[fault]]\nfault = \"reset\"\nonce = true".into(),
            r#"line 3, column 1: unknown key "once" in [[fault]]; expected one of on, fault, at, times, skip, probability"#,
        ),
        (
            "seed = \"42\"".into(),
            "line 1, column 8: seed is a string; expected a whole number such as 42",
        ),
        (
            "seed = -1".into(),
            "line 1, column 8: seed is -1; expected a whole number from 0 to 18446744073709551615",
        ),
        (
            "seed 42".into(),
            "line 1, column 6: this is not TOML: key with no value, expected `=`",
        ),
        (
            "seed = 1\nseed = 2".into(),
            "line 2, column 1: duplicate key; remove one of the two",
        ),
        (
            "listen = \"9777\"".into(),
            r#"line 1, column 10: cannot listen on "9777": expected HOST:PORT, such as 127.0.0.1:9777"#,
        ),
        (
            "public_url = \"mock:9777\"".into(),
            r#"line 1, column 14: "mock:9777" cannot be the public URL: it is neither http nor https; expected one such as http://mock:9777"#,
        ),
        (
            "allowed_origins = [\"loopback\", \"app.example\"]".into(),
            r#"line 1, column 32: "app.example" cannot be an allowed origin: it is not an origin; expected one such as https://app.example, "loopback" for every port of this machine, or "null""#,
        ),
        (
            "allowed_hosts = [\"http://mock\"]".into(),
            r#"line 1, column 18: "http://mock" cannot be an allowed host; expected a name such as mock or mock.test"#,
        ),
        (
            "consent = \"aprove\"".into(),
            r#"line 1, column 11: consent cannot be "aprove"; did you mean "approve"?"#,
        ),
        (
            "[clock]\nstart = \"2026-01-01\"".into(),
            r#"line 2, column 9: start is not a time with a UTC offset since 1970; expected one such as "2026-01-01T00:00:00Z""#,
        ),
        (
            "[rules]\ncode.singel_use = \"off\"".into(),
            r#"line 2, column 1: unknown rule "code.singel_use"; did you mean "code.single_use"?"#,
        ),
        (
            "[rules]\n\"path.known\" = \"off\"".into(),
            "line 2, column 1: the rule path.known cannot be turned off; remove this line",
        ),
        (
            "[rules]\ncode.expiry = 0".into(),
            r#"line 2, column 15: the rule code.expiry is a number; expected "on" or "off""#,
        ),
        (
            "[answers]\nrefresh.rotate = 302".into(),
            "line 2, column 18: refresh.rotate cannot be answered with status 302: use 200–299 or 400–599",
        ),
        (
            "[answers]\nrefresh.rotate = \"invalid_client\"".into(),
            r#"line 2, column 18: the answer to refresh.rotate is not a status; expected 400 or "401:invalid_client""#,
        ),
        (
            "[ttl]\naccess = \"15 min\"".into(),
            r#"line 2, column 10: access: "15 min" is not a duration; expected one such as 90, "90s", "15m", "1h30m" or "30d""#,
        ),
        (
            "[ttl]\ncode = 0".into(),
            "line 2, column 8: code is 0; expected a whole number from 1 to 315360000",
        ),
        (
            "[limits]\njournal = true".into(),
            "line 2, column 11: journal is true or false; expected a whole number such as 42",
        ),
        (
            "limits = 5".into(),
            "line 1, column 10: limits is a number; expected a table, [limits]",
        ),
        (
            "accounts = [7]".into(),
            r#"line 1, column 13: accounts has a number in it; expected a list of strings such as ["7300000000000000009"]"#,
        ),
        (
            "[[user]]\nnick = \"Bob\"".into(),
            r#"line 1, column 1: [[user]] without name; expected name = "alice""#,
        ),
        (
            "[[token]]\nkind = \"pat\"\nvalue = \"pat_1\"\nuser = \"alise\"".into(),
            r#"line 4, column 8: unknown user "alise"; did you mean "alice"?"#,
        ),
        (
            format!("{}\n{}", web(""), web("")),
            r#"line 8, column 13: a second [[app]] with the client_id "w"; each must have its own"#,
        ),
        (
            "[[app]]\nkind = \"web\"\nclient_id = \"w\"".into(),
            r#"line 1, column 1: [[app]] without client_secret; expected client_secret = "mock-web-secret""#,
        ),
        (
            "[[app]]\nkind = \"device\"\nclient_id = \"d\"\nclient_secret = \"s\"".into(),
            r#"line 4, column 1: an app of kind "device" has no client_secret; remove it, or make the kind web or workload"#,
        ),
        (
            "[[app]]\nkind = \"jwt\"\nclient_id = \"1\"".into(),
            r#"line 1, column 1: an app of kind "jwt" without keys; expected keys = [{ kid = "k1", public_pem_file = "k1.pub.pem" }]"#,
        ),
        (
            web("redirect_uris = [\"http://*.example/cb\"]"),
            r#"line 5, column 18: the redirect URI "http://*.example/cb" has a * that is not in a :*/* at its end; expected one such as https://app.example/callback, or http://localhost:*/* for any port and path"#,
        ),
        (
            web("redirect_uris = [\"app://cb\"]"),
            r#"line 5, column 18: the redirect URI "app://cb" is a URL that is neither http nor https; expected one such as https://app.example/callback, or http://localhost:*/* for any port and path"#,
        ),
        (
            jwt("public_pem = \"AAAA\""),
            "line 4, column 35: public_pem is not a public key: it has no -----BEGIN PUBLIC KEY----- followed by a key; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt("public_pem = \"-----BEGIN PRIVATE KEY-----\""),
            "line 4, column 35: public_pem is not a public key: it is a private key; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt("public_pem = \"-----BEGIN RSA PUBLIC KEY----- AAAA\""),
            "line 4, column 35: public_pem is not a public key: it is in PKCS#1 (BEGIN RSA PUBLIC KEY), and BEGIN PUBLIC KEY is expected; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt("public_pem = \"-----BEGIN CERTIFICATE-----\""),
            "line 4, column 35: public_pem is not a public key: it is a certificate; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt("public_pem = \"ssh-rsa AAAA\""),
            "line 4, column 35: public_pem is not a public key: it is in OpenSSH's format; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt("public_pem = \"-----BEGIN PUBLIC KEY----- AAAA\""),
            "line 4, column 35: public_pem is not a public key: its END line is missing; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt("public_pem = \"-----BEGIN PUBLIC KEY----- A*A -----END PUBLIC KEY-----\""),
            "line 4, column 35: public_pem is not a public key: the text between BEGIN and END is not base64; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt(&format!("public_pem = \"{ec}{ec}\"")),
            "line 4, column 35: public_pem is not a public key: it holds two public keys; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt(&format!("public_pem = \"{ec}\"")),
            "line 4, column 35: public_pem is not a public key: it is not an RSA key of 2048 bits or more; make one with: openssl rsa -in key.pem -pubout",
        ),
        (
            jwt("development = false"),
            "line 4, column 36: development can only be true: the key of this repository, whose private half the mock publishes",
        ),
        (
            jwt("development = true, public_pem = \"\""),
            "line 4, column 9: a key is one of public_pem = \"…\", public_pem_file = \"k1.pub.pem\" or development = true; expected one of them",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(errors(text).to_string(), *expected, "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let text = "seeds = 1\n[[app]]\nkind = \"wab\"\n[ttl]\naccess = 1.5\n[rules]\nnone = \"off\"\n";
    let errors = errors(text);
    let places: Vec<_> = errors
        .errors()
        .iter()
        .map(|error| (error.line, error.column))
        .collect();
    assert_eq!(
        places,
        [(1, 1), (2, 1), (3, 8), (5, 10), (7, 1)],
        "{errors}"
    );
}

/// A column is what an editor shows, and a secret in the wrong place is not repeated.
#[test]
fn mistakes_count_characters_and_keep_secrets() {
    let text = "[[user]]\nname = \"alice\"\nnick = \"爱丽丝\" # 扣子\nid = 5";
    assert_eq!(errors(text).errors()[0].column, 6);
    let wide = errors("accounts = [\"扣子\", 5]");
    assert_eq!(wide.errors()[0].column, 19);
    let twice = "[[token]]\nkind = \"pat\"\nvalue = \"pat_hidden\"\n".repeat(2);
    let message = errors(&twice).to_string();
    assert!(
        message.contains("a second [[token]] with the value; "),
        "{message}"
    );
    assert!(!message.contains("hidden"), "{message}");
}
