use std::time::Duration;

use super::{Place, RedisOptions};

/// Host, port, user, password, database, TLS.
type Read = (String, u16, Option<String>, Option<String>, u32, bool);

fn read(options: &RedisOptions) -> Read {
    let Place::At(address) = &options.place else {
        panic!("a server");
    };
    (
        address.host.to_string(),
        address.port,
        options.login.username.as_deref().map(str::to_owned),
        options.login.password.as_ref().map(|text| text.to_string()),
        options.database,
        options.tls,
    )
}

fn url(url: &str) -> Result<RedisOptions, String> {
    let options = RedisOptions::from_url(url).map_err(|error| error.to_string())?;
    options.validated().map_err(|error| error.to_string())?;
    Ok(options)
}

#[test]
fn a_url_is_read_as_it_is_meant() {
    let some = |text: &str| Some(text.to_owned());
    for (text, host, port, user, password, database, tls) in [
        ("redis://host", "host", 6379, None, None, 0, false),
        ("redis://host/", "host", 6379, None, None, 0, false),
        ("redis://host:7000/3", "host", 7000, None, None, 3, false),
        (" REDISS://host:6380\n", "host", 6380, None, None, 0, true),
        ("valkey://host", "host", 6379, None, None, 0, false),
        ("valkeys://h_1.a-b", "h_1.a-b", 6379, None, None, 0, true),
        ("redis://127.0.0.1:1", "127.0.0.1", 1, None, None, 0, false),
        ("redis://[::1]", "::1", 6379, None, None, 0, false),
        (
            "redis://[fe80::2]:99/1",
            "fe80::2",
            99,
            None,
            None,
            1,
            false,
        ),
        ("redis://:pw@host", "host", 6379, None, some("pw"), 0, false),
        (
            "redis://u:pw@host",
            "host",
            6379,
            some("u"),
            some("pw"),
            0,
            false,
        ),
        (
            "redis://u:p%40s%3As@host",
            "host",
            6379,
            some("u"),
            some("p@s:s"),
            0,
            false,
        ),
        // It can mean one thing only: a host has neither @ nor a second colon.
        (
            "redis://u:p@ss:1@host:2",
            "host",
            2,
            some("u"),
            some("p@ss:1"),
            0,
            false,
        ),
        (
            "redis://u:%C3%A9%25@host",
            "host",
            6379,
            some("u"),
            some("é%"),
            0,
            false,
        ),
        (
            "redis://u:é+@host",
            "host",
            6379,
            some("u"),
            some("é+"),
            0,
            false,
        ),
        (
            "redis://host?protocol=resp3",
            "host",
            6379,
            None,
            None,
            0,
            false,
        ),
        (
            "redis://host/2?protocol=3#",
            "host",
            6379,
            None,
            None,
            2,
            false,
        ),
    ] {
        let expected = (host.to_owned(), port, user, password, database, tls);
        assert_eq!(
            url(text).map(|options| read(&options)),
            Ok(expected),
            "{text}"
        );
    }
}

