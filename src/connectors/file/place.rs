//! Where a path leads, however it is written: two outputs are told apart by it, and a reader finds out who writes what it
//! reads.

use super::locate::path_of;
use super::parts::PART;
use super::sink::is_file;
use crate::dstream::table::TableSpec;
use glob::{MatchOptions, Pattern};
use std::path::{Component, Path, PathBuf};

/// A file, a directory or a glob: links are followed and dots resolved, as far as the path is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(PathBuf);

impl Place {
    pub fn of(path: &str) -> Place {
        // Without a current directory the path stays as it is written.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let all: Vec<Component> = absolute.components().collect();
        let there = |end: usize| Some((all[..end].iter().collect::<PathBuf>().canonicalize().ok()?, end));
        let Some((mut place, end)) = (1..=all.len()).rev().find_map(there) else {
            return Place(absolute);
        };
        for component in &all[end..] {
            match component {
                Component::ParentDir => drop(place.pop()),
                other => place.push(other),
            }
        }
        Place(place)
    }

    pub fn is_in(&self, directory: &str) -> bool {
        self.0.starts_with(directory)
    }

    /// Where the rows of a table are, if they are in files.
    pub fn of_table(spec: &TableSpec) -> Option<Place> {
        let is_file = spec.connector.as_deref() == Some("file");
        path_of(spec).ok().filter(|_| is_file).map(Place::of)
    }
}

/// Where a sink writes: one file, or a directory of parts and of folders called `a=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    place: Place,
    is_file: bool,
    /// What is there already is replaced.
    pub overwrites: bool,
}

impl Output {
    pub fn of(path: &str, overwrites: bool) -> Output {
        Output {
            place: Place::of(path),
            is_file: is_file(path),
            overwrites,
        }
    }

    /// Where the rows of a table go, if they go into files.
    pub fn of_table(spec: &TableSpec) -> Option<Output> {
        let is_file = spec.connector.as_deref() == Some("file");
        let path = path_of(spec).ok().filter(|_| is_file)?;
        let overwrites = spec.options.get("overwrite").is_some_and(|value| value == "true");
        Some(Output::of(path, overwrites))
    }

    pub fn is_directory(&self) -> bool {
        !self.is_file
    }

    /// Whether what is written here may be among what is read there: it is the same, lies in that directory or one of its
    /// folders called `a=1`, holds that part, or is matched by that glob.
    pub fn is_read_at(&self, read: &Place) -> bool {
        let here = &self.place.0;
        if read.0.starts_with(here) || self.is_part_of(&read.0) {
            return true;
        }
        let options = MatchOptions {
            require_literal_separator: true,
            ..MatchOptions::new()
        };
        let matches = |pattern: &Path| {
            let pattern = pattern.to_str().and_then(|text| Pattern::new(text).ok());
            pattern.is_some_and(|pattern| pattern.matches_path_with(here, options))
        };
        // A glob that matches a directory reads none of its files.
        read.0.ancestors().skip(usize::from(!self.is_file)).any(matches)
    }

    /// Whether two queries that write here and there would undo each other's work: both write to one place, one would
    /// have to make a directory where the other makes a file, or one makes files between the parts of the other.
    pub fn meets(&self, other: &Output) -> bool {
        let within = |inner: &Output, outer: &Output| {
            let is_below = inner.place.0.starts_with(&outer.place.0);
            let is_part = || {
                let name = inner
                    .place
                    .0
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let is_named_so = name.is_some_and(|name| name.starts_with(PART));
                inner.is_part_of(&outer.place.0) && (is_named_so || inner.is_directory())
            };
            is_below && (outer.is_file || is_part())
        };
        self.place == other.place || within(self, other) || within(other, self)
    }

    /// Whether it lies in that directory or one of its folders called `a=1`, which are read together.
    fn is_part_of(&self, directory: &Path) -> bool {
        let is_folder = |folder: Component| folder.as_os_str().to_string_lossy().contains('=');
        let Ok(below) = self.place.0.strip_prefix(directory) else {
            return false;
        };
        let folders = match self.is_file {
            true => below.parent(),
            false => Some(below),
        };
        folders.is_some_and(|folders| folders.components().all(is_folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_many_spellings() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("it is there");
        let root = root.display();
        std::fs::create_dir(format!("{root}/s")).expect("a directory");
        let place = Place::of(&format!("{root}/f.csv"));
        for other in ["./f.csv", "s/../f.csv", "gone/../f.csv", "f.csv/", ".//f.csv"] {
            assert_eq!(Place::of(&format!("{root}/{other}")), place, "{other}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(format!("{root}/s"), format!("{root}/link")).expect("a link");
            let linked = Place::of(&format!("{root}/link/new/f.csv"));
            assert_eq!(linked, Place::of(&format!("{root}/s/new/f.csv")));
        }
        assert_ne!(Place::of(&format!("{root}/s/f.csv")), place);
    }

    #[test]
    fn readers_meet_what_is_written() {
        let read = |written: &str, read: &str| Output::of(written, false).is_read_at(&Place::of(read));
        for (written, reader) in [
            ("/no/f.csv", "/no/f.csv"),
            ("/no/d", "/no/d/part-1.csv"),
            ("/no/d", "/no/d/*.csv"),
            ("/no/f.csv", "/no"),
            ("/no/a=1/b=2/f.csv", "/no"),
            ("/no/a=1", "/no"),
            ("/no/f.csv", "/no/*.csv"),
            ("/no/d", "/no/*/*.csv"),
        ] {
            assert!(read(written, reader), "{written} {reader}");
        }
        for (written, reader) in [
            ("/no/f.csv", "/no/g.csv"),
            ("/no/sub/f.csv", "/no"),
            ("/no/sub", "/no"),
            ("/no/sub/f.csv", "/no/*.csv"),
            ("/no/f.json", "/no/*.csv"),
            ("/no/F.csv", "/no/f.csv"),
            ("/no/F.csv", "/no/f*.csv"),
            ("/no/d", "/no/*"),
            ("/no/d", "/no/*/"),
        ] {
            assert!(!read(written, reader), "{written} {reader}");
        }
    }

    #[test]
    fn writers_meet_whom_they_disturb() {
        let meets = |one: &str, other: &str| {
            let (one, other) = (Output::of(one, false), Output::of(other, false));
            assert_eq!(one.meets(&other), other.meets(&one));
            one.meets(&other)
        };
        for (one, other) in [
            ("/no/d", "/no/./d/"),
            ("/no/d", "/no/d/k=a"),
            ("/no/d", "/no/d/k=a/l=b/"),
            ("/no/d", "/no/d/k=a/part-000000000000.csv"),
            ("/no/f.csv", "/no/f.csv/x"),
            ("/no/f.csv", "/no/f.csv/x/g.csv"),
        ] {
            assert!(meets(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("/no/d", "/no/e"),
            ("/no/d", "/no/d/sub"),
            ("/no/d", "/no/d/f.csv"),
            ("/no/f.csv", "/no/f.csv.gz"),
        ] {
            assert!(!meets(one, other), "{one} {other}");
        }
    }
}
