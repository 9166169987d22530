//! What makes a machine an appliance: units, scripts and the Debian package, each checked with the tool that will read it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// The output of a program, which must succeed.
fn said(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// Files of the repository below these folders.
fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository()).args(["ls-files", "--cached", "--others", "--exclude-standard", "--"]);
    said(command.args(folders)).lines().map(|line| repository().join(line)).collect()
}

/// Programs that a unit may name: they are in the image, not here.
const IN_THE_IMAGE: [(&str, &str); 2] =
    [("/usr/bin/dmxd", env!("CARGO_BIN_EXE_dmxd")), ("/usr/lib/dmxd/dmxd-grow", "/bin/true")];

#[test]
fn systemd_understands_every_unit() {
    let folder = tempfile::tempdir().unwrap();
    let units: Vec<_> =
        files(&["systemd"]).into_iter().filter(|file| file.extension() == Some("service".as_ref())).collect();
    assert!(units.len() >= 3, "{units:?}");
    for unit in units {
        let mut text = fs::read_to_string(&unit).unwrap();
        for (there, here) in IN_THE_IMAGE {
            text = text.replace(there, here);
        }
        let copy = folder.path().join(unit.file_name().unwrap());
        fs::write(&copy, text).unwrap();
        let output = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy));
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", unit.display());
    }
}

#[test]
fn the_appliance_may_do_little_more_than_it_must() {
    let unit = repository().join("systemd/dmxd.service");
    let mut command = Command::new("systemd-analyze");
    // In tenths: 2.0.
    command.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(unit);
    let table = said(&mut command);
    println!("{}", table.lines().last().unwrap_or_default());
}

#[test]
fn no_unit_of_the_appliance_needs_the_data_partition() {
    for file in files(&["systemd"]) {
        let text = fs::read_to_string(&file).unwrap();
        let hard = text.lines().find(|line| {
            let needs = ["Requires=", "BindsTo=", "Requisite=", "RequiresMountsFor="];
            needs.iter().any(|need| line.starts_with(need)) && line.contains("data")
        });
        assert_eq!(hard, None, "{}", file.display());
    }
}

/// What a unit starts, and its last settings: one that is empty takes the earlier ones away.
fn started(file: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("systemd").join(file)).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("ExecStart=")).map(str::to_owned).collect()
}

#[test]
fn only_on_the_image_is_the_appliance_told_of_the_card() {
    let package = started("dmxd.service");
    let report = started("image/dmxd-setup.service")[0]
        .split(" --report ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(started("image/10-data.conf"), [String::new(), format!("{} --setup-report {report}", package[0])]);
    assert!(!package[0].contains("--setup-report"), "a package has no card");
}

#[test]
fn shellcheck_has_nothing_to_say_about_any_script() {
    let is_script = |file: &PathBuf| {
        let start = fs::read(file).unwrap();
        start.starts_with(b"#!/bin/sh")
            || start.starts_with(b"#!/bin/bash")
            || start.starts_with(b"#!/usr/bin/env bash")
    };
    let folders = ["systemd", "image", "tests/run", "tests/long", "tests/bench", ".ci"];
    let scripts: Vec<_> = files(&folders).into_iter().filter(is_script).collect();
    assert!(scripts.len() >= 17, "{scripts:?}");
    for script in &scripts {
        assert!(fs::metadata(script).unwrap().permissions().mode() & 0o111 != 0, "{} is no program", script.display());
    }
    // what they source is read with them
    said(Command::new("shellcheck").arg("--external-sources").args(scripts).current_dir(repository()));
}

#[test]
fn python_understands_what_starts_the_image() {
    let scripts: Vec<_> =
        files(&["image/tests"]).into_iter().filter(|file| file.extension() == Some("py".as_ref())).collect();
    assert!(!scripts.is_empty());
    let parse = "import ast, sys\nfor name in sys.argv[1:]: ast.parse(open(name).read(), name)";
    said(Command::new("python3").args(["-c", parse]).args(scripts));
}

#[test]
fn the_partitions_are_the_same_for_all_who_name_them() {
    let text = |file: &str| fs::read_to_string(repository().join(file)).unwrap();
    let disk = text("image/steps/disk");
    let id = disk.lines().find_map(|line| line.strip_prefix("id=")).unwrap();
    assert!(disk.contains("root=PARTUUID=$id-02 "), "the kernel's root");
    let fstab = text("image/files/fstab");
    assert!(fstab.contains(&format!("\nPARTUUID={id}-04 /data ext4 ")), "{fstab}");
    assert!(fstab.contains(&format!("\nPARTUUID={id}-01 /boot/firmware vfat ro,")), "{fstab}");
    let mounts: Vec<_> = fstab.lines().filter(|line| line.starts_with("PARTUUID=")).collect();
    assert!(mounts.iter().all(|line| line.contains("nofail") && line.contains("x-systemd.device-timeout=")), "{fstab}");
    let grow = text("systemd/image/dmxd-grow.service");
    let device = format!(r"dev-disk-by\x2dpartuuid-{id}\x2d04");
    assert!(grow.contains(&format!("After={device}.device\n")), "{grow}");
    assert!(grow.contains(&format!("Before=data.mount systemd-fsck@{device}.service\n")), "{grow}");
    assert!(grow.contains(&format!(" /dev/disk/by-partuuid/{id}-04\n")), "{grow}");
}

#[test]
fn ssh_clients_meet_the_same_machine_at_each_start() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, used) = (folder.path().join("kept"), folder.path().join("run/used"));
    let start = || {
        let _ = fs::remove_dir_all(&used);
        said(Command::new(repository().join("systemd/image/dmxd-ssh-key")).arg(&kept).arg(&used));
        let key = used.join("ssh_host_ed25519_key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::read_to_string(key).unwrap()
    };
    let first = start();
    assert_eq!(start(), first);
    // a power cut has left half of it
    fs::write(kept.join("ssh_host_ed25519_key"), &first[..100]).unwrap();
    let second = start();
    assert_ne!(second, first);
    assert_eq!(start(), second);
    // nothing can be kept, and login still works
    fs::remove_dir_all(&kept).unwrap();
    fs::write(&kept, "").unwrap();
    assert_ne!(start(), second);
}

