//! What names no column is computed before anything runs, so that `1 / 0`, `date_trunc('century', ts)` and
//! `regexp_like(s, '(')` are told with their place.
//!
//! Of functions that read an argument as a word the others may be columns: a value stands in for them. What CASE or
//! `coalesce` guards may never be computed: it is left alone.

use super::planning::Planning;
use crate::error::wording::choices;
use crate::error::{Diagnostic, Error};
use crate::operators::fragment::failed;
use crate::sql::function_name;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, DataType, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Spanned,
    TimezoneInfo, TypedString, Value, Visit, Visitor,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Functions that read an argument as a word, which one, and what their other arguments are.
const READERS: [(&str, usize, Other); 13] = [
    ("date_trunc", 0, Other::Time),
    ("datetrunc", 0, Other::Time),
    ("date_part", 0, Other::Time),
    ("datepart", 0, Other::Time),
    ("extract", 0, Other::Time),
    ("regexp_like", 1, Other::Text),
    ("regexp_match", 1, Other::Text),
    ("regexp_replace", 1, Other::Text),
    ("regexp_count", 1, Other::Text),
    ("regexp_instr", 1, Other::Text),
    ("encode", 1, Other::Text),
    ("decode", 1, Other::Text),
    ("digest", 1, Other::Text),
];

/// Functions that may leave an argument uncomputed.
const GUARDS: [&str; 4] = ["coalesce", "nvl", "nvl2", "ifnull"];

#[derive(Clone, Copy)]
enum Other {
    Time,
    Text,
}

impl Planning<'_> {
    /// What cannot be computed, whatever the rows are.
    pub(super) fn incomputable(&self, query: &Query) -> Vec<Diagnostic> {
        let mut search = Search {
            planning: self,
            within: Vec::new(),
            found: Vec::new(),
        };
        let _: ControlFlow<()> = query.visit(&mut search);
        search.found
    }

    /// Errors: an expression over no columns cannot be computed. Those that depend on the moment are not tried.
    pub(super) fn computed(&self, value: &Expr) -> Result<(), Error> {
        if value.exists(|part| Ok(depends(part))).unwrap_or(true) {
            return Ok(());
        }
        self.evaluated(value).map_err(failed)
    }

    fn evaluated(&self, value: &Expr) -> Result<(), DataFusionError> {
        let (session, options) = (&self.state.session, self.state.session.config_options());
        let plan = LogicalPlanBuilder::empty(true).project([value.clone()])?.build()?;
        let plan = session.analyzer().execute_and_check(plan, options, |_, _| {})?;
        let one_row = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &one_row)?;
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(DFSchema::empty()))
            .with_config_options(Arc::clone(options))
            .build();
        let simplifier = ExprSimplifier::new(context);
        for value in plan.expressions() {
            let value = simplifier.simplify(value)?;
            session
                .create_physical_expr(value, &DFSchema::empty())?
                .evaluate(&row)?;
        }
        Ok(())
    }

    /// What goes wrong when an expression is computed that can be planned without a table.
    fn fault(&self, expr: ast::Expr) -> Option<Error> {
        let names = self.names();
        let planner = SqlToRel::new(&names);
        let planned = planner.sql_to_expr(expr, &DFSchema::empty(), &mut PlannerContext::new());
        self.computed(&planned.ok()?).err()
    }
}

/// Whether an expression is more than its constants.
fn depends(part: &Expr) -> bool {
    match part {
        Expr::ScalarFunction(function) => function.func.signature().volatility != Volatility::Immutable,
        Expr::AggregateFunction(_)
        | Expr::WindowFunction(_)
        | Expr::Placeholder(_)
        | Expr::ScalarVariable(..)
        | Expr::Unnest(_)
        | Expr::Column(_) => true,
        other => matches!(
            other,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..)
        ),
    }
}

/// How far the parts of an expression have been looked at.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Open,
    /// Perhaps they are never computed: only words are looked at.
    Guarded,
    Computed,
}

struct Search<'a, 'p> {
    planning: &'a Planning<'p>,
    /// Of the expressions around.
    within: Vec<Within>,
    found: Vec<Diagnostic>,
}

impl Visitor for Search<'_, '_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        let around = self.within.last().copied().unwrap_or(Within::Open);
        let within = self.look(expr, around);
        self.within.push(within);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &ast::Expr) -> ControlFlow<()> {
        self.within.pop();
        ControlFlow::Continue(())
    }
}

