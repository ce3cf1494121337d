//! `timestamp_format` and `date_format`: times in a form of the user's own, in the letters of `strftime`.

use super::type_name;
use crate::error::Error;
use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use datafusion::arrow::array::{ArrayRef, AsArray, Date32Array, PrimitiveArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowTimestampType, DataType, FieldRef, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::arrow::error::ArrowError;
use std::fmt::Write;
use std::sync::Arc;

/// How the times of a text stand there; absent: ISO 8601.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeFormats {
    pub timestamp: Option<TimeFormat>,
    pub date: Option<TimeFormat>,
}

/// One form, such as `%d/%m/%Y %H:%M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFormat {
    pub text: String,
    items: Vec<Item<'static>>,
}

impl TimeFormat {
    /// `None`: there is a letter that means nothing.
    pub fn new(text: &str) -> Option<TimeFormat> {
        Some(TimeFormat {
            items: StrftimeItems::new(text).parse_to_owned().ok()?,
            text: text.to_string(),
        })
    }

    /// Whether a distance from UTC is part of it.
    pub fn has_offset(&self) -> bool {
        let is_offset = |item: &Item| {
            let Item::Fixed(fixed) = item else { return false };
            matches!(
                fixed,
                Fixed::TimezoneOffset
                    | Fixed::TimezoneOffsetZ
                    | Fixed::TimezoneOffsetColon
                    | Fixed::TimezoneOffsetColonZ
                    | Fixed::TimezoneOffsetDoubleColon
                    | Fixed::TimezoneOffsetTripleColon
                    | Fixed::RFC2822
                    | Fixed::RFC3339
            )
        };
        // The permissive form has no public name.
        self.text.contains("%#z") || self.items.iter().any(is_offset)
    }

    /// Whether a time zone is part of it by its name alone, which does not tell the distance.
    fn only_names_zone(&self) -> bool {
        self.items.contains(&Item::Fixed(Fixed::TimezoneName)) && !self.has_offset()
    }

    /// Whether seconds since 1970 and their fraction stand apart: before 1970 the two do not make one number.
    pub fn splits_seconds(&self) -> bool {
        let is_fraction = |item: &Item| {
            use Fixed::{Internal, Nanosecond, Nanosecond3, Nanosecond6, Nanosecond9};
            let Item::Fixed(fixed) = item else { return false };
            matches!(
                fixed,
                Nanosecond | Nanosecond3 | Nanosecond6 | Nanosecond9 | Internal(_)
            )
        };
        let is_seconds = |item: &Item| matches!(item, Item::Numeric(Numeric::Timestamp, _));
        self.items.iter().any(is_seconds) && self.items.iter().any(is_fraction)
    }

    /// Whether what has a time of day, and a zone, holds all that it asks for.
    pub fn can_write(&self, time: bool, zone: bool) -> bool {
        let epoch = NaiveDate::default();
        let items = self.items.iter();
        let mut shown = String::new();
        let written = match (time, zone) {
            (false, _) => write!(shown, "{}", epoch.format_with_items(items)),
            (true, false) => write!(shown, "{}", epoch.and_time(NaiveTime::MIN).format_with_items(items)),
            (true, true) => write!(
                shown,
                "{}",
                epoch.and_time(NaiveTime::MIN).and_utc().format_with_items(items)
            ),
        };
        written.is_ok()
    }

    /// Whether a text is a time in it.
    pub fn fits(&self, text: &str, data_type: &DataType) -> bool {
        match data_type {
            DataType::Date32 => self.days(text).is_some(),
            _ => self.instant(text).is_some(),
        }
    }

    /// Whether what it shows of a time tells which it is.
    pub fn can_read(&self, data_type: &DataType) -> bool {
        let time = DateTime::from_timestamp(981_173_106, 0).unwrap_or_default();
        let mut shown = String::new();
        write!(shown, "{}", time.format_with_items(self.items.iter())).is_ok() && self.fits(&shown, data_type)
    }

    fn parsed(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        if let [Item::Numeric(Numeric::Timestamp, _)] = self.items[..] {
            // Before 1970 too, for which the library has no sign.
            parsed.set_timestamp(text.parse().ok()?).ok()?;
            return Some(parsed);
        }
        parse(&mut parsed, text, self.items.iter()).ok()?;
        Some(parsed)
    }

