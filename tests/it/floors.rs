//! The house as ARCHITECTURE draws it: imports point downwards only, edges never import each other, and no files import
//! one another in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor (`src/ARCHITECTURE.md`, "Floors").
const FLOORS: [&[&str]; 8] = [
    &["dmx"],
    &["wire"],
    &["config", "kit", "metrics", "tls"],
    &["store"],
    &["engine"],
    &["access", "fixtures", "library", "intake", "backup", "time"],
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

/// A module by its path, `["store", "open"]`.
type Module = Vec<String>;

/// What a `use` brings: the path, what it is called here, and whether others may take it from here. A path that stands in
/// code brings nothing.
type Use = (Vec<String>, String, bool);

/// Every module of src with its text.
fn modules() -> BTreeMap<Module, String> {
    let mut all = Vec::new();
    files(&src(), &mut all);
    let read = |file: PathBuf| {
        let path = file.strip_prefix(src()).unwrap().with_extension("");
        let mut module: Module = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if ["mod", "lib"].contains(&module.last().unwrap().as_str()) {
            module.pop();
        }
        (module, fs::read_to_string(file).unwrap())
    };
    all.into_iter()
        .map(read)
        .filter(|(module, _)| !["main", "build"].map(|name| vec![name.to_owned()]).contains(module))
        .collect()
}

/// What `use` brings into a text, and the paths in its code, its tests left out.
fn uses(text: &str) -> Vec<Use> {
    let code = text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut found = Vec::new();
    for statement in code.split(';') {
        let import = statement.rsplit_once("use ").map(|(before, tree)| {
            let (before, visibility) = before.rsplit_once('\n').unwrap_or(("", before));
            (before, visibility.trim(), tree)
        });
        match import {
            Some((before, visibility, tree)) if visibility.is_empty() || visibility.starts_with("pub") => {
                let mut paths = Vec::new();
                if !before.ends_with("#[cfg(test)]") {
                    spread(tree, &[], &mut paths);
                }
                found.extend(paths.into_iter().map(|(path, name)| (path, name, !visibility.is_empty())));
            }
            _ => found.extend(paths(statement).map(|path| (path, String::new(), false))),
        }
    }
    found
}

/// The paths in code that begin with `crate` or `super`, those of a `pub(in …)` left out.
fn paths(code: &str) -> impl Iterator<Item = Vec<String>> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let words = code.replace("pub(in ", "pub(in::");
    let paths: Vec<_> = words.split(|c| !is_of_name(c) && c != ':').map(str::to_owned).collect();
    paths.into_iter().filter(|path| path.starts_with("crate::") || path.starts_with("super::")).map(|path| {
        path.split("::").filter(|step| !step.is_empty()).map(|step| step.trim_end_matches(':').to_owned()).collect()
    })
}

/// The paths of a tree in braces, with the name that each brings.
fn spread(tree: &str, above: &[String], paths: &mut Vec<(Vec<String>, String)>) {
    let (path, group) = tree.split_once('{').map_or((tree, None), |(path, group)| (path, Some(group)));
    let (path, renamed) =
        path.split_once(" as ").map_or((path, None), |(path, name)| (path, Some(name.trim().to_owned())));
    let steps = path.split("::").map(str::trim).filter(|step| !step.is_empty() && *step != "*").map(str::to_owned);
    let mut path: Vec<_> = above.iter().cloned().chain(steps).collect();
    let Some(group) = group else {
        path.pop_if(|last| last == "self");
        let name = renamed.or_else(|| path.last().cloned()).unwrap_or_default();
        return paths.push((path, name));
    };
    let (mut depth, mut begins) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                if !group[begins..at].trim().is_empty() {
                    spread(&group[begins..at], &path, paths);
                }
                begins = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// A path from the crate's root; `None` when it leads out of the crate.
fn absolute(module: &[String], path: &[String], all: &BTreeMap<Module, Vec<Use>>) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let above = &module[..module.len().checked_sub(1)?];
            if rest.first().is_some_and(|step| step == "super") {
                absolute(above, rest, all)
            } else {
                Some([above, rest].concat())
            }
        }
        _ => Some([module, path].concat()).filter(|path| all.contains_key(&path[..=module.len()])),
    }
}

