//! As much of a browser as a login needs: it shows the consent page, approves, and goes where it is led, by the rules that
//! Chromium has in `just browser`.

use std::io;

use ureq::Agent;
use ureq::http::Response;

type Answer = Response<ureq::Body>;

/// Approves what this address asks for.
pub(crate) fn approve(url: &str) -> io::Result<()> {
    let config = Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None);
    let agent = config.build().new_agent();
    let page = location(&get(&agent, url, "document")?)?;
    let base = url.split("/api/").next().unwrap_or_default();
    let page = match page.strip_prefix('/') {
        Some(path) => format!("{base}/{path}"),
        None => page,
    };
    let shown = get(&agent, &page, "document")?;
    let policies = shown.headers().get_all("content-security-policy");
    let stops = policies
        .iter()
        .any(|policy| policy.as_bytes() == b"form-action 'self'");
    let (action, key) = page
        .split_once("?authorize_key=")
        .ok_or_else(|| io::Error::other("not the consent page"))?;
    let form = [("authorize_key", key), ("action", "approve")];
    let answer = agent
        .post(action)
        .send_form(form)
        .map_err(io::Error::other)?;
    match answer.status().as_u16() {
        // It would leave the page's own origin.
        302 if stops => Ok(()),
        302 => follow(&agent, &location(&answer)?),
        307 => {
            let to = location(&answer)?;
            agent.post(to).send_form(form).map_err(io::Error::other)?;
            Ok(())
        }
        _ => {
            let page = answer.into_body().read_to_string();
            let page = page.map_err(io::Error::other)?;
            let picture = page.split("img src=\"").nth(1);
            let picture = picture.and_then(|rest| rest.split('"').next());
            let picture = picture.ok_or_else(|| io::Error::other("no picture"))?;
            let to = picture.replace("&#38;", "&").replace("&amp;", "&");
            get(&agent, &to, "image")?;
            follow(&agent, &to)
        }
    }
}

/// Goes there, and to the page that it is led to.
fn follow(agent: &Agent, url: &str) -> io::Result<()> {
    let answer = get(agent, url, "document")?;
    let Ok(to) = location(&answer) else {
        return Ok(());
    };
    let end = url
        .match_indices('/')
        .nth(2)
        .map_or(url.len(), |(at, _)| at);
    get(agent, &format!("{}{to}", &url[..end]), "document").map(drop)
}

fn get(agent: &Agent, url: &str, dest: &str) -> io::Result<Answer> {
    let mode = if dest == "document" {
        "navigate"
    } else {
        "no-cors"
    };
    let request = agent
        .get(url)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", mode)
        .header("sec-fetch-dest", dest);
    request.call().map_err(io::Error::other)
}

fn location(answer: &Answer) -> io::Result<String> {
    let to = answer.headers().get("location");
    let to = to.and_then(|to| to.to_str().ok()).map(str::to_owned);
    to.ok_or_else(|| io::Error::other(format!("no redirect, but {}", answer.status())))
}