#[test]
fn the_data_partition_grows_once_and_only_when_it_gains_something() {
    const MIB: u64 = 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk.img");
    let file = File::create(&disk).unwrap();
    file.set_len(64 * MIB).unwrap();
    let layout = folder.path().join("layout");
    fs::write(&layout, "label: dos\nstart=1MiB,size=4MiB\nsize=4MiB\nsize=4MiB\nsize=8MiB\n").unwrap();
    let made = Command::new("sfdisk").arg("-q").arg(&disk).stdin(File::open(&layout).unwrap()).status().unwrap();
    assert!(made.success());
    let grow = || {
        let mut command = Command::new(repository().join("systemd/image/dmxd-grow"));
        said(command.arg(&disk).arg("4"))
    };
    file.set_len(300 * MIB).unwrap();
    assert!(grow().contains("was grown"));
    let table = fs::read(&disk).unwrap();
    // An entry of an MBR has 16 bytes from 446 on; the size in sectors is its last four.
    let size = |number: usize| u32::from_le_bytes(table[446 + 16 * number - 4..446 + 16 * number].try_into().unwrap());
    assert_eq!([1, 2, 3].map(size), [4 * 2048; 3], "the others are as they were");
    assert_eq!(u64::from(size(4)) * 512, (300 - 13) * MIB);
    assert!(grow().contains("as large as"));
    assert_eq!(fs::read(&disk).unwrap(), table, "nothing is written where there is nothing to gain");
}

/// The package of the binary under test, without what only a debugger reads: nine tenths of it.
fn package(out: &Path) -> PathBuf {
    fs::create_dir_all(out).unwrap();
    let binary = out.join("dmxd");
    said(Command::new("strip").args(["-o".as_ref(), binary.as_os_str(), env!("CARGO_BIN_EXE_dmxd").as_ref()]));
    let mut command = Command::new(repository().join("image/package"));
    command.args(["--arch", ARCHITECTURE, "--binary"]).arg(binary).arg("--out").arg(out);
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    said(&mut command).trim().into()
}

const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

#[test]
fn the_package_is_the_same_twice_and_has_in_it_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let packages = ["a", "b"].map(|name| package(&folder.path().join(name)));
    let [a, b] = packages.each_ref().map(|package| fs::read(package).unwrap());
    assert!(a == b, "the same binary makes the same package");

    let listed = said(Command::new("dpkg-deb").arg("--contents").arg(&packages[0]));
    let modes: BTreeMap<_, _> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .map(|words| (words[5].trim_start_matches('.').to_owned(), (words[0].to_owned(), words[1].to_owned())))
        .collect();
    for (path, mode) in [
        ("/usr/bin/dmxd", "-rwxr-xr-x"),
        ("/usr/lib/systemd/system/dmxd.service", "-rw-r--r--"),
        ("/usr/lib/sysusers.d/dmxd.conf", "-rw-r--r--"),
        ("/usr/lib/tmpfiles.d/dmxd.conf", "-rw-r--r--"),
        ("/usr/share/man/man1/dmxd.1.gz", "-rw-r--r--"),
        ("/usr/share/man/man5/appliance.toml.5.gz", "-rw-r--r--"),
        ("/usr/share/doc/dmxd/docs/runbook.md", "-rw-r--r--"),
        ("/etc/dmxd/appliance.toml", "-rw-r-----"),
        ("/etc/dmxd/", "drwxr-x---"),
    ] {
        assert_eq!(modes.get(path), Some(&(mode.to_owned(), "root/root".to_owned())), "{path} in\n{listed}");
    }
    let fields = said(Command::new("dpkg-deb").arg("--field").arg(&packages[0]));
    for field in
        ["Package: dmxd", concat!("Version: ", env!("CARGO_PKG_VERSION")), &format!("Architecture: {ARCHITECTURE}")]
    {
        assert!(fields.lines().any(|line| line == field), "{field} in\n{fields}");
    }
    let control = folder.path().join("control");
    said(Command::new("dpkg-deb").arg("--control").arg(&packages[0]).arg(&control));
    assert_eq!(fs::read_to_string(control.join("conffiles")).unwrap(), "/etc/dmxd/appliance.toml\n");
}

