//! The runner as a command. [`main`] is the whole of it; a program of one's own adds its clients.

#[cfg(feature = "evidence")]
mod evidence;
mod plans;

use std::fs;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use crate::baseline::Baseline;
use crate::case::{self, Case};
use crate::harness::Harness;
use crate::live::Service;
use crate::result::{Run, Verdict, exit_code};
use crate::runner::{self, Plan};
use crate::suite::Requirements;
use crate::{report, suite};

/// Whether a client of Coze auth behaves.
#[derive(Debug, Parser)]
#[command(name = "coze-auth-conformance", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs the cases over clients, and tells what fails.
    ///
    /// Exit code: 0 nothing fails that is not known; 1 something does; 2 a known failure does not fail any more, remove it from the list; 3 a
    /// client could not be started, or not be run to the end; 4 wrong arguments, or a fault of the suite.
    Run(Box<RunArgs>),
    /// Lists the cases and their checks.
    List {
        /// Only cases that fit: an area such as device, an id, or device.*.token with * for one part. May be repeated.
        #[arg(long = "case", value_name = "ID")]
        cases: Vec<String>,
    },
    /// Asks the real service, with an app of yours, what the mock only guesses: the open questions of docs/protocol.md §14.
    ///
    /// Before each step it says what it sends and what that spends, and asks you. It sends no request again by itself, and ends at the first 429.
    /// Exit code: 0 the run reached its end; 3 it ended early, by you, a 429, a lost answer or a service that was not reached; 4 wrong arguments, and nothing was sent.
    #[cfg(feature = "evidence")]
    Evidence(Box<evidence::Args>),
    /// Prints the JSON Schema of the cases.
    Schema,
    /// Runs every case over one shim and tells where it breaks the protocol; it does not judge the library.
    ShimCheck {
        /// The command that starts it.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Args, Debug)]
struct RunArgs {
    /// A library behind a shim: what reports call it, and what starts the shim. May be repeated.
    #[arg(long = "adapter", value_name = "NAME=COMMAND")]
    adapters: Vec<String>,
    /// A program that is not a shim: NAME=COMMAND. It reads the server and the operation from its environment, and is judged
    /// by its requests. Its exit code: 0 success, 77 feature not supported, any other refused. May be repeated.
    #[arg(long = "url-mode", value_name = "NAME=COMMAND")]
    programs: Vec<String>,
    /// Against the real service, or whatever COZE_API_BASE names, with the credentials of COZE_API_TOKEN,
    /// COZE_JWT_OAUTH_… and the other variables of the SDKs. Only cases marked live_safe are sent.
    #[arg(long, conflicts_with = "programs")]
    live: bool,
    /// Holds every line of the shims against the schema of the protocol.
    #[arg(long)]
    check_schema: bool,
    /// Only this of the clients that the program has built in. May be repeated; all of them if no client is named at all.
    #[arg(long = "subject", value_name = "NAME")]
    subjects: Vec<String>,
    /// Only cases that fit: an area such as device, an id, or device.*.token with * for one part. May be repeated.
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    /// Counts the score by the must checks of this date, such as 2026-12; by the newest if none is named.
    #[arg(long, value_name = "DATE")]
    requirements: Option<String>,
    /// A list of known failures in TOML: they do not turn the run red. May be repeated.
    #[arg(long, value_name = "FILE")]
    known_failures: Vec<PathBuf>,
    /// Writes the failures of this run to that file of known failures, and keeps the reasons that it has.
    #[arg(long, requires = "known_failures")]
    write_baseline: bool,
    /// Runs all of it so often; a verdict that changes is a failure.
    #[arg(long, value_name = "TIMES", default_value = "1")]
    repeat: NonZeroUsize,
    /// Writes everything that was seen, as JSON lines.
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// Writes totals and verdicts as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes TAP.
    #[arg(long, value_name = "FILE")]
    tap: Option<PathBuf>,
    /// Writes totals and what fails as Markdown.
    #[arg(long, value_name = "FILE")]
    md: Option<PathBuf>,
    /// Writes the matrix of checks and clients as a page of HTML, with every exchange.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs the command of this process's arguments, with these clients beside shims.
#[must_use]
pub fn main(subjects: Vec<Plan<'static>>) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            let _ = told.print();
            // Not clap's own 2, which means something else here.
            return ExitCode::from(if told.use_stderr() { 4 } else { 0 });
        }
    };
    let done = match cli.what {
        What::Run(args) => run(subjects, &args),
        What::List { cases } => list(&cases),
        #[cfg(feature = "evidence")]
        What::Evidence(args) => evidence::run(&args),
        What::Schema => {
            say(suite::CASE_SCHEMA);
            Ok(0)
        }
        What::ShimCheck { command } => shim_check(&command.join(" ")),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(4)
        }
    }
}