#[test]
fn what_others_pass_over_or_misread_is_refused_and_not_shown() {
    for (text, why) in [
        // Options that are misspelt, or of another library.
        (
            "redis://:s3cret@host?portocol=resp3",
            "an option behind the ? that this store does not know",
        ),
        (
            "redis://:s3cret@host?protocol=resp2",
            "protocol is RESP3 always",
        ),
        ("redis://:s3cret@host?protocol", "protocol is RESP3 always"),
        (
            "redis://:s3cret@host/3?db=4",
            "the database stands behind the host",
        ),
        (
            "redis://host?password=s3cret",
            "user and password stand before the host",
        ),
        (
            "rediss://:s3cret@host?ssl_cert_reqs=none",
            "certificates are always checked",
        ),
        ("redis://:s3cret@host?ssl=true", "TLS is rediss://"),
        ("redis://:s3cret@host?socket_timeout=5", "answer_within"),
        ("redis://:s3cret@host?connect_timeout=5", "connect_within"),
        (
            "redis://:s3cret@host?protocol=3&s3cret",
            "this store does not know",
        ),
        // A password in the place of the user.
        ("redis://s3cret@host", "has a user and no password"),
        ("redis://s3cret:@host", "has an empty password"),
        ("redis://@host", "has an @ with nothing before it"),
        // Escapes.
        (
            "redis://:s3cret%ZZ@host",
            "a % in the password that is not followed by two",
        ),
        (
            "redis://:s3cret%4@host",
            "a % in the password that is not followed by two",
        ),
        (
            "redis://:s3cret%@host",
            "a % in the password that is not followed by two",
        ),
        (
            "redis://s3cret%:x@host",
            "a % in the user that is not followed by two",
        ),
        ("redis://:s3cret%FF@host", "a password that is not UTF-8"),
        ("redis://u%20s3cret:p@host", "white space in the user"),
        ("redis://u%00:s3cret@host", "white space in the user"),
        ("redis://u:s3cret/x@host", "has an @ behind the host"),
        ("redis://u:s3cret?x@host", "has an @ behind the host"),
        ("redis://u:s3cret#x@host", "has an @ behind the host"),
        // The url crate takes this for the host `user` at port 12.
        ("redis://user:12#s3cret@host", "has an @ behind the host"),
        (
            "rediss://:s3cret@host#insecure",
            "would accept any certificate",
        ),
        (
            "rediss://:s3cret@host/0#Insecure",
            "has something behind a #",
        ),
        // Places that were not tested.
        ("redis://:s3cret@a,b", "names several hosts"),
        ("redis://:s3cret@a:1,b:2/0", "names several hosts"),
        (
            "redis+sentinel://:s3cret@host/mymaster",
            "RedisOptions::sentinel",
        ),
        ("redis-sentinel://host", "RedisOptions::sentinel"),
        ("redis+cluster://:s3cret@host", "is of a cluster"),
        ("unix:///run/s3cret.sock", "is a unix socket"),
        ("redis+unix:///run/s3cret.sock", "is a unix socket"),
        ("http://:s3cret@host", "does not begin with redis://"),
        ("redi://:s3cret@host", "does not begin with redis://"),
        ("host:6379", "has no redis:// or rediss:// in front"),
        ("s3cret", "has no redis:// or rediss:// in front"),
        ("", "is empty"),
        ("  \n", "is empty"),
        ("\"redis://:s3cret@host\"", "is in quotes"),
        ("redis://:s3cret@host x", "has white space"),
        ("redis://:s3 cret@host", "has white space"),
        ("redis://:s3cret\u{a0}@host", "has white space"),
        // Host, port, database.
        ("redis://", "has no host"),
        ("redis://:s3cret@", "has no host"),
        ("redis://:s3cret@:6379", "has no host"),
        ("redis:///0", "has no host"),
        ("redis://host:", "a port that is not a number"),
        ("redis://host:0", "a port that is not a number"),
        ("redis://host:+1", "a port that is not a number"),
        ("redis://host:65536", "a port that is not a number"),
        ("redis://user:s3cret", "a port that is not a number"),
        ("redis://::1", "more than one : in the host"),
        ("redis://[::1", "a [ without its ]"),
        ("redis://[s3cret]", "is not an IPv6 address"),
        ("redis://[::1]x", "something behind the ]"),
        ("redis://0.0.0.0", "servers listen at"),
        ("redis://[::]:1", "servers listen at"),
        ("redis://ho%20st", "a host with a character"),
        ("redis://höst", "a host with a character"),
        ("redis://host/x", "not the number of a database"),
        ("redis://host/-1", "not the number of a database"),
        ("redis://host/3/", "not the number of a database"),
        ("redis://host/99999999999", "too large"),
    ] {
        let error = url(text).expect_err(text);
        assert!(error.starts_with("Redis URL: "), "{text}: {error}");
        assert!(error.contains(why), "{text}: {error}");
        assert!(!error.contains("s3cret"), "{text}: {error}");
    }
}

