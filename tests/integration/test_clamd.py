"""The real clamd, by descriptor and by stream, and whole ingests with it."""

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
from requirements import free_port, unavailable

from pipeline.errors import ToolFailed
from pipeline.ingest import Archive, ingest
from pipeline.virus import Clamd, ScanResult

_EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
_LIMIT = 30 << 20


class _Daemon:
    """clamd with a database of one signature, on a socket and on a loopback port."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.port = folder / "clamd.sock", free_port()
        (folder / "db").mkdir()
        (folder / "db/local.ndb").write_text(f"Local.Eicar.Body:0:*:{_EICAR.hex()}\n")
        (folder / "clamd.conf").write_text(
            f"LocalSocket {self.socket}\nTCPSocket {self.port}\nTCPAddr 127.0.0.1\n"
            f"DatabaseDirectory {folder / 'db'}\nForeground yes\nUser root\nAlertExceedsMax yes\n"
            f"StreamMaxLength 10M\nMaxFileSize {_LIMIT}\nMaxScanSize {_LIMIT}\nSelfCheck 3600\n"
        )
        self._process = subprocess.Popen(
            ["clamd", "-c", str(folder / "clamd.conf")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            with socket.socket() as probe:
                if self.socket.exists() and probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "clamd stopped"
            time.sleep(0.05)
        raise AssertionError("clamd did not answer")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Daemon]:
    """One for each test: some kill it."""
    if shutil.which("clamd") is None:
        unavailable("no clamd here (Debian: clamav-daemon)")
    made = _Daemon(tmp_path_factory.mktemp("clamd"))
    yield made
    made.kill()


@pytest.fixture(params=["unix", "tcp"])
def scanner(request: pytest.FixtureRequest, daemon: _Daemon) -> Clamd:
    """Either way to reach it."""
    address = f"unix:{daemon.socket}" if request.param == "unix" else f"tcp:127.0.0.1:{daemon.port}"
    return Clamd(address, stream_limit=10 << 20)


def _zip(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def _files(folder: Path) -> dict[str, Path]:
    contents = {
        "clean": b"Dear agency", "plain": _EICAR, "zip": _zip("a.com", _EICAR),
        "zip in zip": _zip("b.zip", _zip("a.com", _EICAR)), "large": bytes(40 << 20),
    }  # fmt: skip
    places = {}
    for name, content in contents.items():
        places[name] = folder / name
        places[name].write_bytes(content)
    places["3 GiB"] = folder / "huge"
    with places["3 GiB"].open("wb") as stream:
        stream.truncate(3 << 30)
    return places


def test_what_it_finds(scanner: Clamd, tmp_path: Path) -> None:
    """The test file plain, in a zip and in a zip in a zip; what is too large was not scanned."""
    state = scanner.state()
    assert state.usable, state
    assert scanner.detects
    files = _files(tmp_path)
    found = dict(zip(files, scanner.scan(files.values()), strict=True))
    assert {name: one.result for name, one in found.items()} == {
        "clean": ScanResult.CLEAN, "plain": ScanResult.INFECTED, "zip": ScanResult.INFECTED,
        "zip in zip": ScanResult.INFECTED, "large": ScanResult.NOT_SCANNED,
        "3 GiB": ScanResult.NOT_SCANNED,
    }  # fmt: skip
    assert "Eicar" in found["zip in zip"].said
    print(f"\n{state.version}: {found['large'].said}; {found['3 GiB'].said}")


def test_how_fast(scanner: Clamd, tmp_path: Path) -> None:
    """A thousand small files, several at once."""
    paths = []
    for number in range(1000):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(b"x" * 4096)
    began = time.perf_counter()
    assert {one.result for one in scanner.scan(paths)} == {ScanResult.CLEAN}
    print(f"\n{1000 / (time.perf_counter() - began):,.0f} files/s")


def test_it_dies_in_the_middle(daemon: _Daemon, tmp_path: Path) -> None:
    """The run fails; what was said before stands, nothing after it is called clean."""
    paths = [tmp_path / str(number) for number in range(400)]
    for path in paths:
        path.write_bytes(_EICAR)
    found = []
    with pytest.raises(ToolFailed, match="is gone"):
        for one in Clamd(str(daemon.socket)).scan(paths):
            found.append(one)
            if len(found) == 50:
                daemon.kill()
    assert 50 <= len(found) < 400
    assert {one.result for one in found} == {ScanResult.INFECTED}


def _with(archive: Archive, scanner: Clamd) -> Archive:
    return replace(archive, tools=replace(archive.tools, scanner=scanner))


def test_an_infected_package_is_held(
    daemon: _Daemon, archive: Archive, agreement, make_bag, tmp_path: Path
) -> None:
    """The file is named; nothing is stored; the submission stays where it was."""
    sip = make_bag({"a.txt": b"a", "b.zip": _zip("x.com", _EICAR)})
    result = ingest(sip, agreement, _with(archive, Clamd(str(daemon.socket))))
    assert result.outcome == "held"
    assert "b.zip" in result.reason
    (found,) = [problem for problem in result.problems if problem.code == "VIRUS-FOUND"]
    assert (found.path, "Eicar" in found.found) == ("data/b.zip", True)
    assert not list(archive.catalogue.aips())
    assert (sip / "data/b.zip").is_file()


def test_a_clean_package_says_so(daemon: _Daemon, archive: Archive, agreement, make_bag) -> None:
    """With the scanner's version and signatures in the event."""
    sip = make_bag({"a.txt": b"a"})
    result = ingest(sip, agreement, _with(archive, Clamd(str(daemon.socket))))
    assert result.outcome == "stored"
    assert not [p for p in result.problems if p.code.startswith("VIRUS")]
    (told,) = [e for e in archive.catalogue.events(str(result.aip)) if e.type == "virus check"]
    assert (told.outcome, "clean ×1" in told.note) == ("success", True)


def test_a_scanner_that_is_away(archive: Archive, agreement, make_bag, tmp_path: Path) -> None:
    """Said on every package; held where the agreement demands a scan."""
    away = _with(archive, Clamd(str(tmp_path / "nobody")))
    result = ingest(make_bag({"a.txt": b"a"}, name="one"), agreement, away)
    assert result.outcome == "stored"
    (said,) = [problem for problem in result.problems if problem.code.startswith("VIRUS")]
    assert "does not answer" in said.found
    formats = agreement.formats.model_copy(update={"virus_scan": "required"})
    strict = agreement.model_copy(update={"formats": formats})
    result = ingest(make_bag({"b.txt": b"b"}, name="two"), strict, away)
    assert (result.outcome, "virus scan" in result.reason) == ("held", True)
