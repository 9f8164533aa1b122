"""Hostile packages are read in a process of their own: bounded in time and memory, each with its reason."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from bag_builder import BagBuilder
from serving import until

from pipeline.agreement import Agreement, Limits
from pipeline.archive import Archive
from pipeline.formats import tool
from pipeline.formats.checks import container
from pipeline.formats.tool import ValidationResult
from pipeline.ingest.run import ingest
from pipeline.ingest.sandbox import client
from pipeline.intake import FolderBox, Intake, NightlyLimits, run_nightly


def _header(name: str, size: int, kind: bytes = b"0") -> bytes:
    """A tar header with any size, negative ones as GNU writes them."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    if size < 0 or size >= 8**11:
        number = bytearray((size % 256**12).to_bytes(12, "big"))
        number[0] = 0xFF if size < 0 else 0x80
        block[124:136] = number
    else:
        block[124:136] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _pax(**fields: str) -> bytes:
    records = b""
    for name, value in fields.items():
        text = f" {name}={value}\n"
        records += f"{len(text) + 2}{text}".encode()
    return _header("x", len(records), b"x") + records.ljust(512, b"\0")


_END = bytes(1024)


def _negative(place: Path) -> None:
    place.write_bytes(_header("a", 0) + _header("b", -512) + bytes(4096))


def _negative_pax(place: Path) -> None:
    place.write_bytes(_pax(size="-1024") + _header("b", 0) + bytes(4096))


def _large_pax(place: Path) -> None:
    place.write_bytes(gzip.compress(_header("x", 2 << 30, b"x") + bytes(1 << 20) + _header("a", 0) + _END))


def _long_number(place: Path) -> None:
    """A few hundred bytes in all; tarfile's expressions went through them for minutes."""
    header = _header("x", 60_000, b"x") + b"1" * 60_000 + bytes(-60_000 % 512)
    place.write_bytes(gzip.compress(header * 20 + _header("a", 0) + _END))


def _large_long_name(place: Path) -> None:
    place.write_bytes(gzip.compress(_header("././@LongLink", 2 << 30, b"L") + bytes(1 << 20) + _END))


def _large_dictionary(place: Path) -> None:
    filters = [
        {
            "id": lzma.FILTER_LZMA2,
            "dict_size": 1 << 30,
            "mode": lzma.MODE_FAST,
            "nice_len": 4,
            "mf": lzma.MF_HC3,
        }
    ]
    place.write_bytes(lzma.compress(_header("a", 0) + _END, filters=filters))


def _sparse_map(place: Path) -> None:
    """Five million pieces of nothing."""
    fields = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "s",
        "GNU.sparse.realsize": "9",
    }
    body = b"5000000\n" + b"0\n1\n" * 1000
    place.write_bytes(
        gzip.compress(_pax(**fields) + _header("s", len(body)) + body + bytes(-len(body) % 512) + _END)
    )


def _twenty_gib(place: Path) -> None:
    """Said at once: to skip it takes minutes."""
    place.write_bytes(gzip.compress(_header("data/zeros", 20 << 30) + bytes(1 << 20)))


def _many_entries(place: Path) -> None:
    with gzip.open(place, "wb", 1) as out:
        for number in range(150_000):
            out.write(_header(f"data/{number:07d}", 0))
        out.write(_END)


def _large_directory(place: Path) -> None:
    """A million entries, of which the archive has one."""
    entry = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%08d" % number for number in range(1_000_000))
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 8, 0) + b"00000000"
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1_000_000, 1_000_000, len(directory), len(local)
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(local) + len(directory), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    place.write_bytes(local + directory + record + locator + end)


def _directory_that_lies(place: Path) -> None:
    """It says that it has one entry; the reader would take all that is there."""
    _large_directory(place)
    content = bytearray(place.read_bytes())
    at = content.rfind(b"PK\6\6")
    content[at + 24 : at + 40] = struct.pack("<QQ", 1, 1)
    place.write_bytes(bytes(content))


