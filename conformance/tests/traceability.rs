//! Every sentence of `docs/protocol.md` that binds a client or the mock has a check, a rule or a written exclusion in
//! `traceability.json`. Who adds such a sentence, or changes one, gets red here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use coze_auth_conformance::cases;
use regex::Regex;
use serde::Deserialize;

/// Where a sentence of the page is tested, or why it is not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    section: String,
    /// The sentence, or the cells of a row.
    says: String,
    /// `case#check`.
    #[serde(default)]
    checks: Vec<String>,
    /// Of the mock; `rules.rs` of its tests breaks each.
    #[serde(default)]
    rules: Vec<String>,
    /// `path/of/file.rs::function`, beside checks and rules or where neither can be.
    #[serde(default)]
    tests: Vec<String>,
    /// Why there is neither check nor rule, or what of the sentence none of them shows.
    #[serde(default)]
    excluded: Option<String>,
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()))
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let text = read("docs/traceability.json");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("traceability.json: {error}"))
});

/// A sentence or a row of a table.
#[derive(Debug)]
struct Said {
    section: String,
    text: String,
    /// It asks something of somebody.
    binds: bool,
}

/// With these the page asks something of a client or of the mock, or says what they do.
const BINDING: [&str; 24] = [
    "client",
    "clients",
    "mock",
    "our",
    "we",
    "must",
    "never",
    "not",
    "nothing",
    "refuse",
    "refused",
    "refuses",
    "ignored",
    "sent",
    "sends",
    "masked",
    "marked",
    "counts",
    "encoded",
    "taken",
    "unchanged",
    "once",
    "error",
    "errors",
];

fn has_a_word_that_binds(sentence: &str) -> bool {
    sentence
        .split(|c: char| !c.is_alphabetic())
        .any(|word| BINDING.contains(&&*word.to_lowercase()))
}

/// A column whose cells say what somebody does.
fn is_somebodys(header: &str) -> bool {
    let header = header.to_lowercase();
    ["client", "mock", "retry()"]
        .iter()
        .any(|word| header.contains(word))
        || header == "we"
}

/// What is being read.
#[derive(Default)]
struct Reader {
    section: Option<String>,
    lines: Vec<String>,
    /// A step of a numbered list.
    is_step: bool,
    header: Option<Vec<String>>,
    said: Vec<Said>,
}

impl Reader {
    fn say(&mut self, text: String, binds: bool) {
        // What stands before the first number is about the page.
        if let Some(section) = self.section.clone() {
            self.said.push(Said {
                section,
                text,
                binds,
            });
        }
    }

    /// A paragraph or an item has come to its end.
    fn end(&mut self) {
        let text = std::mem::take(&mut self.lines).join(" ");
        let (is_step, mut rest) = (std::mem::take(&mut self.is_step), text.as_str());
        static BETWEEN: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"[.!?] +[A-Z`*]").expect("an expression"));
        while let Some(found) = BETWEEN.find(rest) {
            let (sentence, after) = rest.split_at(found.start() + 1);
            self.say(
                sentence.to_owned(),
                is_step || has_a_word_that_binds(sentence),
            );
            rest = after.trim_start();
        }
        if !rest.is_empty() {
            self.say(rest.to_owned(), is_step || has_a_word_that_binds(rest));
        }
    }

    fn row(&mut self, line: &str) {
        self.end();
        let cells: Vec<String> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        let Some(header) = &self.header else {
            self.header = Some(cells);
            return;
        };
        if cells
            .iter()
            .all(|cell| cell.bytes().all(|byte| byte == b'-'))
        {
            return;
        }
        let binds = header
            .iter()
            .zip(&cells)
            .any(|(header, cell)| is_somebodys(header) && !cell.is_empty());
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let cells: Vec<&str> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
        self.say(cells.join(" | "), binds);
    }

    fn line(&mut self, line: &str) {
        if line.starts_with('|') {
            return self.row(line);
        }
        self.header = None;
        let step = line.split_once(". ").filter(|(number, _)| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        let item = line.strip_prefix("* ");
        if line.starts_with('#') || line.is_empty() || item.is_some() || step.is_some() {
            self.end();
        }
        if let Some(title) = line.strip_prefix('#') {
            let number = title.trim_start_matches('#').trim().split(' ').next();
            let number = number.filter(|number| number.starts_with(|c: char| c.is_ascii_digit()));
            self.section = number.map(str::to_owned);
        } else if !line.is_empty() {
            self.is_step |= step.is_some();
            let text = item.or_else(|| step.map(|(_, rest)| rest)).unwrap_or(line);
            self.lines.push(text.trim().to_owned());
        }
    }
}

