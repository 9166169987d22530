//! `http.ui_dir`: the app from a folder, read anew for each request. For working on it, not for shows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use warp::hyper::body::Bytes;

use super::kind;

/// What is at an address now. `None`: nothing that belongs to the app.
pub(super) fn read(root: &Path, address: &str) -> io::Result<Option<(&'static str, Bytes)>> {
    let Some((media, path)) = locate(root, address) else { return Ok(None) };
    Ok(Some((media, fs::read(path)?.into())))
}

/// Whether anything is at an address.
pub(super) fn has(root: &Path, address: &str) -> bool {
    locate(root, address).is_some()
}

/// Every address and its content, in the order of addresses.
pub(super) fn all(root: &Path) -> io::Result<Vec<(String, Bytes)>> {
    let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            // a name that is not text does not belong to the app
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if let Some(address) = kind::address(&path).filter(|address| has(root, address)) {
                found.push((address, fs::read(entry.path())?.into()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Media type and file of an address. Symbolic links may not lead out of the folder.
fn locate(root: &Path, address: &str) -> Option<(&'static str, PathBuf)> {
    let path = if address == "/" { "index.html" } else { address.strip_prefix('/')? };
    if kind::address(path).as_deref() != Some(address) {
        return None;
    }
    let file = fs::canonicalize(root.join(path)).ok()?;
    let inside = fs::canonicalize(root).is_ok_and(|root| file.starts_with(root));
    (inside && file.is_file()).then_some((kind::media(path)?, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_apps_own_files_are_served_and_nothing_outside_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("ui");
        for folder in ["ui/core", "ui/tests", "ui/node_modules/x", "ui/.git"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        let files = ["index.html", "app.js", "core/link.js", "lang.json"];
        let others = [
            "core/link.test.js",
            "tests/a.js",
            "node_modules/x/y.js",
            ".git/a.js",
            "notes.md",
            "jsconfig.json",
            "types.js",
        ];
        for file in files.into_iter().chain(others) {
            fs::write(root.join(file), file).unwrap();
        }
        fs::write(home.path().join("secret.js"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret.js", root.join("link.js")).unwrap();
        let addresses = ["/", "/app.js", "/core/link.js", "/lang.json"];
        for address in addresses {
            assert!(has(&root, address), "{address}");
        }
        let (media, text) = read(&root, "/").unwrap().unwrap();
        assert_eq!((media, &text[..]), ("text/html; charset=utf-8", &b"index.html"[..]));
        for address in others.map(|file| format!("/{file}")) {
            assert!(!has(&root, &address), "{address}");
        }
        let ways_out =
            ["/../secret.js", "/core/../../secret.js", "/%2e%2e/secret.js", "//secret.js", "/core/./link.js"];
        for address in ways_out.into_iter().chain(["/link.js", "/index.html", "/core", "/core/", "/app.js/", "", "/\0"])
        {
            assert!(!has(&root, address), "{address}");
        }
        let listed: Vec<_> = all(&root).unwrap().into_iter().map(|(address, _)| address).collect();
        assert_eq!(listed, ["/", "/app.js", "/core/link.js", "/lang.json"]);
    }
}
