//! The pages for users: each language says the same in the same order, and a shell block is run by a test or says that it is not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    let page = std::fs::read_to_string(root().join(path));
    page.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages of the workspace, by their paths in it.
fn pages() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            if path.is_dir()
                && !name.starts_with('.')
                && !["target", "node_modules"].contains(&name)
            {
                walk(&path, found);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    let name = |path: &PathBuf| {
        let path = path.strip_prefix(root()).expect("below it");
        path.to_str().expect("UTF-8").replace('\\', "/")
    };
    let mut pages: Vec<String> = found.iter().map(name).collect();
    pages.sort();
    pages
}

/// Each page in English with the same page in Chinese.
fn pairs() -> Vec<(String, String)> {
    let english = |page: &str| match page.strip_suffix(".zh-CN.md") {
        Some(name) => format!("{name}.md"),
        None => page.replace("/zh-CN/", "/"),
    };
    let pages = pages().into_iter();
    pages
        .map(|page| (english(&page), page))
        // The list of a book's pages: not every page has a translation.
        .filter(|(english, page)| english != page && !page.ends_with("SUMMARY.md"))
        .collect()
}

/// A fenced block: what stands behind the fence (`rust,no_run`), and its text.
#[derive(Debug, PartialEq)]
struct Block {
    info: String,
    text: String,
}

impl Block {
    fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }

    fn is_shell(&self) -> bool {
        ["console", "sh", "shell", "bash"].contains(&self.language())
    }

    /// The block with its comments left out, which each language has in its own words.
    fn without_comments(&self) -> Self {
        let mark = match self.language() {
            "rust" => "//",
            "text" => "\0",
            _ => "# ",
        };
        let code = |line: &str| {
            let begins = |at: &usize| *at == 0 || line[..*at].ends_with(' ');
            let comment = line.match_indices(mark).map(|(at, _)| at).find(begins);
            line[..comment.unwrap_or(line.len())].trim_end().to_owned()
        };
        let lines = self.text.lines().map(code).filter(|line| !line.is_empty());
        Self {
            info: self.info.clone(),
            text: lines.collect::<Vec<_>>().join("\n"),
        }
    }
}

/// What stands below a heading, up to the next one.
#[derive(Default)]
struct Section {
    level: usize,
    title: String,
    blocks: Vec<Block>,
    rows: usize,
    prose: String,
}

impl Section {
    /// What is in code type in the prose: names, which no language translates.
    fn names(&self) -> BTreeSet<&str> {
        self.prose.split('`').skip(1).step_by(2).collect()
    }
}

fn sections(page: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut fenced = false;
    for line in page.lines() {
        let last = sections.last_mut().expect("one at least");
        if let Some(info) = line.strip_prefix("```") {
            if !fenced {
                let info = info.to_owned();
                last.blocks.push(Block {
                    info,
                    text: String::new(),
                });
            }
            fenced = !fenced;
        } else if fenced {
            let block = last.blocks.last_mut().expect("the open one");
            block.text.extend([line, "\n"]);
        } else if line.starts_with('#') {
            let title = line.trim_start_matches('#');
            sections.push(Section {
                level: line.len() - title.len(),
                title: title.trim().to_owned(),
                ..Section::default()
            });
        } else {
            last.rows += usize::from(line.starts_with('|'));
            last.prose.extend([line, "\n"]);
        }
    }
    sections
}

