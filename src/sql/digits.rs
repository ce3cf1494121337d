//! Numbers keep the digits that are written where a DECIMAL asks for them: DataFusion takes a number with a point, or of more
//! than 64 bits, for a DOUBLE.
//!
//! A number next to something else, `d * 1.5` or `d IN (1.5, 2)`, becomes a [`KEPT`] one: the planner, which knows what `d`
//! is, makes a DECIMAL or a DOUBLE of it (`plan::exact_numbers`). Numbers for a DECIMAL column, or a cast to one, are made
//! exact here: themselves, in a sum, in a branch of CASE, in a list or a struct.

use super::function_name;
use datafusion::arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CastKind, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, SetOperator, Spanned, UnaryOperator, Value,
    VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The name of a type that is a DOUBLE: a text that is cast to it is a number of which the digits count.
pub const KEPT: &str = "__number";

/// So many digits a DOUBLE tells apart at most.
const DOUBLE_DIGITS: usize = 17;

/// Keeps the digits of numbers that are cast to DECIMAL, that stand next to something else, or that are a column by
/// themselves and have more digits than a DOUBLE.
pub fn keep(part: &mut impl VisitMut) {
    let _: ControlFlow<()> = part.visit(&mut Keep);
}

struct Keep;

impl VisitorMut for Keep {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection.iter_mut().for_each(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => keep_alone(expr),
                _ => {}
            });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast {
                expr: number,
                data_type: ast::DataType::Decimal(_) | ast::DataType::Numeric(_) | ast::DataType::Dec(_),
                ..
            } => {
                if let Some(digits) = exact_digits(number) {
                    **number = Expr::Value(Value::SingleQuotedString(digits).with_span(number.span()));
                }
            }
            Expr::BinaryOp { left, right, .. }
            | Expr::IsDistinctFrom(left, right)
            | Expr::IsNotDistinctFrom(left, right) => [left, right].into_iter().for_each(|side| keep_beside(side)),
            Expr::Between { expr, low, high, .. } => [expr, low, high].into_iter().for_each(|part| keep_beside(part)),
            Expr::InList { expr, list, .. } => {
                keep_beside(expr);
                list.iter_mut().for_each(keep_beside);
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                operand.iter_mut().chain(else_result).for_each(|part| keep_beside(part));
                for when in conditions {
                    keep_beside(&mut when.condition);
                    keep_beside(&mut when.result);
                }
            }
            Expr::Function(function) if PASSING_ON.contains(&function_name(function).as_str()) => {
                arguments(function).for_each(keep_beside);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Functions that give one of their arguments.
pub const PASSING_ON: [&str; 6] = ["coalesce", "nvl", "ifnull", "nullif", "greatest", "least"];

/// A number next to something else, if a DOUBLE may not hold its digits.
fn keep_beside(expr: &mut Expr) {
    let is_inexact = |number: &String| {
        number.contains(['.', 'e', 'E']) || number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
    };
    if let Some(number) = written(expr).filter(is_inexact) {
        let kept = ast::DataType::Custom(ObjectName::from(vec![Ident::new(KEPT)]), Vec::new());
        *expr = text_as(number, kept, expr);
    }
}

/// A number that is a column by itself, with its own digits if a DOUBLE does not hold them.
fn keep_alone(expr: &mut Expr) {
    let Some(digits) = exact_digits(expr) else {
        return;
    };
    let significant = digits.trim_start_matches(['-', '0', '.']).trim_end_matches('0');
    if significant.bytes().filter(u8::is_ascii_digit).count() > DOUBLE_DIGITS
        && digits.parse::<i64>().is_err()
        && digits.parse::<u64>().is_err()
        && let Some((precision, scale)) = own_digits(&digits)
    {
        *expr = decimal(digits, precision, scale, expr);
    }
}

/// Makes the numbers in the columns of a query exact where `targets` are DECIMALs.
pub fn exact_columns(body: &mut SetExpr, targets: &[DataType]) {
    match body {
        SetExpr::Select(select) => exact_select(select, targets),
        SetExpr::Query(query) => exact_columns(&mut query.body, targets),
        SetExpr::SetOperation {
            op: SetOperator::Union,
            left,
            right,
            ..
        } => {
            exact_columns(left, targets);
            exact_columns(right, targets);
        }
        SetExpr::Values(values) => {
            for row in &mut values.rows {
                row.content
                    .iter_mut()
                    .zip(targets)
                    .for_each(|(cell, to)| exact(cell, to));
            }
        }
        _ => {}
    }
}

fn exact_select(select: &mut Select, targets: &[DataType]) {
    // A key must read as it does in GROUP BY.
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    for (item, to) in select.projection.iter_mut().zip(targets) {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                if !is_grouped || written(expr).is_some() {
                    exact(expr, to);
                }
            }
            // It stands for several columns: then nothing is known of places.
            _ => return,
        }
    }
}

