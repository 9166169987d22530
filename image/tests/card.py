"""A card: the image as a file, written and read from outside as a card reader would. Mounts nothing."""

import random
import shutil
import struct
import subprocess
from pathlib import Path

SECTOR = 512
MIB = 1024 * 1024
BOOT, DATA = 1, 4


class Card:
    """The image in a file of its own."""

    def __init__(self, image: Path, file: Path, size: int):
        """A copy of `image` on a card of `size` bytes."""
        self.file = file
        # Holes stay holes: most of a card is empty.
        subprocess.run(["cp", "--sparse=always", image, file], check=True)
        with open(file, "r+b") as card:
            card.truncate(size)

    def copy(self, file: Path) -> "Card":
        """Another card with the same content."""
        other = Card.__new__(Card)
        other.file = file
        subprocess.run(["cp", "--sparse=always", self.file, file], check=True)
        return other

    def partition(self, number: int) -> tuple[int, int]:
        """First byte and length in bytes, from the MBR."""
        with open(self.file, "rb") as card:
            table = card.read(SECTOR)[446:]
        start, length = struct.unpack_from("<II", table, 16 * (number - 1) + 8)
        return start * SECTOR, length * SECTOR

    def boot(self) -> str:
        """The boot partition, in the words of mtools."""
        return f"{self.file}@@{self.partition(BOOT)[0]}"

    def read(self, name: str) -> str:
        """A text of the boot partition."""
        done = subprocess.run(["mcopy", "-n", "-i", self.boot(), f"::/{name}", "-"], capture_output=True, check=True)
        return done.stdout.decode()

    def take(self, name: str, folder: Path) -> Path:
        """Copies a file of the boot partition into a folder."""
        to = folder / Path(name).name
        subprocess.run(["mcopy", "-n", "-o", "-i", self.boot(), f"::/{name}", to], check=True)
        return to

    def write(self, name: str, text: str) -> None:
        """Writes a text onto the boot partition."""
        subprocess.run(["mcopy", "-o", "-i", self.boot(), "-", f"::/{name}"], input=text.encode(), check=True)

    def data_file_system(self) -> int:
        """Size in bytes of the file system on DATA, from its first superblock."""
        with open(self.file, "rb") as card:
            card.seek(self.partition(DATA)[0] + 1024)
            superblock = card.read(1024)
        blocks, = struct.unpack_from("<I", superblock, 4)
        log_size, = struct.unpack_from("<I", superblock, 24)
        return blocks << (10 + log_size)

    def destroy_data(self) -> None:
        """Overwrites the beginning of DATA with noise, and the rest with zeros: fsck once made a file system from a spare superblock."""
        start, length = self.partition(DATA)
        punch = ["fallocate", "--punch-hole", "--offset", str(start), "--length", str(length), self.file]
        subprocess.run(punch, check=True)
        with open(self.file, "r+b") as card:
            card.seek(start)
            card.write(random.Random(1).randbytes(min(length, 64 * MIB)))

    def damage_data(self) -> None:
        """Overwrites the bitmaps of the first group: the file system is there, and wrong."""
        start, _ = self.partition(DATA)
        with open(self.file, "r+b") as card:
            card.seek(start + 1024)
            superblock = card.read(1024)
            block = 1024 << struct.unpack_from("<I", superblock, 24)[0]
            first, = struct.unpack_from("<I", superblock, 20)
            card.seek(start + (first + 1) * block)  # the group descriptors
            bitmap_of_blocks, bitmap_of_inodes = struct.unpack("<II", card.read(8))
            for at in (bitmap_of_blocks, bitmap_of_inodes):
                card.seek(start + at * block)
                card.write(b"\xa5" * block)

    def remove_data(self) -> None:
        """Removes the partition DATA."""
        with open(self.file, "r+b") as card:
            card.seek(446 + 16 * (DATA - 1))
            card.write(bytes(16))

    def free(self) -> None:
        """Frees its space."""
        self.file.unlink(missing_ok=True)


def unpack(image: Path, folder: Path) -> Path:
    """The image without its compression."""
    if image.suffix != ".zst":
        return image
    to = folder / image.stem
    subprocess.run(["zstd", "--quiet", "--decompress", "--sparse", "--force", image, "-o", to], check=True)
    return to


def space(folder: Path) -> int:
    """Free bytes on the file system of a folder."""
    return shutil.disk_usage(folder).free
