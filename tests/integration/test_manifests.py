"""Manifests that are longer than any package may be, or name files in another normal form."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from pipeline.ingest.run import check


def test_a_manifest_of_more_lines_than_a_package_may_have_files(
    make_bag: Any, agreement: Any, archive: Any
) -> None:
    """The rest is not read, and that is the reason given."""
    bag = make_bag({"a.txt": b"a"})
    limited = agreement.model_copy(update={"limits": agreement.limits.model_copy(update={"max_files": 10})})
    manifest = bag / "manifest-sha512.txt"
    manifest.write_text(manifest.read_text() + "".join(f"{'0' * 128}  data/{n}\n" for n in range(50)))
    result = check(bag, limited, archive)
    found = {p.code: p for p in result.problems}
    assert found["BAG-MANIFEST-LONG"].expected == "10"
    assert [p.path for p in result.problems if p.code == "BAG-FILE-MISSING"] == [
        f"data/{n}" for n in range(9)
    ]


@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_another_normal_form_means_the_same_file(
    written: Any, make_bag: Any, agreement: Any, archive: Any
) -> None:
    """Where just one file is meant; where there are two of them, neither is guessed."""
    name, other = unicodedata.normalize(written, "über.txt"), {"NFC": "NFD", "NFD": "NFC"}[written]
    there = unicodedata.normalize(other, name)
    bag = make_bag({there: b"a", "b.txt": b"b"})
    manifest = bag / "manifest-sha512.txt"
    manifest.write_text(manifest.read_text("utf-8").replace(there, name), "utf-8")
    tags = bag / "tagmanifest-sha512.txt"
    if tags.exists():
        tags.unlink()
    assert check(bag, agreement, archive).outcome == "acceptable"
    # e with both marks in another order: the same name once more, and a file of its own
    third = "".join(reversed(unicodedata.normalize("NFD", "ệ")[1:]))
    for twin in (f"e{third}", unicodedata.normalize("NFD", "ệ")):
        (bag / "data" / twin).write_bytes(b"a")
    digest = manifest.read_text("utf-8").split()[0]
    with manifest.open("a", encoding="utf-8") as stream:
        stream.write(f"{digest}  data/ệ\n")
    codes = [p.code for p in check(bag, agreement, archive).problems if p.severity == "error"]
    assert sorted(codes) == ["BAG-FILE-MISSING", "BAG-FILE-UNLISTED", "BAG-FILE-UNLISTED"]
