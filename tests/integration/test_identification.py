"""Siegfried in worker processes: answers in order, crashes and hangs contained."""

from __future__ import annotations

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
