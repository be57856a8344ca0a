//! The questions are those of the protocol page.

use coze_auth_conformance::evidence::{QUESTIONS, budget};

fn read(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_questions_are_those_of_the_protocol_page() {
    let page = read("docs/protocol.md");
    let (_, part) = page
        .split_once("## 14 Open questions")
        .expect("the section");
    let part = part.split("\n## ").next().expect("its text");
    let rows: Vec<_> = part
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            Some((cells.next()?.parse::<u8>().ok()?, cells.next()?.to_owned()))
        })
        .collect();
    let own: Vec<_> = QUESTIONS
        .iter()
        .map(|own| (own.number, own.text.to_owned()))
        .collect();
    assert_eq!(rows, own);
}

#[test]
fn the_budget_is_the_one_that_is_documented() {
    for page in ["docs/shadow.md", "docs/zh-CN/shadow.md"] {
        let text = read(page);
        let most = format!("**{}**", budget());
        assert!(text.contains(&most), "{page} does not name {most} requests");
        for own in QUESTIONS {
            let cell = format!("\n| {} | {} |", own.number, own.budget);
            assert!(text.contains(&cell), "{page} has no row {cell:?}");
        }
    }
}
