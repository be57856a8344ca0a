//! The clients that a run is to have.

use std::collections::BTreeSet;

use super::RunArgs;
use crate::client::Client;
use crate::result::{Run, Verdict};
use crate::runner::Plan;
use crate::shim::Shim;
use crate::url_mode::UrlMode;

pub(super) fn plans(
    subjects: Vec<Plan<'static>>,
    args: &RunArgs,
) -> Result<Vec<Plan<'static>>, String> {
    let names: Vec<String> = subjects.iter().map(|plan| plan.name.clone()).collect();
    if let Some(unknown) = args.subjects.iter().find(|name| !names.contains(name)) {
        return Err(match names.is_empty() {
            true => format!("unknown client {unknown}: this program has no built-in clients"),
            false => format!(
                "unknown client {unknown}; expected one of {}",
                names.join(", ")
            ),
        });
    }
    let others = args.adapters.len() + args.programs.len();
    let all = args.subjects.is_empty() && others == 0;
    if args.live && all {
        return Err(
            "--live sends requests to somebody else: name the client, by --subject or --adapter"
                .to_owned(),
        );
    }
    let wanted = |plan: &Plan<'_>| all || args.subjects.contains(&plan.name);
    let mut plans: Vec<_> = subjects.into_iter().filter(wanted).collect();
    for adapter in &args.adapters {
        let (name, command) = named(adapter)?;
        plans.push(shim(name, command, args.check_schema));
    }
    for program in &args.programs {
        let (name, command) = named(program)?;
        plans.push(program_of(name, command));
    }
    // Known failures are kept by name.
    let mut names = BTreeSet::new();
    if let Some(twice) = plans.iter().find(|plan| !names.insert(&plan.name)) {
        return Err(format!("two clients are named {}", twice.name));
    }
    match plans.is_empty() {
        true => Err(
            "nothing to run: name a shim with --adapter, or a program with --url-mode NAME=COMMAND"
                .to_owned(),
        ),
        false => Ok(plans),
    }
}

pub(super) fn shim(name: &str, command: &str, checked: bool) -> Plan<'static> {
    let command = command.to_owned();
    Plan::new(name, 1, move || {
        let shim = match checked {
            true => Shim::start_checked(&command),
            false => Shim::start(&command),
        };
        shim.map(|shim| Box::new(shim) as Box<dyn Client>)
    })
}

fn named(client: &str) -> Result<(&str, &str), String> {
    let expected = || format!("{client}: expected NAME=COMMAND");
    let named = client.split_once('=');
    let named = named.filter(|(name, command)| !name.is_empty() && !command.is_empty());
    named.ok_or_else(expected)
}

/// One at a time: it may listen on the port of its redirect URI.
fn program_of(name: &str, command: &str) -> Plan<'static> {
    let (own, command) = (name.to_owned(), command.to_owned());
    Plan::new(name, 1, move || {
        Ok(Box::new(UrlMode::new(&own, &command)) as Box<dyn Client>)
    })
}

/// A run of cases none of which was for a program, or for what is there of the real service, is none: perhaps it is
/// the wrong program, or another variable has to be set.
pub(super) fn is_idle(args: &RunArgs, run: &mut Run) {
    let is_program = |program: &String| named(program).is_ok_and(|(name, _)| name == run.name);
    let may_be_idle = args.live || args.programs.iter().any(is_program);
    let checks = || run.cases.iter().flat_map(|case| &case.checks);
    let nothing = checks().all(|check| check.verdict == Verdict::NotApplicable);
    if may_be_idle && nothing && run.incomplete.is_none() {
        let whys: BTreeSet<&str> = checks().filter_map(|check| check.why.as_deref()).collect();
        let whys: Vec<&str> = whys.into_iter().collect();
        run.incomplete = Some(format!("none of the cases is for it: {}", whys.join("; ")));
    }
}
