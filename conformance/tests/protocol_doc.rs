//! `docs/protocol.md` against the rest of the project: its table of rules is the mock's, and whatever
//! a comment cites is there. `UPDATE_DOCS=1` writes the table instead of comparing it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const DOCUMENT: &str = "docs/protocol.md";
const RULES: &str = "mock-server/rules.toml";
const BEGIN: &str = "<!-- rules: made from mock-server/rules.toml by just rules -->\n";
const END: &str = "<!-- /rules -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A row of the mock's table.
struct Rule(toml::Table);

impl Rule {
    fn text(&self, column: &str) -> &str {
        self.0[column].as_str().expect("a string")
    }

    fn id(&self) -> &str {
        self.text("id")
    }

    fn has_switch(&self) -> bool {
        self.0["switch"].as_bool().expect("a bool")
    }

    fn is_off(&self) -> bool {
        self.0.get("default").and_then(toml::Value::as_bool) == Some(false)
    }

    fn row(&self) -> String {
        let switch = match (self.has_switch(), self.is_off()) {
            (true, true) => "off; `on` is stricter",
            (true, false) => "`off`",
            (false, _) => "—",
        };
        let mut evidence = self.text("evidence").to_owned();
        if let Some(record) = self.0.get("record") {
            let _ = write!(evidence, ", `{}`", record.as_str().expect("a file"));
        }
        let cells = [
            &format!("`{}`", self.id()),
            self.text("text"),
            &evidence,
            &self.text("reference").replace("protocol §", "§"),
            switch,
        ];
        format!(
            "| {} |\n",
            cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
        )
    }
}

static TABLE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let table: toml::Table = read(RULES).parse().expect("TOML");
    let rules = table["rule"].as_array().expect("rules");
    rules
        .iter()
        .map(|rule| Rule(rule.as_table().expect("a rule").clone()))
        .collect()
});

fn rendered() -> String {
    let mut text =
        "\n| Id | What | Evidence | Where | Switch |\n|---|---|---|---|---|\n".to_owned();
    for rule in TABLE.iter() {
        text += &rule.row();
    }
    text + "\n"
}

#[test]
fn a_rule_that_a_record_shows_names_it() {
    let row = r#"
        id = "area.name"
        text = "A sentence."
        evidence = "report"
        reference = "protocol §1.1"
        switch = true
        record = "made.json"
    "#;
    let rule = Rule(row.parse().expect("TOML"));
    let expected = "| `area.name` | A sentence. | report, `made.json` | §1.1 | `off` |\n";
    assert_eq!(rule.row(), expected);
}

/// Before, between and after the markers.
fn parts(document: &str) -> [&str; 3] {
    let (before, rest) = document.split_once(BEGIN).expect("the first marker");
    let (between, after) = rest.split_once(END).expect("the last marker");
    [before, between, after]
}

/// Read once for all tests, after it was written if that is wanted.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = read(DOCUMENT);
    if std::env::var_os("UPDATE_DOCS").is_none_or(|wanted| wanted != "1") {
        return text;
    }
    let [before, _, after] = parts(&text);
    let text = format!("{before}{BEGIN}{}{END}{after}", rendered());
    std::fs::write(root().join(DOCUMENT), &text).expect("docs/ can be written");
    text
});

#[test]
fn the_table_of_rules_is_the_mocks() {
    let [_, table, _] = parts(&TEXT);
    for (there, made) in table.lines().zip(rendered().lines()) {
        assert_eq!(
            there, made,
            "{DOCUMENT} (left) is older than {RULES} (right): run with UPDATE_DOCS=1"
        );
    }
    assert_eq!(table, rendered(), "run with UPDATE_DOCS=1");
}

/// Its evidence is not that of the rule, so it stands in a table of its own (§4.2).
#[test]
fn every_status_with_its_code_is_in_the_document() {
    for rule in TABLE.iter() {
        let status = rule.0["status"].as_integer().expect("a status");
        let answer = format!("| {status} | `{}` |", rule.text("error"));
        assert!(
            TEXT.lines().any(|line| line.starts_with(&answer)),
            "{}: no row {answer}",
            rule.id()
        );
    }
}

/// The switches that the text tells people to use can be used.
#[test]
fn every_switch_in_the_text_exists() {
    let named = |option: &str| {
        let uses = TEXT.split(option).skip(1);
        let words = uses.filter_map(|rest| rest.split(['`', ' ', '\n']).next());
        let pairs = words.map(|word| word.split_once('=').expect("ID=…"));
        pairs
            .filter(|(id, _)| *id != "ID")
            .map(|(id, value)| {
                let rule = TABLE.iter().find(|rule| rule.id() == id);
                (
                    rule.unwrap_or_else(|| panic!("{option}{id}: no such rule")),
                    value,
                )
            })
            .collect::<Vec<_>>()
    };
    let rules = named("--rule ");
    let answers = named("--answer ");
    assert!(!rules.is_empty() && !answers.is_empty());
    for (rule, value) in rules {
        let useful = if rule.is_off() { "on" } else { "off" };
        assert!(
            rule.has_switch() && value == useful,
            "--rule {}={value} changes nothing",
            rule.id()
        );
    }
    for (rule, value) in answers {
        let status = value.split(':').next().and_then(|s| s.parse::<u16>().ok());
        let fits = status.is_some_and(|s| (200..300).contains(&s) || (400..600).contains(&s));
        assert!(fits, "--answer {}={value} is refused", rule.id());
    }
}

