//! Events as columns: the tables that the connector gives, and how each column is made.
//!
//! Owns: names, types and order of the columns. Guarantees: only columns that were asked for are made.
//! Depends on the crate `nexmark` and Arrow. Start reading at [`Declared`].

use super::sequence::Rows;
use crate::dstream::table::TableSpec;
use crate::error::{Diagnostic, Error, Kind, Result};
use datafusion::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, StructArray, TimestampMillisecondArray,
    UInt32Array,
};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use nexmark::event::{Auction, Bid, EventType, Person};
use std::sync::Arc;

const NUMBER: DataType = DataType::Int64;
const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);
const TEXT: DataType = DataType::Utf8;

/// One column of an event type: one line gives its name, its type and how it is made.
struct Column<E> {
    name: &'static str,
    data_type: DataType,
    values: fn(&[E]) -> ArrayRef,
}

const fn column<E>(name: &'static str, data_type: DataType, values: fn(&[E]) -> ArrayRef) -> Column<E> {
    Column {
        name,
        data_type,
        values,
    }
}

static PERSON: &[Column<Person>] = &[
    column("id", NUMBER, |rows| numbers(rows, |p| p.id)),
    column("name", TEXT, |rows| texts(rows, |p| &p.name)),
    column("email_address", TEXT, |rows| texts(rows, |p| &p.email_address)),
    column("credit_card", TEXT, |rows| texts(rows, |p| &p.credit_card)),
    column("city", TEXT, |rows| texts(rows, |p| &p.city)),
    column("state", TEXT, |rows| texts(rows, |p| &p.state)),
    column("date_time", TIME, |rows| times(rows, |p| p.date_time)),
    column("extra", TEXT, |rows| texts(rows, |p| &p.extra)),
];

static AUCTION: &[Column<Auction>] = &[
    column("id", NUMBER, |rows| numbers(rows, |a| a.id)),
    column("item_name", TEXT, |rows| texts(rows, |a| &a.item_name)),
    column("description", TEXT, |rows| texts(rows, |a| &a.description)),
    column("initial_bid", NUMBER, |rows| numbers(rows, |a| a.initial_bid)),
    column("reserve", NUMBER, |rows| numbers(rows, |a| a.reserve)),
    column("date_time", TIME, |rows| times(rows, |a| a.date_time)),
    column("expires", TIME, |rows| times(rows, |a| a.expires)),
    column("seller", NUMBER, |rows| numbers(rows, |a| a.seller)),
    column("category", NUMBER, |rows| numbers(rows, |a| a.category)),
    column("extra", TEXT, |rows| texts(rows, |a| &a.extra)),
];

static BID: &[Column<Bid>] = &[
    column("auction", NUMBER, |rows| numbers(rows, |b| b.auction)),
    column("bidder", NUMBER, |rows| numbers(rows, |b| b.bidder)),
    column("price", NUMBER, |rows| numbers(rows, |b| b.price)),
    column("channel", TEXT, |rows| texts(rows, |b| &b.channel)),
    column("url", TEXT, |rows| texts(rows, |b| &b.url)),
    column("date_time", TIME, |rows| times(rows, |b| b.date_time)),
    column("extra", TEXT, |rows| texts(rows, |b| &b.extra)),
];

fn numbers<E>(rows: &[E], value: impl Fn(&E) -> usize) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| value(r) as i64)))
}

fn times<E>(rows: &[E], value: impl Fn(&E) -> u64) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(
        rows.iter().map(|r| value(r) as i64),
    ))
}

fn texts<E>(rows: &[E], value: impl Fn(&E) -> &String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
}

fn fields<E>(columns: &[Column<E>]) -> Fields {
    columns
        .iter()
        .map(|c| Field::new(c.name, c.data_type.clone(), true))
        .collect()
}

/// Which of the connector's tables: one kind of event, or all of them side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Person,
    Auction,
    Bid,
    All,
}

impl Table {
    /// The table for a value of the option `type`.
    pub(super) fn of_type(option: Option<&str>) -> Result<Self> {
        match option {
            None => Ok(Table::All),
            Some("person") => Ok(Table::Person),
            Some("auction") => Ok(Table::Auction),
            Some("bid") => Ok(Table::Bid),
            Some(other) => {
                let message = format!("option `type` must be person, auction or bid, not `{other}`");
                Err(Diagnostic::error("option_value", message)
                    .suggest(other, ["person", "auction", "bid"])
                    .into())
            }
        }
    }

    pub(super) fn filter(self) -> Option<EventType> {
        match self {
            Table::Person => Some(EventType::Person),
            Table::Auction => Some(EventType::Auction),
            Table::Bid => Some(EventType::Bid),
            Table::All => None,
        }
    }

    /// All columns, in the order of the benchmark.
    pub(super) fn schema(self) -> SchemaRef {
        let fields = match self {
            Table::Person => fields(PERSON),
            Table::Auction => fields(AUCTION),
            Table::Bid => fields(BID),
            Table::All => Fields::from(vec![
                Field::new("event_type", TEXT, true),
                Field::new("person", DataType::Struct(fields(PERSON)), true),
                Field::new("auction", DataType::Struct(fields(AUCTION)), true),
                Field::new("bid", DataType::Struct(fields(BID)), true),
            ]),
        };
        Arc::new(Schema::new(fields))
    }