/// Where two languages of a page part; nothing if they say the same.
fn difference(english: &str, other: &str) -> Option<String> {
    let (english, other) = (sections(english), sections(other));
    for (one, two) in english.iter().zip(&other) {
        let place = format!("{:?} and {:?}", one.title, two.title);
        if one.level != two.level {
            return Some(format!("{place}: levels {} and {}", one.level, two.level));
        }
        let code = |section: &Section| -> Vec<Block> {
            let blocks = section.blocks.iter();
            blocks.map(Block::without_comments).collect()
        };
        let (first, second) = (code(one), code(two));
        if first != second {
            let blocks = first.iter().zip(&second).find(|(one, two)| one != two);
            return Some(format!(
                "{place}: {} and {} blocks, {blocks:#?}",
                first.len(),
                second.len()
            ));
        }
        if one.rows != two.rows {
            return Some(format!(
                "{place}: {} and {} rows of tables",
                one.rows, two.rows
            ));
        }
        let names: Vec<_> = one
            .names()
            .symmetric_difference(&two.names())
            .copied()
            .collect();
        if !names.is_empty() {
            return Some(format!("{place}: one language has not {names:?}"));
        }
    }
    let last = |sections: &[Section]| sections.last().map(|section| section.title.clone());
    (english.len() != other.len()).then(|| {
        format!(
            "{} and {} headings, up to {:?} and {:?}",
            english.len() - 1,
            other.len() - 1,
            last(&english),
            last(&other)
        )
    })
}

#[test]
fn both_languages_of_a_page_say_the_same() {
    let pairs = pairs();
    assert!(pairs.len() >= 8, "{pairs:?}");
    let differ = |(english, other): (String, String)| {
        let difference = difference(&read(&english), &read(&other))?;
        Some(format!("{english} and {other}: {difference}"))
    };
    let wrong: Vec<String> = pairs.into_iter().filter_map(differ).collect();
    assert!(
        wrong.is_empty(),
        "change both languages:\n{}",
        wrong.join("\n")
    );
}

/// Who reads a page has to know what was tried. A shell block says `not-run` behind its fence, or the sentence below it says that no test
/// runs it; else a test does.
#[test]
fn a_shell_block_is_run_or_says_that_it_is_not() {
    let is_run = |page: &str, block: &Block| {
        let block = block.without_comments();
        let commands: Vec<_> = block
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("$ "))
            .collect();
        // `your_transport_page.rs` runs these.
        let of_the_page =
            |line: &&str| line.starts_with("coze-auth-conformance ") || line.starts_with("cat ");
        // CI runs the first two, and the tests of the samples each of these.
        let of_ci = |line: &&str| match line.strip_prefix("cargo run --example ") {
            Some(sample) => root().join(format!("examples/{sample}.rs")).exists(),
            None => ["cargo demo", "cargo test --workspace --locked"].contains(line),
        };
        // The tests of the command run all of these pages.
        let of_the_command = ["pat", "workload", "bridge"]
            .iter()
            .flat_map(|of| [(*of).to_owned(), format!("zh-CN/{of}")])
            .any(|of| page == format!("docs/{of}.md"));
        // `evidence/help.rs` runs that of this page.
        let of_the_help = ["docs/evidence.md", "docs/zh-CN/evidence.md"].contains(&page);
        // `just shims` runs those of these pages.
        let of_the_shims = page.starts_with("conformance/clients/shims/a-shim-in-");
        commands.iter().all(of_ci)
            || of_the_command
            || of_the_shims
            || of_the_help
            || page == "docs/test-your-transport.md" && commands.iter().all(of_the_page)
    };
    let (mut blocks, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = read(&page);
        for section in sections(&text) {
            let says =
                section.prose.contains("no test runs") || section.prose.contains("没有测试运行");
            for block in section.blocks.iter().filter(|block| block.is_shell()) {
                blocks += 1;
                let marked = block.info.split(',').any(|word| word == "not-run");
                if !marked && !says && !is_run(&page, block) {
                    wrong.push(format!("{page}, {:?}:\n{}", section.title, block.text));
                }
            }
        }
    }
    assert!(blocks > 10, "{blocks} blocks");
    assert!(
        wrong.is_empty(),
        "let a test run these, or write ```console,not-run:\n{}",
        wrong.join("\n")
    );
}

