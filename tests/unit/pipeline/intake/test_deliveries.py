"""What counts as a whole delivery, and in which order agencies get their turn."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.intake.deliveries import Delivery, find_deliveries
from pipeline.intake.fair_order import in_fair_order


def _old(path: Path, seconds: float = 1000) -> None:
    then = time.time() - seconds
    for one in [*path.rglob("*"), path]:
        os.utime(one, (then, then))


def _put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _find(box: Path) -> tuple[dict[str, str], list[str]]:
    whole, arriving, _ = find_deliveries(box, quiet=60, now=time.time())
    return {str(Path(d.place).relative_to(box)): d.agency for d in whole}, [
        Path(d.place).name for d in arriving
    ]


def test_where_deliveries_lie(tmp_path: Path) -> None:
    """In an agency's folder or directly in the box, whatever they are; hidden and linked things are none,
    and named."""
    for name in ("health/a.zip", "health/b/bagit.txt", "c.tar.gz", "d/bagit.txt", "d/data/1", "health/e.zip.part",
                 ".hidden/f.zip", "health/.g.zip", "notes.txt", "education/h.tgz", "health/scans.7z",
                 "health/Thumbs.db"):  # fmt: skip
        _put(tmp_path / name)
    (tmp_path / "health/link").symlink_to(tmp_path / "d")
    _old(tmp_path)
    whole, arriving = _find(tmp_path)
    assert whole == {
        "health/a.zip": "health", "health/b": "health", "c.tar.gz": "", "d": "", "education/h.tgz": "education",
        "notes.txt": "", "health/scans.7z": "health",
    }  # fmt: skip
    assert arriving == ["e.zip.part"]
    ignored = find_deliveries(tmp_path, quiet=60, now=time.time()).ignored
    assert [str(Path(path).relative_to(tmp_path)) for path in ignored] == [
        ".hidden", "health/.g.zip", "health/Thumbs.db", "health/link",
    ]  # fmt: skip


def test_what_is_still_arriving(tmp_path: Path) -> None:
    """What changed a moment ago waits, unless its sender says that it is whole; nothing is no delivery."""
    _put(tmp_path / "x/fresh.zip")
    _put(tmp_path / "x/said.zip")
    _put(tmp_path / "x/said.zip.ready")
    _put(tmp_path / "x/old/data/1")
    (tmp_path / "x/empty").mkdir()
    _old(tmp_path / "x/old")
    _old(tmp_path / "x/empty")
    _put(tmp_path / "x/growing/data/1")
    _old(tmp_path / "x/growing")
    _put(tmp_path / "x/growing/data/2")
    whole, arriving = _find(tmp_path)
    assert set(whole) == {"x/said.zip", "x/old"}
    assert sorted(arriving) == ["empty", "fresh.zip", "growing"]


def test_a_fingerprint_changes_with_its_delivery(tmp_path: Path) -> None:
    """Another time, size or name is another delivery; looking twice is not."""
    _put(tmp_path / "x/a/data/1")

    def fingerprint() -> str:
        (one,) = find_deliveries(tmp_path, quiet=0, now=time.time() + 5)[0]
        return one.fingerprint

    seen = [fingerprint(), fingerprint()]
    _put(tmp_path / "x/a/data/1", b"xy")
    seen.append(fingerprint())
    _put(tmp_path / "x/a/data/2")
    seen.append(fingerprint())
    (tmp_path / "x/a/data/2").rename(tmp_path / "x/a/data/3")
    seen.append(fingerprint())
    assert seen[0] == seen[1]
    assert len(set(seen)) == 4


def _many(**numbers: int) -> list[Delivery]:
    return [
        Delivery(f"{agency}-{n:03d}", agency, 1, 1 << 20, float(n), f"{agency}{n}")
        for agency, number in numbers.items()
        for n in range(number)
    ]


def test_a_backlog_starves_nobody() -> None:
    """A thousand of one agency, three of another: the three come among the first seven."""
    order = list(in_fair_order(_many(big=1000, small=3), {}))
    assert [d.agency for d in order[:7]].count("small") == 3
    assert len(order) == 1003
    assert [d.place for d in order if d.agency == "small"] == ["small-000", "small-001", "small-002"]


@pytest.mark.parametrize(("weight", "expected"), [(1.0, 50), (3.0, 75)])
def test_weights(weight: float, expected: int) -> None:
    """A share in proportion, of what is taken while both have something."""
    first = list(in_fair_order(_many(a=200, b=200), {"a": weight}))[:100]
    assert abs(Counter(d.agency for d in first)["a"] - expected) <= 1


def test_a_quota() -> None:
    """So many of one agency in a run and no more."""
    order = list(in_fair_order(_many(a=10, b=2), {}, max_per_agency=4))
    assert Counter(d.agency for d in order) == {"a": 4, "b": 2}