_HOSTILE: dict[str, tuple[Callable[[Path], None], str, str, Limits]] = {
    "negative size.tar": (_negative, "ARC-CORRUPT", "-512 bytes", Limits()),
    "negative pax size.tar": (_negative_pax, "ARC-CORRUPT", "-1024 bytes", Limits()),
    "large pax header.tar.gz": (_large_pax, "ARC-CORRUPT", "more than 64 KiB", Limits()),
    "long number.tar.gz": (_long_number, "ARC-CORRUPT", "1,000 digits", Limits()),
    "large long name.tar.gz": (_large_long_name, "ARC-CORRUPT", "more than 64 KiB", Limits()),
    "large dictionary.tar": (_large_dictionary, "ARC-BUDGET", "more memory", Limits(max_memory=256 << 20)),
    "sparse map.tar.gz": (_sparse_map, "ARC-CORRUPT", "pieces", Limits()),
    "20 GiB.tar.gz": (_twenty_gib, "ARC-BOMB", "expands", Limits()),
    "many entries.tar.gz": (_many_entries, "ARC-BUDGET", "more CPU time", Limits(max_cpu_seconds=1)),
    "large directory.zip": (_large_directory, "ARC-BUDGET", "1,000,000 entries", Limits()),
    "directory that lies.zip": (_directory_that_lies, "ARC-BUDGET", "entries", Limits()),
}  # fmt: skip


def _with(agreement: Agreement, limits: Limits) -> Agreement:
    return agreement.model_copy(update={"limits": limits})


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_archive(
    name: str, archive: Archive, agreement: Agreement, tmp_path: Path, make_bag: Any
) -> None:
    """Rejected with its reason, within seconds; the next package is taken in."""
    make, code, reason, limits = _HOSTILE[name]
    place = tmp_path / name
    make(place)
    began = time.monotonic()
    result = ingest(place, _with(agreement, limits), archive)
    assert result.outcome == "rejected", result.reason
    assert time.monotonic() - began < 30
    found = [one.found for one in result.problems if one.code == code]
    assert any(reason in one for one in found), result.problems
    assert not list(archive.work.iterdir())
    assert ingest(make_bag({"a.txt": b"a"}), agreement, archive).outcome == "stored"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"Title: " + b"A" * (8 << 20) + b"\n", "BAG-INFO-LARGE"),
        (b"Title: x\n" + b" y\n" * 100_000, "BAG-INFO-LARGE"),
        (b"".join(b"L%07d: v\n" % number for number in range(50_000)), "BAG-INFO-LARGE"),
    ],
    ids=["a long line", "many continuations", "many fields"],
)
def test_a_hostile_bag_info(
    text: bytes, code: str, archive: Archive, agreement: Agreement, make_bag: Any
) -> None:
    """Not read to its end."""
    bag = make_bag({"a.txt": b"a"})
    (bag / "bag-info.txt").write_bytes(text)
    began = time.monotonic()
    result = ingest(bag, agreement, archive)
    assert code in {one.code for one in result.problems}
    assert time.monotonic() - began < 20


def test_a_manifest_in_one_line(archive: Archive, agreement: Agreement, make_bag: Any) -> None:
    """64 MiB without a line end are no reason to hold them."""
    bag = make_bag({"a.txt": b"a"})
    with (bag / "manifest-sha512.txt").open("ab") as out:
        out.write(b"0" * (64 << 20))
    result = ingest(bag, agreement, archive)
    assert "BAG-LINE-LONG" in {one.code for one in result.problems}


def test_the_night_goes_on(archive: Archive, agreement: Agreement, tmp_path: Path, make_bag: Any) -> None:
    """A package of 5 KB that made Python's reader go round in circles costs the others nothing."""
    box = tmp_path / "box"
    (box / "agency").mkdir(parents=True)
    _negative(box / "agency/a.tar")
    make_bag({"a.txt": b"a"}, name="b").rename(box / "agency/b")
    intake = Intake(archive, {"dropbox": FolderBox(box)}, ingest, lambda _: agreement)
    done = run_nightly(intake, NightlyLimits(quiet=0))
    assert dict(done.outcomes) == {"rejected": 1, "stored": 1}