/// Makes the numbers of a value of type `to` exact where it is a DECIMAL, in itself or nested.
pub fn exact(expr: &mut Expr, to: &DataType) {
    if let (Some(digits), DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) =
        (exact_digits(expr), to)
    {
        *expr = decimal(digits, *precision, *scale, expr);
        return;
    }
    match expr {
        Expr::Nested(inner)
        | Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } => exact(inner, to),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Plus | BinaryOperator::Minus,
            right,
        } if matches!(to, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            summand(left);
            summand(right);
        }
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            conditions.iter_mut().for_each(|when| exact(&mut when.result, to));
            else_result.iter_mut().for_each(|result| exact(result, to));
        }
        Expr::Array(array) => {
            if let DataType::List(item) = to {
                array.elem.iter_mut().for_each(|elem| exact(elem, item.data_type()));
            }
        }
        Expr::Dictionary(entries) => {
            if let DataType::Struct(fields) = to {
                for entry in entries {
                    let field = fields.iter().find(|field| *field.name() == entry.key.value);
                    field
                        .into_iter()
                        .for_each(|field| exact(&mut entry.value, field.data_type()));
                }
            }
        }
        Expr::Map(map) => {
            if let Some(value) = value_type(to) {
                map.entries.iter_mut().for_each(|entry| exact(&mut entry.value, value));
            }
        }
        Expr::Function(function) => arguments_of(&function_name(function), arguments(function).collect(), to),
        _ => {}
    }
}

/// The arguments that have no name.
fn arguments(function: &mut Function) -> impl Iterator<Item = &mut Expr> {
    let list = match &mut function.args {
        FunctionArguments::List(list) => list.args.as_mut_slice(),
        _ => &mut [],
    };
    list.iter_mut().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

/// The arguments of functions that pass them on, or put them together.
fn arguments_of(function: &str, arguments: Vec<&mut Expr>, to: &DataType) {
    match (function, to) {
        (function, _) if PASSING_ON.contains(&function) => {
            arguments.into_iter().for_each(|argument| exact(argument, to));
        }
        ("make_array", DataType::List(item)) => {
            arguments
                .into_iter()
                .for_each(|argument| exact(argument, item.data_type()));
        }
        ("struct" | "row", DataType::Struct(fields)) => {
            let fields = fields.iter().map(|field| field.data_type());
            arguments
                .into_iter()
                .zip(fields)
                .for_each(|(argument, to)| exact(argument, to));
        }
        ("named_struct", DataType::Struct(fields)) => {
            let mut name = String::new();
            for (place, argument) in arguments.into_iter().enumerate() {
                match (place % 2, fields.iter().find(|field| *field.name() == name)) {
                    (0, _) => name = text(argument).unwrap_or_default(),
                    (_, Some(field)) => exact(argument, field.data_type()),
                    (_, None) => {}
                }
            }
        }
        _ => {}
    }
}

/// A part of a sum: exact, with its own digits behind the point.
fn summand(expr: &mut Expr) {
    if let Some(digits) = exact_digits(expr) {
        if let Some((precision, scale)) = own_digits(&digits)
            && (digits.contains('.') || digits.parse::<i64>().is_err())
        {
            *expr = decimal(digits, precision, scale, expr);
        }
        return;
    }
    match expr {
        Expr::Nested(inner)
        | Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } => summand(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Plus | BinaryOperator::Minus,
            right,
        } => {
            summand(left);
            summand(right);
        }
        _ => {}
    }
}

