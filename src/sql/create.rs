//! CREATE in all its forms.

use super::columns::{self, TableElements};
use super::cursor::Cursor;
use super::parser::not_yet;
use super::statement::{CreateSink, CreateTable, CreateView, Name, SinkInput, Statement, StreamQuery};
use super::{Parsed, external, options, query};
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::Token;

/// What all forms share: where the statement began, and the words before and behind the kind.
struct Head {
    start: usize,
    or_replace: bool,
    if_not_exists: bool,
    name: Name,
}

/// `CREATE [OR REPLACE] TABLE | SOURCE | SINK | VIEW | EXTERNAL TABLE …`.
pub(super) fn create(cursor: &mut Cursor) -> Parsed<Statement> {
    let start = cursor.at;
    cursor.expect_words(&["CREATE"])?;
    let or_replace = cursor.eat_words(&["OR", "REPLACE"]);
    let what = cursor.span();
    let kind = cursor.word(0).unwrap_or_default().to_uppercase();
    cursor.at += 1;
    match kind.as_str() {
        "TABLE" | "SOURCE" => table(cursor, start, or_replace),
        "SINK" => sink(cursor, start, or_replace),
        "VIEW" => view(cursor, start, or_replace),
        "EXTERNAL" => {
            cursor.expect_words(&["TABLE"])?;
            external_table(cursor, start, or_replace)
        }
        "MATERIALIZED" => {
            Err(Box::new(not_yet("CREATE MATERIALIZED VIEW").at(what).help(
                "CREATE VIEW names the query; CREATE SINK or INSERT INTO runs it",
            )))
        }
        "FUNCTION" | "AGGREGATE" => Err(Box::new(
            not_yet("CREATE FUNCTION")
                .at(what)
                .help("the library registers scalar and aggregate functions"),
        )),
        "UNBOUNDED" => Err(foreign(
            what,
            "UNBOUNDED EXTERNAL TABLE",
            "CREATE SOURCE declares a stream",
        )),
        "TEMPORARY" | "TEMP" => Err(foreign(
            what,
            &kind,
            "leave it out: nothing that is declared outlives the engine",
        )),
        "INDEX" | "UNIQUE" => Err(foreign(
            what,
            "INDEX",
            "leave it out: state is indexed by the keys of the query",
        )),
        "DATABASE" | "SCHEMA" | "CATALOG" => Err(foreign(what, &kind, "there is one catalog and no schemas")),
        "CONNECTION" | "SECRET" | "TYPE" | "SEQUENCE" | "TRIGGER" | "PROCEDURE" | "USER" | "ROLE" => Err(foreign(
            what,
            &kind,
            "leave it out: tables, sources, sinks and views are all there is",
        )),
        _ => {
            cursor.at -= 1;
            Err(cursor.expected("`TABLE`, `SOURCE`, `SINK`, `VIEW` or `EXTERNAL TABLE`"))
        }
    }
}

fn foreign(span: std::ops::Range<usize>, kind: &str, instead: &str) -> Box<Diagnostic> {
    let message = format!("`CREATE {kind}` is not part of streaming SQL");
    Box::new(Diagnostic::error("unsupported", message).at(span).help(instead))
}

fn head(cursor: &mut Cursor, start: usize, or_replace: bool) -> Parsed<Head> {
    let if_not_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.relation("a name")?;
    Ok(Head {
        start,
        or_replace,
        if_not_exists,
        name,
    })
}

fn text_from(cursor: &Cursor, start: usize) -> String {
    cursor.script.text[cursor.span_from(start)].to_string()
}

/// `name [(columns …)] [WITH (…)]`, `name [(names)] [WITH (…)] AS SELECT …`.
fn table(cursor: &mut Cursor, start: usize, or_replace: bool) -> Parsed<Statement> {
    let head = head(cursor, start, or_replace)?;
    let names = names_alone(cursor)?;
    let elements = columns::table_elements(cursor)?;
    let options = options::with_clause(cursor)?;
    let query = if cursor.is_word(0, "AS") {
        Some(table_query(cursor, &elements)?)
    } else {
        None
    };
    if let (Some(name), None) = (names.first(), &query) {
        let message = format!("column `{}` has no type, and no query gives it one", name.value);
        let wrong = Diagnostic::error("syntax", message).at(name.span.clone());
        return Err(Box::new(wrong.help(format!(
            "write {} INT, or the query behind the names: AS SELECT …",
            name.value
        ))));
    }
    refuse_table_tail(cursor)?;
    let table = finish_table(cursor, head, elements, options, false);
    Ok(Statement::CreateTable(CreateTable { names, query, ..table }))
}

/// `(a, b)`, with no type behind the first name: what the columns of a query are called.
fn names_alone(cursor: &mut Cursor) -> Parsed<Vec<Name>> {
    let is_alone = cursor.peek(0) == Some(&Token::LParen)
        && matches!(cursor.peek(1), Some(Token::Word(_)))
        && matches!(cursor.peek(2), Some(Token::Comma | Token::RParen));
    match is_alone {
        true => cursor.name_list("the name of a column"),
        false => Ok(Vec::new()),
    }
}

