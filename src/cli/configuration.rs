//! Settings from outside: the user's `waterwheel.toml`, that of the folder, `WATERWHEEL_…`, then flags.
//!
//! Of TOML these files need little, and only that little is read: lines `name = value` with a string or a whole number.
//! Anything else in them is refused in words, so that nothing is read otherwise than it is meant.

use super::report::Reporter;
use super::text::Text;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use waterwheel::EngineBuilder;
use waterwheel::config::Origin;
use waterwheel::error::{Diagnostic, Error, Kind};

const FILE: &str = "waterwheel.toml";
const PREFIX: &str = "WATERWHEEL_";

/// A mistake of the configuration, and the text in which it stands.
pub struct Misconfigured {
    error: Error,
    text: Text,
}

impl Misconfigured {
    pub fn tell(&self, reporter: &Reporter) {
        reporter.error(&self.error, &self.text);
    }
}

impl From<Error> for Misconfigured {
    fn from(error: Error) -> Misconfigured {
        Misconfigured {
            error,
            text: Text::named("", String::new()),
        }
    }
}

/// Puts in what the files and the environment say.
///
/// Errors: a setting that does not exist or a value that it cannot have, with its place; a file that cannot be read.
pub fn configured(mut engine: EngineBuilder) -> Result<EngineBuilder, Misconfigured> {
    for path in users_file().into_iter().chain([PathBuf::from(FILE)]) {
        if let Some(text) = contents(&path)? {
            engine = of_file(engine, &path.display().to_string(), text)?;
        }
    }
    let mut variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    variables.sort();
    for (variable, value) in variables {
        let Some(name) = variable.to_str().and_then(|v| v.strip_prefix(PREFIX)) else {
            continue;
        };
        let variable = format!("{PREFIX}{name}");
        let value = value.into_string();
        let value = value.map_err(|_| Error::refused(format!("{variable}: its value is not text in UTF-8")))?;
        let set = engine.configure(&name.to_lowercase(), &value, Origin::Environment);
        engine = set.map_err(|error| {
            let mut diagnostics = error.diagnostics;
            diagnostics
                .iter_mut()
                .for_each(|d| d.message = format!("{variable}: {}", d.message));
            Error::from_diagnostics(error.kind, diagnostics)
        })?;
    }
    Ok(engine)
}

/// In the folder where programs keep what users configure.
fn users_file() -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let config = directory("XDG_CONFIG_HOME").filter(|d| d.is_absolute());
    let config = config.or_else(|| directory("HOME").map(|home| home.join(".config")))?;
    Some(config.join("waterwheel").join(FILE))
}

/// `None`: there is no such file.
fn contents(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        _ => super::text::read(&path.display().to_string()).map(Some),
    }
}

fn of_file(mut engine: EngineBuilder, name: &str, toml: String) -> Result<EngineBuilder, Misconfigured> {
    let entries = entries(&toml).map_err(|d| vec![d]).and_then(|entries| {
        for (place, entry) in entries.iter().enumerate() {
            if entries[..place].iter().any(|before| before.name == entry.name) {
                let message = format!("`{}` stands here twice", entry.name);
                return Err(vec![Diagnostic::error("toml", message).at(entry.place.clone())]);
            }
        }
        Ok(entries)
    });
    let wrong = |mut diagnostics: Vec<Diagnostic>, place: Option<Range<usize>>| {
        diagnostics
            .iter_mut()
            .for_each(|d| d.span = d.span.take().or(place.clone()));
        Misconfigured {
            error: Error::from_diagnostics(Kind::Refused, diagnostics),
            text: Text::named(name, toml.clone()),
        }
    };
    for entry in entries.map_err(|diagnostics| wrong(diagnostics, None))? {
        let set = engine.configure(&entry.name, &entry.value, Origin::File);
        engine = set.map_err(|error| wrong(error.diagnostics, Some(entry.place)))?;
    }
    Ok(engine)
}

/// A line of the file.
#[derive(Debug, PartialEq)]
struct Entry {
    name: String,
    value: String,
    /// The bytes of the line.
    place: Range<usize>,
}

