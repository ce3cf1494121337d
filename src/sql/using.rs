//! The columns that a join has once: USING and NATURAL.
//!
//! Owns: which table such a column is of where it is named without one. (DataFusion 55 finds it ambiguous in WHERE, and
//! everywhere when three tables share it; and behind RIGHT and FULL JOIN it takes the left side's, which is NULL where only
//! the right side has a row. Those are refused.)

use super::group_window::normal;
use super::tokens::Lines;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, Query, Select, Spanned, TableFactor, TableWithJoins, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

/// Says of which table the columns of USING are, wherever they stand.
///
/// Errors: a join that would lose their values, with its place in the text that `lines` counts.
pub fn qualify(query: &mut Query, lines: &Lines) -> Result<(), Diagnostic> {
    match query.visit(&mut Selects { lines }) {
        ControlFlow::Break(diagnostic) => Err(*diagnostic),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Selects<'a> {
    lines: &'a Lines<'a>,
}

impl VisitorMut for Selects<'_> {
    type Break = Box<Diagnostic>;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        for join in select.from.iter().flat_map(|table| &table.joins) {
            if let Some((word, shared)) = loses_values(&join.join_operator) {
                let message = format!("{word} JOIN with {shared} would show NULL where only the right side has a row");
                let column = named(&join.join_operator).map_or("k".to_string(), |ident| ident.value.clone());
                let help = format!(
                    "write the condition, and both sides: ON a.{column} = b.{column}, coalesce(a.{column}, b.{column})"
                );
                let refused = Diagnostic::error("not_yet", message).help(help);
                let place = self.lines.span(join.relation.span());
                return ControlFlow::Break(Box::new(refused.maybe_at(place)));
            }
        }
        if let [table] = &select.from[..] {
            let owners = owners(table);
            if !owners.is_empty() {
                let mut names = Names { owners, subqueries: 0 };
                let _ = select.projection.visit(&mut names);
                let _ = select.selection.visit(&mut names);
                let _ = select.group_by.visit(&mut names);
            }
        }
        ControlFlow::Continue(())
    }
}

fn constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    match join {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on) => Some(on),
        _ => None,
    }
}

fn loses_values(join: &JoinOperator) -> Option<(&'static str, &'static str)> {
    let word = match join {
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => "RIGHT",
        JoinOperator::FullOuter(_) => "FULL",
        _ => return None,
    };
    match constraint(join)? {
        JoinConstraint::Using(_) => Some((word, "USING")),
        JoinConstraint::Natural => Some((word, "NATURAL")),
        _ => None,
    }
}

/// The first column of USING.
fn named(join: &JoinOperator) -> Option<&Ident> {
    shared(join).next()
}

fn shared(join: &JoinOperator) -> impl Iterator<Item = &Ident> {
    let names = match constraint(join) {
        Some(JoinConstraint::Using(names)) => names.as_slice(),
        _ => &[],
    };
    names.iter().filter_map(|name| name.0.first()?.as_ident())
}

/// Per column of USING a table that has its value in every row: of a LEFT JOIN the left one.
fn owners(table: &TableWithJoins) -> Vec<(String, Ident)> {
    let mut owners: Vec<(String, Ident)> = Vec::new();
    for (
        at,
        Join {
            relation,
            join_operator,
            ..
        },
    ) in table.joins.iter().enumerate()
    {
        for column in shared(join_operator) {
            let column = normal(column);
            let owner = match join_operator {
                _ if owners.iter().any(|(known, _)| *known == column) => None,
                _ if at == 0 => called(&table.relation),
                JoinOperator::Join(_) | JoinOperator::Inner(_) => called(relation),
                _ => None,
            };
            owners.extend(owner.map(|owner| (column, owner)));
        }
    }
    owners
}

/// The name by which the columns of a relation can be told from others.
fn called(relation: &TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, args: None, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

struct Names {
    owners: Vec<(String, Ident)>,
    subqueries: usize,
}

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && self.subqueries == 0
            && let Some((_, owner)) = self.owners.iter().find(|(column, _)| *column == normal(name))
        {
            *expr = Expr::CompoundIdentifier(vec![owner.clone(), name.clone()]);
        }
        ControlFlow::Continue(())
    }
}
