"""A clamd that hangs, dies, lies or breaks off: nothing is wrongly called clean, nothing is skipped."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

import pipeline.viruses.clamd as module
from pipeline.errors import ToolFailed
from pipeline.viruses.answers import read_version, read_word
from pipeline.viruses.clamd import Clamd, ScanResult
from pipeline.viruses.probes import eicar, encrypted, nested
from pipeline.viruses.session import Address

CLEAN, INFECTED, NOT_SCANNED = ScanResult.CLEAN, ScanResult.INFECTED, ScanResult.NOT_SCANNED


_STREAM_LIMIT = 1 << 20
_KNOWN = {
    eicar(): "Eicar FOUND",
    nested(): "Heuristics.Limits.Exceeded.MaxRecursion FOUND",
    encrypted(): "Heuristics.Encrypted.Zip FOUND",
}


class _Cut(Exception):
    """The connection ends here."""


class _Incoming:
    """What a client sends."""

    def __init__(self, connection: socket.socket, *, tcp: bool) -> None:
        self.files: list[int] = []
        self._connection, self._tcp = connection, tcp
        self._buffer = bytearray()

    def word(self) -> bytes:
        while b"\0" not in self._buffer:
            self._more()
        return self._take(self._buffer.index(b"\0") + 1)[:-1]

    def file(self) -> bytes:
        """The content of a descriptor, which comes with one byte."""
        assert self.word() == b""
        file = self.files.pop(0)
        content = os.pread(file, 1 << 20, 0)
        os.close(file)
        return content

    def chunk(self) -> bytes:
        return self._take(struct.unpack(">I", self._take(4))[0])

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _more(self) -> None:
        if self._tcp:
            data = self._connection.recv(65536)
        else:
            data, files, _, _ = socket.recv_fds(self._connection, 65536, 4)
            self.files += files
        if not data:
            raise _Cut
        self._buffer += data


class FakeClamd:
    """Speaks the protocol; the content of a file says how it misbehaves over it."""

    def __init__(self, folder: Path, *, tcp: bool = False) -> None:
        self.version = "ClamAV 9.9.9/27500/Tue Nov 25 08:12:01 2025"
        self.asked: list[bytes] = []
        self.one_answer_a_connection = False
        self.deaf = False
        self._stopped = threading.Event()
        self._tcp, self._folder, self._port = tcp, folder, 0
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.start()

    @property
    def address(self) -> str:
        return f"tcp:127.0.0.1:{self._port}" if self._tcp else f"unix:{self._folder}/s"

    def start(self) -> None:
        if self._tcp:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
        else:
            (self._folder / "s").unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(f"{self._folder}/s")
            self._listener.listen(50)
        self._go(self._accept, self._listener)

    def die(self) -> None:
        """No more connections, and the present ones end."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def cut_all(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self._stopped.set()
        self.die()
        for thread in self._threads:
            thread.join(10)

    def _go(self, target: Callable[..., None], *words: object) -> None:
        thread = threading.Thread(target=target, args=words, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self._connections.add(connection)
            self._go(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        incoming = _Incoming(connection, tcp=self._tcp)
        try:
            assert incoming.word() == b"zIDSESSION"
            for number in itertools.count(1):
                self._talk(connection, incoming, number)
                if self.one_answer_a_connection:
                    return
        except (_Cut, OSError):
            pass
        finally:
            self._connections.discard(connection)
            connection.close()
            for file in incoming.files:
                os.close(file)

    def _talk(self, connection: socket.socket, incoming: _Incoming, number: int) -> None:
        command = incoming.word()
        if self.deaf:
            self._stopped.wait(30)
            raise _Cut
        if command == b"zVERSION":
            self._say(connection, f"{number}: {self.version}")
        elif command == b"zPING":
            self._say(connection, f"{number}: PONG")
        elif command == b"zFILDES":
            self._answer(connection, number, incoming.file())
        else:
            assert command == b"zINSTREAM"
            content = b""
            while chunk := incoming.chunk():
                content += chunk
                if len(content) > _STREAM_LIMIT:
                    if content.startswith(b"early"):
                        self._say(connection, f"{number}: stream: OK")
                    elif not content.startswith(b"rudely"):
                        self._say(connection, f"{number}: INSTREAM size limit exceeded. ERROR")
                    raise _Cut
            self._answer(connection, number, content)

    def _answer(self, connection: socket.socket, number: int, content: bytes) -> None:
        self.asked.append(content)
        first = self.asked.count(content) == 1
        kind = (content[:20].split() or [b""])[0].decode("latin-1")
        answer = f"{number}: fd[9]: {_KNOWN.get(content, 'OK')}"
        match kind:
            case "say":
                answer = f"{number}: fd[9]: {content[4:].splitlines()[0].decode()}"
            case "slow":
                time.sleep(0.02)
            case "turn":
                answer = f"{number - 1}: fd[9]: OK"
            case "bare":
                answer = "COMMAND READ TIMED OUT"
            case "hang":
                self._stopped.wait(30)
            case "cut":
                self._break_off(connection, answer)  # all but the end of it
            case "once" if first:
                self._break_off(connection, answer[:-1])
            case "doubt" if first:
                answer = f"{number}: ancillary data sent without FILDES ERROR"
            case "crash":
                self.cut_all()
            case "die":
                connection.sendall(answer[:-1].encode())
                self.die()
            case "restart" if first:
                self.die()
                threading.Timer(0.3, self.start).start()
        self._say(connection, answer)

    @staticmethod
    def _break_off(connection: socket.socket, answer: str) -> None:
        connection.sendall(answer.encode())
        raise _Cut

    @staticmethod
    def _say(connection: socket.socket, text: str) -> None:
        connection.sendall(text.encode() + b"\0")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="clamd"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def fake(short: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClamd]:
    """The stand-in on a unix socket."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 1.0)
    server = FakeClamd(short)
    yield server
    server.stop()


@pytest.fixture
def fake_tcp(short: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClamd]:
    """The stand-in on TCP."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 1.0)
    server = FakeClamd(short, tcp=True)
    yield server
    server.stop()


def client(fake: FakeClamd, *, seconds: float = 10, restart: float = 0.3, connections: int = 4) -> Clamd:
    return Clamd(fake.address, connections=connections, seconds_per_file=seconds, restart_seconds=restart)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[Path]]:
    """One file for each content."""

    def build(*contents: bytes) -> list[Path]:
        paths = [tmp_path / f"{number:04}" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return paths

    return build


Files = Callable[..., list[Path]]


@pytest.mark.parametrize("connections", [1, 4])
def test_answers_come_in_the_order_asked(fake: FakeClamd, files: Files, connections: int) -> None:
    """However many connections answer, the n-th word is about the n-th file."""
    contents = [b"slow %d" % n if n % 7 == 0 else b"say V%d FOUND" % n for n in range(100)]
    paths = files(*contents)
    words = list(client(fake, connections=connections).scan(paths))
    assert [word.path for word in words] == paths
    assert [word.name for word in words] == ["" if n % 7 == 0 else f"V{n}" for n in range(100)]
    assert sorted(fake.asked) == sorted(contents), "every file once"


def test_memory_is_bounded(fake: FakeClamd, files: Files) -> None:
    """Paths are taken only as answers are fetched."""
    path = files(b"a")[0]
    taken = itertools.count()
    endless = (path for _ in taken)
    scan = client(fake).scan(endless)
    for _ in range(10):
        next(scan)
    scan.close()
    assert next(taken) <= 10 + 4 * 8 + 1


def test_an_abandoned_scan_does_not_wait(fake: FakeClamd, files: Files) -> None:
    """Who stops fetching answers does not wait for files that take long."""
    scan = client(fake, seconds=60).scan(files(b"a", b"hang", b"hang 2", b"hang 3"))
    assert next(scan).result is CLEAN
    begun = time.monotonic()
    scan.close()
    assert time.monotonic() - begun < 1


def test_a_file_that_hangs_clamd_costs_only_itself(fake: FakeClamd, files: Files) -> None:
    """Past its time a file is not scanned; its late answer is never taken for another file's."""
    words = list(client(fake, seconds=0.3, connections=1).scan(files(b"a", b"hang", b"say V FOUND", b"b")))
    assert [word.result for word in words] == [CLEAN, NOT_SCANNED, INFECTED, CLEAN]
    assert words[1].name == "no answer within 0.3 seconds"


def test_a_clamd_that_hangs_altogether_is_an_error(fake: FakeClamd, files: Files) -> None:
    """When not even a PING is answered, it is not the files."""
    fake.deaf = True
    with pytest.raises(ToolFailed, match="is gone: no answer in time"):
        list(client(fake, seconds=0.3, restart=0).scan(files(b"a", b"b")))


@pytest.mark.parametrize("content", [b"cut", b"turn", b"bare", b"crash"])
def test_half_an_answer_is_none(fake: FakeClamd, files: Files, content: bytes) -> None:
    """A cut, bare or misnumbered answer is asked for once more; twice, and the file is not scanned."""
    contents = [b"%d" % n for n in range(30)]
    contents[11] = content
    words = list(client(fake).scan(files(*contents)))
    assert [word.result for word in words] == [*[CLEAN] * 11, NOT_SCANNED, *[CLEAN] * 18]
    assert "broke off twice" in words[11].name
    assert fake.asked.count(content) == 2


@pytest.mark.parametrize(
    ("content", "result"),
    [(b"once", CLEAN), (b"once\n", CLEAN), (b"restart", CLEAN), (b"say V FOUND\n", INFECTED)],
)
def test_a_broken_connection_is_made_anew(
    fake: FakeClamd, files: Files, content: bytes, result: ScanResult
) -> None:
    """What broke off once, or with a clamd that was started again, is asked anew."""
    contents = [b"say W FOUND\n%d" % n for n in range(40)]
    contents[20] = content
    words = list(client(fake, restart=5).scan(files(*contents)))
    assert [word.result for word in words] == [*[INFECTED] * 20, result, *[INFECTED] * 19]


def test_an_error_is_asked_about_once_more(fake: FakeClamd, files: Files) -> None:
    """On its way down clamd answers errors that have nothing to do with the file."""
    words = list(client(fake).scan(files(b"doubt", b"say No room ERROR", b"say V FOUND")))
    assert [word.result for word in words] == [CLEAN, NOT_SCANNED, INFECTED]
    assert (fake.asked.count(b"doubt"), fake.asked.count(b"say No room ERROR")) == (2, 2)


def test_connections_may_end_after_any_answer(fake: FakeClamd, files: Files) -> None:
    """Clamd closes what was idle for long: that costs a second connection, not an answer."""
    fake.one_answer_a_connection = True
    words = list(client(fake).scan(files(*(b"say V%d FOUND" % n for n in range(40)))))
    assert [word.name for word in words] == [f"V{n}" for n in range(40)]


@pytest.mark.parametrize("connections", [1, 4])
def test_a_clamd_that_dies_ends_the_scan(fake: FakeClamd, files: Files, connections: int) -> None:
    """What was answered before is right; the file it died over, and all after it, have no word."""
    contents = [b"say V%d FOUND" % n for n in range(60)]
    contents[30] = b"die"
    seen = []
    with pytest.raises(ToolFailed, match=r"clamd at unix:.* is gone: cannot be reached"):
        for word in client(fake, connections=connections).scan(files(*contents)):
            seen.append(word.name)
    assert seen == [f"V{n}" for n in range(len(seen))]
    assert len(seen) <= 30


def test_no_clamd_is_an_error(short: Path, files: Files) -> None:
    """Without a clamd no file has a word, and the state says why."""
    clamd = Clamd(f"{short}/none", restart_seconds=0)
    assert "cannot be reached: No such file" in clamd.state().problem
    assert clamd.signature_date is None
    assert "cannot be reached" in Clamd("tcp:no..name:3310").state().problem
    with pytest.raises(ToolFailed, match="cannot be reached"):
        next(clamd.scan(files(b"a")))


@pytest.mark.parametrize(
    ("answer", "result", "name"),
    [
        ("OK", CLEAN, ""),
        ("Win.Test.EICAR_HDB-1 FOUND", INFECTED, "Win.Test.EICAR_HDB-1"),
        ("Local.Sig.UNOFFICIAL FOUND", INFECTED, "Local.Sig.UNOFFICIAL"),
        (
            "Heuristics.Limits.Exceeded.MaxFileSize FOUND",
            NOT_SCANNED,
            "not all of it: over a limit of ClamAV (Heuristics.Limits.Exceeded.MaxFileSize)",
        ),
        (
            "Heuristics.Limits.Exceeded FOUND",
            NOT_SCANNED,
            "not all of it: over a limit of ClamAV (Heuristics.Limits.Exceeded)",
        ),
        ("Heuristics.Encrypted.PDF FOUND", NOT_SCANNED, "not inside: encrypted (Heuristics.Encrypted.PDF)"),
        ("Heuristics.Broken.Executable FOUND", INFECTED, "Heuristics.Broken.Executable"),
        ("Can't allocate memory ERROR", NOT_SCANNED, "ClamAV: Can't allocate memory"),
        ("ERROR", NOT_SCANNED, "ClamAV: an error without a reason"),
    ],
)
def test_words(fake: FakeClamd, files: Files, answer: str, result: ScanResult, name: str) -> None:
    """Only OK is clean; limits, encryption and errors are neither clean nor a virus."""
    word = next(client(fake).scan(files(b"say " + answer.encode())))
    assert (word.result, word.name) == (result, name)


@pytest.mark.parametrize(
    "text", ["OK", "fd[9]: ok", "fd[9]: OK FOUND ME", "", "UNKNOWN COMMAND ERROR", "fd[9]: "]
)
def test_nonsense_is_no_word(text: str) -> None:
    """What is not understood is an error, never clean."""
    with pytest.raises(ToolFailed):
        read_word(text)


def test_nonsense_ends_the_scan(fake: FakeClamd, files: Files) -> None:
    """Somebody else listens there."""
    with pytest.raises(ToolFailed, match="clamd answered"):
        list(client(fake).scan(files(b"a", b"say hello world")))


def test_files_too_large_are_never_sent(fake: FakeClamd, fake_tcp: FakeClamd, files: Files) -> None:
    """Clamd calls files over 2 GiB clean without a look at them: it is not asked."""
    huge, other = files(b"", b"other")
    os.truncate(huge, 3 << 30)
    for server in (fake, fake_tcp):
        words = list(client(server).scan([huge, other]))
        assert [word.result for word in words] == [NOT_SCANNED, CLEAN]
        assert words[0].name == "larger than ClamAV can scan (2,147,483,645 bytes)"
        assert server.asked == [b"other"]


def test_clean_is_doubted_where_clamd_cannot_have_looked(fake: FakeClamd, tmp_path: Path) -> None:
    """Over MaxFileSize, as a file or as a member of a zip, OK is not taken for clean; FOUND is true."""
    for name, sizes in (("small.zip", [900, 10]), ("large.zip", [10, 1001, 10])):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, size in enumerate(sizes):
                archive.writestr(str(number), bytes(size))
    (tmp_path / "large").write_bytes(bytes(1001))
    (tmp_path / "infected").write_bytes(b"say V FOUND\n".ljust(1001))
    names = ["small.zip", "large.zip", "large", "infected"]
    words = list(Clamd(fake.address, file_limit=1000).scan([tmp_path / name for name in names]))
    assert [word.result for word in words] == [CLEAN, NOT_SCANNED, NOT_SCANNED, INFECTED]
    assert (
        words[1].name == "not all of it: what is inside is larger than ClamAV's MaxFileSize (1,000 bytes)"
    )
    unlimited = Clamd(fake.address, file_limit=0)
    assert [word.result for word in unlimited.scan([tmp_path / "large.zip", tmp_path / "large"])] == [
        CLEAN
    ] * 2


def test_what_is_no_file_is_not_scanned(fake: FakeClamd, files: Files, tmp_path: Path) -> None:
    """A folder, a pipe, a link and a missing file cannot be scanned, and nobody waits for a pipe."""
    target = files(b"a")[0]
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    words = list(
        client(fake).scan([tmp_path, tmp_path / "pipe", tmp_path / "link", tmp_path / "none", target])
    )
    assert [word.result for word in words] == [*[NOT_SCANNED] * 4, CLEAN]
    assert [word.name for word in words[:2]] == ["not a regular file"] * 2
    assert words[3].name == "cannot be opened: No such file or directory"


def test_tcp(fake_tcp: FakeClamd, files: Files) -> None:
    """Over TCP the bytes are sent, whole and in order; an empty file is sent, too."""
    contents = [b"say V FOUND", b"", b"x" * 700_000]
    words = list(client(fake_tcp, connections=1).scan(files(*contents)))
    assert [word.result for word in words] == [INFECTED, CLEAN, CLEAN]
    assert fake_tcp.asked == contents


def test_tcp_limits(fake_tcp: FakeClamd, files: Files) -> None:
    """Over the limit we know a file is not sent; over the one clamd has, what it says counts."""
    paths = files(b"y" * (40 << 20), b"z" * (8 << 20), b"rudely " * (2 << 20), b"say V FOUND")
    words = list(Clamd(fake_tcp.address, stream_limit=30 << 20).scan(paths))
    assert [word.result for word in words] == [NOT_SCANNED, NOT_SCANNED, NOT_SCANNED, INFECTED]
    assert words[0].name == "larger than may be sent to clamd (31,457,280 bytes)"
    assert (
        words[1].name == "longer than clamd takes over TCP (StreamMaxLength)"
        or "bytes sent" in words[1].name
    )
    assert "broke off twice" in words[2].name and "bytes sent" in words[2].name


def test_tcp_clean_before_the_end_is_not_clean(fake_tcp: FakeClamd, files: Files) -> None:
    """Who says OK to half of a file has not looked at it."""
    words = list(client(fake_tcp).scan(files(b"early" * (8 << 20), b"say V FOUND")))
    assert [word.result for word in words] == [NOT_SCANNED, INFECTED]


def test_a_file_that_cannot_be_read_to_the_end(
    fake_tcp: FakeClamd, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk error while sending is the file's, and its half is not answered for."""
    real = os.pread

    def failing(file: int, count: int, at: int) -> bytes:
        if at >= 256 << 10:
            raise OSError(5, "Input/output error")
        return real(file, count, at)

    monkeypatch.setattr("pipeline.viruses.session.os.pread", failing)
    words = list(client(fake_tcp, connections=1).scan(files(b"x" * 700_000, b"say V FOUND")))
    assert (words[0].result, words[0].name) == (NOT_SCANNED, "cannot be read: Input/output error")
    assert words[1].result is INFECTED


def test_state(fake: FakeClamd, fake_tcp: FakeClamd) -> None:
    """A good clamd says what it is, and shows what it finds and tells."""
    for server in (fake, fake_tcp):
        clamd = client(server)
        state = clamd.state()
        assert (state.name, state.version, state.problem, state.signatures) == (
            "ClamAV",
            "9.9.9",
            "",
            27500,
        )
        assert state.detects and state.tells_limits and state.tells_encrypted
        assert clamd.signature_date == datetime(2025, 11, 25, 8, 12, 1).astimezone()


def test_a_silent_clamd_is_seen_through(fake: FakeClamd, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers OK to everything is usable, and known for it."""
    monkeypatch.setattr(
        fake, "_answer", lambda connection, number, _: fake._say(connection, f"{number}: fd[9]: OK")
    )
    state = client(fake).state()
    assert state.usable
    assert not (state.detects or state.tells_limits or state.tells_encrypted)


def test_a_clamd_that_may_not_read_cannot_be_used(fake: FakeClamd, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ERROR for the test file is a problem: it would be one for every file."""
    monkeypatch.setattr(
        fake,
        "_answer",
        lambda connection, number, _: fake._say(
            connection, f"{number}: No file descriptor received. ERROR"
        ),
    )
    assert "cannot scan: ClamAV: No file descriptor received" in client(fake).state().problem


@pytest.mark.parametrize(
    "version", ["SSH-2.0-OpenSSH_9.2", "ClamAV", "ClamAV 1.4.6/x/y", "", "9: ClamAV 1.4.6"]
)
def test_wrong_versions(fake: FakeClamd, version: str) -> None:
    """Whoever says this is no clamd we know."""
    fake.version = version
    assert "asked for its version" in client(fake).state().problem


def test_a_clamd_that_does_not_answer_cannot_be_used(fake: FakeClamd) -> None:
    """It listens, and says nothing."""
    fake.deaf = True
    assert client(fake).state().problem.endswith("no answer in time")


def test_versions() -> None:
    """Engine, number and date; without an official database, and with an odd date, only what is sure."""
    assert read_version("ClamAV 1.4.6").version == "1.4.6"
    assert read_version("ClamAV 1.4.6").signature_date is None
    odd = read_version("ClamAV 1.5.0-rc/27500/mar. 25 nov. 2025")
    assert (odd.version, odd.signatures, odd.signature_date, odd.usable) == ("1.5.0-rc", 27500, None, True)


@pytest.mark.parametrize(
    ("text", "as_read"),
    [
        ("unix:/run/c.sock", "unix:/run/c.sock"), ("/run/c.sock", "unix:/run/c.sock"),
        ("tcp:scanner.example:3310", "tcp:scanner.example:3310"), ("tcp:[::1]:3310", "tcp:::1:3310"),
    ],
)  # fmt: skip
def test_addresses(text: str, as_read: str) -> None:
    """Both kinds."""
    assert str(Address.parse(text)) == as_read


@pytest.mark.parametrize(
    "text", ["", "c.sock", "unix:c.sock", "tcp:", "tcp:host", "tcp:host:x", "tcp:host:0", "host:3310"]
)
def test_wrong_addresses(text: str) -> None:
    """What is neither is said at once."""
    with pytest.raises(ValueError, match="is not unix:"):
        Address.parse(text)
