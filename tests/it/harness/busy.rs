//! Processes that do nothing, as fast as they can: the load of other programs on the appliance's machine.

use std::process::Stdio;

use tokio::process::{Child, Command};

/// Running loops. Dropping them kills them.
pub struct BusyLoops {
    _loops: Vec<Child>,
}

impl BusyLoops {
    /// This many at once.
    pub fn start(count: usize) -> Self {
        let spin = || {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"]); // none outlives a killed test
            command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("setpriv is installed")
        };
        Self { _loops: (0..count).map(|_| spin()).collect() }
    }
}