/// The numbers of the headings.
fn sections() -> BTreeSet<&'static str> {
    let mut numbers = BTreeSet::new();
    for heading in TEXT.lines().filter(|line| line.starts_with('#')) {
        let number = heading.trim_start_matches('#').trim_start();
        let number = number.split(' ').next().unwrap_or_default();
        if number.starts_with(|c: char| c.is_ascii_digit()) {
            assert!(numbers.insert(number), "two sections {number}");
        }
    }
    numbers
}

/// The sections of the protocol page that a text cites: `protocol §1.2`, and those that follow in a
/// list, until another source is named. On the page itself (`own`) a number alone is one too.
fn cited(text: &str, own: bool) -> Vec<&str> {
    let (mut ours, mut before, mut found) = (own, "", Vec::new());
    let comment = ["//", "///", "//!", "#", "*"];
    for word in text
        .split_whitespace()
        .filter(|word| !comment.contains(word))
    {
        if let Some((_, rest)) = word.split_once('§') {
            let source = before.to_ascii_lowercase();
            if source.contains("protocol") {
                ours = true;
            } else if source.contains("design")
                || (!source.is_empty() && source.bytes().all(|b| b.is_ascii_digit()))
            {
                ours = false; // `design §4`, `RFC 6749 §5.2`
            }
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
            let number = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
            if ours && !number.is_empty() {
                found.push(number);
            }
        }
        if word == "|" || word.ends_with(['.', ';']) {
            ours = own;
        }
        before = word;
    }
    found
}

#[test]
fn citations_are_found() {
    let text = "(RFC 8628 §3.2, protocol §3.2, §7; §8.\n// See protocol.md\n/// §4.1, F4, and §4.3. Design §9";
    assert_eq!(cited(text, false), ["3.2", "7", "4.1", "4.3"]);
    assert_eq!(cited("§1 | RFC 6749 §3.1, §3.3 | §2.", true), ["1", "2"]);
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str());
        let name = name.unwrap_or_default();
        let ending = path.extension().and_then(|e| e.to_str());
        if path.is_dir() {
            if !matches!(name, "target" | "node_modules") && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if matches!(ending, Some("rs" | "toml" | "html" | "py" | "mjs" | "md")) {
            found.push(path);
        }
    }
}

#[test]
fn every_cited_section_is_in_the_document() {
    let mut files = Vec::new();
    sources(root(), &mut files);
    let (sections, mut missing, mut count) = (sections(), String::new(), 0);
    for path in files {
        let text = read(&path);
        let own = path.ends_with(DOCUMENT);
        let mut miss = |what: &str| {
            let _ = write!(missing, "\n{}: {what}", path.display());
        };
        for number in cited(&text, own) {
            count += 1;
            if !sections.contains(number) {
                miss(&format!("§{number}"));
            }
        }
        // `protocol §11 coze-js 3` is a row of that section.
        // Put together, so that this file does not find itself.
        for row in text.split(concat!("§11 ", "coze-")).skip(1) {
            let end = row.find(|c: char| !c.is_ascii_alphanumeric() && c != ' ');
            let words = row[..end.unwrap_or(row.len())].split(' ');
            let row = format!("| coze-{} |", words.take(2).collect::<Vec<_>>().join(" "));
            if !TEXT.lines().any(|line| line.starts_with(&row)) {
                miss(&row);
            }
        }
    }
    assert!(count > 100, "only {count} citations: is this the project?");
    assert!(missing.is_empty(), "{DOCUMENT} has no{missing}");
}

/// A URL that a reader is told to use can be used as it stands.
#[test]
fn urls_are_whole() {
    let rules = read(RULES);
    let mut count = 0;
    for text in [TEXT.as_str(), &rules] {
        for scheme in ["http://", "https://"] {
            for rest in text.split(scheme).skip(1) {
                let end = rest.find(|c: char| c.is_whitespace() || "`\"')|".contains(c));
                let url = &rest[..end.unwrap_or(rest.len())];
                count += 1;
                for hole in ["<", "{", "…", "...", "$", "XXX", "TODO", "YOUR"] {
                    assert!(!url.contains(hole), "{scheme}{url} has a {hole}");
                }
            }
        }
    }
    assert!(count > 0, "no URL at all");
}
