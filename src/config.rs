//! Settings: every limit and clock of the engine, in one table.
//!
//! Owns: [`Settings`] and the table that SET, SHOW and the documentation are made from.
//! Guarantees: a value that was accepted is in its bounds, and who gave it is known. Does **not** read files or variables:
//! that is for the program.
//! Depends on `error` only. Start reading at [`SETTINGS`].

use crate::error::{Diagnostic, nearest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What SET can change. It affects the statements after it; queries of one program share one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How often an interval is closed when rows trickle in.
    pub interval_ns: i64,
    pub max_rows_per_interval: usize,
    pub max_bytes_per_interval: usize,
    /// Tasks at once; 0 is the number of cores.
    pub parallelism: usize,
    /// Late rows, and dead letters, that are kept to be read.
    pub kept_rows: usize,
    /// How many bytes of results may wait for a slow reader or sink before no more is taken from the sources.
    pub max_lag_bytes: usize,
    /// How long a split may be quiet before windows close without it; 0 waits for ever, `None` leaves it to the source.
    pub idle_timeout_ns: Option<i64>,
    pub time_zone: String,
    /// What `random()` and `uuid()` are made of, beside the place of the row.
    pub seed: i64,
    /// Who gave the values that are not the default ones.
    origins: BTreeMap<&'static str, Origin>,
    /// What RESET goes back to, when it is not the defaults.
    configured: Option<Arc<Settings>>,
}

/// Who gave a setting its value. The later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Default,
    File,
    Environment,
    Flag,
    /// The program that embeds the engine.
    Host,
    Set,
}

impl Origin {
    /// As SHOW names it.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File => "waterwheel.toml",
            Origin::Environment => "environment",
            Origin::Flag => "flag",
            Origin::Host => "program",
            Origin::Set => "SET",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            interval_ns: 10_000_000,
            max_rows_per_interval: 65_536,
            max_bytes_per_interval: 16 << 20,
            parallelism: 0,
            kept_rows: 10_000,
            max_lag_bytes: 1 << 30,
            idle_timeout_ns: None,
            time_zone: "UTC".to_string(),
            seed: 0,
            origins: BTreeMap::new(),
            configured: None,
        }
    }
}

/// One line of the table of settings.
pub struct Setting {
    pub name: &'static str,
    pub doc: &'static str,
    get: fn(&Settings) -> String,
    set: fn(&mut Settings, &str) -> Result<(), &'static str>,
}

/// Every setting, in the order of SHOW ALL.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "interval",
        doc: "how often an interval is closed when rows trickle in",
        get: |s| show_duration(s.interval_ns),
        set: |s, v| match parse_duration_ns(v) {
            Some(ns) if ns >= 1_000_000 => {
                s.interval_ns = ns;
                Ok(())
            }
            _ => Err("a duration of at least 1ms, such as 10ms"),
        },
    },
    Setting {
        name: "max_rows_per_interval",
        doc: "rows of a source at which an interval is closed",
        get: |s| s.max_rows_per_interval.to_string(),
        set: |s, v| match v.replace('_', "").parse() {
            Ok(n) if n > 0 => {
                s.max_rows_per_interval = n;
                Ok(())
            }
            _ => Err("a whole number from 1"),
        },
    },
    Setting {
        name: "max_bytes_per_interval",
        doc: "bytes of a source at which an interval is closed",
        get: |s| show_size(s.max_bytes_per_interval),
        set: |s, v| match parse_size(v) {
            Some(n) if n > 0 => {
                s.max_bytes_per_interval = n;
                Ok(())
            }
            _ => Err("a size such as 16MiB"),
        },
    },
    Setting {
        name: "parallelism",
        doc: "tasks at once; 0 is the number of cores",
        get: |s| s.parallelism.to_string(),
        set: |s, v| match v.parse() {
            Ok(n) if n <= 256 => {
                s.parallelism = n;
                Ok(())
            }
            _ => Err("a whole number from 0 to 256"),
        },
    },
    Setting {
        name: "kept_rows",
        doc: "late rows and dead letters that are kept to be read",
        get: |s| s.kept_rows.to_string(),
        set: |s, v| match v.replace('_', "").parse() {
            Ok(n) => {
                s.kept_rows = n;
                Ok(())
            }
            _ => Err("a whole number from 0"),
        },
    },
    Setting {
        name: "max_lag_bytes",
        doc: "bytes of results that may wait for a slow reader or sink before its program takes no more from the sources",
        get: |s| show_size(s.max_lag_bytes),
        set: |s, v| match parse_size(v) {
            Some(n) if n > 0 => {
                s.max_lag_bytes = n;
                Ok(())
            }
            _ => Err("a size such as 1GiB"),
        },
    },
    Setting {
        name: "idle_timeout",
        doc: "how long a split may be quiet before windows close without it; 0 waits for ever; auto is 10s where files \
              are followed that may come and go, else 0",
        get: |s| s.idle_timeout_ns.map_or("auto".to_string(), show_duration),
        set: |s, v| {
            s.idle_timeout_ns = match (v.eq_ignore_ascii_case("auto"), parse_duration_ns(v)) {
                (true, _) => None,
                (false, Some(ns)) => Some(ns),
                (false, None) => return Err("a duration such as 10s, 0 for never, or auto"),
            };
            Ok(())
        },
    },
    Setting {
        name: "time_zone",
        doc: "the zone of windows of days, weeks, months and years",
        get: |s| s.time_zone.clone(),
        set: |s, v| match zones().find(|zone| zone.eq_ignore_ascii_case(v)) {
            Some(zone) => {
                s.time_zone = zone.to_string();
                Ok(())
            }
            None => Err("the name of a zone such as UTC or Europe/Berlin"),
        },
    },
    Setting {
        name: "seed",
        doc: "what random() and uuid() are made of, beside the place of the row",
        get: |s| s.seed.to_string(),
        set: |s, v| match v.replace('_', "").parse() {
            Ok(seed) => {
                s.seed = seed;
                Ok(())
            }
            _ => Err("a whole number"),
        },
    },
];

