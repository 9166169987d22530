//! Puts the tablet app into the program: every file of `src/pwa` that the app serves, as it is and compressed; and the day of
//! the build, before which no right clock is.
//!
//! A script of our own, since crates that embed folders miss a new file until something else changes, or compress only
//! while they serve; brotli at its best takes seconds per megabyte, many on a Pi.

#[path = "http/assets/kind.rs"]
mod kind;

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rustc-env=DMXD_BUILT={}", day_of_build());
    println!("cargo::rerun-if-changed=src/pwa"); // the whole folder: files may be added and removed, too
    let root = fs::canonicalize("src/pwa")?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut files = Vec::new();
    gather(&root, "", &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for (number, (address, path)) in files.iter().enumerate() {
        let file = root.join(path);
        let plain = fs::read(&file)?;
        let media = kind::media(path).ok_or("a served file has a media type")?;
        let brotli = keep(&out, &format!("{number}.br"), &plain, &brotli(&plain)?)?;
        let gzip = keep(&out, &format!("{number}.gz"), &plain, &gzip(&plain)?)?;
        writeln!(
            table,
            "File {{ address: {address:?}, media: {media:?}, plain: include_bytes!({file:?}), brotli: {brotli}, gzip: {gzip} }},"
        )?;
    }
    fs::write(out.join("app_files.rs"), table + "]\n")?;
    Ok(())
}

/// The day before the build, in seconds since 1970: a clock may be in another zone of time. `SOURCE_DATE_EPOCH` makes builds
/// repeatable (reproducible-builds.org).
fn day_of_build() -> u64 {
    const DAY: u64 = 86_400;
    let said = env::var("SOURCE_DATE_EPOCH").ok().and_then(|said| said.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // nothing with TLS was built before 2026
    said.unwrap_or_else(now).max(1_767_225_600 + DAY) / DAY * DAY - DAY
}

/// Every served file below a folder: its address, and its path from the root.
fn gather(root: &Path, folder: &str, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if entry.file_type()?.is_dir() {
            gather(root, &path, files)?;
        } else if let Some(address) = kind::address(&path) {
            files.push((address, path));
        }
    }
    Ok(())
}

/// Writes a compressed form down, if it saves at least a tenth: else it costs more than it brings.
fn keep(out: &Path, name: &str, plain: &[u8], compressed: &[u8]) -> io::Result<String> {
    if compressed.len() * 10 > plain.len() * 9 {
        return Ok("None".into());
    }
    fs::write(out.join(name), compressed)?;
    Ok(format!("Some(include_bytes!({name:?}))"))
}

fn brotli(plain: &[u8]) -> io::Result<Vec<u8>> {
    let settings = BrotliEncoderParams { quality: 11, size_hint: plain.len(), ..Default::default() };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &plain[..], &mut out, &settings)?;
    Ok(out)
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best()); // without a time: the same bytes each time
    encoder.write_all(plain)?;
    encoder.finish()
}
