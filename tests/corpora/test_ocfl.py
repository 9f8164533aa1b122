"""Foreign OCFL objects and storage roots: the official fixtures, and those of ocfl-py."""

from __future__ import annotations

import random
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring import Row, Score, rows

from pipeline.store_check import VerifyReport
from stele.verification import verify_subject
from storage.files import FileStore
from storage.memory import MemoryStore
from storage.ocfl.validation import validate_object
from storage.protocol import Upload


def _reports(row: Row, scratch: Path) -> list[VerifyReport]:
    subject = row.path
    if subject.suffix == ".zip":  # empty folders do not survive elsewhere
        with zipfile.ZipFile(subject) as packed:
            packed.extractall(scratch)
        inside = list(scratch.iterdir())
        subject = inside[0] if len(inside) == 1 else scratch
    return list(verify_subject(str(subject), None))


def _fits(row: Row, codes: list[str]) -> bool:
    named = set(re.findall(r"[EW]\d{3}", row.reason))
    return not named or bool(named & set(codes))


def test_ocfl_family(corpora: Path, tmp_path: Path) -> None:
    """The right verdict for every case, under a code that the case is made to show."""
    score = Score("ocfl")
    for number, row in enumerate(rows(corpora, "ocfl")):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        codes = sorted({p.code for report in _reports(row, scratch) for p in report.problems})
        errors = any(code.startswith("E") for code in codes)
        score.judge(row, "invalid" if errors else "warn" if codes else "valid", codes, _fits)
    score.close()


def _good_objects(corpora: Path) -> Iterator[Path]:
    yield from sorted(corpora.glob("ocfl/fixtures/1.1/good-objects/*"))


@pytest.mark.parametrize("seed", range(8))
def test_no_inventory_makes_it_crash(seed: int, corpora: Path) -> None:
    """Inventories with bytes changed, cut or doubled at random: a verdict every time, never an exception."""
    chance = random.Random(seed)
    folders = list(_good_objects(corpora))
    assert folders
    for _ in range(60):
        source = FileStore(chance.choice(folders))
        store = MemoryStore()
        for key in source.list(""):
            with source.open(key) as stream:
                content = bytearray(stream.read())
            if key.endswith("inventory.json"):
                _spoil(content, chance)
            store.replace(Upload.of(key, bytes(content)))
        validate_object(store, "")


def _spoil(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(content) or 1)
        match chance.randrange(5):
            case 0:
                content[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del content[at : at + chance.randrange(200)]
            case 2:
                content[at:at] = content[max(0, at - chance.randrange(300)) : at]
            case 3:
                words = [b"{}", b"[]", b"null", b"1e999", b'""', b"true", b"[[[]]]", b"-0"]
                found = list(re.finditer(rb'"[^"]*"|\[[^\[\]]*\]|\{[^{}]*\}', bytes(content)))
                if found:
                    where = chance.choice(found)
                    content[where.start() : where.end()] = chance.choice(words)
            case _:
                content += b"\x00"
