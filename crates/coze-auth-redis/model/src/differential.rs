//! The model's scripts beside the real ones on a real server: random sequences of steps, with the same answers and the same hash after
//! each. The time is handed to the scripts, so that both have the same.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dice::Dice;
use crate::mirror::{Hash, Keys, hashes, words};
use crate::real::Server;
use crate::scripts::{Place, Save, Step};

const CALLS: u32 = 6_000;
/// A life of a key may differ by what passes between two questions of this test.
const SLACK: u64 = 60_000;
/// The longest that passes by leaps while one key is used.
const LEAPS: u64 = 40 * 11_000;

fn moment(now: u64) -> [String; 2] {
    [(now / 1000).to_string(), (now % 1000 * 1000).to_string()]
}

/// A step that may be anything at this moment of the hash.
fn step(dice: &mut Dice, place: &Place, hash: &Hash) -> Step {
    let number = |field: &str| hash.get(field).map_or(0, |text| text.parse().unwrap());
    let holder = dice.one(&["a", "b", "c"]);
    let lease = Duration::from_millis(dice.one(&[100, 10_000]));
    let life = Duration::from_secs(dice.one(&[700, 7_200, 90 * 86_400]));
    let revision: u64 = number("r");
    match dice.below(12) {
        0..4 => {
            let take_over = dice.of_thousand(200).then(|| number("u"));
            let known = dice.one(&[0, 0, number("f"), number("f") + 7]);
            place.lock(holder, lease, known, take_over)
        }
        4 => place.extend(holder, lease),
        5..8 => {
            let replaces = dice.one(&[revision, revision, revision, revision + 1, 0]);
            let save = Save {
                replaces,
                revision: replaces + dice.between(1, 4),
                value: format!("value {}", dice.below(1000)).into(),
                life,
                name: format!("{holder}.{}", dice.below(3)),
            };
            place.save(holder, &save)
        }
        8 | 9 => place.release(holder, dice.of_thousand(400)),
        10 if dice.of_thousand(400) => place.remove(dice.one(&[0, revision, revision + 9]), life),
        _ => {
            let value = dice.one(&[None, Some("restored")]);
            let higher = revision + dice.below(3);
            place.restore(holder, higher, value, life)
        }
    }
}

#[test]
fn the_scripts_of_the_model_answer_as_the_real_ones() {
    let Some(server) = Server::start("the_scripts_of_the_model_answer_as_the_real_ones", &[])
    else {
        return;
    };
    let mut dice = Dice::new(19);
    let (mut keys, hashes) = (Keys::default(), hashes());
    let mut now = 1_795_000_000_000;
    let mut place = Place::new("coze:", "0".to_owned());
    let mut words_seen = BTreeMap::new();
    for number in 0..CALLS {
        if number % 40 == 0 {
            place = Place::new("coze:", number.to_string());
        }
        now = match dice.below(8) {
            0 => now + dice.one(&[101, 9_000, 11_000]),
            // The server's clock is set back.
            1 if dice.of_thousand(100) => now - 5_000,
            _ => now + dice.below(3),
        };
        let hash = keys.0.get(&place.key).cloned().unwrap_or_default();
        let step = step(&mut dice, &place, &hash);
        let script = hashes[&words(&step.by_hash())[1]];
        let [_, text, _, key, args @ ..] = &words(&step.by_text())[..] else {
            panic!("no EVAL");
        };
        let timed = text.replace("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}");
        assert_ne!(timed, *text, "the time is read otherwise");
        let time = moment(now);
        let mut command = vec!["EVAL", &timed, "1", key];
        command.extend(args.iter().chain(&time).map(String::as_str));
        let told = server.ask(&command);
        // The lives of the keys in the model are by the time that is handed in, and none ends here.
        let done = keys.run(script, key, args, now);
        assert_eq!(done.answer, told, "call {number}, {script:?} {args:?}");
        *words_seen.entry(done.answer[0].clone()).or_insert(0) += 1;
        let fields = server.ask(&["HGETALL", key]);
        let fields: BTreeMap<_, _> = fields
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect();
        let hash = keys.0.get(key).cloned().unwrap_or_default();
        assert_eq!(
            hash.fields, fields,
            "after call {number}, {script:?} {args:?}"
        );
        let left: i64 = server.tell(&["PTTL", key]).parse().unwrap();
        match hash.ends {
            None => assert!(left < 0, "call {number}, {script:?}: {left}"),
            // Time that passes by leaps here does not pass there.
            Some(ends) => {
                let left = u64::try_from(left).unwrap();
                let (shorter, longer) = (ends - now - SLACK, ends - now + LEAPS + SLACK);
                assert!(
                    (shorter..longer).contains(&left),
                    "call {number}, {script:?}: {left} and {}",
                    ends - now
                );
            }
        }
    }
    for word in [
        "busy",
        "taken",
        "lost",
        "extended",
        "saved",
        "superseded",
        "released",
        "removed",
        "newer",
        "restored",
    ] {
        assert!(
            words_seen.get(word).is_some_and(|count| *count > 20),
            "{word} is rare: {words_seen:?}"
        );
    }
}

/// A server that was stopped does what waits in its sockets in any order.
#[test]
fn a_removal_that_was_given_up_removes_no_login_that_came_after_it() {
    let Some(server) = Server::start("a_removal_that_was_given_up", &[]) else {
        return;
    };
    let place = Place::new("coze:", "0".to_owned());
    let ask = |step: Step| {
        let command = words(&step.by_text());
        server.ask(&command.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let life = Duration::from_secs(600);
    let log_in = |revision| {
        let save = Save {
            replaces: revision - 1,
            revision,
            value: format!("login {revision}").into(),
            life,
            name: format!("save {revision}"),
        };
        assert_eq!(ask(place.save("a", &save)), ["saved"]);
    };
    log_in(1);
    let given_up = || place.remove(1, life);
    let [removed, revision] = &ask(given_up())[..] else {
        panic!("no revision");
    };
    assert_eq!(removed, "removed");
    let next = revision.parse::<u64>().unwrap() + 1;
    log_in(next);
    assert_eq!(ask(given_up()), ["newer".to_owned(), next.to_string()]);
    assert_eq!(
        server.tell(&["HGET", &place.key, "v"]),
        format!("login {next}")
    );
}
