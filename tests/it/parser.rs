//! The parser against broken text, and against its own grammar.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use std::collections::HashMap;
use waterwheel::sql::{grammar, is_complete, parse_script, split};

/// Good statements, to be broken.
const CORPUS: &[&str] = &[
    "CREATE OR REPLACE TABLE clicks (ts TIMESTAMP(3), usr STRING NOT NULL, m MAP<STRING, ARRAY<INT>>, e AS upper(usr), \
     PRIMARY KEY (usr), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH (connector = 'file', 'path' = 'a.b', n = -3)",
    "CREATE EXTERNAL TABLE d (a STRUCT<x INT, y ROW(z DECIMAL(3, 1))>) STORED AS CSV LOCATION 'd.csv' OPTIONS ('a' 'b')",
    "CREATE SINK o AS SELECT * FROM v EMIT CHANGES WITH (connector = 'stdout')",
    "CREATE VIEW v (a, b) AS WITH c AS (SELECT 1, 'it''s') SELECT * FROM c",
    "INSERT INTO t (a, b) VALUES (1, E'\\n'), (-2.5e3, $x$;$x$)",
    "SELECT window_start, count(*) c FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND)) \
     GROUP BY window_start, window_end HAVING count(*) > 1 ALLOWED LATENESS INTERVAL '1 minute' LATE ROWS INTO l",
    "SELECT a, hop(INTERVAL '2 s', INTERVAL '10 s') FROM bid WHERE x -> 'a' ->> 'b' LIKE '%' GROUP BY 2, 1 EMIT EVERY 3 ROWS",
    "SELECT * FROM (SELECT a FROM (SELECT 1 a) x) y LEFT JOIN z ON y.a = z.a AND NOT (y.b IS NULL OR z.c IN (1, 2))",
    "SELECT sum(x) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND CURRENT ROW) FROM t",
    "EXPLAIN STATE SELECT CASE WHEN a THEN [1, 2][1] ELSE \"Q\" END FROM t -- note\n /* a /* b */ c */",
    "SHOW TABLES",
    "SHOW CREATE TABLE t",
    "DESCRIBE t",
    "DROP VIEW IF EXISTS a, b",
    "SET interval = 5ms",
    "RESET ALL",
];

/// Pieces that are likely to hurt.
const PIECES: &[&str] = &[
    "'",
    "\"",
    "`",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    ";",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">>",
    ",",
    ".",
    "::",
    "->",
    "=>",
    "E'\\u00",
    "U&'\\0",
    "X'",
    "N'",
    "q'[",
    "\n",
    "\0",
    "\u{feff}",
    "ü",
    "🦀",
    "$1",
    ":x",
    "@",
    "#",
    "\\",
    "|>",
    "1e",
    "0x",
    " EMIT ",
    " TABLE ",
    " SELECT ",
    " FROM ",
    " AS ",
    " OF ",
    " INTERVAL ",
    " PARTITION BY ",
    " WITH ",
    " NOT ",
    " CASE ",
    " MAP<",
    " ARRAY<",
    " STRUCT<",
    " ROW(",
    " EXPLAIN ",
    " WATERMARK FOR ",
    " LATERAL ",
    " UNNEST(",
    " VALUES ",
];

/// Whatever the text: no panic, every span inside it and on characters, every message free of Rust.
fn check(text: &str) {
    let (statements, diagnostics) = parse_script(text);
    let fits = |span: &std::ops::Range<usize>| text.get(span.clone()).is_some();
    assert!(statements.iter().all(|s| fits(&s.span)), "{text:?}");
    for diagnostic in &diagnostics {
        assert!(diagnostic.span.as_ref().is_some_and(fits), "{text:?}: {diagnostic:?}");
        assert!(
            diagnostic.place.is_some() && !diagnostic.message.is_empty(),
            "{text:?}: {diagnostic:?}"
        );
        let shown = format!("{} {:?}", diagnostic.message, diagnostic.help);
        let quoted = text.contains("::") || text.contains('{');
        assert!(
            quoted || !shown.contains("::") && !shown.contains(" { "),
            "{text:?}: {shown}"
        );
    }
    assert!(split(text).iter().all(fits), "{text:?}");
    is_complete(text);
}

/// Splits into words, spaces and single signs, so that tokens can be dropped and swapped.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.chars() {
        let is_word = c.is_alphanumeric() || c == '_';
        match words.last_mut() {
            Some(last) if is_word && in_word => last.push(c),
            _ => words.push(c.to_string()),
        }
        in_word = is_word;
    }
    words
}

