"""What people and devices do with an appliance, from outside: a browser's requests, Mosquitto's clients, ssh, mDNS."""

import json
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from machine import START, Failed, Machine, eventually

# Crockford's base 32.
ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOCAL = "127.0.0.1"


def command(red: int, green: int, blue: int) -> str:
    """A command with a new id."""
    name = "0" + "".join(secrets.choice(ULID) for _ in range(25))
    return json.dumps({"cmdId": name, "src": "image-test", "r": red, "g": green, "b": blue})


class Stranger:
    """Somebody in the network of a machine."""

    def __init__(self, machine: Machine, login: tuple[str, str] | None = None):
        self.machine = machine
        self.login = login

    def get(self, path: str, door: str = "http") -> str:
        """The page, or whatever is at a path."""
        try:
            with urllib.request.urlopen(f"http://{LOCAL}:{self.machine.ports[door]}{path}", timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def wait_until_ready(self) -> float:
        """Waits for `/readyz` at port 80; seconds since the machine was switched on."""
        eventually("ready", START, lambda: self.machine.runs_still() and json.loads(self.get("/readyz", "web"))["ready"])
        return self.machine.seconds()

    def problems(self) -> dict[str, str]:
        """Code and message of each problem in `/readyz`."""
        return {problem["code"]: problem["message"] for problem in json.loads(self.get("/readyz"))["problems"]}

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        for line in self.get("/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise Failed(f"there is no metric {name}")

    def broker(self) -> list[str]:
        """The options by which Mosquitto's clients reach it."""
        login = ["-u", self.login[0], "-P", self.login[1]] if self.login else []
        return ["-h", LOCAL, "-p", str(self.machine.ports["mqtt"]), *login]

    def mqtt(self, program: str, *args: str, seconds: float = 30) -> str:
        """One of Mosquitto's clients; gives its output."""
        done = subprocess.run([program, *self.broker(), *args], capture_output=True, text=True, timeout=seconds)
        if done.returncode:
            raise Failed(f"{program}: exit {done.returncode} {done.stderr.strip()}")
        return done.stdout

    def ask_for(self, red: int, green: int, blue: int) -> None:
        """Sends a command, and returns once it is acknowledged."""
        self.mqtt("mosquitto_pub", "-q", "1", "-t", "v1/demo/rgb/cmd", "-m", command(red, green, blue))

    def light(self) -> tuple[int, int, int]:
        """The retained state, as a lamp gets it when it connects."""
        state = json.loads(self.mqtt("mosquitto_sub", "-t", "v1/demo/rgb/state", "-C", "1", "-W", "20"))
        return state["r"], state["g"], state["b"]

    def flow(self, seconds: float, rate: float) -> int:
        """Sends commands at a rate through one connection; gives how many."""
        number = int(seconds * rate)
        publish = ["mosquitto_pub", *self.broker(), "-q", "1", "-t", "v1/demo/rgb/cmd", "-l"]
        sender = subprocess.Popen(publish, stdin=subprocess.PIPE, text=True)
        begun = time.monotonic()
        try:
            for n in range(number):
                sender.stdin.write(command(n % 256, n // 256 % 256, 7) + "\n")
                sender.stdin.flush()
                # The pace of the load, by an absolute time.
                time.sleep(max(0.0, begun + (n + 1) / rate - time.monotonic()))
            sender.stdin.close()
            sender.wait(timeout=30)
        finally:
            sender.kill()
        return number

    def ssh(self, key: Path, line: str, seconds: float = 60) -> str:
        """Runs a command as root, with a key and nothing else."""
        options = [
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes",
            "IdentitiesOnly=yes", "ConnectTimeout=20",
        ]
        words = [word for option in options for word in ("-o", option)]
        done = subprocess.run(
            ["ssh", *words, "-i", key, "-p", str(self.machine.ports["ssh"]), f"root@{LOCAL}", line],
            capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise Failed(f"ssh {line}: exit {done.returncode} {done.stderr.strip()}")
        return done.stdout.strip()

    def speaks_ssh(self) -> bool:
        """Whether ssh answers."""
        try:
            with socket.create_connection((LOCAL, self.machine.ports["ssh"]), 10) as door:
                door.settimeout(10)
                return door.recv(4).startswith(b"SSH")
        except OSError:
            return False

    def wait_for_name(self, host: str) -> None:
        """Waits until the machine has announced its name and its two services."""
        address = b"".join(bytes([len(word)]) + word for word in (host.encode(), b"local"))
        wanted = {
            f"{host}.local": (address + b"\0\0\x01", bytes([10, 0, 2, 15])),  # the guest's address in QEMU's network
            "_http._tcp": (b"\x05_http", f"dmxd on {host}".encode()),
            "_mqtt._tcp": (b"\x05_mqtt", f"dmxd on {host}".encode()),
        }
        for what, words in wanted.items():
            eventually(f"mDNS announces {what}", 60, lambda words=words: any(
                all(word in answer for word in words) for answer in self.machine.announced()
            ))
