"""A real clamd with a database of one signature: what is found, what is not looked at, and its death."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from requirements import free_port, unavailable

import pipeline.viruses.clamd as module
from pipeline.errors import ToolFailed
from pipeline.viruses.clamd import Clamd, Scanned, ScanResult
from pipeline.viruses.probes import eicar, encrypted
from pipeline.viruses.session import Address, ClamdGone, Session

CLEAN, INFECTED, NOT_SCANNED = ScanResult.CLEAN, ScanResult.INFECTED, ScanResult.NOT_SCANNED
SIGNATURE = "Local.Eicar.Body.UNOFFICIAL"  # clamd adds the suffix to all that is not its makers'
_STREAM_LIMIT, _FILE_LIMIT = 4 << 20, 2 << 20


class ClamdServer:
    """A clamd in the foreground, on a unix socket and on TCP; stopped by its process id."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.unix, port = f"unix:{folder}/s", free_port()
        self.tcp = f"tcp:127.0.0.1:{port}"
        self._conf = folder / "clamd.conf"
        database = folder / "db"
        database.mkdir()
        (database / "local.ndb").write_text(f"Local.Eicar.Body:0:*:{eicar().hex()}\n")
        database.chmod(0o755)
        self._conf.write_text(
            f"LocalSocket {folder}/s\nTCPSocket {port}\nTCPAddr 127.0.0.1\nDatabaseDirectory {database}\n"
            f"TemporaryDirectory {folder}\nForeground yes\nFixStaleSocket yes\n"
            f"MaxFileSize {_FILE_LIMIT}\nStreamMaxLength {_STREAM_LIMIT}\n"
            + "".join(f"{line}\n" for line in more)
        )
        if os.geteuid() == 0:
            with self._conf.open("a") as conf:
                conf.write("User root\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Returns when it answers on both."""
        program = shutil.which("clamd") or "/usr/sbin/clamd"
        self._process = subprocess.Popen(
            [program, "-c", self._conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for address in (self.unix, self.tcp):
                self._await(address)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def _await(self, address: str) -> None:
        end = time.monotonic() + 30
        while True:
            assert self._process is not None and self._process.poll() is None, "clamd stopped"
            try:
                Session(Address.parse(address), 5).close()
            except ClamdGone:
                assert time.monotonic() < end, "clamd did not answer within 30 s"
                time.sleep(0.02)
            else:
                return

    def allow_everything(self) -> None:
        """Start it again without limits, on one thread."""
        self.stop()
        conf = self._conf.read_text().replace(f"MaxFileSize {_FILE_LIMIT}", "MaxFileSize 0\nMaxScanSize 0")
        conf = conf.replace(f"StreamMaxLength {_STREAM_LIMIT}", "StreamMaxLength 2000M")
        self._conf.write_text(conf.replace("MaxThreads 4", "MaxThreads 1"))
        self.start()

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is None:
            return
        self.send(signal.SIGCONT)
        self.send(number)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _server(*more: str) -> Iterator[ClamdServer]:
    if not (shutil.which("clamd") or Path("/usr/sbin/clamd").exists()):
        unavailable("clamd is not installed (Debian: clamav-daemon)")
    folder = Path(tempfile.mkdtemp(prefix="clamd"))  # short enough for a socket
    server = None
    try:
        server = ClamdServer(folder, *more)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def honest() -> Iterator[ClamdServer]:
    """One that says what it did not look at."""
    yield from _server("AlertExceedsMax yes", "AlertEncrypted yes")


@pytest.fixture(scope="module")
def silent() -> Iterator[ClamdServer]:
    """One as it comes out of the box."""
    yield from _server()


@pytest.fixture
def mortal() -> Iterator[ClamdServer]:
    """One that may be killed."""
    yield from _server("AlertExceedsMax yes", "MaxThreads 4")


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, honest: ClamdServer) -> str:
    """The honest one, by both ways."""
    return honest.unix if request.param == "unix" else honest.tcp


def in_zip(content: bytes, name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def scan(address: str, folder: Path, files: dict[str, bytes]) -> dict[str, Scanned]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    paths = [folder / name for name in files]
    words = list(Clamd(address, file_limit=_FILE_LIMIT, restart_seconds=2).scan(paths))
    assert [word.path for word in words] == paths
    return {word.path.name: word for word in words}


def test_state(address: str) -> None:
    """Which engine, and that it finds and tells."""
    begun = time.perf_counter()
    state = Clamd(address).state()
    print(f"\nstate over {address.partition(':')[0]}: {(time.perf_counter() - begun) * 1000:.1f} ms")
    assert state.usable and re.fullmatch(r"\d+\.\d+\.\d+.*", state.version)
    assert (state.signatures, state.signature_date) == (None, None), "no official database"
    assert state.detects and state.tells_limits and state.tells_encrypted


def test_a_silent_clamd_is_seen_through(silent: ClamdServer, tmp_path: Path) -> None:
    """Out of the box it says OK to what it did not look at; its state says so beforehand."""
    for address in (silent.unix, silent.tcp):
        state = Clamd(address).state()
        assert state.usable and state.detects
        assert not state.tells_limits and not state.tells_encrypted
    (tmp_path / "large").write_bytes(bytes(_FILE_LIMIT + 1) + eicar())
    word = next(Clamd(silent.unix).scan([tmp_path / "large"]))
    assert word.result is CLEAN, "this is why its state and its MaxFileSize must be known"
    word = next(Clamd(silent.unix, file_limit=_FILE_LIMIT).scan([tmp_path / "large"]))
    assert word.result is NOT_SCANNED


def test_what_is_found(address: str, tmp_path: Path) -> None:
    """The test file plain, inside other bytes, in a zip and in a zip in a zip; nothing in clean files."""
    words = scan(address, tmp_path, {
        "plain": eicar(), "inside": b"a" * 5000 + eicar() + b"b" * 5000,
        "zip": in_zip(eicar(), "e.com"), "zip zip": in_zip(in_zip(eicar(), "e.com"), "inner.zip"),
        "clean": b"nothing here", "clean zip": in_zip(b"nothing here", "a.txt"), "empty": b"",
        "änd\n'odd \udcff\"": b"nothing here",
    })  # fmt: skip
    found = {name for name, word in words.items() if word.result is INFECTED}
    assert found == {"plain", "inside", "zip", "zip zip"}
    assert {words[name].name for name in found} == {SIGNATURE}
    assert {word.result for name, word in words.items() if name not in found} == {CLEAN}


def test_what_is_not_looked_at(address: str, tmp_path: Path) -> None:
    """Over a limit, or encrypted: not scanned. A virus found on the way there is still a virus."""
    large = bytes(_FILE_LIMIT + 1)
    both = io.BytesIO()
    with zipfile.ZipFile(both, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large", large)
        archive.writestr("e.com", eicar())
    words = scan(address, tmp_path, {
        "large": large, "large in zip": in_zip(large, "large"), "large and virus": both.getvalue(),
        "encrypted": encrypted(), "clean": b"x",
    })  # fmt: skip
    assert [word.result for word in words.values()] == [
        NOT_SCANNED,
        NOT_SCANNED,
        INFECTED,
        NOT_SCANNED,
        CLEAN,
    ]
    assert "Heuristics.Limits.Exceeded.MaxFileSize" in words["large"].name
    assert "Heuristics.Encrypted.Zip" in words["encrypted"].name
    assert "what is inside" in words["large in zip"].name


def test_an_archive_with_a_password(address: str, tmp_path: Path) -> None:
    """As another program makes it: what is inside is not seen, and that is said."""
    if not shutil.which("zip"):
        unavailable("zip is not installed")
    (tmp_path / "e.com").write_bytes(eicar())
    subprocess.run(["zip", "-q", "-P", "secret", "locked.zip", "e.com"], cwd=tmp_path, check=True)
    word = next(Clamd(address).scan([tmp_path / "locked.zip"]))
    assert (word.result, word.name) == (NOT_SCANNED, "not inside: encrypted (Heuristics.Encrypted.Zip)")


def test_what_is_too_large(address: str, tmp_path: Path) -> None:
    """3 GiB are not scanned, and it is said at once."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(3 << 30)
    (tmp_path / "next").write_bytes(eicar())
    begun = time.monotonic()
    words = list(Clamd(address).scan([tmp_path / "huge", tmp_path / "next"]))
    assert [word.result for word in words] == [NOT_SCANNED, INFECTED]
    assert words[0].name == "larger than ClamAV can scan (2,147,483,645 bytes)"
    assert time.monotonic() - begun < 2


def test_files_longer_than_its_stream_limit(honest: ClamdServer, tmp_path: Path) -> None:
    """Clamd breaks off where its limit is lower than we were told; the neighbours have their words."""
    files = {f"{n}": eicar() if n % 2 else os.urandom(40) * (_STREAM_LIMIT // 30) for n in range(12)}
    words = scan(honest.tcp, tmp_path, files)
    assert [word.result for word in words.values()] == [NOT_SCANNED, INFECTED] * 6
    print("\nover StreamMaxLength:", sorted({word.name for word in words.values()} - {SIGNATURE}))


def test_what_is_no_file(address: str, tmp_path: Path) -> None:
    """A folder, a pipe, a link to nowhere."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    words = list(Clamd(address).scan([tmp_path, tmp_path / "pipe", tmp_path / "link"]))
    assert [word.result for word in words] == [NOT_SCANNED] * 3


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A thousand small files; every second one is infected."""
    folder = tmp_path_factory.mktemp("many")
    paths = [folder / f"{number:04}" for number in range(1000)]
    for number, path in enumerate(paths):
        path.write_bytes((eicar() if number % 2 else b"clean") + b"%d" % number)
    return paths


def as_expected(words: list[Scanned], paths: list[Path]) -> None:
    assert [word.path for word in words] == paths[: len(words)]
    wrong = [word for n, word in enumerate(words) if word.result is not (INFECTED if n % 2 else CLEAN)]
    assert not wrong


def test_a_thousand_small_files(address: str, many: list[Path]) -> None:
    """All of them, right and in order; the rate is printed."""
    for connections in (1, 4):
        begun = time.perf_counter()
        words = list(Clamd(address, connections=connections).scan(many))
        seconds = time.perf_counter() - begun
        as_expected(words, many)
        print(f"\n{address.partition(':')[0]}, {connections} connections: {1000 / seconds:,.0f} files/s")


@pytest.mark.parametrize("way", ["unix", "tcp"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_on_the_way(mortal: ClamdServer, many: list[Path], way: str, number: int) -> None:
    """Killed, and not started again: ToolFailed; what was answered before is right."""
    words = []
    with pytest.raises(ToolFailed, match="is gone"):
        for word in Clamd(getattr(mortal, way), restart_seconds=0.3).scan(many):
            words.append(word)
            if len(words) == 200:
                mortal.stop(number)
    as_expected(words, many)
    assert 200 <= len(words) < 1000


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_started_again_on_the_way(mortal: ClamdServer, many: list[Path], way: str) -> None:
    """Ended and started again, by turns kindly and not: every file has its right word."""
    words = []
    restarts: list[threading.Thread] = []

    def restart(number: int) -> None:
        mortal.stop(number)
        mortal.start()

    for word in Clamd(getattr(mortal, way), restart_seconds=20).scan(many):
        words.append(word)
        if len(words) in (100, 300, 500, 700):
            for thread in restarts:
                thread.join()
            number = signal.SIGKILL if len(words) % 400 == 100 else signal.SIGTERM
            restarts.append(threading.Thread(target=restart, args=(number,)))
            restarts[-1].start()
    for thread in restarts:
        thread.join()
    as_expected(words, many)
    assert len(words) == 1000


def test_a_clamd_that_stands_still(
    mortal: ClamdServer, many: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts connections and answers nothing: an error, not a thousand files not scanned."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.5)
    mortal.send(signal.SIGSTOP)
    clamd = Clamd(mortal.unix, seconds_per_file=0.5, restart_seconds=0)
    assert clamd.state().problem.endswith("no answer in time")
    with pytest.raises(ToolFailed, match="is gone"):
        next(clamd.scan(many))


def test_a_busy_clamd_is_not_taken_for_dead(mortal: ClamdServer, tmp_path: Path) -> None:
    """All its threads at work: files that take too long are not scanned, and clamd still answers PING."""
    mortal.allow_everything()
    paths = [tmp_path / f"{number}" for number in range(4)]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(400 << 20)
    words = list(Clamd(mortal.unix, seconds_per_file=0.2, restart_seconds=5).scan(paths))
    assert [word.result for word in words] == [NOT_SCANNED] * 4
    assert {word.name for word in words} == {"no answer within 0.2 seconds"}
    mortal.stop(signal.SIGKILL)  # it would finish what nobody waits for


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_a_large_file(mortal: ClamdServer, tmp_path: Path, way: str) -> None:
    """200 MiB with the test file at their far end; the rate is printed."""
    mortal.allow_everything()
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(1 << 20))
        file.write(eicar())
    begun = time.perf_counter()
    word = next(Clamd(getattr(mortal, way), file_limit=0, stream_limit=2000 << 20).scan([path]))
    print(f"\n{way}: {200 / (time.perf_counter() - begun):,.0f} MiB/s")
    assert (word.result, word.name) == (INFECTED, SIGNATURE)
    path.unlink()