#[derive(Debug, Clone)]
enum Damage {
    Cut(usize),
    Drop(usize),
    Swap(usize, usize),
    Put(usize, usize),
    Repeat(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>();
    prop_oneof![
        1 => at.prop_map(Damage::Cut),
        3 => at.prop_map(Damage::Drop),
        3 => (at, at).prop_map(|(a, b)| Damage::Swap(a, b)),
        4 => (at, at).prop_map(|(a, b)| Damage::Put(a, b)),
        1 => (at, 2..60usize).prop_map(|(a, n)| Damage::Repeat(a, n)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> String {
    let mut words = words(text);
    for damage in damages {
        let len = words.len().max(1);
        match *damage {
            Damage::Cut(at) => words.truncate(at % len),
            Damage::Drop(at) if !words.is_empty() => drop(words.remove(at % len)),
            Damage::Swap(a, b) if !words.is_empty() => words.swap(a % len, b % len),
            Damage::Put(at, piece) => words.insert(at % len, PIECES[piece % PIECES.len()].to_string()),
            Damage::Repeat(at, times) => {
                if let Some(word) = words.get_mut(at % len) {
                    *word = word.repeat(times);
                }
            }
            _ => {}
        }
    }
    words.concat()
}

fn runner(cases: u32) -> TestRunner {
    let long = std::env::var_os("WATERWHEEL_LONG").is_some();
    let config = Config {
        cases: if long { cases * 20 } else { cases },
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(
        config,
        TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
}

#[test]
fn damaged_statements_never_panic() {
    let texts = (
        proptest::collection::vec((0..CORPUS.len(), proptest::collection::vec(damage(), 0..6)), 1..4),
        any::<bool>(),
    );
    let result = runner(3000).run(&texts, |(texts, newline)| {
        let parts: Vec<String> = texts
            .iter()
            .map(|(at, damages)| damaged(CORPUS[*at], damages))
            .collect();
        check(&parts.join(if newline { ";\n" } else { ";" }));
        Ok(())
    });
    result.unwrap();
}

#[test]
fn random_text_never_panics() {
    let piece = prop_oneof![
        3 => (0..PIECES.len()).prop_map(|at| PIECES[at].to_string()),
        1 => "\\PC{0,6}".prop_map(String::from),
        2 => "[a-zA-Z_0-9 ]{1,8}".prop_map(String::from),
    ];
    let texts = proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat());
    runner(3000)
        .run(&texts, |text| {
            check(&text);
            Ok(())
        })
        .unwrap();
    let bytes = proptest::collection::vec(any::<u8>(), 0..80);
    let result = runner(1000).run(&bytes, |bytes| {
        check(&String::from_utf8_lossy(&bytes));
        Ok(())
    });
    result.unwrap();
}

#[test]
fn every_beginning_of_a_good_statement_is_survived() {
    for text in CORPUS {
        assert_eq!(parse_script(text).1, [], "{text}");
        for (at, _) in text.char_indices() {
            check(&text[..at]);
        }
    }
}

#[test]
fn deep_and_unbalanced_texts_are_refused_quickly() {
    let frames = [
        ("(", ")"),
        ("SELECT (", ")"),
        ("SELECT * FROM (", ")"),
        ("SELECT * FROM (SELECT ", ")"),
        ("[", "]"),
        ("{", "}"),
        ("CASE ", " END"),
        ("NOT ", ""),
        ("- ", ""),
        ("SELECT 1 UNION ", ""),
        ("CREATE TABLE t (a ARRAY<", ">"),
        ("MAP<INT,", ">"),
        ("f(", ")"),
        ("EXPLAIN ", ""),
        ("/*", "*/"),
        ("'", ""),
        ("a.", ""),
        ("x IS DISTINCT FROM ", ""),
        ("1 BETWEEN 1 AND ", ""),
        ("a::int", ""),
        ("WITH a AS (", ")"),
        ("SELECT CAST(", " AS INT)"),
        ("a JOIN (", ")"),
    ];
    for (open, close) in frames {
        for depth in [24, 49, 10_000] {
            for begin in ["", "SELECT ", "SELECT * FROM ", "CREATE TABLE t (a "] {
                let opened = format!("{begin}{}", open.repeat(depth));
                let started = std::time::Instant::now();
                check(&opened);
                check(&format!("{opened}1{}", close.repeat(depth)));
                assert!(
                    started.elapsed().as_secs() < 20,
                    "{begin}{open} {depth} times takes {:?}",
                    started.elapsed()
                );
            }
        }
    }
}

/// A sentence of the grammar, drawn with a small generator of its own so that a seed means the same everywhere.
struct Expander<'a> {
    productions: HashMap<&'a str, Vec<&'a str>>,
    seed: u64,
}

/// What the names in lower case stand for.
fn samples(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "name" => &["bid", "\"Quoted name\"", "price_2", "auction"],
        "string" => &["'text'", "'it''s'", "''"],
        "number" => &["1", "2.5", "-3"],
        "integer" => &["1", "100"],
        "boolean" => &["true", "FALSE"],
        "interval" => &["INTERVAL '5' SECOND", "INTERVAL '10 seconds'", "INTERVAL '1' MINUTE"],
        "expression" => &[
            "a + 1",
            "upper(b.c)",
            "a ->> 'x'",
            "CASE WHEN a > 1 THEN 'x' END",
            "(a AND NOT b)",
            "x IN (1, 2)",
        ],
        "select" => &[
            "SELECT 1",
            "SELECT DISTINCT a, sum(b) FROM t JOIN u USING (k) WHERE c GROUP BY a",
            "SELECT * FROM t",
        ],
        "leaftype" => &[
            "INT",
            "STRING",
            "BIGINT UNSIGNED",
            "DOUBLE PRECISION",
            "VARCHAR(10)",
            "UUID",
            "TIME",
            "BYTEA",
        ],
        _ => return None,
    })
}

impl<'a> Expander<'a> {
    fn new(seed: u64) -> Self {
        let mut productions = HashMap::new();
        let mut text = grammar::EBNF;
        let mut bare = Vec::new();
        while let Some((before, rest)) = text.split_once("/*") {
            bare.extend(before.split("\n\n"));
            text = rest.split_once("*/").map_or("", |(_, rest)| rest);
        }
        bare.extend(text.split("\n\n"));
        for block in bare {
            if let Some((name, body)) = block.split_once("::=") {
                productions.insert(name.trim(), lex(body));
            }
        }
        Expander { productions, seed }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.seed >> 33) as usize % below.max(1)
    }

    fn symbol(&mut self, name: &str, depth: usize, out: &mut String) {
        if let Some(samples) = samples(name) {
            let at = self.draw(samples.len());
            out.push_str(samples[at]);
            out.push(' ');
            return;
        }
        let body = self
            .productions
            .get(name)
            .unwrap_or_else(|| panic!("the grammar does not define {name}"))
            .clone();
        self.choice(&body, depth + 1, out);
    }

    /// One of the alternatives; deep down the first, which is the simplest.
    fn choice(&mut self, body: &[&'a str], depth: usize, out: &mut String) {
        let alternatives = split_level(body, "|");
        let at = if depth > 12 { 0 } else { self.draw(alternatives.len()) };
        let mut rest = alternatives[at];
        while let Some((first, tail)) = rest.split_first() {
            let (item, mut tail) = match *first {
                "(" => {
                    let end = closing(tail);
                    (&tail[..end], &tail[end + 1..])
                }
                _ => (std::slice::from_ref(first), tail),
            };
            let times = match tail.first() {
                Some(&"?") => {
                    if depth > 12 {
                        0
                    } else {
                        self.draw(2)
                    }
                }
                Some(&"*") => {
                    if depth > 12 {
                        0
                    } else {
                        self.draw(3)
                    }
                }
                Some(&"+") => 1 + self.draw(2),
                _ => 1,
            };
            if matches!(tail.first(), Some(&"?" | &"*" | &"+")) {
                tail = &tail[1..];
            }
            for _ in 0..times {
                match item {
                    [one] if *first != "(" && one.starts_with('\'') => {
                        out.push_str(one.trim_matches('\''));
                        out.push(' ');
                    }
                    [one] if *first != "(" => self.symbol(one, depth, out),
                    group => self.choice(group, depth + 1, out),
                }
            }
            rest = tail;
        }
    }
}

fn lex(body: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = body.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => rest[1..].find('\'').expect("a closed quote") + 2,
            c if c.is_alphanumeric() => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        tokens.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    tokens
}

fn closing(tokens: &[&str]) -> usize {
    let mut depth = 0;
    tokens
        .iter()
        .position(|t| match *t {
            "(" => {
                depth += 1;
                false
            }
            ")" if depth == 0 => true,
            ")" => {
                depth -= 1;
                false
            }
            _ => false,
        })
        .expect("balanced parentheses in the grammar")
}

fn split_level<'b, 'a>(tokens: &'b [&'a str], separator: &str) -> Vec<&'b [&'a str]> {
    let mut depth = 0i32;
    tokens
        .split(|t| {
            depth += i32::from(*t == "(") - i32::from(*t == ")");
            depth == 0 && *t == separator
        })
        .collect()
}

#[test]
fn sentences_of_the_grammar_parse() {
    let mut expander = Expander::new(7);
    for round in 0..4000 {
        let mut text = String::new();
        expander.symbol("Statement", 0, &mut text);
        let (statements, diagnostics) = parse_script(&text);
        let wrong: Vec<String> = diagnostics
            .iter()
            .filter(|d| !is_duplicate(d.code))
            .map(|d| d.message.clone())
            .collect();
        assert!(wrong.is_empty(), "sentence {round}: {text}\n{wrong:?}");
        assert_eq!(statements.len() + diagnostics.len(), 1, "{text}");
    }
}

/// The grammar says nothing of options, fields and columns that a sentence happens to name twice.
fn is_duplicate(code: &str) -> bool {
    matches!(code, "duplicate" | "duplicate_column")
}

#[test]
fn every_statement_has_help() {
    for name in grammar::statements() {
        assert!(
            grammar::statement_help(&name).is_some_and(|help| help.contains("::=")),
            "{name}"
        );
    }
}