impl Settings {
    /// Sets one value from text, as the statement SET does.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Diagnostic> {
        self.configure(name, value, Origin::Set)
    }

    /// Sets one value from text, and notes who gave it.
    pub fn configure(&mut self, name: &str, value: &str, origin: Origin) -> Result<(), Diagnostic> {
        let setting = find(name)?;
        (setting.set)(self, value.trim()).map_err(|wants| {
            let refused = Diagnostic::error("setting_value", format!("`{name}` takes {wants}, not `{value}`"));
            match setting.name {
                "time_zone" => refused.suggest(value, zones()),
                _ => refused,
            }
        })?;
        self.origins.insert(setting.name, origin);
        Ok(())
    }

    /// These are what RESET goes back to.
    pub fn fixed(mut self) -> Settings {
        self.configured = None;
        self.configured = Some(Arc::new(self.clone()));
        self
    }

    /// Who gave a setting the value that it has.
    pub fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).copied().unwrap_or(Origin::Default)
    }

    pub fn get(&self, name: &str) -> Result<String, Diagnostic> {
        find(name).map(|setting| (setting.get)(self))
    }

    /// Back to what it was configured to be.
    pub fn reset(&mut self, name: &str) -> Result<(), Diagnostic> {
        let before = self.before();
        self.configure(name, &before.get(name)?, before.origin(name))
    }

    /// The same for all.
    pub fn reset_all(&mut self) {
        *self = self.before().fixed();
    }

    fn before(&self) -> Settings {
        self.configured.as_deref().cloned().unwrap_or_default()
    }

    /// Tasks at once, resolved.
    pub fn threads(&self) -> usize {
        match self.parallelism {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        }
    }
}

/// The time zones of the IANA database.
fn zones() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

fn find(name: &str) -> Result<&'static Setting, Diagnostic> {
    SETTINGS.iter().find(|s| s.name == name).ok_or_else(|| {
        let known = SETTINGS.iter().map(|s| s.name);
        Diagnostic::error("unknown_setting", format!("there is no setting `{name}`"))
            .note(format!(
                "the settings are: {}",
                known.clone().collect::<Vec<_>>().join(", ")
            ))
            .suggest(name, known)
    })
}

/// Names of settings near to a wrong one.
pub fn nearest_setting(name: &str) -> Vec<String> {
    nearest(name, SETTINGS.iter().map(|s| s.name))
}

/// `5ms`, `10 seconds`, `1h`; a bare number is milliseconds.
pub fn parse_duration_ns(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let unit = match text[split..].trim().to_ascii_lowercase().as_str() {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "" | "ms" | "millisecond" | "milliseconds" => 1e6,
        "s" | "sec" | "second" | "seconds" => 1e9,
        "m" | "min" | "minute" | "minutes" => 60e9,
        "h" | "hour" | "hours" => 3_600e9,
        "d" | "day" | "days" => 86_400e9,
        _ => return None,
    };
    let ns = number * unit;
    (ns.is_finite() && ns < 9e18).then_some(ns as i64)
}

pub fn show_duration(ns: i64) -> String {
    if ns == 0 {
        return "0".to_string();
    }
    let units = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
    ];
    let fits = units.into_iter().find(|(width, _)| ns >= *width && ns % width == 0);
    fits.map_or(format!("{ns}ns"), |(width, unit)| format!("{}{unit}", ns / width))
}

/// `512MiB`, `1GB`, `1000`.
pub fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..split].parse().ok()?;
    let unit = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "kib" | "k" => 1 << 10,
        "mb" | "mib" | "m" => 1 << 20,
        "gb" | "gib" | "g" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn show_size(bytes: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units
        .into_iter()
        .find(|(width, _)| bytes >= *width && bytes.is_multiple_of(*width));
    fits.map_or(bytes.to_string(), |(width, unit)| format!("{}{unit}", bytes / width))
}