    /// UTC, if the text tells how far it is from it, else the time that it tells. What it does not tell is 0.
    fn instant(&self, text: &str) -> Option<DateTime<Utc>> {
        let mut parsed = self.parsed(text)?;
        if parsed.timestamp().is_none() {
            if parsed.hour_mod_12().is_none() {
                parsed.set_hour(0).ok()?;
            }
            if parsed.minute().is_none() {
                parsed.set_minute(0).ok()?;
            }
        }
        match parsed.offset() {
            Some(_) => Some(parsed.to_datetime().ok()?.to_utc()),
            None => Some(parsed.to_naive_datetime_with_offset(0).ok()?.and_utc()),
        }
    }

    fn days(&self, text: &str) -> Option<i32> {
        let parsed = self.parsed(text)?;
        let by_seconds = |_| parsed.to_naive_datetime_with_offset(0).map(|time| time.date());
        let date = parsed.to_naive_date().or_else(by_seconds).ok()?;
        let days = date.signed_duration_since(NaiveDate::default()).num_days();
        i32::try_from(days).ok()
    }
}

impl TimeFormats {
    /// The options, by name, in whose form no time of the columns that have it can be told, and why.
    pub fn unreadable(&self, schema: &Schema) -> Vec<(&'static str, Error)> {
        let wrong = |(option, own): (_, &Option<TimeFormat>)| {
            let own = own.as_ref()?;
            let is_wrong = |field: &&FieldRef| {
                let has_form = self.of(field.data_type()) == Some(own);
                has_form && (own.only_names_zone() || !own.can_read(field.data_type()))
            };
            let field = schema.fields().iter().find(is_wrong)?;
            let (text, name, what) = (&own.text, field.name(), type_name(field.data_type()));
            let message = match own.only_names_zone() {
                true => format!(
                    "'{text}': the name of a zone, %Z, does not tell how far it is from UTC, and column `{name}` would be \
                     wrong: %z reads a distance such as +0200, and a name that is always the same is written as it is"
                ),
                false => format!("'{text}' does not tell which {what} the column `{name}` holds"),
            };
            Some((option, Error::refused(message)))
        };
        let all = [("timestamp_format", &self.timestamp), ("date_format", &self.date)];
        all.into_iter().filter_map(wrong).collect()
    }

    /// The form that columns of a type have.
    pub fn of(&self, data_type: &DataType) -> Option<&TimeFormat> {
        match data_type {
            DataType::Timestamp(_, _) => self.timestamp.as_ref(),
            DataType::Date32 => self.date.as_ref(),
            _ => None,
        }
    }

    /// Text to a column of a type that has a form.
    ///
    /// Errors: some text is no such time.
    pub fn read(&self, text: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
        let (Some(format), Some(text)) = (self.of(to), text.as_string_opt::<i32>()) else {
            return cast(text, to);
        };
        let DataType::Timestamp(unit, zone) = to else {
            let days = text
                .iter()
                .map(|text| text.map(|t| format.days(t).ok_or_else(wrong)).transpose());
            return Ok(Arc::new(days.collect::<Result<Date32Array, ArrowError>>()?));
        };
        let times: ArrayRef = match unit {
            TimeUnit::Second => stamps::<TimestampSecondType>(format, text)?,
            TimeUnit::Millisecond => stamps::<TimestampMillisecondType>(format, text)?,
            TimeUnit::Microsecond => stamps::<TimestampMicrosecondType>(format, text)?,
            TimeUnit::Nanosecond => stamps::<TimestampNanosecondType>(format, text)?,
        };
        if zone.is_some() && format.has_offset() {
            // The instant is known; the zone only says how it is shown.
            let utc = cast(&times, &DataType::Timestamp(*unit, Some("+00:00".into())))?;
            return cast(&utc, to);
        }
        // A time without its distance from UTC is one of the column's zone.
        cast(&times, to)
    }
}

fn stamps<T: ArrowTimestampType>(format: &TimeFormat, text: &StringArray) -> Result<ArrayRef, ArrowError> {
    let stamp = |text: &str| {
        let instant = format.instant(text)?;
        match T::UNIT {
            TimeUnit::Second => Some(instant.timestamp()),
            TimeUnit::Millisecond => Some(instant.timestamp_millis()),
            TimeUnit::Microsecond => Some(instant.timestamp_micros()),
            TimeUnit::Nanosecond => instant.timestamp_nanos_opt(),
        }
    };
    let stamps = text
        .iter()
        .map(|text| text.map(|t| stamp(t).ok_or_else(wrong)).transpose());
    Ok(Arc::new(stamps.collect::<Result<PrimitiveArray<T>, ArrowError>>()?))
}

fn wrong() -> ArrowError {
    ArrowError::ParseError("a time that does not have its format".into())
}
