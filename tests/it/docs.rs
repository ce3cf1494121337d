//! The tables of options in `docs/sql.md` against those that the connectors give.

use std::collections::BTreeMap;
use waterwheel::connectors::CONNECTORS;
use waterwheel::dstream::table::{OptionKind, OptionSpec, SOURCES};

/// A row of a table: the cells behind the name.
type Row = Vec<String>;

/// The part of the docs between two headings.
fn section(from: &str, to: &str) -> String {
    let docs = std::fs::read_to_string("docs/sql.md").expect("docs/sql.md");
    let (_, rest) = docs.split_once(from).expect("the heading is there");
    rest.split_once(to).expect("the next heading is there").0.to_string()
}

/// The name that a line gives in code, and the cells behind it.
fn row(line: &str) -> Option<(String, Row)> {
    let cells: Vec<String> = line
        .strip_prefix('|')?
        .split('|')
        .map(|cell| cell.trim().to_string())
        .collect();
    let name = cells.first()?.strip_prefix('`')?.strip_suffix('`')?;
    Some((name.to_string(), cells[1..].to_vec()))
}

/// Options that are told of and are none, none that are and are not told of, and their values and defaults.
fn compare(what: &str, told: &BTreeMap<String, Row>, options: &[OptionSpec], wrong: &mut Vec<String>) {
    for name in told
        .keys()
        .filter(|name| options.iter().all(|o| o.name != name.as_str()))
    {
        wrong.push(format!("{what}: the docs tell of `{name}`, which is no option"));
    }
    for option in options {
        let Some(cells) = told.get(option.name) else {
            wrong.push(format!("{what}: the docs do not tell of `{}`", option.name));
            continue;
        };
        let has = |text: &str| cells.iter().any(|cell| cell.contains(text));
        if let OptionKind::OneOf(values) = option.kind {
            let missing = values.iter().filter(|value| !has(&format!("`{value}`")));
            wrong.extend(missing.map(|value| format!("{what}: `{}` may be `{value}`", option.name)));
        }
        if let Some(default) = option.default.filter(|default| !has(default)) {
            wrong.push(format!("{what}: the default of `{}` is {default}", option.name));
        }
        let of = option.of.join(", ");
        if !of.is_empty() && cells[0] != of {
            wrong.push(format!("{what}: `{}` is of {of}", option.name));
        }
    }
}

#[test]
fn the_docs_tell_of_every_option_and_of_no_other() {
    let mut wrong = Vec::new();
    let formats: BTreeMap<String, Row> = section("### Formats\n", "### Connectors\n")
        .lines()
        .filter_map(row)
        .collect();
    let mut known: Vec<OptionSpec> = Vec::new();
    for option in CONNECTORS.iter().flat_map(|c| c.spec.formats) {
        if known.iter().all(|k| k.name != option.name) {
            known.push(*option);
        }
    }
    compare("formats", &formats, &known, &mut wrong);
    let mut told: BTreeMap<String, BTreeMap<String, Row>> = BTreeMap::new();
    let mut of = String::new();
    for line in section("### Connectors\n", "\n## ").lines() {
        // `**name**` in code begins what is told of a connector.
        for (at, _) in line.match_indices("**`") {
            of = line[at + 3..].split('`').next().unwrap_or_default().to_string();
            told.entry(of.clone()).or_default();
        }
        if let Some((name, cells)) = row(line) {
            told.entry(of.clone()).or_default().insert(name, cells);
        }
    }
    let sources = told.remove("").unwrap_or_default();
    compare("sources", &sources, SOURCES, &mut wrong);
    for connector in CONNECTORS {
        let Some(told) = told.remove(connector.spec.name) else {
            wrong.push(format!("the docs do not tell of connector `{}`", connector.spec.name));
            continue;
        };
        compare(connector.spec.name, &told, connector.spec.options, &mut wrong);
    }
    wrong.extend(
        told.keys()
            .map(|name| format!("the docs tell of `{name}`, which is no connector")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