/// The module that an absolute path ends in, past what doors hand on.
fn owner(path: &[String], all: &BTreeMap<Module, Vec<Use>>) -> Option<Module> {
    let depth = (0..=path.len()).rev().find(|depth| all.contains_key(&path[..*depth]))?;
    let (module, rest) = path.split_at(depth);
    let handed_on = rest.first().and_then(|name| {
        let (to, ..) = all[module].iter().find(|(_, called, public)| *public && called == name)?;
        absolute(module, to, all)
    });
    match handed_on {
        Some(to) => owner(&[&to, &rest[1..]].concat(), all),
        None => Some(module.to_vec()),
    }
}

/// Groups of files that all import one another, directly or by others. What a door hands on of its own modules is no import
/// of theirs.
fn circles(texts: &BTreeMap<Module, String>) -> BTreeSet<BTreeSet<String>> {
    let is_test = |module: &Module| {
        (0..module.len()).any(|depth| {
            let (door, name) = (&module[..depth], &module[depth]);
            texts.get(door).is_some_and(|text| text.contains(&format!("#[cfg(test)]\nmod {name};")))
        })
    };
    let all: BTreeMap<_, _> = texts
        .iter()
        .filter(|(module, _)| !is_test(module))
        .map(|(module, text)| (module.clone(), uses(text)))
        .collect();
    let imported = |module: &Module| -> BTreeSet<Module> {
        let is_from_elsewhere = |path: &[String]| path.first().is_some_and(|step| step == "crate" || step == "super");
        let own = all[module].iter().filter(|(path, _, public)| !public || is_from_elsewhere(path));
        own.filter_map(|(path, ..)| owner(&absolute(module, path, &all)?, &all)).filter(|to| to != module).collect()
    };
    let edges: BTreeMap<_, _> = all.keys().map(|module| (module, imported(module))).collect();
    let reached = |from: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(edges.get(module).into_iter().flatten().filter(|to| seen.insert((*to).clone())));
        }
        seen
    };
    let reach: BTreeMap<_, _> = edges.keys().map(|module| (*module, reached(module))).collect();
    let own = |module: &&Module| reach[*module].contains(*module);
    let circle = |module: &Module| {
        reach[module]
            .iter()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(module)))
            .map(|other| other.join("/"))
            .collect()
    };
    edges.keys().copied().filter(own).map(circle).collect()
}

#[test]
fn no_file_imports_one_that_imports_it() {
    assert_eq!(circles(&modules()), BTreeSet::new());
}

#[test]
fn a_circle_is_seen_through_what_a_door_hands_on_and_in_paths_of_code() {
    let house = [
        ("", "mod a;\nmod b;"),
        ("a", "mod x;\n#[cfg(test)]\nmod y;\npub use x::{self, Thing as Other};\nuse crate::b::B;"),
        ("a x", "use crate::b::{\n    inner::Deep,\n    B,\n};"),
        ("a y", "use super::x::Thing;"),
        ("b", "pub(crate) mod inner;\npub use inner::Deep;\nuse std::fmt;"),
        ("c p", "fn f() -> u8 {\n    super::q::g(1)\n}"),
        ("c q", "pub(super) use super::p::f;\npub(in super::super) fn g(n: u8) {}"),
        ("c", "mod p;\nmod q;\npub use p::f;\npub(in super::c) fn h() {}"),
        ("b inner", "use super::super::a::Other; // use crate::a::y;"),
    ];
    let module = |path: &str| path.split_whitespace().map(str::to_owned).collect::<Module>();
    let all: BTreeMap<_, _> = house.into_iter().map(|(path, text)| (module(path), text.to_owned())).collect();
    let expected = BTreeSet::from([["a/x", "b/inner"], ["c/p", "c/q"]].map(|circle| circle.map(str::to_owned).into()));
    assert_eq!(circles(&all), expected);
}
