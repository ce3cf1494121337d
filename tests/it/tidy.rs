//! The shape of `src`: which part may use which, that every folder says what it is, and how long things may get.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of product code in a file: up to its tests.
const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 100;

const COMPILE: &[&str] = &["sql", "catalog", "plan"];
const WAIST: &[&str] = &["dstream"];
const RUN: &[&str] = &[
    "driver",
    "tasks",
    "operators",
    "state",
    "lineage",
    "storage",
    "connectors",
    "formats",
];
const GROUND: &[&str] = &["error", "config", "metrics"];
const FACES: &[&str] = &["cli", "repl"];

/// What the faces use of the library beside `api` and the ground, and why.
const FACES_MAY_USE: &[(&str, &str)] = &[
    (
        "sql",
        "where a statement ends, and its colours, must be told before anything is planned",
    ),
    ("formats", "rows on stdout are written by the writers that files have"),
];

/// Where what stands in `of` may reach.
fn allowed(of: &str) -> Vec<&'static str> {
    let parts: &[&[&str]] = match of {
        _ if COMPILE.contains(&of) => &[COMPILE, WAIST, GROUND],
        _ if WAIST.contains(&of) => &[WAIST, GROUND],
        _ if RUN.contains(&of) => &[RUN, WAIST, GROUND],
        _ if GROUND.contains(&of) => &[GROUND],
        // The program is a crate of its own: its `crate::` is the faces, and `waterwheel::` the library.
        _ if FACES.contains(&of) => &[FACES, GROUND],
        "api" => &[COMPILE, WAIST, RUN, GROUND, &["api"]],
        "lib" => &[&["api"]],
        "main" => &[FACES],
        _ => panic!("src/{of} has no place among the layers: give it one here and in ARCHITECTURE.md"),
    };
    let mut allowed = parts.concat();
    if FACES.contains(&of) {
        allowed.extend(FACES_MAY_USE.iter().map(|(module, _)| *module));
    }
    allowed
}

struct File {
    path: PathBuf,
    /// Without tests.
    lines: Vec<String>,
}

impl File {
    /// The folder or file of `src` that it belongs to.
    fn top(&self) -> String {
        let below = self.path.strip_prefix("src").expect("a file of src");
        let first = below.components().next().expect("a path").as_os_str();
        first.to_string_lossy().trim_end_matches(".rs").to_string()
    }

    fn code(&self) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().map(String::as_str);
        lines.filter(|line| !line.trim_start().starts_with("//"))
    }
}

/// Every file of `src` but tests.
fn files() -> Vec<File> {
    let mut found = Vec::new();
    walk(Path::new("src"), &mut found);
    assert!(found.len() > 100, "the tests run where Cargo.toml is");
    found
}

fn walk(folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).expect("a file of text");
            let product = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
            let lines = product.map(str::to_string).collect();
            found.push(File { path, lines });
        }
    }
}

/// The modules that a line names: `crate::NAME`, and `waterwheel::NAME` in the program.
fn modules_named(line: &str) -> Vec<String> {
    let mut named = Vec::new();
    for root in ["crate::", "waterwheel::"] {
        for (at, _) in line.match_indices(root) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &line[at + root.len()..];
            let is_cut = rest.starts_with('{') && !rest.contains('}');
            assert!(
                !is_cut,
                "a list over several lines; write one `use` for each module: {line}"
            );
            let paths: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
                None => vec![rest],
            };
            for path in paths {
                let name: String = path
                    .trim()
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                // A type is what `api` shows.
                if name.starts_with(char::is_lowercase) {
                    named.push(name);
                }
            }
        }
    }
    named
}

#[test]
fn modules_use_only_what_their_layer_may() {
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for file in files() {
        let top = file.top();
        let allowed = allowed(&top);
        for named in file.code().flat_map(modules_named) {
            if named != top && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{} uses {named}", file.path.display()));
            }
            seen.push((top.clone(), named));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let is_used = |module: &str| seen.iter().any(|(top, n)| FACES.contains(&top.as_str()) && n == module);
    for (module, _) in FACES_MAY_USE {
        assert!(is_used(module), "no face uses {module} any more: take it off the list");
    }
}

#[test]
fn a_line_tells_the_modules_it_names() {
    assert_eq!(modules_named("use crate::plan::compile;"), ["plan"]);
    assert_eq!(
        modules_named("let x = crate::sql::a(crate::error::b());"),
        ["sql", "error"]
    );
    assert_eq!(
        modules_named("use waterwheel::{Engine, plan, sql::parse_script};"),
        ["plan", "sql"]
    );
    assert_eq!(modules_named("my_crate::plan::x"), Vec::<String>::new());
}

#[test]
fn folders_say_what_they_are() {
    let begins = |file: &File| file.lines.first().is_some_and(|line| line.starts_with("//! "));
    let without: Vec<String> = files()
        .iter()
        .filter(|file| file.path.ends_with("mod.rs") && !begins(file))
        .map(|file| file.path.display().to_string())
        .collect();
    assert!(without.is_empty(), "no module doc: {}", without.join(", "));
}

#[test]
fn files_and_functions_stay_short() {
    let mut long = Vec::new();
    for file in files() {
        let name = file.path.display();
        if file.lines.len() > FILE_LINES_MAX {
            long.push(format!("{name} has {} lines", file.lines.len()));
        }
        for (function, lines) in functions(&file.lines) {
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{function} in {name} has {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "split what has two subjects:\n{}", long.join("\n"));
}

/// Functions and their lengths. In formatted code, a function ends with the first brace that stands as far left as it.
fn functions(lines: &[String]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, usize, String)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if let Some(name) = function_name(line.trim_start()) {
            // One without a body has no brace: a declaration in a trait.
            open.retain(|(_, other, _)| *other < indent);
            open.push((number, indent, name));
        }
        if line.trim_start().starts_with('}')
            && let Some(at) = open.iter().position(|(_, other, _)| *other == indent)
        {
            let (start, _, name) = open.remove(at);
            found.push((name, number - start + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("fn ")?;
    let is_qualifier =
        |word: &str| matches!(word, "pub" | "async" | "const" | "unsafe" | "extern") || word.starts_with("pub(");
    let name = rest.split(['(', '<']).next()?;
    before.split_whitespace().all(is_qualifier).then(|| name.to_string())
}

#[test]
fn lengths_of_functions_are_counted_as_they_stand() {
    let text = "impl A {\n    pub(super) fn one(\n        &self,\n    ) -> X {\n        if a {\n        }\n    }\n\n    fn two() {}\n}\nasync fn three() {\n}";
    let lines: Vec<String> = text.lines().map(str::to_string).collect();
    let lengths = functions(&lines);
    assert!(lengths.contains(&("one".to_string(), 6)), "{lengths:?}");
    assert!(lengths.contains(&("three".to_string(), 2)), "{lengths:?}");
}
