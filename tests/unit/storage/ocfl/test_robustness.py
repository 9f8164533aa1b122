"""Whatever an inventory contains, the end is a verdict."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from ocfl_builder import SmallObject, memory, storage_root

from pipeline.checking.stores import verify_place

_VALUES: list[Any] = [
    None, True, 0, -1, 1e308, 10**40, "", "v1", "v0", "v" + "9" * 50, "\ud800", "\x00", "..", "/", "a\nb",
    [], [[]], [None], ["v1/content/letter.txt"], {}, {"": {}}, {"v1": 1}, {"\udcff": ["\udcff"]},
    {"name": ["x"]}, "x" * 10_000, [["a"] * 3] * 3,
]  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    if isinstance(value, dict):
        inner = [(value, key) for key in value]
    elif isinstance(value, list):
        inner = [(value, index) for index in range(len(value))]
    else:
        return []
    return inner + [place for container, key in inner for place in _places(container[key])]


def _mutated(document: Any, chance: random.Random) -> Any:
    document = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        places = _places(document)
        if not places:
            break
        container, key = chance.choice(places)
        value = copy.deepcopy(chance.choice(_VALUES))
        match chance.randint(0, 3):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[value if isinstance(value, str) else json.dumps(value)] = container.pop(key)
            case _:
                container[key] = value
    return document


def _full() -> SmallObject:
    fixity = {"md5": {"00" * 16: ["v1/content/letter.txt"]}, "size": {"13": ["v1/content/letter.txt"]}}
    return SmallObject().edit(lambda i: i.update(fixity=fixity, contentDirectory="content"))


def _judge(files: dict[str, bytes]) -> None:
    """Judge as an object and as part of a storage root; reports must be fit for output."""
    for store in (memory(files), memory(storage_root({}) | {f"a/b/{k}": v for k, v in files.items()})):
        for report in verify_place(store):
            json.dumps(report.as_json(), ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize("start", range(0, 600, 50))
def test_mutated_inventories(start: int) -> None:
    """Wrong types, odd strings and missing parts anywhere, in the newest or an earlier inventory."""
    for seed in range(start, start + 50):
        chance, small = random.Random(seed), _full()
        if seed % 3:
            small.newest = _mutated(small.newest, chance)
        else:
            small.first = _mutated(small.first, chance)
        _judge(small.seal().files)


def _scratched(content: bytes, chance: random.Random) -> bytes:
    raw = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(raw) + 1)
        match chance.randint(0, 2):
            case 0:
                del raw[at : at + chance.randint(1, 40)]
            case 1:
                raw[at:at] = raw[at : at + chance.randint(1, 40)]
            case _:
                raw[at:at] = bytes([chance.randrange(256)])
    return bytes(raw)


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_scratched_bytes(start: int) -> None:
    """Cut, doubled and foreign bytes in any of the small files."""
    for seed in range(start, start + 50):
        chance, small = random.Random(seed), _full()
        key = chance.choice(sorted(small.files))
        small.files[key] = _scratched(small.files[key], chance)
        _judge(small.files)


@pytest.mark.parametrize("depth", [50, 900, 990, 100_000])
@pytest.mark.parametrize("where", ["user", "message", "id", "manifest", "fixity", "state"])
def test_deep_nesting(depth: int, where: str) -> None:
    """Nesting ends in a finding, also where it is just shallow enough to be read."""
    small = SmallObject()
    deep = "[" * depth + "]" * depth
    for target in (small.newest, small.first):
        block = target["versions"]["v1"] if where in ("user", "message", "state") else target
        block[where] = "@"
    for name, document in (("", small.newest), ("v2/", small.newest), ("v1/", small.first)):
        small.write(name, json.dumps(document).replace('"@"', deep).encode())
    _judge(small.files)
