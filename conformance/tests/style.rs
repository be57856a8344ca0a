//! The glossary of docs/style.md: the words that it refuses are in no doc comment and in no text of a package.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// The sources of every package: libraries, commands with their help, and pages.
fn packages() -> Vec<PathBuf> {
    let root = root();
    let crates = std::fs::read_dir(root.join("crates")).expect("the folder of crates");
    let mut packages: Vec<_> = crates
        .map(|entry| entry.expect("an entry").path())
        .collect();
    packages.extend(["mock-server", "conformance", "examples", "fuzz"].map(|name| root.join(name)));
    packages
        .iter()
        .map(|package| package.join("src"))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// The words in bold in the second column of the glossary.
fn refused_words() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/style.md")).expect("the page");
    let (_, glossary) = page
        .split_once("\n## One term per thing\n")
        .expect("the glossary");
    let rows = glossary.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| row.split('|').nth(2))
        .flat_map(|cell| cell.split("**").skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// The doc comments and the string literals of a source, without its tests, each with its line. Doc comments in
/// consecutive lines are one text. A literal without a space is a name and not a text.
fn texts(source: &str) -> Vec<(usize, String)> {
    let source = source
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut doc_ends = 0;
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let line = source[..at].matches('\n').count() + 1;
        let in_name = source[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric());
        let hashes = match rest.strip_prefix('r') {
            Some(after) => after.len() - after.trim_start_matches('#').len(),
            None => 0,
        };
        if rest.starts_with("//") {
            let comment = rest.lines().next().unwrap_or_default();
            let doc = comment
                .strip_prefix("///")
                .or_else(|| comment.strip_prefix("//!"));
            if let Some(doc) = doc {
                match found.last_mut().filter(|_| doc_ends + 1 == line) {
                    Some((_, text)) => text.extend([" ", doc]),
                    None => found.push((line, doc.to_owned())),
                }
                doc_ends = line;
            }
            at += comment.len();
        } else if first == 'r' && !in_name && rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let text = &rest[hashes + 2..];
            let text = text.split(&end).next().unwrap_or_default();
            found.push((line, text.to_owned()));
            at += hashes + 2 + text.len() + end.len();
        } else if first == '"' {
            let mut escaped = false;
            let closed = rest[1..].find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            let text = &rest[1..1 + closed.expect("a closed literal")];
            if text.contains(' ') {
                found.push((line, text.to_owned()));
            }
            at += text.len() + 2;
        } else if rest.starts_with("'\\") {
            at += 3 + rest[3..].find('\'').expect("a closed character") + 1;
        } else if first == '\'' && rest.chars().nth(2) == Some('\'') {
            at += 2 + rest.chars().nth(1).map_or(0, char::len_utf8);
        } else {
            at += first.len_utf8();
        }
    }
    found
}

/// The refused words of a text. Code in backticks and where a link leads are not read, "no longer" is not a negation, and
/// -s, -es, -ed and -ing make another form of the same word.
fn refused_in<'a>(text: &str, words: &'a [String]) -> Vec<&'a str> {
    let prose: String = text.replace("\\\n", " ").split('`').step_by(2).collect();
    let mut parts = prose.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    let prose = parts.fold(first, |prose, part| {
        prose + "]" + part.split_once(')').map_or(part, |(_, rest)| rest)
    });
    let prose = prose.split_whitespace().collect::<Vec<_>>().join(" ");
    let prose = prose.to_lowercase().replace("no longer", "");
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let has = |word: &str| {
        prose.match_indices(word).any(|(at, _)| {
            let rest = &prose[at + word.len()..];
            let ending = &rest[..rest.find(|c| !letter(c)).unwrap_or(rest.len())];
            !prose[..at].ends_with(letter) && ["", "s", "es", "ed", "ing"].contains(&ending)
        })
    };
    let words = words.iter().map(String::as_str);
    words.filter(|word| has(word)).collect()
}

