"""Large OCFL inventories: the streamed index beside json.loads of the same file, in seconds and memory.

    python bench/inventory.py --files 1000000
    python bench/inventory.py --files 10 --repeat 200

Each step runs in a fresh process. Its seconds do not include the reading that comes before it (except
for "read" itself); its memory is the peak of the process above what the imported modules take.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from storage.ocfl.inventory import (
    FirstInventory,
    InventoryEntry,
    VersionInfo,
    next_inventory,
    parse_inventory,
)
from storage.ocfl.inventory_index import InventoryIndex, next_inventory_parts, read_inventory

_INFO = VersionInfo("2026-01-01T00:00:00Z", "benchmark", "Stele", "https://example.org/stele")
_NEW = ("ab" * 64, "v2/content/new")


def write_inventory(path: Path, files: int) -> None:
    """The inventory of a v1 with ``files`` files, all of different content."""
    digests = sorted((hashlib.sha512(b"%d" % number).digest(), number) for number in range(files))
    inventory = FirstInventory("urn:uuid:00000000-0000-4000-8000-000000000000", _INFO)
    for digest, number in digests:
        logical = (
            f"data/representations/rep1/data/box {number % 1000:04}/folder {number // 1000:06}/"
            f"record of the department {number:07}.pdf"
        )
        inventory.add(InventoryEntry(digest.hex(), logical, f"v1/content/{logical}"))
    with path.open("wb") as file:
        file.writelines(inventory.parts())
    inventory.close()


def opened(path: Path, *, every_version: bool = False) -> InventoryIndex:
    """The index of an inventory file."""
    with path.open("rb") as file:
        size = path.stat().st_size
        return read_inventory(file, path.name, size=size, scratch=path.parent, every_version=every_version)


def seconds_of(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def read(path: Path) -> float:
    """Read the head's state into an index."""
    return seconds_of(lambda: opened(path).close())


def read_every_version(path: Path) -> float:
    """Read the states of all versions into an index."""
    return seconds_of(lambda: opened(path, every_version=True).close())


def state(path: Path) -> float:
    """All files of the head."""
    with opened(path) as index:
        return seconds_of(lambda: sum(1 for _ in index.state()))


def contents(path: Path) -> float:
    """All of the manifest, for the first time."""
    with opened(path) as index:
        return seconds_of(lambda: sum(1 for _ in index.contents()))


def lookups(path: Path) -> float:
    """Every hundredth file by its logical path, content path and digest."""
    with opened(path) as index:
        entries = [entry for number, entry in enumerate(index.state()) if number % 100 == 0]

        def ask() -> None:
            for entry in entries:
                assert index.entry(entry.logical) == entry
                assert index.digest_of(entry.content) == entry.sha512
                assert index.content_of(entry.sha512) == entry.content

        return seconds_of(ask)


def next_version(path: Path) -> float:
    """The inventory of v2, which has one file more."""
    with opened(path, every_version=True) as index:
        parts = next_inventory_parts(index, "v2", _INFO, [("new", _NEW[0])], [], [_NEW])
        return seconds_of(lambda: sum(map(len, parts)))


def json_loads(path: Path) -> float:
    """The same file parsed whole by the standard library."""
    return seconds_of(lambda: json.loads(path.read_bytes()))


def parse_whole(path: Path) -> float:
    """The same file read by parse_inventory."""
    return seconds_of(lambda: list(parse_inventory(path.read_bytes(), path.name).state()))


def next_whole(path: Path) -> float:
    """The inventory of v2 put together in memory."""
    inventory = parse_inventory(path.read_bytes(), path.name)
    files = {entry.logical: entry.sha512 for entry in inventory.state()}
    files["new"] = _NEW[0]
    return seconds_of(lambda: next_inventory(inventory, "v2", _INFO, files, dict([_NEW])))


def peak_kib() -> int:
    """The peak of this process's memory; ru_maxrss would begin with that of the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


STEPS = (
    read,
    read_every_version,
    state,
    contents,
    lookups,
    next_version,
    json_loads,
    parse_whole,
    next_whole,
)


def _child(step: Callable[[Path], float], path: Path, repeat: int, sender: Connection) -> None:
    before = peak_kib()
    best = min(step(path) for _ in range(repeat))
    sender.send((best, peak_kib() - before, before))


def measured(step: Callable[[Path], float], path: Path, repeat: int) -> tuple[float, int, int]:
    """The best seconds of ``repeat`` runs in a fresh process, its peak above its start, its start (KiB)."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(step, path, repeat, sender))
    process.start()
    sender.close()
    answer: tuple[float, int, int] = receiver.recv()
    process.join()
    return answer


def main() -> None:
    """Generate the inventory and measure every step on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each step, of which the best counts")
    parser.add_argument("--work", type=Path, default=Path("bench/work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work.resolve()) as folder:
        path = Path(folder, "inventory.json")
        write_inventory(path, options.files)
        print(f"{options.files} files, {path.stat().st_size / (1 << 20):.1f} MiB of JSON")
        for step in STEPS:
            seconds, above, start = measured(step, path, options.repeat)
            print(
                f"{step.__name__:20} {seconds * 1000:11.2f} ms, "
                f"peak {start / 1024:.0f} MiB + {above / 1024:.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