impl Search<'_, '_> {
    fn look(&mut self, expr: &ast::Expr, around: Within) -> Within {
        use ast::Expr::{Case, Cast, CompoundIdentifier, Identifier, Interval, TypedString, Value};
        let is_leaf = matches!(
            expr,
            Value(_) | Identifier(_) | CompoundIdentifier(_) | Interval(_) | TypedString(_)
        );
        if around == Within::Computed || is_leaf {
            return Within::Computed;
        }
        if around == Within::Open && is_constant(expr) {
            if let Some(fault) = self.planning.fault(expr.clone()) {
                let code = if matches!(expr, Cast { .. }) {
                    "invalid_literal"
                } else {
                    "not_computable"
                };
                self.tell(code, fault, expr);
            }
            return Within::Computed;
        }
        if let Some((word, sample)) = sampled(expr)
            && let Some(fault) = self.planning.fault(sample)
        {
            self.tell("invalid_literal", fault, word);
        }
        match expr {
            Case { .. } => Within::Guarded,
            ast::Expr::Function(call) if GUARDS.contains(&function_name(call).as_str()) => Within::Guarded,
            _ => around,
        }
    }

    fn tell(&mut self, code: &'static str, fault: Error, at: &ast::Expr) {
        let word = match at {
            ast::Expr::Value(value) => value.value.clone().into_string().unwrap_or_default(),
            ast::Expr::Extract { field, .. } => field.to_string(),
            _ => String::new(),
        };
        let told = Diagnostic::error(code, fault.message.clone());
        let told = told.suggest(&word, choices(&fault.message));
        self.found.push(told.maybe_at(self.planning.lines.span(at.span())));
    }
}

/// A part that reads a word, with values for its columns; and the word.
fn sampled(expr: &ast::Expr) -> Option<(&ast::Expr, ast::Expr)> {
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
    let mut sample = expr.clone();
    match (expr, &mut sample) {
        (ast::Expr::Function(call), ast::Expr::Function(sample)) => {
            let name = function_name(call);
            let (_, nth, other) = READERS.iter().find(|(reader, ..)| *reader == name)?;
            let word = arguments(call).nth(*nth).filter(|word| is_constant(word))?;
            fill(sample, *other);
            Some((word, ast::Expr::Function(sample.clone())))
        }
        (ast::Expr::Extract { .. }, ast::Expr::Extract { expr: time, .. }) => {
            **time = value(Other::Time);
            Some((expr, sample))
        }
        (ast::Expr::AtTimeZone { time_zone, .. }, ast::Expr::AtTimeZone { timestamp, .. })
            if is_constant(time_zone) =>
        {
            **timestamp = value(Other::Time);
            Some((time_zone, sample))
        }
        (ast::Expr::SimilarTo { pattern, .. }, ast::Expr::SimilarTo { expr: text, .. }) if is_constant(pattern) => {
            **text = value(Other::Text);
            Some((pattern, sample))
        }
        (
            ast::Expr::BinaryOp {
                op: PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch,
                right,
                ..
            },
            ast::Expr::BinaryOp { left: text, .. },
        ) if is_constant(right) => {
            **text = value(Other::Text);
            Some((right, sample))
        }
        _ => None,
    }
}

/// Puts values into a call where its arguments are not known.
fn fill(call: &mut Function, other: Other) {
    let FunctionArguments::List(list) = &mut call.args else {
        return;
    };
    for argument in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument
            && !is_constant(argument)
        {
            *argument = value(other);
        }
    }
}

fn value(other: Other) -> ast::Expr {
    let text = |text: &str| Value::SingleQuotedString(text.to_string()).with_empty_span();
    match other {
        Other::Text => ast::Expr::Value(text("")),
        Other::Time => ast::Expr::TypedString(TypedString {
            data_type: DataType::Timestamp(None, TimezoneInfo::None),
            value: text("2000-01-01"),
            uses_odbc_syntax: false,
        }),
    }
}

/// Whether an expression names no column, and asks no query.
fn is_constant(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::BinaryOp { left, right, .. } => is_constant(right) && is_constant(left),
        ast::Expr::Nested(inner) | ast::Expr::UnaryOp { expr: inner, .. } => is_constant(inner),
        other => other.visit(&mut Names).is_continue(),
    }
}

struct Names;

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        use ast::Expr::{CompoundIdentifier, Identifier, Lambda, QualifiedWildcard, Wildcard};
        match expr {
            Identifier(_) | CompoundIdentifier(_) | Wildcard(_) | QualifiedWildcard(..) | Lambda(_) => {
                ControlFlow::Break(())
            }
            ast::Expr::Function(call) if call.over.is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The arguments that have no name.
fn arguments(call: &Function) -> impl Iterator<Item = &ast::Expr> {
    let list = match &call.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}
