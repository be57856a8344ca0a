//! Questions 1, 2 and 5: authorization codes and refresh tokens.

use std::time::Duration;

use serde_json::json;

use super::{LONG, made_up};
use crate::evidence::Run;
use crate::evidence::app::{App, Kind};
use crate::evidence::person::{Exchange, Visited};
use crate::evidence::wire::{Answer, Body, Halt, Sent};

const LOGINS: [Kind; 2] = [Kind::Web, Kind::Pkce];
/// Minutes after the callback at which codes are exchanged.
const MINUTES: [u64; 4] = [1, 5, 10, 30];
/// The mock's life of a code, in seconds (protocol §3.4).
const LIFE: u64 = 300;

impl App {
    fn exchange(&self, exchange: &Exchange) -> Sent<'static> {
        let mut body = json!({
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "redirect_uri": exchange.redirect_uri,
            "code": exchange.code,
        });
        if let Some(verifier) = &exchange.verifier {
            body["code_verifier"] = verifier.as_str().into();
        }
        self.token(Body::json(&body))
    }
}

fn minutes_told(minutes: u64) -> String {
    match minutes {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

/// A code of a login, or why there is none.
fn log_in(run: &mut Run<'_>, at: usize) -> Result<Exchange, Halt> {
    match run.visit(at, true)? {
        Visited::Code(exchange) => Ok(exchange),
        Visited::Other(told) => Err(Halt::Question(format!("the login brought no code: {told}"))),
        Visited::Nothing(why) => Err(Halt::Question(format!("the login brought nothing: {why}"))),
    }
}

/// Question 1.
pub(super) fn lifetime(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(at) = run.app(&LOGINS, "the life of a code") else {
        return Ok(());
    };
    if !run.long {
        run.not_asked(format!(
            "the life of a code: needs half an hour, and {LONG}"
        ));
        return Ok(());
    }
    let sends = "you approve four logins one after the other; then their codes are exchanged 1, 5, 10 and 30 minutes after their callbacks, up to the first that is refused";
    let spends = "each exchange that succeeds spends its code and makes a pair of tokens; it takes up to half an hour";
    if !run.step("the life of a code", 4, sends, spends)? {
        return Ok(());
    }
    let mut codes = Vec::new();
    for _ in MINUTES {
        codes.push((log_in(run, at)?, run.clock.now().steady));
    }
    // The last one waits the least: no later login can have ended it.
    codes.reverse();
    let (mut alive, mut dead) = (0, None);
    for (minutes, (exchange, since)) in MINUTES.into_iter().zip(codes) {
        let passed = since.until(run.clock.now().steady);
        let left = Duration::from_secs(minutes * 60).saturating_sub(passed);
        let after = minutes_told(minutes);
        run.wait(
            left,
            &format!("the code is exchanged {after} after its callback"),
        );
        let sent = run.apps[at].exchange(&exchange);
        let answer = run.send(sent)?;
        let kind = run.apps[at].kind;
        run.seen(&format!("a code {after} after its callback"), &answer);
        if !answer.granted() {
            let what = "the life of a code";
            if !run.speaks("code.expiry", what, &answer) {
                return Ok(());
            }
            if !run.proven.contains(kind.told()) {
                run.not_concluded(what, "no right exchange of this app succeeded in this run; see that client_secret and redirect URI are right and that the app is not deactivated, and run it again with question 2");
                return Ok(());
            }
            dead = Some((minutes, answer));
            break;
        }
        run.keep(kind.name(), kind, &answer);
        alive = minutes;
    }
    let Some((dead, answer)) = dead else {
        run.means("a code lives longer than 30 minutes");
        run.changes("[ttl] code: more than 1800 (now 300), and the text of code.expiry");
        return Ok(());
    };
    run.means(format!(
        "a code lives longer than {alive} and at most {dead} minutes"
    ));
    if let Some(change) = run.table.change("code.expiry", &answer) {
        run.changes(change);
    }
    match alive * 60 < LIFE && LIFE <= dead * 60 {
        true => run.means("the mock's five minutes are within that"),
        false => run.changes(format!(
            "[ttl] code: more than {} and at most {} (now {LIFE}), and the text of code.expiry",
            alive * 60,
            dead * 60
        )),
    }
    Ok(())
}

/// Question 2.
pub(super) fn refused(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "spent, foreign and unknown codes";
    if let Some(at) = run.app(&LOGINS, part) {
        codes(run, at, part)?;
    }
    refresh_tokens(run)
}

fn codes(run: &mut Run<'_>, at: usize, part: &str) -> Result<(), Halt> {
    let kind = run.apps[at].kind;
    let other = run
        .apps
        .iter()
        .position(|app| LOGINS.contains(&app.kind) && app.kind != kind);
    let wrong = match kind {
        Kind::Web => "a wrong client secret",
        _ => "a wrong code_verifier",
    };
    let sends = format!(
        "you approve one login; its code is exchanged {}with {wrong}, then rightly, then a second time, and one that nobody has issued",
        if other.is_some() {
            "by another app, "
        } else {
            ""
        }
    );
    let spends = "the code, and it makes a pair of tokens; a second use may end the login";
    if !run.step(part, 5, &sends, spends)? {
        return Ok(());
    }
    let exchange = log_in(run, at)?;
    let mut granted = None;
    match other {
        Some(other) => {
            let sent = run.apps[other].exchange(&exchange);
            let what = "a code of another app";
            let answer = run.send(sent)?;
            foreign(run, "code.client", what, &answer, at, other);
            granted = answer.granted().then_some(answer);
        }
        None => run.not_asked("a foreign code: needs a web and a PKCE app (--app twice)"),
    }
    if granted.is_none() {
        granted = after_wrong(run, at, &exchange, wrong)?;
    }
    let is_spent = granted.is_some();
    if let Some(answer) = &granted {
        run.keep(kind.name(), kind, answer);
    }
    if is_spent {
        let sent = run.apps[at].exchange(&exchange);
        let again = run.probe("code.single_use", "a code that is spent", sent, kind.told())?;
        if again.granted() {
            run.keep(kind.name(), kind, &again);
        }
    }
    let unknown = Exchange {
        code: made_up("code_", 40),
        ..exchange
    };
    let sent = run.apps[at].exchange(&unknown);
    let what = "a code that nobody has issued";
    run.probe("code.known", what, sent, kind.told())?;
    run.not_asked("an expired code: question 1 shows it, with --long");
    Ok(())
}

/// The exchange with a wrong proof, then the right one; the answer that granted.
fn after_wrong(
    run: &mut Run<'_>,
    at: usize,
    exchange: &Exchange,
    wrong: &str,
) -> Result<Option<Answer>, Halt> {
    let app = &run.apps[at];
    let (rule, sent) = match app.kind {
        Kind::Web => {
            let length = app.secret.as_deref().map_or(32, str::len);
            let mut sent = app.exchange(exchange);
            sent.authorization = super::bearer(&made_up("", length));
            ("client.secret", sent)
        }
        _ => {
            let other = Exchange {
                verifier: Some(made_up("", 43)),
                ..exchange.clone()
            };
            ("pkce.verifier", app.exchange(&other))
        }
    };
    let who = run.apps[at].kind.told();
    let first = run.probe(rule, &format!("an exchange with {wrong}"), sent, who)?;
    if first.granted() {
        run.not_asked("whether a refused exchange spends the code: none was refused");
        return Ok(Some(first));
    }
    let sent = run.apps[at].exchange(exchange);
    let second = run.send(sent)?;
    run.seen("the right exchange after it", &second);
    if second.granted() {
        run.means("a refused exchange does not spend the code");
        return Ok(Some(second));
    }
    let what = "whether a refused exchange spends the code";
    if !run.speaks("", what, &second) {
        return Ok(None);
    }
    // Without a right exchange that succeeds, secret, redirect URI or app may be what is refused.
    run.person.hears("The right exchange was refused. One more login shows whether the app is the reason: approve again.");
    let control = log_in(run, at)?;
    let sent = run.apps[at].exchange(&control);
    let control = run.send(sent)?;
    run.seen("a right exchange of another code", &control);
    match control.granted() {
        true => {
            run.means("a refused exchange spends the code");
            run.changes("code.single_use: text (a refused exchange uses the code up as well)");
            let kind = run.apps[at].kind;
            run.keep(kind.name(), kind, &control);
        }
        false => run.not_concluded(what, "a right exchange without a wrong one before it was refused, too; see that client_secret and redirect URI of the app's file are right and that the app is not deactivated, and run it again"),
    }
    Ok(None)
}

/// What another app gets for what is not its own. `invalid_grant` is about the grant and not the app (RFC 6749 §5.2); any other refusal
/// says something if the other app works.
fn foreign(run: &mut Run<'_>, rule: &str, what: &str, answer: &Answer, at: usize, other: usize) {
    let own = run.apps[at].kind.told();
    let who = match answer.code.as_deref() {
        Some("invalid_grant") => own,
        None if answer.granted() => own,
        _ => run.apps[other].kind.told(),
    };
    if answer.code.as_deref() == Some("invalid_request") {
        run.seen(what, answer);
        run.not_concluded(what, "invalid_request may be about what the other app's request does not have, such as a code_verifier");
        return;
    }
    run.compare(rule, what, answer, who);
}

fn refresh_tokens(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "spent, foreign and unknown refresh tokens";
    let Some((at, grant)) = run.login() else {
        run.not_asked(format!("{part}: no login was made before"));
        return Ok(());
    };
    let Some(old) = grant.refresh else {
        run.not_asked(format!("{part}: the login has no refresh token"));
        return Ok(());
    };
    let kind = run.apps[at].kind;
    let kinds = [Kind::Web, Kind::Pkce, Kind::Device];
    let other = run
        .apps
        .iter()
        .position(|app| kinds.contains(&app.kind) && app.kind != kind);
    let sends = format!(
        "the login's refresh token is sent {}rightly, then a second time within seconds; then the newest one, and one that nobody has issued",
        if other.is_some() {
            "by another app, "
        } else {
            ""
        }
    );
    let spends = "the refresh tokens; the second use of one may end the login";
    if !run.step(part, 5, &sends, spends)? {
        return Ok(());
    }
    let mut old = old;
    match other {
        Some(other) => {
            let sent = run.apps[other].refresh(&old);
            let answer = run.send(sent)?;
            let what = "a refresh token of another app";
            foreign(run, "refresh.client", what, &answer, at, other);
            if answer.granted()
                && let Some(newer) = answer.text("refresh_token")
            {
                old = newer;
            }
        }
        None => run
            .not_asked("a foreign refresh token: needs two apps of different kinds (--app twice)"),
    }
    let sent = run.apps[at].refresh(&old);
    let first = run.send(sent)?;
    run.seen("the login's refresh token", &first);
    if !first.granted() {
        run.not_concluded(part, "the login's refresh token was refused at its first use; the second use of its code may have ended the login, or the app was deactivated meanwhile");
        return Ok(());
    }
    let mut newest = run
        .keep(kind.name(), kind, &first)
        .and_then(|grant| grant.refresh);
    let rotated = newest.as_ref().is_some_and(|newest| *newest != old);
    run.means(match rotated {
        true => "a refresh returns a new refresh token",
        false => "a refresh does not return a new refresh token",
    });
    let sent = run.apps[at].refresh(&old);
    let again = run.probe(
        "refresh.rotate",
        "a refresh token that is spent, within seconds",
        sent,
        kind.told(),
    )?;
    match again.granted() {
        true => {
            run.means("a spent refresh token has a time of grace, or no end");
            newest = run
                .keep(kind.name(), kind, &again)
                .and_then(|grant| grant.refresh);
        }
        false if again.says_nothing("refresh.rotate").is_some() => {}
        false => run.means("a spent refresh token has no time of grace"),
    }
    if let Some(newest) = newest.filter(|_| rotated) {
        let sent = run.apps[at].refresh(&newest);
        let after = run.send(sent)?;
        run.seen(
            "the newest refresh token, after the spent one was sent",
            &after,
        );
        match after.granted() {
            true => {
                run.keep(kind.name(), kind, &after);
                run.means("a refresh with a spent token does not end the grant");
            }
            false if !run.speaks("", "the newest refresh token", &after) => {}
            false => {
                run.grants.remove(&kind);
                run.means("a refresh with a spent token ends the grant");
                run.changes("protocol §8: a refresh with a spent token ends the grant (the mock leaves the newer token alone)");
            }
        }
    }
    let sent = run.apps[at].refresh(&made_up("", 72));
    let answer = run.probe(
        "refresh.known",
        "a refresh token that nobody has issued",
        sent,
        kind.told(),
    )?;
    run.unknown_refresh.insert(kind, answer);
    run.not_asked("an expired refresh token: needs 30 days");
    Ok(())
}

/// Question 5.
pub(super) fn denied(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "a refusal on the page";
    let Some(at) = run.app(&LOGINS, part) else {
        return Ok(());
    };
    let sends = "nothing; you REFUSE one login on the page that opens";
    if !run.step(part, 0, sends, "nothing")? {
        return Ok(());
    }
    let who = run.apps[at].kind.told();
    match run.visit(at, false)? {
        Visited::Code(_) => run.not_asked(format!("{part}: the login was approved")),
        Visited::Other(told) if !told.starts_with("error=") => {
            run.saw(format!("the callback of a refusal: {told}"));
            run.not_concluded(part, "the address is not the callback of this login, or has no error; run it again, and paste the address at which the browser ends after this very refusal");
        }
        Visited::Other(told) => {
            run.saw(format!("the callback of a refusal: {told}"));
            let change = (!told.starts_with("error=access_denied"))
                .then(|| format!("protocol §4.5 and the mock's callback of a refusal: {told}"));
            let means = "a refusal comes back as a redirect with an error, as the mock has it";
            run.claim(who, part, Some(means.to_owned()), change);
        }
        Visited::Nothing(why) => {
            run.saw(format!("no callback of a refusal: {why}"));
            if !run.person.does("No callback arrived. Press Enter only if you refused on the page itself and the browser stayed there; n if the page did not open, showed an error, or was closed.") {
                run.not_concluded(part, "nobody refused on the page; run it again, and refuse there");
                return Ok(());
            }
            let means = "a refusal redirects nowhere, as far as was seen";
            let change = "protocol §4.5: a refusal does not come back to the redirect URI";
            run.claim(who, part, Some(means.to_owned()), Some(change.to_owned()));
        }
    }
    Ok(())
}