    /// The column at `index` of [`Table::schema`].
    fn column(self, index: usize, rows: &Rows) -> Result<ArrayRef, ArrowError> {
        match (self, index) {
            (Table::Person, _) => Ok((PERSON[index].values)(&rows.persons)),
            (Table::Auction, _) => Ok((AUCTION[index].values)(&rows.auctions)),
            (Table::Bid, _) => Ok((BID[index].values)(&rows.bids)),
            (Table::All, 0) => Ok(event_types(&rows.order)),
            (Table::All, 1) => spread(PERSON, &rows.persons, EventType::Person, &rows.order),
            (Table::All, 2) => spread(AUCTION, &rows.auctions, EventType::Auction, &rows.order),
            (Table::All, _) => spread(BID, &rows.bids, EventType::Bid, &rows.order),
        }
    }
}

fn event_types(order: &[EventType]) -> ArrayRef {
    let name = |kind: &EventType| match kind {
        EventType::Person => "person",
        EventType::Auction => "auction",
        EventType::Bid => "bid",
    };
    Arc::new(StringArray::from_iter_values(order.iter().map(name)))
}

/// One kind of event as structs, NULL where another kind came.
fn spread<E>(
    columns: &[Column<E>],
    events: &[E],
    kind: EventType,
    order: &[EventType],
) -> Result<ArrayRef, ArrowError> {
    let arrays = columns.iter().map(|c| (c.values)(events)).collect();
    let dense = StructArray::try_new_with_length(fields(columns), arrays, None, events.len())?;
    let mut next = 0;
    let indices = order.iter().map(|other| {
        let index = (*other == kind).then_some(next);
        next += u32::from(index.is_some());
        index
    });
    take(&dense, &indices.collect::<UInt32Array>(), None)
}

/// The columns as a CREATE statement declared them: some of the table's, in any order, found by name.
pub(super) struct Declared {
    table: Table,
    schema: SchemaRef,
    /// For every declared column, its index in [`Table::schema`].
    natural: Vec<usize>,
}

impl Declared {
    /// Errors: a column is not one of the table's, cannot have the declared type, or can be NULL and is declared not to.
    pub(super) fn new(table: Table, spec: &TableSpec) -> Result<Self> {
        let schema = spec.physical_schema();
        let known = table.schema();
        let natural = schema
            .fields()
            .iter()
            .map(|f| find(f, &known, &spec.name))
            .collect::<Result<Vec<_>>>()?;
        Ok(Declared { table, schema, natural })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The asked-for columns (indices into the declared ones) of some events.
    pub(super) fn batch(&self, rows: &Rows, columns: &[usize]) -> Result<RecordBatch> {
        let make = |index: &usize| {
            let array = self.table.column(self.natural[*index], rows)?;
            let declared = self.schema.field(*index).data_type();
            if array.data_type() == declared {
                Ok(array)
            } else {
                cast(&array, declared)
            }
        };
        let arrays = columns
            .iter()
            .map(make)
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let schema = self.schema.project(columns).map_err(failed)?;
        RecordBatch::try_new(Arc::new(schema), arrays).map_err(failed)
    }

    /// So many rows without columns.
    pub(super) fn count_only(&self, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).map_err(failed)
    }
}

fn failed(error: ArrowError) -> Error {
    Error::internal("nexmark: the generated events do not fit the declared columns").because(error)
}

fn find(declared: &Field, known: &Schema, table: &str) -> Result<usize> {
    let Some((index, field)) = known.column_with_name(declared.name()) else {
        let names: Vec<&str> = known.fields().iter().map(|f| f.name().as_str()).collect();
        let message = format!(
            "column `{}` is not one that nexmark gives for `{table}`",
            declared.name()
        );
        return Err(Diagnostic::error("unknown_column", message)
            .note(format!("it gives: {}", names.join(", ")))
            .suggest(declared.name(), names)
            .into());
    };
    if !fits(field.data_type(), declared.data_type()) {
        let message = format!(
            "column `{}` of `{table}` must be declared as {}",
            declared.name(),
            sql(field.data_type())
        );
        return Err(Error::new(Kind::Sql, message));
    }
    if !declared.is_nullable() && field.data_type().is_nested() {
        let message = format!(
            "column `{}` of `{table}` is NULL for other events: leave NOT NULL out",
            declared.name()
        );
        return Err(Error::new(Kind::Sql, message));
    }
    Ok(index)
}

/// Whether every value that the generator gives has the same meaning in the declared type.
fn fits(natural: &DataType, declared: &DataType) -> bool {
    match (natural, declared) {
        (DataType::Timestamp(..), DataType::Timestamp(unit, None)) => *unit != TimeUnit::Second,
        (DataType::Utf8, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => true,
        (DataType::Int64, DataType::Int64 | DataType::UInt64) => true,
        (DataType::Struct(ours), DataType::Struct(theirs)) => {
            let same = |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && fits(a.data_type(), b.data_type());
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
        }
        _ => false,
    }
}

fn sql(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "BIGINT".to_string(),
        DataType::Timestamp(..) => "TIMESTAMP(3)".to_string(),
        DataType::Struct(fields) => {
            let field = |f: &Arc<Field>| format!("{} {}", f.name(), sql(f.data_type()));
            format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        _ => "VARCHAR".to_string(),
    }
}