#[test]
fn the_settings_of_the_package_are_valid_and_those_of_a_service() {
    let root = tempfile::tempdir().unwrap();
    let package = package(&root.path().join("out"));
    said(Command::new("dpkg-deb").arg("--extract").arg(package).arg(root.path()));
    let config = root.path().join("etc/dmxd/appliance.toml");
    let printed = said(
        Command::new(root.path().join("usr/bin/dmxd")).env_clear().arg("--print-config").arg("--config").arg(config),
    );
    for line in ["also_port = 80 ", "data_dir = \"/var/lib/dmxd\" ", "port = 8080 ", "port = 1883 "] {
        assert!(printed.lines().any(|printed| printed.starts_with(line)), "{line} in\n{printed}");
    }
}

#[test]
fn a_binary_of_another_machine_is_no_package() {
    let folder = tempfile::tempdir().unwrap();
    let other = if ARCHITECTURE == "amd64" { "arm64" } else { "amd64" };
    let mut command = Command::new(repository().join("image/package"));
    command.args(["--arch", other, "--binary", env!("CARGO_BIN_EXE_dmxd"), "--out"]).arg(folder.path());
    let output = run(&mut command);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is for "), "{output:?}");
}

#[test]
fn the_package_is_installed_removed_and_purged_by_its_own_scripts() {
    let root = tempfile::tempdir().unwrap();
    let package = package(&root.path().join("out"));
    let (control, log) = (root.path().join("control"), root.path().join("log"));
    said(Command::new("dpkg-deb").arg("--raw-extract").arg(&package).arg(root.path().join("unpacked")));
    fs::rename(root.path().join("unpacked/DEBIAN"), &control).unwrap();
    // programs that would change this machine print what they were asked for, in order
    let bin = root.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["systemctl", "systemd-sysusers", "systemd-tmpfiles", "rm"] {
        let program = bin.join(name);
        fs::write(&program, format!("#!/bin/sh\necho \"{name} $*\" >>{}\n", log.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let asked_by = |script: &str, args: &[&str]| -> Vec<String> {
        let _ = fs::remove_file(&log);
        said(Command::new(control.join(script)).args(args).env("PATH", format!("{}:/usr/bin:/bin", bin.display())));
        // only these depend on whether systemd runs here
        let only_running = ["systemctl daemon-reload", "systemctl restart", "systemctl stop", "systemctl is-enabled"];
        let asked = fs::read_to_string(&log).unwrap_or_default();
        asked
            .lines()
            .filter(|line| !only_running.iter().any(|word| line.starts_with(word)))
            .map(str::to_owned)
            .collect()
    };
    let made = ["systemd-sysusers dmxd.conf", "systemd-tmpfiles --create dmxd.conf"];
    assert_eq!(asked_by("postinst", &["configure", ""]), [made[0], made[1], "systemctl enable dmxd.service"]);
    assert_eq!(asked_by("postinst", &["configure", "0.0.9"]), made, "what was switched off stays off");
    assert_eq!(asked_by("prerm", &["upgrade", "9"]), Vec::<String>::new());
    assert_eq!(asked_by("prerm", &["remove"]), ["systemctl disable dmxd.service"]);
    assert_eq!(asked_by("postrm", &["remove"]), Vec::<String>::new());
    assert_eq!(asked_by("postrm", &["purge"]), ["rm -rf /var/lib/dmxd /etc/dmxd"]);
}

#[test]
fn the_users_and_folders_of_the_package_are_ones_that_systemd_can_make() {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc");
    fs::create_dir_all(etc.join("dmxd")).unwrap();
    fs::write(etc.join("group"), "root:x:0:\ndialout:x:20:\n").unwrap();
    fs::write(etc.join("passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    let at = |program: &str, args: &[&str], file: &str| {
        let mut command = Command::new(program);
        said(command.arg(format!("--root={}", root.path().display())).args(args).arg(repository().join(file)))
    };
    at("systemd-sysusers", &[], "systemd/dmxd.sysusers");
    let (passwd, group) =
        (fs::read_to_string(etc.join("passwd")).unwrap(), fs::read_to_string(etc.join("group")).unwrap());
    assert!(passwd.lines().any(|line| line.starts_with("dmxd:") && line.ends_with("nologin")), "{passwd}");
    assert!(group.lines().any(|line| line == "dialout:x:20:dmxd"), "{group}");
    at("systemd-tmpfiles", &["--create"], "systemd/dmxd.tmpfiles");
    let mode = fs::metadata(etc.join("dmxd/appliance.d")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
}