/// `AS SELECT …`, which gives the columns as well.
fn table_query(cursor: &mut Cursor, elements: &TableElements) -> Parsed<Box<StreamQuery>> {
    let has_elements = !elements.columns.is_empty() || !elements.primary_key.is_empty() || elements.watermark.is_some();
    if has_elements {
        let message = "a table is made from a query or from declared columns, not from both";
        let diagnostic = Diagnostic::error("unsupported", message).at(cursor.span());
        let help = "leave the columns out and name them in the query: AS SELECT a AS id, CAST(b AS INT) AS n …";
        return Err(Box::new(diagnostic.help(help)));
    }
    cursor.expect_words(&["AS"])?;
    if !query::starts_here(cursor) {
        return Err(cursor.expected("`SELECT`, `WITH` or `VALUES`"));
    }
    Ok(Box::new(query::stream_query(cursor)?))
}

/// `name [(columns …)] STORED AS … LOCATION …` as DataFusion has it, or `WITH (…)`.
fn external_table(cursor: &mut Cursor, start: usize, or_replace: bool) -> Parsed<Statement> {
    let head = head(cursor, start, or_replace)?;
    let elements = columns::table_elements(cursor)?;
    let options = if cursor.is_word(0, "WITH") && cursor.peek(1) == Some(&Token::LParen) {
        options::with_clause(cursor)?
    } else {
        external::clauses(cursor)?
    };
    Ok(Statement::CreateTable(finish_table(
        cursor, head, elements, options, true,
    )))
}

fn finish_table(
    cursor: &Cursor,
    head: Head,
    elements: TableElements,
    options: Vec<super::statement::OptionDef>,
    external: bool,
) -> CreateTable {
    CreateTable {
        or_replace: head.or_replace,
        if_not_exists: head.if_not_exists,
        external,
        name: head.name,
        names: Vec::new(),
        columns: elements.columns,
        primary_key: elements.primary_key,
        watermark: elements.watermark,
        options,
        query: None,
        text: text_from(cursor, head.start),
    }
}

/// Clauses that other systems put behind a table, with what to write here.
fn refuse_table_tail(cursor: &Cursor) -> Parsed<()> {
    let word = cursor.word(0).unwrap_or_default().to_uppercase();
    let (code, message, help) = match word.as_str() {
        "STORED" | "LOCATION" | "OPTIONS" => (
            "syntax",
            "`STORED AS … LOCATION …` belongs to CREATE EXTERNAL TABLE",
            "write CREATE EXTERNAL TABLE for data at rest, or WITH (connector = 'file', path = '…', format = '…')",
        ),
        "PARTITIONED" => (
            "unsupported",
            "tables are not partitioned",
            "leave it out: the engine partitions by itself",
        ),
        "FORMAT" => (
            "unsupported",
            "the format is an option",
            "write it into the options: WITH (format = 'json')",
        ),
        _ => return Ok(()),
    };
    Err(Box::new(Diagnostic::error(code, message).at(cursor.span()).help(help)))
}

/// `name [AS SELECT … | FROM relation] WITH (…)`; the options may come first as well.
fn sink(cursor: &mut Cursor, start: usize, or_replace: bool) -> Parsed<Statement> {
    let head = head(cursor, start, or_replace)?;
    let mut options = options::with_clause(cursor)?;
    let from = if cursor.eat_word("FROM") {
        SinkInput::Relation(cursor.relation("the name of a relation")?)
    } else if cursor.eat_word("AS") {
        let end = cursor.find(|c| c.is_word(0, "WITH") && c.peek(1) == Some(&Token::LParen));
        let mut part = cursor.until(end);
        let query = query::stream_query(&mut part)?;
        if !part.is_done() {
            return Err(part.expected("the end of the query or `WITH (`"));
        }
        cursor.at = part.at;
        SinkInput::Query(Box::new(query))
    } else {
        SinkInput::Nothing
    };
    if options.is_empty() {
        options = options::with_clause(cursor)?;
    }
    if options.is_empty() {
        return Err(cursor.expected(match from {
            SinkInput::Nothing => "`AS SELECT …`, `FROM` or `WITH (…)`",
            _ => "`WITH (…)`",
        }));
    }
    let text = text_from(cursor, head.start);
    let Head {
        or_replace,
        if_not_exists,
        name,
        ..
    } = head;
    Ok(Statement::CreateSink(CreateSink {
        or_replace,
        if_not_exists,
        name,
        from,
        options,
        text,
    }))
}

/// `name [(columns)] AS SELECT …`.
fn view(cursor: &mut Cursor, start: usize, or_replace: bool) -> Parsed<Statement> {
    let head = head(cursor, start, or_replace)?;
    let columns = match cursor.peek(0) {
        Some(Token::LParen) => cursor.name_list("the name of a column")?,
        _ => Vec::new(),
    };
    cursor.expect_words(&["AS"])?;
    if !query::starts_here(cursor) {
        return Err(cursor.expected("`SELECT`, `WITH` or `VALUES`"));
    }
    let query = Box::new(query::stream_query(cursor)?);
    let text = text_from(cursor, head.start);
    let Head {
        or_replace,
        if_not_exists,
        name,
        ..
    } = head;
    Ok(Statement::CreateView(CreateView {
        or_replace,
        if_not_exists,
        name,
        columns,
        query,
        text,
    }))
}
