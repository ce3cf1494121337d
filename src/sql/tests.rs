//! Tables of statements: what they become, and what is said about wrong ones.

use super::group_window::rewrite;
use super::statement::{ClauseKind, ColumnKind, CopyInput, CreateTable, SinkInput, Statement, StreamQuery};
use super::*;
use datafusion::sql::sqlparser::ast::Spanned;

/// The one statement of a text, in short.
fn shape(text: &str) -> String {
    let (statements, diagnostics) = parse_script(text);
    assert!(diagnostics.is_empty(), "{text}: {diagnostics:?}");
    assert_eq!(statements.len(), 1, "{text}");
    short(&statements[0].statement)
}

fn short(statement: &Statement) -> String {
    match statement {
        Statement::CreateTable(table) => short_table(table),
        Statement::CreateSink(sink) => {
            let from = match &sink.from {
                SinkInput::Nothing => "nothing".to_string(),
                SinkInput::Relation(name) => name.value.clone(),
                SinkInput::Query(query) => short_query(query),
            };
            format!("sink {} from {from} {}", sink.name.value, short_options(&sink.options))
        }
        Statement::CreateView(view) => {
            format!(
                "view {}{:?} {}",
                view.name.value,
                names(&view.columns),
                short_query(&view.query)
            )
        }
        Statement::Insert(insert) => {
            format!(
                "insert {}{:?} {}",
                insert.target.value,
                names(&insert.columns),
                short_query(&insert.query)
            )
        }
        Statement::Query(query) => short_query(query),
        Statement::Copy(copy) => {
            let from = match &copy.from {
                CopyInput::Relation(name) => name.value.clone(),
                CopyInput::Query(query) => short_query(query),
            };
            format!("copy {from} to {} {}", copy.path.value, short_options(&copy.options))
        }
        Statement::Explain(explain) => {
            let kind = explain.kind.as_ref().map_or("plain", |k| &k.value);
            format!("explain {kind}: {}", short(&explain.statement))
        }
        Statement::Drop(drop) => format!("drop {} {} {:?}", drop.kind, drop.if_exists, names(&drop.names)),
        Statement::ShowTables => "show tables".to_string(),
        Statement::ShowProgress => "show progress".to_string(),
        Statement::ShowCreate(name) => format!("show create {}", name.value),
        Statement::Describe(name) => format!("describe {}", name.value),
        Statement::Set { name, value } => format!("set {}={value}", name.value),
        Statement::Reset(name) => format!("reset {:?}", name.as_ref().map(|n| &n.value)),
        Statement::Show(name) => format!("show {:?}", name.as_ref().map(|n| &n.value)),
    }
}

fn names(names: &[statement::Name]) -> Vec<&str> {
    names.iter().map(|n| n.value.as_str()).collect()
}

fn short_options(options: &[statement::OptionDef]) -> String {
    let pairs: Vec<String> = options.iter().map(|o| format!("{}={}", o.key.value, o.value)).collect();
    format!("[{}]", pairs.join(" "))
}

fn short_table(table: &CreateTable) -> String {
    let columns = table.columns.iter().map(|column| match &column.kind {
        ColumnKind::Typed {
            data_type, nullable, ..
        } => {
            let planned = plan_type(data_type).map_or_else(|e| format!("!{e}"), |t| t.to_string());
            format!(
                "{} {planned}{}",
                column.name.value,
                if *nullable { "" } else { " not null" }
            )
        }
        ColumnKind::Computed { expr, .. } => format!("{} = {expr}", column.name.value),
    });
    let mut words = vec![format!("table {}", table.name.value)];
    words
        .extend([table.or_replace, table.if_not_exists, table.external].map(|b| if b { "+" } else { "-" }.to_string()));
    words.push(format!("({})", columns.collect::<Vec<_>>().join(", ")));
    words.push(format!("key{:?}", names(&table.primary_key)));
    words.extend(
        table
            .watermark
            .as_ref()
            .map(|w| format!("wm {} {}", w.column.value, w.expr)),
    );
    words.push(short_options(&table.options));
    words.join(" ")
}

