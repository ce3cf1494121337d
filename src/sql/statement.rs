//! Statements as data: what a script says, before any name is looked up.

use datafusion::sql::sqlparser::ast;
use std::ops::Range;

/// One statement of a text, with the bytes of the text that it stands in (without the `;`).
#[derive(Debug, Clone)]
pub struct Located {
    pub statement: Statement,
    pub span: Range<usize>,
}

/// Everything that Waterwheel can be told.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "a script has few of them, and they are moved once"
)]
pub enum Statement {
    CreateTable(CreateTable),
    CreateSink(CreateSink),
    CreateView(CreateView),
    Insert(Insert),
    Copy(Copy),
    Query(StreamQuery),
    Explain(Explain),
    Drop(DropObject),
    /// `SHOW TABLES`.
    ShowTables,
    /// `SHOW PROGRESS`.
    ShowProgress,
    /// `SHOW CREATE TABLE name` (SOURCE, SINK and VIEW are taken as well).
    ShowCreate(Name),
    /// `DESCRIBE name`.
    Describe(Name),
    /// `SET name = value`, the value as text without its quotes.
    Set {
        name: Name,
        value: String,
    },
    /// `RESET name`, or `RESET ALL`.
    Reset(Option<Name>),
    /// `SHOW name`, or `SHOW ALL`.
    Show(Option<Name>),
}

/// A name as it counts (lower case unless quoted), and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub value: String,
    pub span: Range<usize>,
}

/// `CREATE [OR REPLACE] TABLE | SOURCE`, and `CREATE EXTERNAL TABLE`.
#[derive(Debug, Clone)]
pub struct CreateTable {
    pub or_replace: bool,
    pub if_not_exists: bool,
    /// EXTERNAL: static data.
    pub external: bool,
    pub name: Name,
    /// Empty: to be inferred from the data.
    pub columns: Vec<ColumnDef>,
    pub primary_key: Vec<Name>,
    pub watermark: Option<WatermarkDef>,
    pub options: Vec<OptionDef>,
    /// What the columns of the query are called; empty: as there.
    pub names: Vec<Name>,
    /// `AS SELECT …`: gives the columns and the rows.
    pub query: Option<Box<StreamQuery>>,
    /// The statement's own text.
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct ColumnDef {
    pub name: Name,
    pub kind: ColumnKind,
}

#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "a script has few of them, and they are moved once"
)]
pub enum ColumnKind {
    /// The type, and where it stands.
    Typed {
        data_type: ast::DataType,
        nullable: bool,
        span: Range<usize>,
    },
    /// `c AS expr`.
    Computed { expr: ast::Expr, span: Range<usize> },
}

/// `WATERMARK FOR column AS expr`; the expression is `column` or `column - INTERVAL …`.
#[derive(Debug, Clone)]
pub struct WatermarkDef {
    pub column: Name,
    pub expr: ast::Expr,
    pub span: Range<usize>,
}

/// `key = 'value'` in WITH. Keys may be bare or quoted; values may be strings, numbers or true | false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionDef {
    pub key: Name,
    pub value: String,
    pub value_span: Range<usize>,
}

/// `CREATE SINK name [AS SELECT … | FROM relation] WITH (…)`.
#[derive(Debug, Clone)]
pub struct CreateSink {
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub name: Name,
    pub from: SinkInput,
    pub options: Vec<OptionDef>,
    pub text: String,
}

#[derive(Debug, Clone)]
pub enum SinkInput {
    /// Filled by INSERT INTO.
    Nothing,
    Relation(Name),
    Query(Box<StreamQuery>),
}

/// `CREATE [OR REPLACE] VIEW name [(columns)] AS SELECT …`.
#[derive(Debug, Clone)]
pub struct CreateView {
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub name: Name,
    pub columns: Vec<Name>,
    pub query: Box<StreamQuery>,
    pub text: String,
}

/// `INSERT INTO target [(columns)] SELECT … | VALUES …`.
#[derive(Debug, Clone)]
pub struct Insert {
    pub target: Name,
    pub columns: Vec<Name>,
    pub query: Box<StreamQuery>,
}

/// `COPY (SELECT …) | relation TO 'path' [WITH (…)]`.
#[derive(Debug, Clone)]
pub struct Copy {
    pub from: CopyInput,
    pub path: Name,
    pub options: Vec<OptionDef>,
}

#[derive(Debug, Clone)]
pub enum CopyInput {
    Relation(Name),
    Query(Box<StreamQuery>),
}

/// `EXPLAIN [kind] statement`.
#[derive(Debug, Clone)]
pub struct Explain {
    /// The word after EXPLAIN in upper case (`DSTREAM`, `STATE` …), if one was given.
    pub kind: Option<Name>,
    pub statement: Box<Statement>,
}

#[derive(Debug, Clone)]
pub struct DropObject {
    /// `TABLE`, `SOURCE`, `SINK` or `VIEW`.
    pub kind: &'static str,
    pub if_exists: bool,
    pub names: Vec<Name>,
}

/// A query and the clauses that only streams have. The spans inside `query` are line and column **of the whole text**.
#[derive(Debug, Clone)]
pub struct StreamQuery {
    pub query: Box<ast::Query>,
    pub clauses: Vec<Clause>,
}

/// A clause after a query, with its place. Which of them can be run is for the planner to say.
#[derive(Debug, Clone)]
pub struct Clause {
    pub kind: ClauseKind,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub enum ClauseKind {
    AllowedLateness(ast::Expr),
    LateRowsInto(Name),
    IdleTimeout(ast::Expr),
    EmitOnWindowClose,
    EmitChanges,
    EmitEveryRows(u64),
    EmitEvery(ast::Expr),
}
