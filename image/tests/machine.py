"""A machine that starts from a card: QEMU, with the card's own kernel, initrd and command line."""

import contextlib
import gzip
import json
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from card import Card

T = TypeVar("T")

# Words that only make it talk on the serial line.
TALK = "console=ttyAMA0 systemd.log_color=0 systemd.show_status=1 systemd.journald.forward_to_console=1"

# What a start may take on a machine that has other work; one with a processor to itself needs 30 s.
START = 600


class Failed(Exception):
    """Something expected did not happen."""


def eventually(what: str, seconds: float, look: Callable[[], T | None], pause: float = 0.25) -> T:
    """Waits until `look` finds something. An exception counts as nothing found."""
    until = time.monotonic() + seconds
    why: object = "nothing was found"
    while True:
        try:
            if found := look():
                return found
        except (OSError, subprocess.SubprocessError, Failed) as error:
            why = error
        if time.monotonic() > until:
            raise Failed(f"{what}: not within {seconds:.0f} s ({why})")
        time.sleep(pause)


def free_ports(number: int) -> list[int]:
    """Free ports of this machine."""
    with contextlib.ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(number)]
        for taken in sockets:
            taken.bind(("127.0.0.1", 0))
        return [taken.getsockname()[1] for taken in sockets]


class Machine:
    """QEMU, running. It ends by kill -9, which is its power cut."""

    # Doors of the guest that can be reached from here.
    DOORS = {"http": 8080, "web": 80, "mqtt": 1883, "ssh": 22}

    def __init__(self, card: Card, folder: Path, kind: str = "virt"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{card.file.stem}-{time.monotonic_ns()}.log"
        self.cable = self.log.with_suffix(".pcap")
        self.ports = dict(zip(self.DOORS, free_ports(len(self.DOORS)), strict=True))
        with gzip.open(card.take("a/kernel8.img", folder)) as packed, open(folder / "Image", "wb") as kernel:
            shutil.copyfileobj(packed, kernel)
        command_line = card.read("a/cmdline.txt").strip()
        monitor = folder / "qmp"
        monitor.unlink(missing_ok=True)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [
                "qemu-system-aarch64", "-display", "none", "-no-reboot", "-accel", "tcg,thread=multi",
                "-monitor", "none", "-serial", f"file:{self.log}", "-qmp", f"unix:{monitor},server=on,wait=off",
                "-kernel", folder / "Image", "-initrd", card.take("a/initrd.img", folder),
                *(self.virt if kind == "virt" else self.raspi3b)(card, command_line),
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(folder / "qemu.err", "wb"),
        )
        self.monitor = self._connect(monitor)

    def virt(self, card: Card, command_line: str) -> list[object]:
        """QEMU's own board, with a network that leads nowhere but here."""
        doors = ",".join(f"hostfwd=tcp:127.0.0.1:{self.ports[name]}-:{port}" for name, port in self.DOORS.items())
        return [
            "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-append", f"{command_line} {TALK}",
            "-drive", f"if=none,id=card,file={card.file},format=raw", "-device", "virtio-blk-pci,drive=card",
            "-netdev", f"user,id=net,restrict=on,{doors}", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-object", f"filter-dump,id=cable,netdev=net,file={self.cable}",
        ]

    def raspi3b(self, card: Card, command_line: str) -> list[object]:
        """A Pi 3B, as far as QEMU has one: it lacks the watchdog, which would stop it."""
        return [
            "-M", "raspi3b", "-dtb", card.take("a/bcm2837-rpi-3-b.dtb", self.folder),
            "-append", f"{command_line} {TALK} module_blacklist=bcm2835_wdt",
            "-drive", f"if=sd,file={card.file},format=raw",
        ]

    def _connect(self, path: Path) -> socket.socket:
        def connected() -> socket.socket:
            if self.process.poll() is not None:
                raise SystemExit(f"QEMU did not start: {(self.folder / 'qemu.err').read_text()}")
            monitor = socket.socket(socket.AF_UNIX)
            monitor.settimeout(20)
            monitor.connect(str(path))
            return monitor

        monitor = eventually("QEMU's monitor", 30, connected)
        self._answers = monitor.makefile("r")
        self._answers.readline()  # its greeting
        monitor.sendall(b'{"execute":"qmp_capabilities"}\n')
        self._answers.readline()
        return monitor

    def written(self) -> int:
        """Bytes that the guest has written to its card since the start."""
        self.monitor.sendall(b'{"execute":"query-blockstats"}\n')
        while "return" not in (answer := json.loads(self._answers.readline())):
            pass  # events
        return sum(device["stats"]["wr_bytes"] for device in answer["return"])

    def said(self) -> str:
        """What has come over the serial line."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def announced(self) -> list[bytes]:
        """Answers of mDNS on the cable, as everybody else there would have received them."""
        # A file header of 24 bytes; before each frame 16 bytes, the third word of which is its length.
        heard, at, answers = self.cable.read_bytes(), 24, []
        while at + 16 <= len(heard):
            length, = struct.unpack_from("<I", heard, at + 8)
            frame = heard[at + 16 : at + 16 + length]
            at += 16 + length
            # Ethernet 14, IP 20, UDP 8; the third byte of a DNS message says whether it is an answer.
            if frame[30:34] == bytes([224, 0, 0, 251]) and frame[36:38] == b"\x14\xe9" and frame[44] & 0x80:
                answers.append(frame[42:])
        return answers

    def wait_for(self, words: str, seconds: float = START) -> float:
        """Waits for a text on the serial line; gives the seconds since the start."""
        eventually(f"'{words}' on the serial line", seconds, lambda: self.runs_still() and words in self.said())
        return self.seconds()

    def runs_still(self) -> bool:
        """Ends the test if QEMU does not run: there is nothing to wait for."""
        if self.process.poll() is not None:
            raise SystemExit(f"QEMU ended: {(self.folder / 'qemu.err').read_text()}\n{self.said()[-3000:]}")
        return True

    def seconds(self) -> float:
        """Seconds since it was switched on."""
        return time.monotonic() - self.started

    def kill(self) -> None:
        """A power cut."""
        self.process.kill()
        self.process.wait()
        self.monitor.close()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
