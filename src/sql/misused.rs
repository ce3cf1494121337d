//! Functions in clauses where they cannot stand, and with arguments that they do not take. DataFusion plans them all, and
//! cannot run them.

use super::Parsed;
use super::cursor::Cursor;
use super::tokens::Lines;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select,
    Spanned, Visit, Visitor,
};
use std::ops::ControlFlow;

/// Refuses the first function of a query, or of one inside it, that is misused.
pub(super) fn functions(query: &Query, cursor: &Cursor) -> Parsed<()> {
    let text = cursor.script.text;
    match query.visit(&mut Misused { text }) {
        ControlFlow::Break(diagnostic) => Err(diagnostic),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Those that people group by, by mistake.
const AGGREGATES: [&str; 5] = ["count", "sum", "min", "max", "avg"];

type Step = ControlFlow<Box<Diagnostic>>;

struct Misused<'a> {
    text: &'a str,
}

impl Visitor for Misused<'_> {
    type Break = Box<Diagnostic>;

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        self.clause("WHERE", &select.selection)?;
        self.clause("HAVING", &select.having)?;
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            self.clause("GROUP BY", keys)?;
            keys.iter().try_for_each(|key| self.key(key))?;
        }
        let joins = select.from.iter().flat_map(|table| &table.joins);
        for join in joins {
            self.clause("ON", &join.join_operator)?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        let Expr::Function(call) = expr else {
            return ControlFlow::Continue(());
        };
        let FunctionArguments::List(list) = &call.args else {
            return ControlFlow::Continue(());
        };
        let name = function_name(call);
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let all = list
            .args
            .iter()
            .any(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard)));
        match name.as_str() {
            "count" if list.args.is_empty() => {
                self.refuse(call, "`count` takes a value, or `*` for rows".into(), "write: count(*)")
            }
            "count" if !distinct && list.args.len() > 1 => {
                let help = "count rows in which each has a value: count(*) FILTER (WHERE a IS NOT NULL AND …)";
                self.refuse(call, "`count` takes one value".into(), help)
            }
            "count" if distinct && all => {
                let message = "`count(DISTINCT *)` would count no rows of their own";
                self.refuse(call, message.into(), "name the columns: count(DISTINCT (a, b))")
            }
            "count" if distinct && list.args.len() > 1 => {
                let given: Vec<String> = list.args.iter().map(ToString::to_string).collect();
                let help = format!("count rows of them: count(DISTINCT ({}))", given.join(", "));
                self.refuse(call, "`count(DISTINCT …)` takes one value".into(), &help)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Misused<'_> {
    fn refuse(&self, call: &Function, message: String, help: &str) -> Step {
        let refused = Diagnostic::error("function_arguments", message).help(help);
        ControlFlow::Break(Box::new(refused.maybe_at(Lines::new(self.text).span(call.span()))))
    }

    /// Rows are grouped before they are counted.
    fn key(&self, key: &Expr) -> Step {
        match key {
            Expr::Function(call) if AGGREGATES.contains(&function_name(call).as_str()) => {
                let name = function_name(call);
                let message = format!("GROUP BY makes the groups that `{name}` aggregates: it cannot stand there");
                self.refuse(
                    call,
                    message,
                    "aggregate in a subquery, and group by its column around it",
                )
            }
            _ => ControlFlow::Continue(()),
        }
    }

    /// A clause has no windows over rows, and WHERE, HAVING and ON no unnesting.
    fn clause(&self, word: &str, part: &impl Visit) -> Step {
        let mut calls = Calls {
            unnest: word != "GROUP BY",
            subqueries: 0,
        };
        let ControlFlow::Break(call) = part.visit(&mut calls) else {
            return ControlFlow::Continue(());
        };
        let name = function_name(&call);
        let refused = match call.over {
            Some(_) => {
                let message =
                    format!("`{name}` OVER looks at the rows that {word} gives, so it cannot stand in {word}");
                let refused = Diagnostic::error("window_misplaced", message);
                match word {
                    "WHERE" | "HAVING" => {
                        refused.help("write the condition behind QUALIFY, or compute it in a subquery")
                    }
                    _ => refused.help("compute it in a subquery: FROM (SELECT …, row_number() OVER (…) AS n FROM t)"),
                }
            }
            None => {
                let message = format!("{word} looks at one row at a time, and `unnest` makes several");
                Diagnostic::error("unnest_misplaced", message).help(
                    "look into the list: array_has(list, value); or unnest it in FROM: CROSS JOIN UNNEST(list) AS t(x)",
                )
            }
        };
        ControlFlow::Break(Box::new(refused.maybe_at(Lines::new(self.text).span(call.span()))))
    }
}

/// The first function with OVER in an expression, outside of subqueries.
pub(super) fn windowed(expr: &Expr) -> Option<Function> {
    let mut calls = Calls {
        unnest: false,
        subqueries: 0,
    };
    expr.visit(&mut calls).break_value()
}

/// The first call with OVER, or of `unnest`, outside of subqueries.
struct Calls {
    unnest: bool,
    subqueries: usize,
}

impl Visitor for Calls {
    type Break = Function;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Function> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Function> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Function> {
        match expr {
            Expr::Function(call)
                if self.subqueries == 0 && (call.over.is_some() || self.unnest && function_name(call) == "unnest") =>
            {
                ControlFlow::Break(call.clone())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The name of a function as it counts: in lower case.
pub fn function_name(call: &Function) -> String {
    call.name.to_string().to_lowercase()
}
