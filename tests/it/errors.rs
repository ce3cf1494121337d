//! Every `tests/errors/*.sql` is wrong in ways that people are; the text next to it is what `waterwheel check` says.
//!
//! `UPDATE=1 cargo test errors` writes the texts anew; read the difference with a user's eye.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

/// Words of Rust and of its libraries, which no user should meet.
const INSIDES: &[&str] = &[
    "Utf8",
    "Int64",
    "Float64",
    "DataType",
    "Some(",
    "None",
    "Ident",
    "LogicalPlan",
    "Error:",
    "panicked",
    "ScalarValue",
    "DataFusion",
    "Arrow",
    "sqlparser",
    "Millisecond",
    "MonthDayNano",
    "Signature",
    "TableReference",
    "::",
];

fn scripts() -> Vec<PathBuf> {
    let files = std::fs::read_dir("tests/errors").expect("tests/errors is there");
    let mut scripts: Vec<PathBuf> = files
        .map(|f| f.expect("a file").path())
        .filter(|p| p.extension().is_some_and(|e| e == "sql"))
        .collect();
    scripts.sort();
    scripts
}

#[test]
fn wrong_scripts_are_answered_well() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    for script in scripts() {
        let checked = Command::new(env!("CARGO_BIN_EXE_waterwheel"))
            .env_remove("WATERWHEEL_SEED")
            .env_remove("WATERWHEEL_LONG")
            .arg("check")
            .arg(&script)
            .output()
            .expect("the program runs");
        let said = String::from_utf8(checked.stderr).expect("messages are text");
        let name = script.display();
        if checked.status.code() != Some(1) || !checked.stdout.is_empty() {
            writeln!(wrong, "{name}: {:?}, not exit 1 with nothing on stdout", checked.status).expect("a string");
        }
        for inside in INSIDES.iter().filter(|i| said.contains(**i)) {
            writeln!(wrong, "{name} shows `{inside}`:\n{said}").expect("a string");
        }
        let expected = script.with_extension("txt");
        if update {
            std::fs::write(&expected, &said).expect("the text can be written");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != said {
            writeln!(wrong, "{name} says (UPDATE=1 to accept):\n{said}").expect("a string");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