fn short_query(query: &StreamQuery) -> String {
    let clauses = query.clauses.iter().map(|clause| match &clause.kind {
        ClauseKind::AllowedLateness(expr) => format!(" | late {expr}"),
        ClauseKind::LateRowsInto(name) => format!(" | into {}", name.value),
        ClauseKind::IdleTimeout(expr) => format!(" | idle {expr}"),
        ClauseKind::EmitOnWindowClose => " | close".to_string(),
        ClauseKind::EmitChanges => " | changes".to_string(),
        ClauseKind::EmitEveryRows(rows) => format!(" | every {rows} rows"),
        ClauseKind::EmitEvery(expr) => format!(" | every {expr}"),
    });
    format!("{}{}", query.query, clauses.collect::<String>())
}

const GOOD: &[(&str, &str)] = &[
    (
        "CREATE OR REPLACE TABLE Clicks (ts TIMESTAMP(3), \"Usr\" STRING NOT NULL, ms INT PRIMARY KEY, usd AS ms * 0.9,
         d DATE GENERATED ALWAYS AS (cast(ts as date)), n INT AS ms + 1, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
         WITH (connector = 'file', 'Path' = 'c.jsonl', rate = 3, header = TRUE, delta = -1.5, a.b = $$x$$)",
        "table clicks + - - (ts Timestamp(ms), Usr Utf8 not null, ms Int32, usd = ms * 0.9, \
         d = CAST((CAST(ts AS DATE)) AS DATE), n = CAST(ms + 1 AS INT)) key[\"ms\"] wm ts ts - INTERVAL '5' SECOND \
         [connector=file path=c.jsonl rate=3 header=true delta=-1.5 a.b=x]",
    ),
    (
        "create source if not exists s (a MAP<STRING, ARRAY<INT>>, b STRUCT<x INT, y MAP<TEXT, DOUBLE>>, c STRING[],
         d ROW(x INT, \"Y\" DECIMAL(9,2)), e INT UNSIGNED, f TIMESTAMP(4) WITH LOCAL TIME ZONE, g UUID,
         h VARBINARY, i FLOAT, j DOUBLE PRECISION, k TIMESTAMP_LTZ(3), PRIMARY KEY (a, b) NOT ENFORCED)",
        "table s - + - (a Map(\"entries\": non-null Struct(\"key\": non-null Utf8, \"value\": List(Int32)), unsorted), \
         b Struct(\"x\": Int32, \"y\": Map(\"entries\": non-null Struct(\"key\": non-null Utf8, \"value\": Float64), unsorted)), \
         c List(Utf8), d Struct(\"x\": Int32, \"Y\": Decimal128(9, 2)), e UInt32, f Timestamp(µs, \"+00:00\"), g Utf8, \
         h Binary, i Float32, j Float64, k Timestamp(ms, \"+00:00\")) key[\"a\", \"b\"] []",
    ),
    ("CREATE TABLE t", "table t - - - () key[] []"),
    (
        "CREATE EXTERNAL TABLE dim (cust STRING) STORED AS CSV LOCATION 'dim.csv' OPTIONS ('format.has_header' 'true')",
        "table dim - - + (cust Utf8) key[] [format=csv path=dim.csv header=true connector=file]",
    ),
    (
        "CREATE EXTERNAL TABLE d WITH (path = 'd.csv')",
        "table d - - + () key[] [path=d.csv]",
    ),
    (
        "CREATE SINK o WITH (connector = 'stdout')",
        "sink o from nothing [connector=stdout]",
    ),
    (
        "CREATE SINK o FROM v WITH (connector = 'stdout')",
        "sink o from v [connector=stdout]",
    ),
    (
        "CREATE SINK o AS WITH x AS (SELECT 1) SELECT * FROM x EMIT CHANGES WITH (connector = 'stdout')",
        "sink o from WITH x AS (SELECT 1) SELECT * FROM x | changes [connector=stdout]",
    ),
    (
        "CREATE VIEW v (a, B) AS SELECT 1, 2",
        "view v[\"a\", \"b\"] SELECT 1, 2",
    ),
    ("INSERT INTO t (a) VALUES (1), (2)", "insert t[\"a\"] VALUES (1), (2)"),
    ("INSERT INTO t (SELECT 1)", "insert t[] (SELECT 1)"),
    ("EXPLAIN SELECT 1", "explain plain: SELECT 1"),
    (
        "explain state INSERT INTO t SELECT 1",
        "explain STATE: insert t[] SELECT 1",
    ),
    ("SHOW TABLES", "show tables"),
    ("SHOW CREATE VIEW v", "show create v"),
    ("SHOW interval", "show Some(\"interval\")"),
    ("SHOW ALL", "show None"),
    ("DESC t", "describe t"),
    ("DROP VIEW IF EXISTS a, \"B\"", "drop VIEW true [\"a\", \"B\"]"),
    ("SET interval = 5ms", "set interval=5ms"),
    ("SET datafusion.x.y TO 'a b'", "set datafusion.x.y=a b"),
    ("RESET ALL", "reset None"),
];