#[test]
fn words_that_the_glossary_refuses_are_not_used() {
    let words = refused_words();
    assert!(words.len() > 15, "{words:?}");
    let root = root();
    let mut paths = Vec::new();
    for folder in packages() {
        sources(&folder, &mut paths);
    }
    let (mut read, mut wrong) = (0, Vec::new());
    for path in paths {
        let source = std::fs::read_to_string(&path).expect("a text file");
        let name = path.strip_prefix(&root).expect("below it").display();
        for (line, text) in texts(&source) {
            read += 1;
            for word in refused_in(&text, &words) {
                wrong.push(format!("{name}:{line}: {word:?} in {text:?}"));
            }
        }
    }
    assert!(read > 4_000, "only {read} texts were found");
    assert!(
        wrong.is_empty(),
        "docs/style.md has the word to use instead:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_refused_word_is_found_wherever_people_read_it() {
    let words: Vec<String> = ["breach", "is no"].map(str::to_owned).into();
    let refused = |source: &str| {
        let texts = texts(source);
        let all = texts.iter().flat_map(|(_, text)| refused_in(text, &words));
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    for (what, source) in [
        ("rustdoc", "/// Counts breaches.\npub fn count() {}"),
        ("module", "//! A breach."),
        (
            "help",
            "struct A {\n    /// Answer Breaches of a rule\n    #[arg(long)]\n    b: u8,\n}",
        ),
        (
            "error",
            "fn a<'a>(c: &'a str) { f('\"', \"a breach of it\") }",
        ),
        ("raw", "const A: &str = r#\"a \"breach\" here\"#;"),
        ("behind a link", "/// See [it](crate::a): a breach."),
        ("two lines", "const A: &str = \"the \\\n    breach\";"),
    ] {
        assert_eq!(refused(source), ["breach"], "{what}");
    }
    let wrapped = "/// This is\n/// no URL.\nstruct A;\n/// It is no longer one.\nstruct B;";
    assert_eq!(refused(wrapped), ["is no"]);
    for (what, source) in [
        ("a comment", "// a breach\nfn a() {}"),
        ("code", "/// See `breach of`.\nfn a() {}"),
        (
            "a link",
            "/// See [it](crate::breach), and [this](breach).\nfn a() {}",
        ),
        ("a name", "const A: &str = \"breach\";"),
        ("another word", "/// Breachable, a sea-breacher.\nfn a() {}"),
        ("a test", "#[cfg(test)]\nmod tests {\n/// a breach\n}"),
    ] {
        assert_eq!(refused(source), [""; 0], "{what}");
    }
}

/// The kinds of change of Keep a Changelog, in the order in which a version has them.
const KINDS: &[&str] = &[
    "Added",
    "Changed",
    "Deprecated",
    "Removed",
    "Fixed",
    "Security",
];

/// What is wrong with the form of a changelog: versions, kinds of change, parts, bullets.
fn wrong_form(page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut kinds, mut parts, mut open) = (Vec::new(), Vec::new(), None);
    for (line, text) in page.lines().enumerate().map(|(at, text)| (at + 1, text)) {
        let level = text.len() - text.trim_start_matches('#').len();
        if level > 1
            && let Some((at, heading)) = open.replace((line, text))
            && heading.starts_with("####")
        {
            wrong.push(format!("{at}: {heading:?} has no entry"));
        }
        let title = text[level..].trim();
        match level {
            2 => {
                let released = title.split_once("] - ").is_some_and(|(version, day)| {
                    let numbers = version.trim_start_matches('[').split('.').count();
                    numbers == 3 && day.len() == 10 && day.split('-').count() == 3
                });
                if title != "[Unreleased]" && !released {
                    wrong.push(format!(
                        "{line}: {title:?} is not [Unreleased] or [1.2.3] - 2026-12-31"
                    ));
                }
                kinds.clear();
            }
            3 => match KINDS.iter().position(|kind| *kind == title) {
                Some(place) if kinds.last().is_none_or(|before| *before < place) => {
                    kinds.push(place);
                    parts.clear();
                }
                Some(_) => wrong.push(format!("{line}: {title} stands twice, or not in its order")),
                None => wrong.push(format!("{line}: {title:?} is not a kind of change")),
            },
            4 if parts.contains(&title) => wrong.push(format!("{line}: {title:?} stands twice")),
            4 => parts.push(title),
            _ if text.starts_with("* ") => open = None,
            _ => {}
        }
    }
    wrong
}

#[test]
fn the_changelog_has_its_form() {
    let page = std::fs::read_to_string(root().join("CHANGELOG.md")).expect("the page");
    let wrong = wrong_form(&page);
    assert!(wrong.is_empty(), "CHANGELOG.md:\n{}", wrong.join("\n"));
    let planted = "## [Unreleased]\n### Fixed\n#### A\n#### B\n* b\n#### B\n* b\n### Added\n### New\n## 0.2\n";
    let wrong = wrong_form(planted);
    let lines: Vec<&str> = wrong
        .iter()
        .filter_map(|wrong| wrong.split(':').next())
        .collect();
    assert_eq!(lines, ["3", "6", "8", "9", "10"], "{wrong:?}");
}