/// What a front page says of a client is what the last run wrote.
#[test]
fn the_front_pages_tell_the_figures_of_the_scoreboard() {
    let numbers = |cells: &str| -> Vec<String> {
        let words = cells.split(|c: char| !c.is_ascii_digit());
        let words = words.filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    // Passed and applicable of must, should and may, and the defects; the column of requirements is the must once more.
    let board = read("docs/scoreboard.md");
    let row_of = |client: &str| {
        let row = board.lines().find(|line| line.starts_with(client));
        let cells: Vec<_> = row.expect("a row of the client").split('|').collect();
        numbers(&[cells[2], cells[3], cells[4], cells[6]].join(" "))
    };
    for page in ["README.md", "README.zh-CN.md"] {
        let text = read(page);
        for (name, client) in [
            ("| `coze-auth`", "| reqwest "),
            ("| `coze-auth`", "| ureq "),
            ("| `cozepy` 0.20.0", "| cozepy 0.20.0 "),
            ("| `@coze/api` 1.3.9", "| coze-api 1.3.9 "),
            (
                "| `coze-go` f47b4f2",
                "| coze-go 0.0.0-20260408095536-f47b4f256580 ",
            ),
            ("| `coze-java` 0.4.2", "| coze-java 0.4.2 "),
            (
                "| `coze-workload-identity` 0.1.14",
                "| coze-workload-identity 0.1.14 ",
            ),
        ] {
            let named = client.trim_matches(['|', ' ']);
            let row = text.lines().find(|line| {
                line.starts_with(name) && (line.contains(named) || name != "| `coze-auth`")
            });
            let row = row.unwrap_or_else(|| panic!("{page}: no row of {client}"));
            let (_, figures) = row[2..].split_once('|').expect("cells");
            assert_eq!(numbers(figures), row_of(client), "{page}: {client}");
        }
    }
}

/// The drawings are for every font and for a phone: CJK fonts draw box characters two columns wide.
#[test]
fn a_diagram_is_ascii_and_fits_a_phone() {
    let mut diagrams = 0;
    for page in ["pat", "web", "pkce", "device", "jwt", "workload"] {
        for section in sections(&read(&format!("docs/{page}.md"))) {
            let drawn = section.blocks.iter().filter(|block| block.info == "text");
            for line in drawn.flat_map(|block| block.text.lines()) {
                assert!(line.is_ascii() && line.len() <= 42, "{page}: {line:?}");
                diagrams += usize::from(line.contains("Coze"));
            }
        }
    }
    assert_eq!(diagrams, 6, "one for each page");
}

/// The comparison itself: what it must see, and what it must not.
#[test]
fn languages_are_compared_by_headings_code_tables_and_names() {
    let page = "# Title\n\nThe variable `A`.\n\n| a | b |\n|---|---|\n\n## Code\n\n```rust\nlet a = \"b://c\"; // why\n// all of it\n```\n";
    let same = "# 标题\n\n变量 `A`。\n\n| 一 | 二 |\n|---|---|\n\n## 代码\n\n```rust\nlet a = \"b://c\"; // 原因\n```\n";
    assert_eq!(difference(page, same), None);
    for (what, from, to) in [
        ("a heading less", "## 代码", "代码"),
        ("a level", "## 代码", "### 代码"),
        ("a heading more", "## 代码", "## 再一个\n\n## 代码"),
        ("a row", "|---|---|\n", "|---|---|\n| 三 | 四 |\n"),
        ("code", "b://c", "b://d"),
        ("the kind of a block", "```rust", "```rust,no_run"),
        ("a name", "`A`", "`B`"),
    ] {
        let other = same.replace(from, to);
        assert!(difference(page, &other).is_some(), "{what} is not seen");
    }
    let shell = |text: &str| {
        Block {
            info: "console".to_owned(),
            text: text.to_owned(),
        }
        .without_comments()
        .text
    };
    assert_eq!(shell("$ a '#b'   # c\n# d\n$ e#f\n"), "$ a '#b'\n$ e#f");
}