/// The precision and scale of a number without exponent: those of its own digits. `None`: no DECIMAL has so many.
pub fn own_digits(plain: &str) -> Option<(u8, i8)> {
    let (whole, behind) = plain.split_once('.').unwrap_or((plain, ""));
    let whole = whole.trim_start_matches(['-', '0']);
    let precision = u8::try_from(whole.len() + behind.len()).ok()?.max(1);
    let scale = i8::try_from(behind.len()).ok()?;
    (precision <= DECIMAL256_MAX_PRECISION).then_some((precision, scale))
}

/// `CAST('12.50' AS DECIMAL(p, s))`, at the place of `instead_of`.
fn decimal(digits: String, precision: u8, scale: i8, instead_of: &Expr) -> Expr {
    let exact = ExactNumberInfo::PrecisionAndScale(precision.into(), scale.into());
    text_as(digits, ast::DataType::Decimal(exact), instead_of)
}

fn text_as(text: String, data_type: ast::DataType, instead_of: &Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(
            Value::SingleQuotedString(text).with_span(instead_of.span()),
        )),
        data_type,
        array: false,
        format: None,
    }
}

/// The digits of a number that is written and that a DECIMAL could hold.
fn exact_digits(expr: &Expr) -> Option<String> {
    plain(&written(expr)?)
}

/// A number as it is written, with its sign.
pub fn written(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner)
        | Expr::UnaryOp {
            op: UnaryOperator::Plus,
            expr: inner,
        } => written(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => {
            let number = written(expr)?;
            Some(number.strip_prefix('-').map_or(format!("-{number}"), str::to_string))
        }
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits.replace('_', "")),
            _ => None,
        },
        Expr::Cast {
            expr: number,
            data_type: ast::DataType::Custom(name, _),
            ..
        } if name.to_string() == KEPT => text(number),
        _ => None,
    }
}

/// A number without its exponent: `-1.5e3` is `-1500`. `None`: it has more digits than any DECIMAL.
pub fn plain(number: &str) -> Option<String> {
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else {
        return Some(number.to_string());
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{behind}");
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent.parse().ok()?)?;
    let room = i64::from(DECIMAL256_MAX_PRECISION);
    if point.abs() > room {
        return None;
    }
    let (before, after) = match usize::try_from(point) {
        Err(_) => (
            String::new(),
            format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        ),
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
        Ok(point) => (digits[..point].to_string(), digits[point..].to_string()),
    };
    let point = if after.is_empty() { "" } else { "." };
    Some(format!("{sign}{before:0>1}{point}{after}"))
}

fn value_type(to: &DataType) -> Option<&DataType> {
    match to {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => pair.last().map(|value| value.data_type()),
            _ => None,
        },
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn exponents_move_the_point() {
        for (number, wanted) in [
            ("1.5", "1.5"),
            ("1.5e3", "1500"),
            ("-1.25e1", "-12.5"),
            ("15e-1", "1.5"),
            ("-1e-3", "-0.001"),
            ("1e0", "1"),
            (".5e1", "5"),
            (".5e-1", "0.05"),
            ("1.2345678901234567890123e10", "12345678901.234567890123"),
        ] {
            assert_eq!(plain(number).as_deref(), Some(wanted), "{number}");
        }
        assert_eq!(plain("1e300"), None);
        assert_eq!(plain("1e-99999999999999999999"), None);
    }
}
