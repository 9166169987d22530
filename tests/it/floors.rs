//! The house as ARCHITECTURE draws it: imports point downwards only, and edges never import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor (`src/ARCHITECTURE.md`, "Floors").
const FLOORS: [&[&str]; 8] = [
    &["dmx"],
    &["wire"],
    &["config", "kit", "metrics"],
    &["store"],
    &["engine"],
    &["library", "intake", "backup"],
    &["broker", "http", "output", "input", "setup", "pwa"],
    &["app"],
];

/// The floor whose rooms must not import each other.
const EDGES: usize = 6;

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that a text names after `crate::`, alone or in braces.
fn named(text: &str) -> BTreeSet<String> {
    let text: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let word = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(group) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = 0;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    rooms.insert(word(&group[begins..at]));
                    begins = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    rooms
}

/// Who imports what: room, the other room, and where.
fn imports() -> BTreeMap<(String, String), PathBuf> {
    let mut found = BTreeMap::new();
    for room in fs::read_dir(src()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let name = room.file_name().into_string().unwrap();
        let mut all = Vec::new();
        files(&room.path(), &mut all);
        for file in all {
            for other in named(&fs::read_to_string(&file).unwrap()) {
                if other != name && floor(&other).is_some() {
                    found.insert((name.clone(), other), file.clone());
                }
            }
        }
    }
    found
}

#[test]
fn imports_point_downwards_and_edges_do_not_know_each_other() {
    let wrong: Vec<_> = imports()
        .into_iter()
        .filter(|((room, other), _)| {
            let (above, below) = (floor(room), floor(other));
            below > above || (above == below && above == Some(EDGES))
        })
        .collect();
    assert!(wrong.is_empty(), "imports that point upwards, or from edge to edge: {wrong:#?}");
}

#[test]
fn every_room_has_a_floor_and_stands_in_the_text() {
    let text = fs::read_to_string(src().join("ARCHITECTURE.md")).unwrap();
    for room in fs::read_dir(src()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let name = room.file_name().into_string().unwrap();
        assert!(floor(&name).is_some(), "{name} has no floor in this test");
        assert!(text.contains(&format!("| `{name}/` |")), "ARCHITECTURE does not say what {name} is for");
    }
}

#[test]
fn the_reader_of_imports_sees_them_all() {
    let text = "use crate::dmx::{Frame, Levels};\nuse crate::{engine, kit::{clock, stop}, store::Store};\n// crate::http\n\
                fn f() -> crate::metrics::Http {}";
    let rooms: Vec<_> = named(text).into_iter().collect();
    assert_eq!(rooms, ["dmx", "engine", "kit", "metrics", "store"]);
}
