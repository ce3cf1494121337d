//! Where a path leads, however it is written: two outputs are told apart by it, and a reader finds out who writes what it
//! reads.

use super::locate::path_of;
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

    /// Where the rows of a table are, if they are in files.
    pub fn of_table(spec: &TableSpec) -> Option<Place> {
        let is_file = spec.connector.as_deref() == Some("file");
        path_of(spec).ok().filter(|_| is_file).map(Place::of)
    }

    /// Whether what is written here may be among what is read there: it is the same, lies in that directory or one of its
    /// folders called `a=1`, holds that part, or is matched by that glob.
    pub fn is_read_at(&self, read: &Place) -> bool {
        if read.0.starts_with(&self.0) {
            return true;
        }
        let is_folder = |folder: Component| folder.as_os_str().to_string_lossy().contains('=');
        let below = self.0.strip_prefix(&read.0).ok().and_then(Path::parent);
        if below.is_some_and(|folders| folders.components().all(is_folder)) {
            return true;
        }
        let options = MatchOptions {
            require_literal_separator: true,
            ..MatchOptions::default()
        };
        let matches = |pattern: &Path| {
            let pattern = pattern.to_str().and_then(|text| Pattern::new(text).ok());
            pattern.is_some_and(|pattern| pattern.matches_path_with(&self.0, options))
        };
        read.0.ancestors().any(matches)
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
        let read = |written: &str, read: &str| Place::of(written).is_read_at(&Place::of(read));
        for (written, reader) in [
            ("/no/f.csv", "/no/f.csv"),
            ("/no/d", "/no/d/part-1.csv"),
            ("/no/d", "/no/d/*.csv"),
            ("/no/f.csv", "/no"),
            ("/no/a=1/b=2/f.csv", "/no"),
            ("/no/f.csv", "/no/*.csv"),
            ("/no/d", "/no/*/*.csv"),
        ] {
            assert!(read(written, reader), "{written} {reader}");
        }
        for (written, reader) in [
            ("/no/f.csv", "/no/g.csv"),
            ("/no/sub/f.csv", "/no"),
            ("/no/sub/f.csv", "/no/*.csv"),
            ("/no/f.json", "/no/*.csv"),
        ] {
            assert!(!read(written, reader), "{written} {reader}");
        }
    }
}