/// The lines that say something.
///
/// Errors: a line of another form.
fn entries(toml: &str) -> Result<Vec<Entry>, Diagnostic> {
    let mut entries = Vec::new();
    let mut start = 0;
    for line in toml.split_inclusive('\n') {
        let written = line.trim();
        let from = start + (line.len() - line.trim_start().len());
        start += line.len();
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        let place = from..from + written.len();
        let Some((name, value)) = entry(written) else {
            let message = "a line of this file is `name = value`, with a string in quotes or a whole number";
            let wrong = Diagnostic::error("toml", message).at(place);
            return Err(wrong.help("write, for example:  interval = \"20ms\""));
        };
        entries.push(Entry { name, value, place });
    }
    Ok(entries)
}

fn entry(line: &str) -> Option<(String, String)> {
    let (name, rest) = line.split_once('=')?;
    let name = name.trim_end();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(is_bare) {
        return None;
    }
    let rest = rest.trim_start();
    let (value, behind) = match rest.chars().next()? {
        // Three of them begin a text of several lines.
        '"' if !rest.starts_with("\"\"\"") => basic(&rest[1..])?,
        '\'' if !rest.starts_with("'''") => {
            let (text, behind) = rest[1..].split_once('\'')?;
            (text.to_string(), behind)
        }
        _ => {
            let end = rest.find([' ', '\t', '#']).unwrap_or(rest.len());
            (integer(&rest[..end])?, &rest[end..])
        }
    };
    let behind = behind.trim_start();
    (behind.is_empty() || behind.starts_with('#')).then(|| (name.to_string(), value))
}

/// A string with escapes, up to its quote, and what stands behind that.
fn basic(rest: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &rest[at + 1..])),
            '\\' => text.push(match chars.next()?.1 {
                'b' => '\u{8}',
                't' => '\t',
                'n' => '\n',
                'f' => '\u{c}',
                'r' => '\r',
                c @ ('"' | '\\') => c,
                'u' => unicode(&mut chars, 4)?,
                'U' => unicode(&mut chars, 8)?,
                _ => return None,
            }),
            c if c.is_control() && c != '\t' => return None,
            c => text.push(c),
        }
    }
    None
}

fn unicode(chars: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + chars.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}

/// A whole number without its underscores, which stand between digits.
fn integer(text: &str) -> Option<String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_group = |group: &str| !group.is_empty() && group.chars().all(|c| c.is_ascii_digit());
    let leads = digits.len() > 1 && digits.starts_with('0');
    let whole = digits.split('_').all(is_group) && !leads;
    whole.then(|| text.strip_prefix('+').unwrap_or(text).replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(toml: &str) -> Option<Vec<(String, String)>> {
        let entries = entries(toml).ok()?;
        Some(entries.into_iter().map(|e| (e.name, e.value)).collect())
    }

    fn one(line: &str) -> Option<String> {
        pairs(line)?.pop().map(|(_, value)| value)
    }

    #[test]
    fn lines_are_read_as_toml_reads_them() {
        let toml = "# settings\n\ninterval = \"20ms\" # often\r\n  seed=-1_000\ntime_zone = 'Europe/Berlin'\n";
        let expected = [("interval", "20ms"), ("seed", "-1000"), ("time_zone", "Europe/Berlin")];
        let expected = expected.map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(pairs(toml), Some(expected.to_vec()));
        let escaped = r#"a = "x\t\"\\\u00e9#""#;
        assert_eq!(one(escaped).as_deref(), Some("x\t\"\\é#"));
        assert_eq!(one("a = ''").as_deref(), Some(""));
        assert_eq!(one("a = +5").as_deref(), Some("5"));
    }

    #[test]
    fn what_is_not_read_is_refused() {
        let wrong = [
            "[table]",
            "a",
            "a =",
            "= 1",
            "a.b = 1",
            "a b = 1",
            "a = 20ms",
            "a = 1.5",
            "a = true",
            "a = [1]",
            "a = 007",
            "a = 1__0",
            "a = _1",
            "a = \"x",
            "a = 'x",
            "a = \"x\" y",
            "a = \"\\q\"",
            "a = \"\"\"x\"\"\"",
            "a = '''x'''",
            "a = 1979-05-27",
            "a = 0x10",
        ];
        for line in wrong {
            assert_eq!(pairs(line), None, "{line}");
        }
    }
}
