//! What is searched by tests of other crates, which alone can play it: by which.

use std::fmt::Write as _;
use std::path::Path;

/// Who shows it, what, the file of the test from the root, and its name.
const SEARCHED: &[(&str, &str, &str, &str)] = &[
    (
        "command",
        "standard output and error, --verbose, --json: of keys, whole and in pieces",
        "crates/coze-auth-cli/tests/cli/secrets.rs",
        "nothing_that_the_command_prints_has_a_piece_of_a_key",
    ),
    (
        "command",
        "the same: of a workload",
        "crates/coze-auth-cli/tests/cli/secrets.rs",
        "nothing_that_the_command_prints_has_the_secret_of_a_workload",
    ),
    (
        "command",
        "errors: a token in the place of a path or an id",
        "crates/coze-auth-cli/tests/cli/secrets.rs",
        "a_token_in_the_place_of_a_path_or_an_id_is_not_shown",
    ),
    (
        "libraries",
        "errors: of keys, whole and in pieces",
        "crates/coze-auth-cli/tests/cli/secrets.rs",
        "no_error_of_the_libraries_has_a_piece_of_a_key",
    ),
    (
        "bridge",
        "answers and pages to hostile requests: of its clients",
        "crates/coze-auth-cli/tests/cli/bridge/attack.rs",
        "hostile_requests_get_neither_a_token_nor_a_secret_nor_another_host",
    ),
    (
        "bridge",
        "log: of every flow",
        "crates/coze-auth-cli/tests/cli/bridge/attack.rs",
        "no_secret_of_any_flow_is_in_the_log",
    ),
    (
        "mock",
        "journal, HAR, explanations, pages, log: of every secret place",
        "mock-server/tests/mock/redaction.rs",
        "a_sentinel_in_every_secret_place_stays_in",
    ),
    (
        "mock",
        "the same: what it issues",
        "mock-server/tests/mock/redaction.rs",
        "what_the_mock_issues_is_masked",
    ),
    (
        "mock",
        "Debug of its configuration",
        "mock-server/tests/mock/redaction.rs",
        "no_secret_of_the_configuration_is_in_debug",
    ),
    (
        "`main`",
        "what a program prints that ends with an error",
        "conformance/tests/printed_errors.rs",
        "a_program_that_ends_with_an_error_prints_its_words",
    ),
    (
        "observers",
        "log",
        "conformance/tests/traced.rs",
        "a_log_tells_all_but_secrets",
    ),
    (
        "workload",
        "Debug, errors, observers, and the command: against a server that quotes",
        "conformance/tests/workload_secrets.rs",
        "no_secret_of_a_workload_is_seen_anywhere",
    ),
    (
        "RedisStore",
        "errors: a wrong sealing key, an unknown one, none",
        "crates/coze-auth-redis/src/seal/tests.rs",
        "a_wrong_key_and_an_unknown_one_are_told_apart_from_damage",
    ),
];

/// The rows, and each whose test is not there.
pub(crate) fn table() -> (String, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut table, mut wrong) = (String::from("searched by other tests\n"), Vec::new());
    for (who, what, file, test) in SEARCHED {
        writeln!(table, "  {who}: {what}\n    {file}: {test}").expect("memory");
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        if !text.contains(&format!("#[test]\nfn {test}()")) {
            wrong.push(format!("{file} has no test {test}"));
        }
    }
    (table, wrong)
}
