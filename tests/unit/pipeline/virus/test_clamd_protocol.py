"""A scanner that misbehaves: what it did not scan is never called clean."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import ToolFailed
from pipeline.virus import Clamd, ScanResult

_VERSION = b"ClamAV 1.4.6/27500/Tue Nov 24 08:00:00 2026\0"
Answer = Callable[[bytes], bytes | None]
"""From a file's bytes to what is answered; None hangs up."""


class _Fake:
    """A clamd that says what it is told."""

    def __init__(self, place: Path, answer: Answer, version: bytes = _VERSION) -> None:
        self._answer, self._version = answer, version
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen(16)
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if connection.recv(8) == b"zVERSION":
                connection.sendall(self._version)
                return
            _, descriptors, *_ = socket.recv_fds(connection, 1, 1)
            with os.fdopen(descriptors[0], "rb") as stream:
                stream.seek(0)
                self.asked += 1
                answer = self._answer(stream.read())
            if answer is not None:
                connection.sendall(answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Callable[..., tuple[Clamd, _Fake]]]:
    """Makes a scanner and the daemon it talks to."""
    made: list[_Fake] = []

    def make(answer: Answer, version: bytes = _VERSION) -> tuple[Clamd, _Fake]:
        place = tmp_path / "clamd.sock"
        made.append(_Fake(place, answer, version))
        return Clamd(f"unix:{place}", patience=0.5), made[-1]

    yield make
    for one in made:
        one.close()


def _file(folder: Path, content: bytes) -> Path:
    path = folder / f"file-{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("answer", "result", "said"),
    [
        (b"fd[10]: OK\0", ScanResult.CLEAN, ""),
        (b"fd[10]: Win.Test FOUND\0", ScanResult.INFECTED, "Win.Test"),
        (b"fd[10]: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", ScanResult.NOT_SCANNED, "Exceeded"),
        (b"fd[10]: Heuristics.Encrypted.Zip FOUND\0", ScanResult.NOT_SCANNED, "Encrypted"),
        (b"fd[10]: Can't read file ERROR\0", ScanResult.NOT_SCANNED, "Can't read file"),
        (b"INSTREAM size limit exceeded. ERROR\0", ScanResult.NOT_SCANNED, "size limit"),
        (b"what?\0", ScanResult.NOT_SCANNED, "what?"),
        (b"\0", ScanResult.NOT_SCANNED, "no answer"),
    ],
)
def test_answers(answer: bytes, result: ScanResult, said: str, fake, tmp_path: Path) -> None:
    """Only OK is clean, only a signature is a virus."""
    scanner, _ = fake(lambda _: answer)
    (one,) = scanner.scan([_file(tmp_path, b"x")])
    assert one.result is result
    assert said in one.said


def test_order_is_kept(fake, tmp_path: Path) -> None:
    """Many files at once, answers in the order asked."""
    scanner, daemon = fake(lambda content: b"fd[1]: " + content + b" FOUND\0")
    paths = [_file(tmp_path, str(number).encode()) for number in range(100)]
    found = list(scanner.scan(iter(paths)))
    assert [one.said for one in found] == [str(number) for number in range(100)]
    assert [one.path for one in found] == paths
    assert daemon.asked == 100


def test_a_file_too_large_is_never_asked_about(fake, tmp_path: Path) -> None:
    """3 GiB: the engine would say OK without a look."""
    scanner, daemon = fake(lambda _: b"fd[1]: OK\0")
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(3 << 30)
    (one,) = scanner.scan([large])
    assert (one.result, daemon.asked) == (ScanResult.NOT_SCANNED, 0)
    assert "2147483645" in one.said


def test_a_hanging_daemon(fake, tmp_path: Path) -> None:
    """Not scanned, with the reason; the others are."""
    released = threading.Event()

    def answer(content: bytes) -> bytes:
        if content == b"slow":
            released.wait(10)
        return b"fd[1]: OK\0"

    scanner, _ = fake(answer)
    one, two = scanner.scan([_file(tmp_path, b"slow"), _file(tmp_path, b"x")])
    released.set()
    assert (one.result, two.result) == (ScanResult.NOT_SCANNED, ScanResult.CLEAN)
    assert "in time" in one.said


@pytest.mark.parametrize("answer", [None, b"fd[10]: O", b"x" * 100_000])
def test_a_daemon_that_dies(answer: bytes | None, fake, tmp_path: Path) -> None:
    """Half an answer is none: the run fails, nothing is called clean."""
    scanner, _ = fake(lambda _: answer)
    with pytest.raises(ToolFailed, match="is gone"):
        list(scanner.scan([_file(tmp_path, b"x")]))


def test_a_daemon_that_comes_back(fake, tmp_path: Path) -> None:
    """It restarts for new signatures now and then; the file is asked about again."""
    times: list[int] = []

    def answer(_: bytes) -> bytes | None:
        times.append(1)
        return None if len(times) == 1 else b"fd[1]: OK\0"

    scanner, _ = fake(answer)
    (one,) = scanner.scan([_file(tmp_path, b"x")])
    assert one.result is ScanResult.CLEAN


def test_state(fake) -> None:
    """Version, number and date of the signatures, and whether it finds anything at all."""
    scanner, _ = fake(lambda content: b"fd[1]: Eicar FOUND\0" if b"EICAR" in content else b"fd[1]: OK\0")
    assert scanner.state().usable
    assert (scanner.version, scanner.signatures) == ("1.4.6", "27500")
    assert scanner.signature_date == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert scanner.detects


def test_what_is_no_scanner(fake, tmp_path: Path) -> None:
    """Another program, a scanner that finds nothing, nobody at all, an address that is none."""
    scanner, _ = fake(lambda _: b"fd[1]: OK\0", version=b"SSH-2.0\0")
    assert "no clamd" in scanner.state().problem
    assert "does not answer" in Clamd(str(tmp_path / "nobody")).state().problem
    with pytest.raises(ValueError, match="no address"):
        Clamd("clamd.example")


def test_a_blind_scanner(fake) -> None:
    """One that does not know the test file is usable, and that is said."""
    scanner, _ = fake(lambda _: b"fd[1]: OK\0", version=b"ClamAV 1.4.6\0")
    assert scanner.state().usable
    assert not scanner.detects
    assert scanner.signature_date is None