#[test]
fn statements_become_data() {
    for (text, expected) in GOOD {
        assert_eq!(shape(text), *expected, "{text}");
    }
}

#[test]
fn clauses_are_not_aliases() {
    let table = [
        ("SELECT a FROM bid EMIT ON WINDOW CLOSE", "SELECT a FROM bid | close"),
        (
            "SELECT a FROM bid b WHERE a > 1 EMIT CHANGES",
            "SELECT a FROM bid b WHERE a > 1 | changes",
        ),
        ("SELECT a EMIT EVERY 3 ROWS", "SELECT a | every 3 rows"),
        (
            "SELECT a FROM bid GROUP BY a ALLOWED LATENESS INTERVAL '20' SECOND LATE ROWS INTO late_out \
             IDLE TIMEOUT INTERVAL '1 minute' EMIT EVERY INTERVAL '1' SECOND",
            "SELECT a FROM bid GROUP BY a | late INTERVAL '20' SECOND | into late_out | idle INTERVAL '1 minute' \
             | every INTERVAL '1' SECOND",
        ),
        (
            "SELECT a FROM bid ORDER BY a LIMIT 3 LATE ROWS INTO x",
            "SELECT a FROM bid ORDER BY a LIMIT 3 | into x",
        ),
        (
            "SELECT late, emit, idle AS allowed FROM bid late",
            "SELECT late, emit, idle AS allowed FROM bid late",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(shape(text), expected, "{text}");
    }
}

#[test]
fn windows_parse_as_the_planner_expects() {
    for text in [
        "SELECT * FROM TABLE(TUMBLE(bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))",
        "SELECT * FROM TUMBLE(bid, ts, INTERVAL '10 seconds') AS w",
        "SELECT * FROM HOP(DATA => bid, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '2' SECOND)",
        "SELECT * FROM TUMBLE((SELECT 1 AS ts), ts, INTERVAL '10 seconds')",
        "SELECT payload -> 'items' -> 0 ->> 'sku' FROM docs",
        "SELECT o.id, t.tag FROM docs o CROSS JOIN UNNEST(o.tags) AS t (tag)",
    ] {
        assert_eq!(shape(text), text);
    }
    let with_table = shape("SELECT * FROM TABLE(HOP(DATA => TABLE bid, TIMECOL => DESCRIPTOR(ts)))");
    assert_eq!(
        with_table,
        "SELECT * FROM TABLE(HOP(DATA => bid, TIMECOL => DESCRIPTOR(ts)))"
    );
}

/// `line:col code message` and helps of each mistake.
fn mistakes(text: &str) -> Vec<String> {
    let (_, diagnostics) = parse_script(text);
    let line = |d: &crate::error::Diagnostic| {
        let place = d.place.map_or_else(String::new, |p| format!("{}:{}", p.line, p.column));
        let help = d.help.iter().map(|h| format!(" ? {h}")).collect::<String>();
        format!("{place} {} {}{help}", d.code, d.message)
    };
    diagnostics.iter().map(line).collect()
}

const WRONG: &[(&str, &[&str])] = &[
    (
        "SELCT 1",
        &["1:1 unknown_statement there is no statement `SELCT` ? did you mean `SELECT`?"],
    ),
    (
        "SELECT 1;\nSELECT a FORM t;\nSELECT 2",
        &["2:15 syntax expected `;` or the end of the statement, found `t` ? did you mean `FROM`?"],
    ),
    (
        "SELECT a FROM",
        &["1:14 syntax expected identifier, found the end of the statement"],
    ),
    (
        "SELECT * FROM (SELECT a FROM t WHERE)",
        &["1:37 syntax expected an expression, found `)`"],
    ),
    (
        "SELECT 1 SELECT 2",
        &["1:10 syntax expected `;` or the end of the statement, found `SELECT` ? is a `;` missing before `SELECT`?"],
    ),
    (
        "SELECT 1; SELECT 'abc\n",
        &["1:18 syntax this string is not closed ? close it, or double a quote that is part of the text"],
    ),
    (
        "SELECT 1 /* a",
        &["1:10 syntax this comment is not closed: `*/` is missing"],
    ),
    (
        "CREATE TABLE t (a INT b INT)",
        &["1:23 syntax expected `,` or `)`, found `b`"],
    ),
    (
        "CREATE TABLE t (a INT) WITH (format = json)",
        &[
            "1:39 syntax expected a string in quotes, a number, `true` or `false`, found `json` ? put it into quotes: 'json'",
        ],
    ),
    (
        "CREATE TABLE t (a INT) WITH (i = 5ms)",
        &[
            "1:35 syntax expected a string in quotes, a number, `true` or `false`, found `ms` ? put it into quotes: '5ms'",
        ],
    ),
    (
        "CREATE TABLE t (a INT) WITH (x = 1, 'X' = 2)",
        &["1:37 duplicate option `x` is given twice"],
    ),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT 1",
        &[
            "1:8 not_yet `CREATE MATERIALIZED VIEW` is not built yet ? CREATE VIEW names the query; CREATE SINK or INSERT INTO runs it",
        ],
    ),
    ("SUBSCRIBE TO v", &["1:1 not_yet `SUBSCRIBE` is not built yet"]),
    ("SHOW QUERIES", &["1:6 not_yet `SHOW QUERIES` is not built yet"]),
    (
        "UPDATE t SET a = 1",
        &[
            "1:1 unsupported `UPDATE` is not part of streaming SQL ? a stream is only added to, with INSERT INTO; what should change is written as a query over it",
        ],
    ),
    (
        "SELECT * FROM (SELECT 1 FROM t EMIT CHANGES)",
        &[
            "1:32 syntax `EMIT CHANGES` belongs after the whole query, not into a subquery ? move it to the end of the statement",
        ],
    ),
    (
        "SELECT 1 FROM t EMIT FINAL",
        &[
            "1:22 syntax expected `ON WINDOW CLOSE`, `CHANGES` or `EVERY`, found `FINAL` ? EMIT ON WINDOW CLOSE gives each window once, when it is final",
        ],
    ),
    (
        "SELECT 1 FROM t EMIT CHANGES EMIT CHANGES",
        &["1:30 duplicate `EMIT CHANGES` is given twice"],
    ),
    (
        "SELECT 1 FROM t ALLOWED LATENESS 5",
        &["1:34 syntax expected `INTERVAL`, found `5` ? a duration is written as INTERVAL '5' SECOND"],
    ),
    (
        "SELECT * FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON true",
        &["1:24 not_yet `FOR SYSTEM_TIME AS OF` is not built yet"],
    ),
    (
        "SELECT * FROM t FOR UPDATE",
        &["1:1 unsupported `FOR UPDATE` is not supported ? leave it out"],
    ),
    (
        "SELECT 1 FROM t EMIT ONCE",
        &[
            "1:22 syntax expected `ON WINDOW CLOSE`, `CHANGES` or `EVERY`, found `ONCE` ? EMIT ON WINDOW CLOSE gives each window once, when it is final",
        ],
    ),
    ("SELECT 1 FROM t GROUP a", &["1:23 syntax expected `BY`, found `a`"]),
    (
        "SELECT CASE WHEN a THEN b FROM t",
        &["1:18 syntax expected `;` or the end of the statement, found `a` ? is `END` missing behind `CASE`?"],
    ),
    (
        "CREATE TABLE t (a INT NOT NUL)",
        &["1:27 syntax expected `NULL`, found `NUL` ? did you mean `NULL`?"],
    ),
    (
        "CREATE TABLE t (ts TIMESTAMP, WATERMARK ts AS ts)",
        &["1:41 syntax expected `FOR`, found `ts`"],
    ),
    (
        "CREATE TABLE t (order INT)",
        &["1:17 syntax expected the name of a column, found `order` ? to use it as a name, quote it: \"order\""],
    ),
    (
        "EXPLAIN PLANS SELECT 1",
        &["1:9 unknown_explain EXPLAIN has no kind `PLANS`"],
    ),
    (
        "CREATE TABLE a.b (x INT)",
        &[
            "1:14 unsupported names of relations have one part: there are no schemas ? a dot may stand in a quoted name: \"a.b\"",
        ],
    ),
    (
        "äöü ß;\n  DROP t",
        &[
            "1:1 unknown_statement there is no statement `ÄÖÜ` ? statements begin with one of: COPY, CREATE, DESC, DESCRIBE, DROP, EXPLAIN, FROM, INSERT, RESET, SELECT, SET, SHOW, VALUES, WITH",
            "2:8 syntax expected `TABLE`, `SOURCE`, `SINK` or `VIEW`, found `t`",
        ],
    ),
];

