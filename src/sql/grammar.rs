//! The grammar as data: `grammar/waterwheel.ebnf`, the text that `\h` prints.
//!
//! The file is a list of productions `Name ::= …`. A production that is a statement stands behind a comment which
//! begins with the statement's words, alternatives split by `|`; the rest of the comment says what it is for.

use std::collections::BTreeSet;

/// The file itself.
pub const EBNF: &str = include_str!("../../grammar/waterwheel.ebnf");

/// One production, with the comment before it.
struct Production {
    name: &'static str,
    /// `Name ::= …`, with its line breaks.
    text: &'static str,
    comment: &'static str,
}

impl Production {
    /// The words of the statements that this is, if it is one: `CREATE TABLE`, `CREATE SOURCE`.
    fn titles(&self) -> impl Iterator<Item = &'static str> {
        let title = self.comment.split(':').next().unwrap_or_default();
        let is_title = !title.is_empty() && !title.chars().any(char::is_lowercase);
        title.split('|').map(str::trim).filter(move |_| is_title)
    }
}

fn productions() -> Vec<Production> {
    let mut found = Vec::new();
    for block in EBNF.split("\n\n") {
        let mut block = block.trim();
        let mut comment = "";
        while let Some((text, rest)) = block.strip_prefix("/*").and_then(|b| b.split_once("*/")) {
            comment = text.trim();
            block = rest.trim();
        }
        if let Some((name, _)) = block.split_once("::=") {
            found.push(Production {
                name: name.trim(),
                text: block,
                comment,
            });
        }
    }
    found
}

/// The names of all statements, in the order of the file.
pub fn statements() -> Vec<String> {
    let all = productions();
    all.iter().flat_map(Production::titles).map(String::from).collect()
}

/// What a statement is for and how it is written: its production and those that it uses. `words` may be in any
/// case, and more than the name (`create table t (`); `None` when no statement begins so.
pub fn statement_help(words: &str) -> Option<String> {
    let asked = words.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    let all = productions();
    let matches = |title: &str| {
        let begins = |long: &str, short: &str| {
            long.strip_prefix(short)
                .is_some_and(|t| t.is_empty() || t.starts_with(' '))
        };
        begins(&asked, title) || (!asked.is_empty() && begins(title, &asked))
    };
    let roots: Vec<&Production> = all.iter().filter(|p| p.titles().any(matches)).collect();
    if roots.is_empty() {
        return None;
    }
    let mut help = String::new();
    let mut shown: BTreeSet<&str> = BTreeSet::new();
    for root in &roots {
        help.push_str(&format!("{}\n\n", root.comment));
    }
    let mut open: Vec<&Production> = roots.into_iter().rev().collect();
    while let Some(production) = open.pop() {
        if !shown.insert(production.name) {
            continue;
        }
        help.push_str(production.text);
        help.push_str("\n\n");
        let used: Vec<&Production> = references(production, &all).collect();
        open.extend(used.into_iter().rev());
    }
    help.truncate(help.trim_end().len());
    Some(help)
}

/// The productions that one uses, statements left out: they have a help of their own.
fn references<'a>(production: &Production, all: &'a [Production]) -> impl Iterator<Item = &'a Production> {
    let body = production.text.split_once("::=").map_or("", |(_, body)| body);
    let words: Vec<&str> = body.split(|c: char| !c.is_alphanumeric()).collect();
    all.iter()
        .filter(move |other| words.contains(&other.name) && other.titles().next().is_none())
}