def test_no_secret_reaches_it(
    archive: Archive, agreement: Agreement, make_bag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither keys of stores nor passwords are in its environment."""
    client._POOL.close()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-key")
    monkeypatch.setenv("STELE_PREFECT__AUTH", "admin:the-secret-key")
    assert ingest(make_bag({"a.txt": b"a"}), agreement, archive).outcome == "stored"
    (worker,) = client._POOL._idle
    environment = Path(f"/proc/{worker._process.pid}/environ").read_bytes()
    assert b"the-secret-key" not in environment
    assert b"PATH=" in environment


def test_it_is_killed(archive: Archive, agreement: Agreement, make_bag: Any) -> None:
    """That is no fault of the package: failed, to be tried again; then another process does the work."""
    assert ingest(make_bag({"a.txt": b"a"}), agreement, archive).outcome == "stored"
    (worker,) = client._POOL._idle
    os.kill(worker._process.pid, signal.SIGSTOP)
    bag = make_bag({"b.txt": b"b"}, name="second")

    timer = Timer(0.5, os.kill, (worker._process.pid, signal.SIGKILL))
    timer.start()
    result = ingest(bag, agreement, archive)
    timer.join()
    assert result.outcome == "failed"
    assert "judging process was killed" in result.reason
    assert ingest(bag, agreement, archive).outcome == "stored"


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """Also when the parent is killed: nobody goes on reading for nobody."""
    code = "from pipeline.ingest.sandbox.client import _Worker; import time; print(_Worker()._process.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    until(lambda: not Path(f"/proc/{pid}/cmdline").exists(), 10)


def test_findings_are_counted_beyond_what_is_kept(
    archive: Archive, agreement: Agreement, make_bag: Any
) -> None:
    """Ten thousand absent files are ten thousand, though two thousand are listed."""
    bag = make_bag({"a.txt": b"a"})
    with (bag / "manifest-sha512.txt").open("a") as out:
        out.writelines(f"{'0' * 128}  data/{number:05d}\n" for number in range(10_000))
    result = ingest(bag, agreement, archive)
    assert any("10,000 in all" in one.found for one in result.problems)


def test_names_that_are_no_text(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """They come back from the other process as they were read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
        made.writestr("data/a\x1b[31m.txt", "x")
    place = tmp_path / "names.zip"
    place.write_bytes(out.getvalue().replace(b"a\x1b[31m", b"\xff\xfe\x1b[31"))
    result = ingest(place, agreement, archive)
    assert result.outcome == "rejected"
    assert any(one.code == "PATH-ENCODING-GUESSED" for one in result.problems)


def test_format_tools_have_a_budget_too(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package whose files keep the tools busy for too long is rejected with what it cost."""
    from pipeline.formats import validation

    def slow(self: object, files: Sequence[object]) -> list[ValidationResult]:
        time.sleep(1.6)
        return [validation.NOT_CHECKED] * len(files)

    monkeypatch.setattr(validation.Validation, "check", slow)
    short = agreement.model_copy(update={"limits": Limits(max_cpu_seconds=1)})
    result = ingest(make_bag({"a.txt": b"a"}), short, archive)
    assert result.outcome == "rejected"
    assert "2 seconds in format tools" in str([problem.for_depositor for problem in result.problems])
    assert ingest(make_bag({"b.txt": b"b"}, name="other"), agreement, archive).outcome == "stored"


def test_files_that_hang_a_tool_cost_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once runs without an answer have cost that much, the others of the batch are not asked about."""
    asked = []

    def hangs(paths: Sequence[Path]) -> list[ValidationResult]:
        asked.append(len(paths))
        time.sleep(0.05)
        raise tool.ToolError("no answer")

    monkeypatch.setattr(tool, "_MAX_LOST_S", 0.2)
    verdicts = tool.in_batches([tmp_path / str(n) for n in range(64)], hangs, size=64, tool="t")
    assert len(verdicts) == 64
    assert len(asked) < 10
    assert "not asked" in verdicts[-1].messages[0]


def test_a_zip_of_millions_among_the_files(tmp_path: Path) -> None:
    """Its directory is not held in memory to be looked into; that is said, and nothing else."""
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as sink:
        sink.writestr("a", b"x")
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\5\6")
    content[at:at] = b"PK\1\2" + bytes(60_000_000)
    end = content.rfind(b"PK\5\6")
    content[end + 12 : end + 16] = (60_000_000).to_bytes(4, "little")
    content[end + 8 : end + 12] = (1000).to_bytes(2, "little") * 2
    path.write_bytes(content)
    verdict = container.check_zip(str(path))
    assert verdict.validity == "unknown"
    assert "not looked into" in verdict.messages[0]


def test_a_zip_among_the_files_whose_entries_share_bytes(tmp_path: Path) -> None:
    """It is not unpacked for a minute to find that out."""
    path = tmp_path / "overlap.zip"
    with zipfile.ZipFile(path, "w") as sink:
        sink.writestr("a", b"x" * 100)
        sink.writestr("b", b"y" * 100)
    content = bytearray(path.read_bytes())
    second = content.rfind(b"PK\1\2")
    content[second + 42 : second + 46] = bytes(4)
    path.write_bytes(content)
    verdict = container.check_zip(str(path))
    assert (verdict.validity, verdict.messages) == ("not-valid", ("“a” and “b” share bytes",))