#[test]
fn mistakes_have_place_and_help() {
    for (text, expected) in WRONG {
        assert_eq!(mistakes(text), *expected, "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(mistakes(&nested)[0].contains("too_deep"), "{:?}", mistakes(&nested));
    let open = "(".repeat(10_000);
    assert_eq!(mistakes(&open).len(), 1);
    let chain = format!("SELECT 1{}", " + 1".repeat(100_000));
    assert!(mistakes(&chain)[0].contains("too_deep"));
    // The longest chain that is taken can be copied and dropped on the stack of a test's thread.
    let longest = format!(
        "SELECT 1{} FROM t WHERE a = 1{}",
        " + 1".repeat(600),
        " OR a = 1".repeat(500)
    );
    let (statements, diagnostics) = parse_script(&longest);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    drop(statements.clone());
}

#[test]
fn texts_are_split_at_semicolons_only() {
    let text = "SELECT ';' /* ; /* ; */ */; -- ;\nSELECT $$;$$ , E'\\';';;  ";
    let parts: Vec<&str> = split(text).into_iter().map(|range| &text[range]).collect();
    assert_eq!(parts, ["SELECT ';'", "SELECT $$;$$ , E'\\';'"]);
    let table = [
        ("", true),
        ("  -- x\n", true),
        ("SELECT 1", false),
        ("SELECT 1;", true),
        ("SELECT 1; -- done", true),
        ("SELECT ';", false),
        ("SELECT $$ ;", false),
        ("/* ;", false),
        ("SELECT E'\\u12';", true),
        ("SELECT \"a;", false),
        ("SELECT 1; SELECT", false),
    ];
    for (text, complete) in table {
        assert_eq!(is_complete(text), complete, "{text}");
    }
}

#[test]
fn spans_count_in_the_whole_text() {
    let text = "SELECT 1;\n -- ünï\nSELECT prise, 'ü' AS x FROM bid;";
    let (statements, _) = parse_script(text);
    assert_eq!(&text[statements[1].span.clone()], "SELECT prise, 'ü' AS x FROM bid");
    let Statement::Query(query) = &statements[1].statement else {
        panic!("a query");
    };
    let lines = Lines::new(text);
    let select = query.query.body.as_select().expect("a select");
    let of = |span| lines.span(span).map(|range| &text[range]);
    assert_eq!(of(select.projection[0].span()), Some("prise"));
    assert_eq!(of(select.from[0].span()), Some("bid"));
    assert_eq!(lines.byte_of(0, 0), None);
    assert_eq!(lines.byte_of(9, 1), None);
}

fn rewritten(text: &str) -> String {
    let (statements, diagnostics) = parse_script(text);
    let Some(Statement::Query(query)) = statements.first().map(|s| &s.statement) else {
        return format!("{diagnostics:?}");
    };
    let mut query = query.query.clone();
    match rewrite(
        &mut query,
        &|name| (name == "bid" || name == "auction").then(|| "ts".to_string()),
        &Lines::new(text),
    ) {
        Ok(()) => query.to_string(),
        Err(diagnostic) => format!("{} {:?} {}", diagnostic.code, diagnostic.span, diagnostic.message),
    }
}

#[test]
fn group_windows_become_table_functions() {
    let table = [
        (
            "SELECT auction, count(*) FROM bid GROUP BY hop(INTERVAL '2 s', INTERVAL '10 s'), auction",
            "SELECT auction, count(*) FROM hop(bid, __event_time, INTERVAL '2 s', INTERVAL '10 s') AS bid \
             GROUP BY window_start, window_end, auction",
        ),
        (
            "SELECT TUMBLE(INTERVAL '1' SECOND), tumble(INTERVAL '1' SECOND) AS w FROM BID b JOIN dim ON true \
             GROUP BY tumble(INTERVAL '1' SECOND) ORDER BY tumble(INTERVAL '1' SECOND)",
            "SELECT named_struct('start', window_start, 'end', window_end) AS tumble, \
             named_struct('start', window_start, 'end', window_end) AS w \
             FROM tumble(BID, __event_time, INTERVAL '1' SECOND) b JOIN dim ON true \
             GROUP BY window_start, window_end ORDER BY named_struct('start', window_start, 'end', window_end)",
        ),
        (
            "SELECT hop(SLIDE => INTERVAL '1' SECOND, SIZE => INTERVAL '2' SECOND) AS w FROM (SELECT * FROM x) y GROUP BY w",
            "SELECT named_struct('start', window_start, 'end', window_end) AS w FROM hop(DATA => (SELECT * FROM x), \
             TIMECOL => __event_time, SLIDE => INTERVAL '1' SECOND, SIZE => INTERVAL '2' SECOND) y \
             GROUP BY window_start, window_end",
        ),
        (
            "WITH c AS (SELECT 1 FROM bid GROUP BY tumble(INTERVAL '1' SECOND)) SELECT 1 FROM c GROUP BY tumble(INTERVAL '2' SECOND)",
            "WITH c AS (SELECT 1 FROM tumble(bid, __event_time, INTERVAL '1' SECOND) AS bid GROUP BY window_start, window_end) \
             SELECT 1 FROM tumble(c, __event_time, INTERVAL '2' SECOND) AS c GROUP BY window_start, window_end",
        ),
        (
            "SELECT 1 FROM dim GROUP BY tumble(INTERVAL '1' SECOND)",
            "no_event_time Some(27..46) `tumble` in GROUP BY windows by the event time of FROM, but no relation of FROM has an event time",
        ),
        (
            "SELECT 1 FROM bid, auction GROUP BY tumble(INTERVAL '1' SECOND)",
            "no_event_time Some(36..55) `tumble` in GROUP BY windows by the event time of FROM, but several relations of FROM have an event time",
        ),
        (
            "SELECT hop(INTERVAL '1' DAY) FROM bid GROUP BY tumble(INTERVAL '1' DAY)",
            "window_not_grouped Some(7..23) this `hop` is not among the keys of GROUP BY",
        ),
        (
            "SELECT tumble(a) FROM bid GROUP BY tumble(a)",
            "SELECT tumble(a) FROM bid GROUP BY tumble(a)",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(rewritten(text), expected, "{text}");
    }
}

#[test]
fn types_that_no_column_can_have() {
    let table = [
        ("STRNG", "there is no type `STRNG`; did you mean `STRING`?"),
        ("TIMESTAMP(12)", "times have at most 9 digits behind the second, not 12"),
        (
            "TIME WITH TIME ZONE",
            "TIME has no time zone here: write TIME, or TIMESTAMP WITH TIME ZONE",
        ),
        ("STRUCT<a INT, A INT>", "the struct has two fields `a`"),
    ];
    for (name, expected) in table {
        let text = shape(&format!("CREATE TABLE t (c {name})"));
        assert!(text.contains(&format!("!{expected}")), "{text}");
    }
}

#[test]
fn help_shows_the_grammar() {
    let help = grammar::statement_help("create table foo (").unwrap_or_default();
    assert!(
        help.contains("CreateTable ::=") && help.contains("Watermark ::="),
        "{help}"
    );
    assert!(!help.contains("Insert ::="), "{help}");
    assert!(grammar::statement_help("show").is_some_and(|help| help.contains("ShowCreate ::=")));
    assert!(grammar::statement_help("frobnicate").is_none());
    assert!(grammar::statements().iter().any(|name| name == "CREATE EXTERNAL TABLE"));
    assert_eq!(suggest_keyword("SELCT"), Some("SELECT"));
    assert_eq!(suggest_keyword("select"), None);
}
