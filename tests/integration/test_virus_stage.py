"""Whole ingests with the real clamd: what is found goes to review, what was not scanned is reported."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from requirements import unavailable

from pipeline.archive import Archive
from pipeline.ingest.run import ingest
from pipeline.preservation.added_representation import RepresentationRefused
from pipeline.preservation.update import Change, update_aip
from pipeline.viruses.clamd import Clamd

_EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A clamd with a database of one signature, on a socket."""
    if shutil.which("clamd") is None:
        unavailable("no clamd here (Debian: clamav-daemon)")
    folder = tmp_path_factory.mktemp("clamd")
    (folder / "db").mkdir()
    (folder / "db/local.ndb").write_text(f"Local.Eicar.Body:0:*:{_EICAR.hex()}\n")
    place = folder / "clamd.sock"
    (folder / "clamd.conf").write_text(
        f"LocalSocket {place}\nDatabaseDirectory {folder / 'db'}\nForeground yes\nUser root\n"
        "AlertExceedsMax yes\nAlertEncrypted yes\nMaxFileSize 1M\nMaxScanSize 0\nSelfCheck 3600\n"
    )
    process = subprocess.Popen(
        ["clamd", "-c", str(folder / "clamd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        with socket.socket(socket.AF_UNIX) as probe:
            if place.exists() and probe.connect_ex(str(place)) == 0:
                break
        assert process.poll() is None, "clamd stopped"
        time.sleep(0.05)
    yield f"unix:{place}"
    process.kill()
    process.wait()


def _with(archive: Archive, scanner: Clamd) -> Archive:
    return replace(archive, tools=replace(archive.tools, scanner=scanner))


def _zip(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def test_an_infected_package_is_held(address: str, archive: Archive, agreement, make_bag) -> None:
    """In a zip in a zip; the file is named, nothing is stored, the submission stays where it was."""
    sip = make_bag({"a.txt": b"a", "b.zip": _zip("c.zip", _zip("x.com", _EICAR))})
    result = ingest(sip, agreement, _with(archive, Clamd(address, file_limit=1 << 20)))
    assert result.outcome == "in-review"
    assert "b.zip" in result.reason
    (found,) = [problem for problem in result.problems if problem.code == "VIRUS-FOUND"]
    assert (found.path, "Eicar" in found.found) == ("data/b.zip", True)
    assert not list(archive.catalogue.aips.all())
    assert (sip / "data/b.zip").is_file()


def test_no_virus_comes_in_by_the_back_door(
    address: str, archive: Archive, agreement, make_bag, tmp_path: Path
) -> None:
    """A representation added later is scanned too; the AIP stays at its version."""
    scanned = _with(archive, Clamd(address, file_limit=1 << 20))
    aip = str(ingest(make_bag({"a.txt": b"a"}), agreement, scanned).aip)
    folder = tmp_path / "added"
    folder.mkdir()
    (folder / "x.com").write_bytes(_EICAR)
    with pytest.raises(RepresentationRefused, match="virus"):
        update_aip(aip, Change("more", "B. Archivist", representation=folder), scanned)
    assert archive.catalogue.aips.get(aip).version == "v1"


def test_a_clean_package_says_so(address: str, archive: Archive, agreement, make_bag) -> None:
    """With the scanner's version and signatures in the event."""
    sip = make_bag({"a.txt": b"a"})
    result = ingest(sip, agreement, _with(archive, Clamd(address, file_limit=1 << 20)))
    assert result.outcome == "stored"
    assert not [p for p in result.problems if p.code.startswith("VIRUS")]
    (told,) = [e for e in archive.catalogue.events.of(str(result.aip)) if e.type == "virus check"]
    assert (told.outcome, "clean ×1" in told.note) == ("success", True)


def test_what_is_too_large_was_not_scanned(address: str, archive: Archive, agreement, make_bag) -> None:
    """Also a large member of a small zip, which ClamAV cuts off and calls OK."""
    sip = make_bag({"large.bin": bytes(2 << 20), "small.zip": _zip("x", bytes(3 << 20)), "a.txt": b"a"})
    scanned = _with(archive, Clamd(address, file_limit=1 << 20))
    result = ingest(sip, agreement, scanned)
    assert result.outcome == "stored"
    said = {p.path for p in result.problems if p.code == "VIRUS-FILE-NOT-SCANNED"}
    assert said == {"data/large.bin", "data/small.zip"}
    formats = agreement.formats.model_copy(update={"virus_scan": "required"})
    strict = agreement.model_copy(update={"formats": formats, "name": "strict"})
    assert ingest(sip, strict, scanned).outcome == "in-review"


def test_a_scanner_that_is_away(archive: Archive, agreement, make_bag, tmp_path: Path) -> None:
    """Said on every package; in review where the agreement demands a scan."""
    away = _with(archive, Clamd(str(tmp_path / "nobody")))
    result = ingest(make_bag({"a.txt": b"a"}, name="one"), agreement, away)
    assert result.outcome == "stored"
    (said,) = [problem for problem in result.problems if problem.code.startswith("VIRUS")]
    assert "nobody" in said.found
    formats = agreement.formats.model_copy(update={"virus_scan": "required"})
    strict = agreement.model_copy(update={"formats": formats})
    result = ingest(make_bag({"b.txt": b"b"}, name="two"), strict, away)
    assert (result.outcome, "virus scan" in result.reason) == ("in-review", True)