#[test]
fn user_and_password_may_be_given_apart() {
    let options = RedisOptions::from_url("redis://host").expect("a URL");
    let read_of = |options: RedisOptions| {
        let (_, _, user, password, ..) = read(&options);
        (user, password)
    };
    // Nothing is escaped here.
    let one = options.clone().login("coze", "p%40@/#?").expect("a login");
    let expected = (Some("coze".to_owned()), Some("p%40@/#?".to_owned()));
    assert_eq!(read_of(one), expected);
    let default = options.clone().login("", "pw").expect("a login");
    assert_eq!(read_of(default), (None, Some("pw".to_owned())));
    // They take the place of those in the URL, one of which is missing.
    let url = RedisOptions::from_url("redis://coze@host").expect("the password comes later");
    assert!(url.validated().is_err());
    let both = url.login("coze", "pw").expect("a login");
    assert!(both.validated().is_ok());
    for (user, password, why) in [
        ("coze", "", "the password is empty"),
        ("coze", "s3cret\n", "ends with a line break"),
        ("co ze", "s3cret", "white space"),
        ("coze\r", "s3cret", "white space"),
    ] {
        let error = options
            .clone()
            .login(user, password)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn sentinels_are_hosts_with_a_port_of_their_own() {
    let options =
        RedisOptions::sentinel(["s1", " s2:5 ", "[::1]"], "my-master.1").expect("sentinels");
    let Place::Sentinels {
        addresses,
        name,
        login,
    } = &options.place
    else {
        panic!("sentinels");
    };
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["s1:26379", "s2:5", "[::1]:26379"]);
    assert_eq!(&**name, "my-master.1");
    assert!(login.password.is_none());
    let both = options
        .login("coze", "of-the-server")
        .and_then(|options| options.sentinel_login("watcher", "of-the-sentinels"))
        .expect("two logins");
    let Place::Sentinels { login, .. } = &both.place else {
        panic!("sentinels");
    };
    assert_eq!(
        login.password.as_ref().expect("one").as_str(),
        "of-the-sentinels"
    );
    assert_eq!(
        both.login.password.as_ref().expect("one").as_str(),
        "of-the-server"
    );
    let error = |addresses: &[&str], name: &str| {
        let error = RedisOptions::sentinel(addresses, name).expect_err("refused");
        error.to_string()
    };
    for (addresses, name, why) in [
        (&[][..], "m", "there is none"),
        (&["redis://:s3cret@s1"], "m", "is a URL"),
        (&["s1,s2"], "m", "is a list"),
        (&["s1:x"], "m", "a port that is not a number"),
        (&[""], "m", "has no host"),
        (&["s1"], "", "is what `sentinel monitor` calls it"),
        (&["s1"], "my master", "is what `sentinel monitor` calls it"),
    ] {
        let told = error(addresses, name);
        assert!(told.contains(why) && !told.contains("s3cret"), "{told}");
    }
    let server = RedisOptions::from_url("redis://host").expect("a URL");
    let error = server
        .sentinel_login("u", "s3cret")
        .unwrap_err()
        .to_string();
    assert!(error.contains("a server and not sentinels"), "{error}");
}

#[test]
fn a_prefix_has_no_character_that_means_something_elsewhere() {
    let options = RedisOptions::from_url("redis://host").expect("a URL");
    assert_eq!(&*options.prefix, "coze:");
    assert_eq!(
        &*options
            .clone()
            .prefix("shop/eu-1:")
            .expect("a prefix")
            .prefix,
        "shop/eu-1:"
    );
    for prefix in [
        "",
        "a b",
        "co*",
        "a?",
        "{tag}",
        "a[b]",
        "ключ",
        "a\n",
        &"x".repeat(65),
    ] {
        let error = options.clone().prefix(prefix).unwrap_err();
        assert_eq!(error.what(), "prefix of the keys", "{prefix}");
    }
}

#[test]
fn a_time_limit_is_never_nothing() {
    let options = RedisOptions::from_url("redis://host").expect("a URL");
    let options = options
        .connect_within(Duration::ZERO)
        .answer_within(Duration::ZERO);
    assert_eq!(options.connect_within, Duration::from_millis(10));
    assert_eq!(options.answer_within, Duration::from_millis(10));
}

#[test]
fn nothing_shows_a_password() {
    let options = RedisOptions::sentinel(["s1"], "m")
        .and_then(|options| options.login("coze", "s3cret"))
        .and_then(|options| options.sentinel_login("w", "s3cret"))
        .expect("options")
        .tls();
    let shown = format!("{options:?}");
    assert_eq!(
        shown,
        r#"RedisOptions("rediss://coze@m of s1:26379/0", prefix "coze:")"#
    );
    let alone = RedisOptions::from_url("redis://s3cret@host").expect("its password may follow");
    assert_eq!(
        format!("{alone:?}"),
        r#"RedisOptions("redis://***@host:6379/0", prefix "coze:")"#
    );
    let error = RedisOptions::from_url("redis://:s3cret@host/x").unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[test]
fn time_limits_are_kept_within_what_a_clock_can_tell() {
    let limits = |limit| {
        let options = RedisOptions::from_url("redis://host").unwrap();
        let options = options.connect_within(limit).answer_within(limit);
        (options.connect_within, options.answer_within)
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(limits(Duration::MAX), (hour, hour));
    let least = Duration::from_millis(10);
    assert_eq!(limits(Duration::ZERO), (least, least));
    let options = RedisOptions::from_url("redis://host").unwrap();
    let leases = [Duration::ZERO, Duration::MAX].map(|lease| options.clone().lease(lease).lease);
    assert_eq!(
        leases,
        [Duration::from_millis(100), Duration::from_secs(60)]
    );
}