/// All that the page says, in its order, but for the table of rules: each is a rule, and the mock's tests break each.
static PAGE: LazyLock<Vec<Said>> = LazyLock::new(|| {
    let page = read("docs/protocol.md");
    let (before, rest) = page.split_once("<!-- rules: made from").expect("a table");
    let (_, after) = rest.split_once("<!-- /rules -->").expect("its end");
    let mut reader = Reader::default();
    for line in before.lines().chain(after.lines()) {
        reader.line(line);
    }
    reader.end();
    reader.said
});

fn place(entry: &Entry) -> Option<usize> {
    PAGE.iter()
        .position(|said| said.section == entry.section && said.text == entry.says)
}

#[test]
fn entries_stand_on_the_page_in_its_order() {
    let mut last = None;
    for entry in ENTRIES.iter() {
        let place = place(entry);
        let place =
            place.unwrap_or_else(|| panic!("§{} does not say: {}", entry.section, entry.says));
        assert!(
            last < Some(place),
            "out of order, or twice: §{} {}",
            entry.section,
            entry.says
        );
        last = Some(place);
    }
}

#[test]
fn every_sentence_that_binds_is_listed() {
    let listed: BTreeSet<usize> = ENTRIES.iter().filter_map(place).collect();
    let missing: Vec<String> = PAGE
        .iter()
        .enumerate()
        .filter(|(index, said)| said.binds && !listed.contains(index))
        .map(|(_, said)| format!("§{} {}", said.section, said.text))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/traceability.json:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_entry_leads_somewhere() {
    let cases = cases().unwrap_or_else(|problem| panic!("{problem}"));
    let checks: BTreeSet<String> = cases
        .iter()
        .flat_map(|case| {
            let checks = case.checks.iter();
            checks.map(|check| format!("{}#{}", case.id, check.id))
        })
        .collect();
    let rules: toml::Table = read("mock-server/rules.toml").parse().expect("TOML");
    let rules: BTreeSet<&str> = rules["rule"]
        .as_array()
        .expect("rules")
        .iter()
        .filter_map(|rule| rule["id"].as_str())
        .collect();
    let mut counts = BTreeMap::new();
    for entry in ENTRIES.iter() {
        let at = format!("§{} {}", entry.section, entry.says);
        for check in &entry.checks {
            assert!(checks.contains(check), "{at}: there is no check {check}");
        }
        for rule in &entry.rules {
            assert!(rules.contains(&**rule), "{at}: there is no rule {rule}");
        }
        for test in &entry.tests {
            let (file, name) = test.split_once("::").expect("file.rs::function");
            let text = read(file);
            let attributes = text
                .split_once(&format!("fn {name}("))
                .map(|(before, _)| before);
            let attributes = attributes.and_then(|before| before.rsplit("\n\n").next());
            let is_test = attributes
                .is_some_and(|above| above.contains("test]") || above.contains("::test("));
            assert!(is_test, "{at}: there is no test {test}");
        }
        let by = match entry {
            Entry { checks, .. } if !checks.is_empty() => "by checks",
            Entry { rules, .. } if !rules.is_empty() => "by rules of the mock alone",
            Entry { tests, .. } if !tests.is_empty() => "by tests elsewhere",
            _ => "excluded",
        };
        let is_shown = !entry.checks.is_empty() || !entry.rules.is_empty();
        let reason = entry.excluded.as_deref().unwrap_or_default();
        assert!(
            is_shown || reason.len() > 10,
            "{at}: no check, no rule, and no reason"
        );
        *counts.entry(by).or_insert(0) += 1;
    }
    let binding = PAGE.iter().filter(|said| said.binds).count();
    println!(
        "{binding} of {} sentences and rows bind; {} are listed: {counts:?}",
        PAGE.len(),
        ENTRIES.len()
    );
}