fn run(subjects: Vec<Plan<'static>>, args: &RunArgs) -> Result<u8, String> {
    let cases = selected(&args.cases)?;
    let known = known(args)?;
    let plans = plans::plans(subjects, args)?;
    let set = requirements(args.requirements.as_deref())?;
    let harness = match args.live {
        true => {
            let service = Service::from_variables(|name| std::env::var(name).ok())?;
            println!("{}", service.told());
            Harness::live(service)
        }
        false => Harness::new(),
    };
    let started = Instant::now();
    let mut runs = runner::run(&harness, &plans, &cases, &known, Some(&set));
    for _ in 1..args.repeat.get() {
        let later = runner::run(&harness, &plans, &cases, &known, Some(&set));
        runner::compare(&mut runs, &later);
    }
    for run in &mut runs {
        plans::is_idle(args, run);
    }
    say(&report::terminal::runs(&runs));
    let seconds = started.elapsed().as_secs_f64();
    let changed: usize = runs.iter().map(|run| run.total(Verdict::Flaky)).sum();
    say(&match args.repeat.get() {
        ..2 => format!("{} cases, {seconds:.1} s\n", cases.len()),
        times => format!(
            "{} cases, {times} times, {seconds:.1} s: verdicts that changed: {changed}\n",
            cases.len(),
        ),
    });
    write_reports(args, &runs)?;
    if let (Some(path), true) = (args.known_failures.first(), args.write_baseline) {
        write(path, &known.for_runs(&runs)?)?;
    }
    Ok(exit_code(&runs))
}

fn known(args: &RunArgs) -> Result<Baseline, String> {
    if args.write_baseline && args.known_failures.len() > 1 {
        return Err("--write-baseline writes one file: name one with --known-failures".to_owned());
    }
    let mut all = Baseline::default();
    for path in &args.known_failures {
        if args.write_baseline && !path.exists() {
            continue;
        }
        let known = Baseline::parse(&read(path)?);
        all.add(known.map_err(|why| format!("{}: {why}", path.display()))?);
    }
    Ok(all)
}

fn requirements(date: Option<&str>) -> Result<Requirements, String> {
    let mut sets = suite::requirements()?;
    let dates: Vec<String> = sets.iter().map(|set| set.date.clone()).collect();
    if let Some(date) = date {
        sets.retain(|set| set.date == date);
    }
    let found = sets.pop();
    found.ok_or_else(|| {
        format!(
            "unknown set of requirements; expected one of {}",
            dates.join(", ")
        )
    })
}

fn selected(wanted: &[String]) -> Result<Vec<Case>, String> {
    let cases = suite::cases()?;
    if wanted.is_empty() {
        return Ok(cases.to_vec());
    }
    if let Some(none) = wanted
        .iter()
        .find(|wanted| !cases.iter().any(|case| fits(wanted, &case.id)))
    {
        return Err(match none.split_once('#') {
            Some((case, _)) => {
                format!("no case fits {none}: --case {case} runs it with all its checks")
            }
            None => format!("no case fits {none:?}"),
        });
    }
    let is_wanted = |case: &Case| wanted.iter().any(|wanted| fits(wanted, &case.id));
    Ok(cases
        .iter()
        .filter(|case| is_wanted(case))
        .cloned()
        .collect())
}

/// What is longer fits too: `device` is a whole area. A check is none.
fn fits(wanted: &str, id: &str) -> bool {
    !wanted.contains('#') && case::behind(wanted, id).is_some()
}

fn list(wanted: &[String]) -> Result<u8, String> {
    for case in selected(wanted)? {
        say(&format!("{}  {}\n", case.id, case.title));
        for check in &case.checks {
            let level = report::terminal::level(check.level);
            let spec = check.spec.join(", ");
            say(&format!("    #{} {level} [{spec}]\n", check.id));
        }
    }
    Ok(0)
}

/// To standard output, which may be a pager that was left.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn shim_check(command: &str) -> Result<u8, String> {
    let plan = plans::shim("shim", command, true);
    let runs = runner::run(
        &Harness::new(),
        &[plan],
        suite::cases()?,
        &Baseline::default(),
        None,
    );
    let mut code = 0;
    for run in &runs {
        if let Some(why) = &run.incomplete {
            say(&format!("{why}\n"));
            code = 3;
        }
        for (_, check) in run.checks() {
            if check.verdict == crate::result::Verdict::NotTestable {
                let why = check.why.as_deref().unwrap_or_default();
                say(&format!("{}: {why}\n", check.id));
                code = 1;
            }
        }
    }
    if code == 0 {
        say("every line keeps to the protocol\n");
    }
    Ok(code)
}

fn write_reports(args: &RunArgs, runs: &[Run]) -> Result<(), String> {
    type Report = fn(&[Run]) -> String;
    let reports: [(&Option<PathBuf>, Report); 6] = [
        (&args.jsonl, report::json::lines),
        (&args.json, report::json::whole),
        (&args.junit, report::junit::junit),
        (&args.tap, report::tap::tap),
        (&args.md, report::markdown::markdown),
        (&args.html, report::html::html),
    ];
    for (path, report) in reports {
        if let Some(path) = path {
            write(path, &report(runs))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
