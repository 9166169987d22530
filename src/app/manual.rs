//! docs/man/dmxd.1 and a page for each of its subcommands, made from the command line itself. They are committed;
//! `UPDATE_GOLDEN=1 cargo test --lib manual` writes them anew.

use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::CommandFactory;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use super::args::{Args, EXAMPLES};
use crate::config::manual::{DATE, SOURCE};

/// What the command line does not contain: a section, and its entries as term and text.
const SECTIONS: [(&str, &[(&str, &str)]); 5] = [
    ("EXAMPLES", &EXAMPLES),
    (
        "PORTS",
        &[
            ("8080", "The app, REST and WebSocket (http.port). The Debian package adds port 80 (http.also_port)."),
            ("1883", "The MQTT broker (mqtt.port)."),
        ],
    ),
    (
        "FILES",
        &[
            ("/etc/dmxd/appliance.toml, /etc/dmxd/appliance.d/*.toml", "Settings of the Debian package's service."),
            ("/etc/dmxd/dmxd.env", "Variables of that service."),
            ("/var/lib/dmxd", "Its data."),
            ("/usr/share/doc/dmxd/docs", "The rest of the documentation."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "It was told to stop, or did its job."),
            ("1", "Anything else went wrong."),
            ("2", "The configuration or the command line is wrong."),
        ],
    ),
    ("SEE ALSO", &[("appliance.toml(5)", "The settings.")]),
];

/// File name and text of each page.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![("dmxd.1".to_owned(), whole(&command))];
    add(&command, "dmxd", &mut pages);
    pages
}

/// A page for each subcommand, and for each of theirs.
fn add(command: &clap::Command, above: &str, pages: &mut Vec<(String, Vec<u8>)>) {
    for job in command.get_subcommands() {
        let name = format!("{above}-{}", job.get_name());
        // its name on the page is that of the file, as with git
        let page = Man::new(job.clone().display_name(name.clone()).disable_version_flag(true))
            .title(name.clone())
            .date(DATE)
            .source(SOURCE);
        let mut text = Vec::new();
        page.render(&mut text).unwrap();
        pages.push((format!("{name}.1"), text));
        add(job, &name, pages);
    }
}

fn whole(command: &clap::Command) -> Vec<u8> {
    // examples and ports have sections of their own here
    let page = Man::new(command.clone().after_help(None::<&str>)).date(DATE).source(SOURCE);
    let mut text = Vec::new();
    page.render_title(&mut text).unwrap();
    page.render_name_section(&mut text).unwrap();
    page.render_synopsis_section(&mut text).unwrap();
    page.render_description_section(&mut text).unwrap();
    page.render_options_section(&mut text).unwrap();
    page.render_subcommands_section(&mut text).unwrap();
    let mut roff = Roff::new();
    for (section, entries) in SECTIONS {
        roff.control("SH", [section]);
        for (term, said) in entries {
            roff.control("TP", []);
            roff.text([bold(*term)]);
            roff.text([roman(*said)]);
        }
    }
    roff.to_writer(&mut text).unwrap();
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man")
}

#[test]
fn the_manuals_are_those_of_the_command_line() {
    for (name, text) in pages() {
        let file = folder().join(&name);
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let (kept, made) = (fs::read_to_string(&file).unwrap(), String::from_utf8(text).unwrap());
        assert_eq!(kept, made, "{name}: UPDATE_GOLDEN=1 cargo test --lib manual");
    }
}

#[test]
fn no_manual_is_left_of_a_command_that_is_gone() {
    let made: Vec<_> = pages().into_iter().map(|(name, _)| name).chain(["appliance.toml.5".to_owned()]).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(made.contains(&name), "{name}");
    }
}
