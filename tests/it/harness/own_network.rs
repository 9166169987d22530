//! A network with nothing but a loopback, for peers that listen on every interface whatever they are told.

use std::process::Stdio;

use tokio::process::Command;

/// Marks the run inside.
const INSIDE: &str = "DMXD_TEST_IN_ITS_OWN_NETWORK";

/// Runs a test's body in a network of its own: the test runs its own program again, with only itself, under `unshare`.
///
/// Call it first in the test function, with the whole body: the body's type contains the test's name.
pub async fn in_its_own_network<B: AsyncFnOnce()>(body: B) {
    if std::env::var_os(INSIDE).is_some() {
        return body().await;
    }
    // "it::ola::name_of_the_test::{{closure}}::…"
    let path = std::any::type_name::<B>();
    let test = path.split("::").skip(1).take_while(|part| *part != "{{closure}}").collect::<Vec<_>>().join("::");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]); // nothing in there outlives this run
    // without root the user stays themselves in there, with the right to set `lo` up; olad refuses to run as root
    command.args(if is_root() { &["--net"][..] } else { &["--user", "--map-current-user", "--keep-caps", "--net"] });
    command.args(["--", "sh", "-c", r#"PATH="$PATH:/usr/sbin"; ip link set lo up && exec "$0" "$@""#]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", &test, "--nocapture"]).env(INSIDE, "1");
    command.stdin(Stdio::null()).kill_on_drop(true);
    // no patience of its own: the run inside has one, and reports what it waited for
    let output = command.output().await.expect("setpriv is installed");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{stdout}");
    eprintln!("{stderr}");
    let ran = output.status.success() && stdout.contains("1 passed");
    assert!(ran, "{test} in a network of its own: {} (unshare needs root or user namespaces)", output.status);
}

/// Whether this process may become another user.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
