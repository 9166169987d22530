"""Starts an image of the appliance in QEMU and checks its promises. Called by image/test."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from card import MIB, Card, space, unpack
from machine import Failed, Machine, eventually
from stranger import Stranger

CARD = 2048 * MIB  # a power of two: QEMU's card reader of a Pi takes nothing else
FLUSH = 2.0  # s; a power cut takes back at most the last second (storage.flush_ms)

FIRST, SECOND = (255, 80, 0), (10, 20, 30)
LOGIN = ("lamps", "geheim-lamps")
WIFI_KEY = "geheim-wifi-1"


def expect(true: object, what: str) -> None:
    """Ends the test if something is not as it should be."""
    if not true:
        raise Failed(what)


class Test:
    """One run over an image."""

    def __init__(self, image: Path, folder: Path, seconds: int):
        self.folder = folder
        self.seconds = seconds
        self.figures: list[tuple[str, str]] = [("image, compressed", f"{image.stat().st_size / 1e6:.1f} MB")]
        self.card = Card(unpack(image, folder), folder / "card.img", CARD)
        self.key = folder / "key"
        self.key.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)

    def figure(self, name: str, value: str) -> None:
        """Records a figure for the end."""
        self.figures.append((name, value))
        print(f"    {name}: {value}", flush=True)

    def start(self, card: Card) -> Machine:
        """Switches a machine on."""
        return Machine(card, self.folder / "machine")

    # Each of these is one start of the machine, in this order.

    def first_start(self) -> None:
        """light, page and services a first time, on a card that is larger than the image"""
        before = self.card.data_file_system()
        with self.start(self.card) as machine:
            stranger = Stranger(machine)
            self.figure("first start, until ready", f"{stranger.wait_until_ready():.0f} s")
            expect(not stranger.problems(), f"problems: {stranger.problems()}")
            for door in ("web", "http"):
                expect("<html" in stranger.get("/", door).lower(), f"no page at the door {door}")
            stranger.ask_for(*FIRST)
            expect(stranger.light() == FIRST, f"the light is {stranger.light()}")
            expect(not stranger.speaks_ssh(), "ssh is on, and nobody asked for it")
            stranger.wait_for_name("dmx")
            time.sleep(FLUSH)
        status = self.card.read("dmxd-status.txt")
        expect("Nothing is wrong" in status, f"dmxd-status.txt: {status}")
        after = self.card.data_file_system()
        expect(after > before and after == self.card.partition(4)[1] // 4096 * 4096, f"DATA has {after} bytes")
        self.figure("DATA, grown", f"{before // MIB} MiB → {after // MIB} MiB on a card of {CARD // MIB} MiB")

    def second_start(self) -> None:
        """after a power cut: the light of before, without a command"""
        with self.start(self.card) as machine:
            stranger = Stranger(machine)
            self.figure("second start, until ready", f"{stranger.wait_until_ready():.0f} s")
            expect(stranger.light() == FIRST, f"the light is {stranger.light()}")
            expect(not stranger.problems(), f"problems: {stranger.problems()}")

    def set_up(self) -> None:
        """dmxd.toml: a name, a login for lamps, Wi-Fi, ssh; secrets leave the file"""
        public = self.key.with_suffix(".pub").read_text().strip()
        self.card.write("dmxd.toml", "\r\n".join([
            "[host]", 'name = "hall"', "[wifi]", 'name = "Hall"', f'key = "{WIFI_KEY}" # ours', 'country = "DE"',
            "[mqtt]", f'username = "{LOGIN[0]}"', f'password = "{LOGIN[1]}"',
            "[ssh]", "enabled = true", f'keys = ["{public}"]', "",
        ]))
        with self.start(self.card) as machine:
            stranger = Stranger(machine, LOGIN)
            stranger.wait_until_ready()
            expect(not stranger.problems(), f"problems: {stranger.problems()}")
            expect(stranger.light() == FIRST, f"the light is {stranger.light()}")
            try:
                Stranger(machine).light()
                raise SystemExit("the broker lets in who has no login")
            except Failed:
                pass
            stranger.wait_for_name("hall")
            self.host_key = eventually("ssh", 120, lambda: self.look_inside(stranger))
            self.measure(stranger)
        file, status = self.card.read("dmxd.toml"), self.card.read("dmxd-status.txt")
        expect("# ours" in file and file.count("<imported>") == 2, f"dmxd.toml: {file}")
        expect(WIFI_KEY not in file and LOGIN[1] not in file, f"secrets are still in dmxd.toml: {file}")
        expect("are in force" in status and "Nothing is wrong" in status, f"dmxd-status.txt: {status}")

    def look_inside(self, stranger: Stranger) -> str:
        """By ssh: the machine's name and units; its host key."""
        name = stranger.ssh(self.key, "hostname")
        expect(name == "hall", f"the machine calls itself {name}")
        return stranger.ssh(self.key, "ssh-keygen -y -f /run/dmxd-ssh/ssh_host_ed25519_key")

    def measure(self, stranger: Stranger) -> None:
        """The figures of the issue, from a running machine."""
        machine = stranger.machine
        failed = stranger.ssh(self.key, "systemctl --failed --plain --no-legend")
        expect(not failed, f"units that failed: {failed}")
        exposure = stranger.ssh(self.key, "systemd-analyze security --no-pager dmxd.service | tail -n 1")
        self.figure("systemd-analyze security", re.sub(r".*: *([0-9.]+).*", r"\1", exposure))
        mounts = stranger.ssh(self.key, "grep -E ' (/|/data|/boot/firmware) ' /proc/mounts")
        expect(" /data ext4 rw" in mounts and " /boot/firmware vfat ro" in mounts, f"mounts: {mounts}")
        memory = "grep -E '^(VmRSS|RssAnon|RssFile)' /proc/$(pidof dmxd)/status | tr -s '\\t ' ' ' | paste -sd,"
        self.figure("memory of dmxd, idle", stranger.ssh(self.key, memory))
        self.figure("memory of the machine", stranger.ssh(self.key, "grep -E '^(MemTotal|MemAvailable)' /proc/meminfo | tr -s ' ' | paste -sd,"))
        if not self.seconds:
            return

        def asked() -> int:
            io = stranger.ssh(self.key, "cat /proc/$(pidof dmxd)/io")
            return int(re.search(r"^write_bytes: (\d+)", io, re.MULTILINE).group(1))

        def hourly(what: str, load: Callable[[], object]) -> tuple[float, float]:
            """By the card's own count, and by what dmxd asked for (/proc/PID/io), which the budget is about."""
            before, asked_before, begun = machine.written(), asked(), time.monotonic()
            load()
            eventually(what, self.seconds + 60, lambda: time.monotonic() - begun > self.seconds)
            seconds = time.monotonic() - begun
            of_card, of_dmxd = [n * 3600 / seconds for n in (machine.written() - before, asked() - asked_before)]
            self.figure(what, f"{of_dmxd / 1e6:.1f} MB an hour by dmxd, {of_card / 1e6:.1f} MB an hour with the file "
                              f"system's own, from {seconds:.0f} s")
            return of_card, of_dmxd

        # Until what start and set-up have written is on the card: the store moves it from its journal within a minute.
        eventually("a card that is left alone", 600, lambda: self.quiet(machine, 90))
        expect(hourly("written when idle", lambda: None) == (0, 0), "an idle machine writes")
        of_card, of_dmxd = hourly("written at 10 commands a second", lambda: stranger.flow(self.seconds, 10))
        # A figure: an emulator that is slow at syncs is no reason to leave the rest untried.
        kept = of_dmxd <= 22e6 and of_card <= 35e6
        self.figure("22 MB an hour or less by dmxd, 35 at the card", "kept" if kept else "missed")
        self.figure("memory of dmxd after that", stranger.ssh(self.key, memory))

    def quiet(self, machine: Machine, seconds: float) -> bool:
        """Whether nothing is written for some seconds."""
        before, begun = machine.written(), time.monotonic()
        while machine.written() == before:
            if time.monotonic() - begun > seconds:
                return True
            time.sleep(1)
        return False

    def faulty_file(self) -> None:
        """dmxd.toml with faults: light, the last good settings, and what is wrong in two places"""
        self.card.write("dmxd.toml", '[host]\r\nname = "hall"\r\n[mqtt]\r\nport = "many"\r\n')
        with self.start(self.card) as machine:
            stranger = Stranger(machine, LOGIN)
            stranger.wait_until_ready()
            expect("dmxd.toml:4" in stranger.problems().get("SETUP_FAULT", ""), f"problems: {stranger.problems()}")
            stranger.ask_for(*SECOND)
            expect(stranger.light() == SECOND, f"the light is {stranger.light()}")
            key = eventually("ssh", 120, lambda: self.look_inside(stranger))
            expect(key == self.host_key, "ssh clients meet another machine")
            time.sleep(FLUSH)
        status = self.card.read("dmxd-status.txt")
        expect("last good settings" in status and "mqtt.port" in status, f"dmxd-status.txt: {status}")

    def damaged_data(self) -> None:
        """DATA damaged: light, now and at the start after it"""
        card = self.card.copy(self.folder / "damaged.img")
        card.damage_data()
        for start in (1, 2):
            with self.start(card) as machine:
                stranger = Stranger(machine, LOGIN)
                stranger.wait_until_ready()
                expect(stranger.light() == SECOND, f"the light is {stranger.light()}")
                stranger.ask_for(start, 2, 3)
                expect(stranger.light() == (start, 2, 3), f"the light is {stranger.light()}")
                stranger.ask_for(*SECOND)
                self.figure(f"problems with DATA damaged, start {start}", ", ".join(stranger.problems()) or "none")
                time.sleep(FLUSH)
        card.free()

    def destroyed_data(self) -> None:
        """DATA destroyed: light all the same, and everybody is told"""
        card = self.card.copy(self.folder / "destroyed.img")
        card.destroy_data()
        self.in_ram(card, "destroyed")

    def missing_data(self) -> None:
        """no DATA at all: the same"""
        card = self.card.copy(self.folder / "missing.img")
        card.remove_data()
        self.in_ram(card, "missing")

    def in_ram(self, card: Card, what: str) -> None:
        """A start that finds nothing to keep light in."""
        # The login that was imported is gone with DATA, and the file has no secret any more.
        card.write("dmxd.toml", "# nothing\r\n")
        with self.start(card) as machine:
            stranger = Stranger(machine)
            self.figure(f"start with DATA {what}, until ready", f"{stranger.wait_until_ready():.0f} s")
            expect("DATA_MISSING" in stranger.problems(), f"problems: {stranger.problems()}")
            stranger.ask_for(*FIRST)
            expect(stranger.light() == FIRST, f"the light is {stranger.light()}")
            time.sleep(FLUSH)
        expect("RAM" in card.read("dmxd-status.txt"), f"dmxd-status.txt: {card.read('dmxd-status.txt')}")
        card.free()

    def raspi3b(self) -> None:
        """QEMU's Pi 3B: card, root, DATA and dmxd; it has no network"""
        with Machine(self.card, self.folder / "machine", "raspi3b") as machine:
            for words in ("Mounted data.mount", "Finished dmxd-setup.service", "Started dmxd.service"):
                self.figure(f"Pi 3B: '{words}'", f"{machine.wait_for(words):.0f} s")


