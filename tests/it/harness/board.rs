//! A board with a sketch of `image/examples`, compiled for this machine: `sketches/` beside this folder stands in for the
//! board's core and PubSubClient.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::strangers::{Stranger, board};

/// The board whose branches of the sketch are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    Esp32,
    Esp8266,
}

/// A sketch, ready to be switched on.
pub struct Sketch {
    folder: TempDir,
}

impl Sketch {
    /// Compiles `image/examples/<name>/<name>.ino`; a warning is an error.
    pub fn compile(name: &str, chip: Chip) -> Self {
        Self::compile_with(name, chip, &[])
    }

    /// The same with more that is defined, as by a line that is no comment any more.
    pub fn compile_with(name: &str, chip: Chip, defined: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let define = match chip {
            Chip::Esp32 => "-DESP32",
            Chip::Esp8266 => "-DESP8266",
        };
        let mut compiler = Command::new("c++");
        compiler.args(["-std=gnu++17", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", define]);
        compiler.args(defined.iter().map(|word| format!("-D{word}")));
        compiler.arg("-I").arg(root.join("tests/it/sketches")).args(["-include", "Arduino.h", "-x", "c++"]);
        compiler
            .arg(root.join(format!("image/examples/{name}/{name}.ino")))
            .arg(root.join("tests/it/sketches/board.cpp"));
        let status = compiler.arg("-o").arg(program(&folder)).status().expect("a C++ compiler (tests/run installs it)");
        assert!(status.success(), "{name} for {chip:?} does not compile");
        Self { folder }
    }

    /// Switches on a board whose Wi-Fi leads to this broker.
    pub fn switch_on(&self, broker: SocketAddr) -> Stranger {
        self.switch_on_fast(broker, 1)
    }

    /// The same, with a clock that runs this many times faster.
    pub fn switch_on_fast(&self, broker: SocketAddr, speed: u32) -> Stranger {
        board(&program(&self.folder), broker.port(), speed)
    }
}

fn program(folder: &TempDir) -> PathBuf {
    folder.path().join("sketch")
}
