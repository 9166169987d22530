//! The documentation: every link leads somewhere, every command does what the page says, README is short, and man pages
//! are valid.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{Appliance, Home, patiently};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_in(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension() == Some(ending.as_ref())).collect();
    files.sort();
    files
}

/// README and the pages beside it.
fn book() -> Vec<PathBuf> {
    let pages: Vec<_> = [repository().join("README.md")].into_iter().chain(files_in("docs", "md")).collect();
    assert!(pages.len() > 12, "{pages:?}");
    pages
}

/// Every page whose links are followed.
fn pages() -> Vec<PathBuf> {
    let others = ["src/ARCHITECTURE.md", "image/examples/README.md", "systemd/README.md"];
    book().into_iter().chain(others.map(|page| repository().join(page))).collect()
}

/// Its lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of its links and pictures: `](here)`.
fn links(text: &str) -> Vec<String> {
    let links = |line: &str| {
        let pieces = line.split("](").skip(1);
        pieces.filter_map(|piece| piece.split_once(')')).map(|(link, _)| link.to_owned()).collect::<Vec<_>>()
    };
    prose(text).flat_map(links).collect()
}

/// The anchors of its headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let names = headings.map(|line| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let words = line.trim_start_matches('#').trim().to_lowercase();
        words.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    });
    names
        .map(|name| {
            let before = seen.entry(name.clone()).or_insert(0);
            *before += 1;
            if *before == 1 { name } else { format!("{name}-{}", *before - 1) }
        })
        .collect()
}

/// What is wrong with a link of a page, if anything.
fn fault(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None; // a test of ours does not query other people's servers
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    if !target.exists() {
        return Some(format!("{}: {link}: there is no such file", page.display()));
    }
    let known = anchor.is_empty() || anchors(&fs::read_to_string(target).unwrap()).contains(anchor);
    (!known).then(|| format!("{}: {link}: there is no such heading", page.display()))
}

#[test]
fn readme_is_read_in_five_minutes() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
}

#[test]
fn every_link_leads_somewhere() {
    let mut followed = 0;
    let mut faults = Vec::new();
    for page in pages() {
        let links = links(&fs::read_to_string(&page).unwrap());
        followed += links.len();
        faults.extend(links.iter().filter_map(|link| fault(&page, link)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(followed > 30, "{followed} links");
}

#[test]
fn readme_leads_to_every_page() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let named: BTreeSet<_> = links(&readme).into_iter().collect();
    for page in files_in("docs", "md") {
        let name = format!("docs/{}", page.file_name().unwrap().to_str().unwrap());
        assert!(named.contains(&name), "{name}");
    }
}

/// What a block of commands must do.
#[derive(Debug, PartialEq)]
enum Must {
    Succeed,
    /// `<!-- refused -->` stands in front of it.
    BeRefused,
    /// `<!-- not run: why -->` stands in front of it.
    NotRun,
}

/// The shell blocks of a page.
fn blocks(text: &str) -> Vec<(Must, String)> {
    let (mut blocks, mut before, mut lines) = (Vec::new(), "", text.lines());
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().map(str::trim_start).take_while(|line| *line != "```").collect();
            let must = match before {
                "<!-- refused -->" => Must::BeRefused,
                before if before.starts_with("<!-- not run: ") => Must::NotRun,
                _ => Must::Succeed,
            };
            if language == "sh" {
                blocks.push((must, block.join("\n")));
            }
        }
        before = line;
    }
    blocks
}

/// Wrappers around programs in the commands: they reach the appliance, and fail if it refuses.
const TOOLS: [(&str, &str); 3] = [
    // an ack that refuses comes with 200
    (
        "curl",
        r#"out=$(/usr/bin/curl --fail-with-body --silent --show-error --max-time 60 "$@") || { code=$?; echo "$out"; exit $code; }
printf '%s\n' "$out"
case $out in *'"accepted":false'*) exit 99 ;; esac"#,
    ),
    ("mosquitto_pub", r#"exec /usr/bin/mosquitto_pub -h "$BROKER" -p "$BROKER_PORT" "$@""#),
    // it would watch for ever; one line shows that there is something to see
    ("mosquitto_sub", r#"exec /usr/bin/mosquitto_sub -h "$BROKER" -p "$BROKER_PORT" -C 1 -W 60 "$@""#),
];

/// A folder to run commands in, with the tools in its `bin`.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    for (name, script) in TOOLS {
        let file = folder.path().join("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    folder
}

/// Runs one block as a reader would, line by line; each must succeed.
async fn run(block: &str, appliance: &Appliance, folder: &Path) -> Output {
    let web = appliance.http.to_string();
    let block = block.replace("localhost:8080", &web).replace("dmx.local", &web);
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    let mut command = Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", &block]).current_dir(folder).env_clear().env("PATH", path);
    command.env("BROKER", appliance.mqtt.ip().to_string()).env("BROKER_PORT", appliance.mqtt.port().to_string());
    command.stdin(Stdio::null());
    patiently("the end of a block", tokio::task::spawn_blocking(move || command.output().unwrap())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_pages_works() {
    let mut ran = 0;
    for page in book() {
        let blocks = blocks(&fs::read_to_string(&page).unwrap());
        if blocks.iter().all(|(must, _)| *must == Must::NotRun) {
            continue;
        }
        let home = Home::new().set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true");
        let (appliance, folder) = (home.start().await, workplace());
        for (must, block) in blocks.into_iter().filter(|(must, _)| *must != Must::NotRun) {
            let output = run(&block, &appliance, folder.path()).await;
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            let right = output.status.success() == (must == Must::Succeed);
            assert!(right, "{}: {must:?}: {}\n{block}\n{said}", page.display(), output.status);
            ran += 1;
        }
        appliance.terminate().await;
    }
    assert!(ran >= 14, "{ran} blocks");
}

#[test]
fn mandoc_has_nothing_to_say_about_any_manual() {
    let manuals: Vec<_> = files_in("docs/man", "1").into_iter().chain(files_in("docs/man", "5")).collect();
    assert!(manuals.len() >= 5, "{manuals:?}");
    let output = Command::new("mandoc").args(["-Tlint", "-W", "warning"]).args(manuals).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