ALL = [
    Test.first_start, Test.second_start, Test.set_up, Test.faulty_file, Test.damaged_data, Test.destroyed_data,
    Test.missing_data, Test.raspi3b,
]


def main() -> int:
    """Runs all; 0 when all was as it should be."""
    parser = argparse.ArgumentParser(prog="image/test", description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("DMXD_LONG_IMAGE_SECONDS", "240")),
                        help="length of each of the two measurements of what is written; 0 = none (%(default)s)")
    parser.add_argument("--only", nargs="*", help="just these, by name; those before them are what they build on")
    parser.add_argument("--folder", type=Path, help="for cards and logs, kept; otherwise one that is removed")
    args = parser.parse_args()
    # An end from outside is an end for QEMU as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        expect(space(folder) > 2 * CARD, f"{folder} has too little space")  # cards are mostly holes
        test = Test(args.image, folder, args.seconds)
        for each in ALL:
            if args.only and each.__name__ not in args.only:
                continue
            begun = time.monotonic()
            print(f"{each.__name__}: {each.__doc__}", flush=True)
            try:
                each(test)
            except Failed as failed:
                print(f"FAILED: {failed}", flush=True)
                logs = sorted((folder / "machine").glob("*.log"), key=lambda log: log.stat().st_mtime)
                if logs:
                    print(f"the end of the serial line:\n{logs[-1].read_text(errors='replace')[-6000:]}")
                return 1
            print(f"    {time.monotonic() - begun:.0f} s", flush=True)
        print("\nFigures")
        for name, value in test.figures:
            print(f"| {name} | {value} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
