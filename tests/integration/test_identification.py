"""Siegfried in worker processes: answers in order, crashes and hangs contained."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline.formats.identification as module
from pipeline.errors import ToolFailed
from pipeline.formats.identification import Identification, Identifier

# A stand-in that misbehaves on names that ask for it.
_FAKE = """
import json, os, sys, time
for line in sys.stdin:
    names = json.loads(line)
    if any("crash" in name for name in names):
        os.abort()
    if any("hang" in name for name in names):
        time.sleep(60)
    if any("refuse" in name for name in names):
        print(json.dumps({"failure": "no signatures"}), flush=True)
        continue
    formats = [[name, "", "", "", "", "", ""] for name in names]
    print(json.dumps({"version": "9", "signatures": "s", "formats": formats,
                      "files": list(range(len(names)))}), flush=True)
"""


def _pose(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this program answer in Siegfried's place."""
    (folder / "posing_as_siegfried.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(module, "_SIEGFRIED", "posing_as_siegfried")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identifier]:
    """An identifier over the stand-in."""
    _pose(_FAKE, tmp_path, monkeypatch)
    monkeypatch.setattr(module, "_BATCH", 8)
    monkeypatch.setattr(module, "_TIMEOUT_S", 1.0)
    identifier = Identifier(workers=2)
    yield identifier
    identifier.close()


def test_answers_come_in_the_order_asked(fake: Identifier) -> None:
    """However many processes answer, the n-th answer is about the n-th file."""
    names = [f"file-{number}" for number in range(100)]
    assert [known.puid for known in fake.identify(names)] == names


@pytest.mark.parametrize("evil", ["crash", "hang"])
def test_a_hostile_file_costs_only_itself(fake: Identifier, evil: str) -> None:
    """A file that crashes or hangs the tool is unknown with that reason; its neighbours are known."""
    names = [f"file-{number}" for number in range(8)]
    names[5] = evil
    answers = list(fake.identify(names))
    assert [known.puid for known in answers] == [*names[:5], None, *names[6:]]
    assert "crashed" in answers[5].warning


def test_a_tool_that_cannot_work_is_our_failure(fake: Identifier) -> None:
    """It is never shown as “format unknown”."""
    with pytest.raises(ToolFailed, match="no signatures"):
        list(fake.identify(["refuse"]))


def test_a_tool_that_cannot_start_is_our_failure(
    fake: Identifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies on any question at all says so, and does not blame the files."""
    _pose("raise SystemExit(1)", tmp_path, monkeypatch)
    with pytest.raises(ToolFailed, match="cannot be started"):
        list(fake.identify(["file"]))


def test_offered_files_are_answered_in_order(fake: Identifier, tmp_path: Path) -> None:
    """A package's files are asked about while they arrive; the answers keep their order."""
    identification = Identification(fake, tmp_path)
    names = [f"{number:04d}" for number in range(50)]
    for name in names:
        identification.offer(name)
    assert [known.puid for known in identification.formats()] == [f"{tmp_path}/{n}" for n in names]
    assert list(identification.formats()) == []


_FIDO = """
import json, os, sys, time
for line in sys.stdin:
    names = json.loads(line)
    if any("crash" in name for name in names):
        os.abort()
    if any("hang" in name for name in names):
        time.sleep(60)
    files = [[["fmt/1"], "extension" if "by-name" in name else "signature"] for name in names]
    print(json.dumps({"version": "9", "signatures": "s", "files": files}), flush=True)
"""


@pytest.mark.parametrize("evil", ["crash", "hang"])
def test_a_second_opinion_that_breaks_is_none(
    evil: str, fake: Identifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first opinion stands; the file on which fido broke says so; a guess by name counts for nothing."""
    (tmp_path / "posing_as_fido.py").write_text(_FIDO)
    monkeypatch.setattr(module, "_FIDO", "posing_as_fido")
    (tmp_path / "posing_as_siegfried.py").write_text(_FAKE.replace('"crash" in', '"never" in').replace(
        '"hang" in', '"never" in'))  # fmt: skip
    both = Identifier(workers=1, second=True)
    plain, by_name, broken = both.identify(["plain", "by-name", evil])
    both.close()
    assert "fido says fmt/1" in plain.warning
    assert by_name.warning == ""
    assert (broken.puid, "no second opinion" in broken.warning) == (evil, True)


def test_the_real_siegfried(tmp_path: Path) -> None:
    """The shipped signatures know a PDF, an empty file and nothing."""
    pdf, empty, noise = tmp_path / "a.pdf", tmp_path / "b.txt", tmp_path / "c.zzz"
    pdf.write_bytes(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")
    empty.touch()
    noise.write_bytes(bytes(range(256)) * 4)
    identifier = Identifier(workers=1)
    try:
        known, nothing, unknown = identifier.identify([str(pdf), str(empty), str(noise)])
    finally:
        identifier.close()
    assert known.puid == "fmt/18"
    assert nothing.puid is None
    assert unknown.puid is None
    assert "PRONOM" in identifier.signatures or "DROID" in identifier.signatures


def _zip_of_many(place: Path, members: int) -> None:
    """Empty members, written by hand: zipfile would take minutes."""
    local = struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 8, 0)
    entry = struct.pack("<4sHHHHHHLLLHHHHH", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 8, 0, 0, 0, 0)
    names = [b"%08d" % number for number in range(members)]
    start = members * (len(local) + 8)
    with place.open("wb") as out:
        out.writelines(local + name for name in names)
        offsets = range(0, start, len(local) + 8)
        out.writelines(
            entry + struct.pack("<LL", 0, at) + name for at, name in zip(offsets, names, strict=True)
        )
        end = out.tell()
        size = end - start
        out.write(struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, members, members, size, start))
        out.write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
        out.write(struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def test_a_directory_of_hundreds_of_thousands_is_not_read(tmp_path: Path) -> None:
    """Siegfried would hold all of it; the files beside it get their answers, in their order."""
    flood, pdf, small = tmp_path / "a.zip", tmp_path / "b.pdf", tmp_path / "c.zip"
    _zip_of_many(flood, 300_000)
    pdf.write_bytes(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")
    _zip_of_many(small, 3)
    identifier = Identifier(workers=1)
    try:
        known = list(identifier.identify([str(flood), str(pdf), str(flood), str(small)]))
    finally:
        identifier.close()
    assert [one.puid for one in known] == ["x-fmt/263", "fmt/18", "x-fmt/263", "x-fmt/263"]
    assert "300,000 entries" in known[0].basis
    assert "not looked into" not in known[3].basis
