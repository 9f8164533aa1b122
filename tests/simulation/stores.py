"""Object stores in memory that forget, flip, delay and refuse, as disks and S3 servers were seen to do."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import BinaryIO

from packages.digest import sha512_hex
from simulation.world import Fault, Killed, Process, Violation, World
from storage.errors import ObjectExists, ObjectMissing, StoreRefused, StoreUnavailable, WriteMismatch
from storage.protocol import ObjectEntry, Progress, Upload, check_key

__all__ = ["SimStore", "StoreView"]


class SimStore:
    """What the medium holds. ``volatile`` is what a power cut may take back, with what was before."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.objects: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.volatile: list[tuple[str, bytes | None]] = []
        self.rotten: set[str] = set()
        """Keys the medium damaged or lost by itself; nobody is to blame for them."""
        self.stale: set[str] = set()
        """Keys that a writer put who had stood still before: his lease may have run out meanwhile."""
        self.late: set[str] = set()
        """Keys whose write arrived after its writer had given up."""
        self.armed: list[Fault] = []
        self.down_until = 0.0
        self.full_until = 0.0
        self.kept: set[tuple[str, str]] = set()
        """(key, digest) of what is in quarantine."""

    def arm(self, fault: Fault) -> None:
        """Something goes wrong with the next call, or from now on."""
        match fault.kind:
            case "down":
                self.down_until = self.world.now + fault.number
            case "full":
                self.full_until = self.world.now + fault.number
            case "rot" | "lost object":
                others = [one for one in self.world.stores.values() if one is not self]
                content = sorted(  # of what lies nowhere else nothing could be made good
                    key for key in self.objects if "/" in key and not key.startswith("extensions")
                    and any(one.digests.get(key) == self.digests[key] for one in others)
                )  # fmt: skip
                if content:
                    key = content[fault.number % len(content)]
                    if fault.kind == "rot":
                        self.write(key, bytes(b ^ 1 for b in self.objects[key]) or b"?", durable=True)
                    else:
                        self.erase(key)
                        self.flush()
                    self.rotten.add(key)
            case _:
                self.armed.append(fault)

    def armed_with(self, *kinds: str) -> str:
        """The next fault of these kinds, which is used up; empty without one."""
        for fault in self.armed:
            if fault.kind in kinds:
                self.armed.remove(fault)
                return fault.kind
        return ""

    def write(self, key: str, content: bytes, *, durable: bool) -> None:
        """Put bytes on the medium."""
        self.world.changed = True
        if durable:  # as ``replace`` of a folder store, which syncs the file system first
            self.flush()
        else:
            self.volatile.append((key, self.objects.get(key)))
        self.objects[key] = content
        self.digests[key] = sha512_hex(content)
        self.rotten.discard(key)

    def erase(self, key: str) -> None:
        """Take them away; durable with the next flush."""
        self.world.changed = True
        if key in self.objects:
            self.volatile.append((key, self.objects.pop(key)))
            self.digests.pop(key)
            self.rotten.discard(key)

    def flush(self) -> None:
        """Everything so far survives a power cut."""
        self.volatile.clear()

    def power_cut(self) -> None:
        """Of what was not flushed, some is there and some is not, in any order."""
        self.world.changed = True
        for key, before in reversed(self.volatile):
            if self.world.chance.random() < 0.5:
                if before is None:
                    self.objects.pop(key, None)
                    self.digests.pop(key, None)
                else:
                    self.objects[key] = before
                    self.digests[key] = sha512_hex(before)
        self.volatile.clear()


class StoreView:
    """A store as one process sees it: an ``ObjectStore``."""

    connections = 1

    def __init__(self, store: SimStore, process: Process) -> None:
        self._store = store
        self._world = store.world
        self._process = process
        self._stood_still = False
        """Whether the process stood still between its question for the lease and this very write."""

    @property
    def name(self) -> str:
        return self._store.name

    def _call(self, kind: str) -> None:
        began = self._world.now
        self._world.step(kind)
        self._stood_still = self._process.stalled_until > began
        if self._world.now < self._store.down_until and not self._world.quiet:
            raise StoreUnavailable(self.name, "simulated: it is down")

    def _write_call(self, kind: str, upload: Upload) -> bytes:
        check_key(upload.key)
        self._call(kind)
        content = upload.content if upload.path is None else upload.path.read_bytes()
        assert content is not None
        if sha512_hex(content) != upload.sha512:
            raise WriteMismatch(upload.key, expected=upload.sha512, found="the source's other bytes")
        if self._world.quiet:
            return content
        if self._world.now < self._store.full_until:
            raise StoreRefused(self.name, "simulated: no space")
        match self._store.armed_with("lost write", "late write", "spoilt write"):
            case "lost write":
                raise StoreUnavailable(self.name, "simulated: no answer")
            case "late write":
                self._arrive_late(kind, upload.key, content)
                raise StoreUnavailable(self.name, "simulated: no answer in time")
            case "spoilt write":
                raise WriteMismatch(upload.key, expected=upload.sha512, found="simulated: other bytes")
        return content

    def _arrive_late(self, kind: str, key: str, content: bytes) -> None:
        """The request was sent; the server carries it out later, whoever waits for it or not."""

        def effect() -> None:
            if kind == "put" and key in self._store.objects:
                return  # create-only
            self._world.note(f"late write of {key[-40:]} on {self.name}")
            self._store.write(key, content, durable=kind == "replace")
            self._store.late.add(key)

        self._world.pending.append((self._world.now + self._world.chance.random() * 25, effect))

    def put(self, uploads: Iterable[Upload], progress: Progress | None = None) -> None:
        for upload in uploads:
            content = self._write_call("put", upload)
            if upload.key in self._store.objects:
                raise ObjectExists(upload.key)
            self._store.write(upload.key, content, durable=False)
            if self._stood_still:
                self._store.stale.add(upload.key)
            self._saw_arrive(upload.key, content)
            if progress:
                progress(upload.size)

    def replace(self, upload: Upload) -> None:
        content = self._write_call("replace", upload)
        self._guard(upload.key, content)
        late = self._stood_still and self._store.objects.get(upload.key) not in (None, content)
        self._store.write(upload.key, content, durable=True)
        if late:  # as if the medium had done it; its writer or the audit has to put it right
            self._store.rotten.add(upload.key)
        self._saw_arrive(upload.key, content)

    def _saw_arrive(self, key: str, content: bytes) -> None:
        if self._process.name.startswith("ingest"):
            self._process.seen.add((self.name, key, self._store.digests[key]))

    def _guard(self, key: str, content: bytes | None) -> None:
        """Content is replaced or deleted by a repair only, and only what is kept in quarantine."""
        before = self._store.objects.get(key)
        if before is None or before == content or "/content/" not in key:
            return
        if self._world.removable(key, self.name) or (key, self._store.digests[key]) in self._store.kept:
            return
        raise Violation(f"{self._process.name} overwrites or deletes {key} on {self.name}, kept nowhere")

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        self._call("open")
        content = self._store.objects.get(key)
        if content is None:
            raise ObjectMissing(key)
        fault = (
            "" if self._world.quiet else self._store.armed_with("flipped read", "short read", "failed read")
        )
        if fault == "failed read":
            raise StoreUnavailable(self.name, "simulated: the connection broke")
        if fault == "flipped read" and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault == "short read":
            content = content[: len(content) // 2]
        digest = sha512_hex(content) if fault else self._store.digests[key]
        yield _Watched(content, lambda: self._process.seen.add((self.name, key, digest)))

    def size(self, key: str) -> int | None:
        self._call("size")
        content = self._store.objects.get(key)
        return None if content is None else len(content)

    def list(self, prefix: str) -> Iterator[str]:
        self._call("list")
        yield from sorted(key for key in self._store.objects if key.startswith(prefix))

    def entries(self, prefix: str) -> Iterator[ObjectEntry]:
        # Old at once: whoever trusts an age to tell a write in progress is found out.
        old = datetime(2020, 1, 1, tzinfo=UTC)
        for key in self.list(prefix):
            content = self._store.objects.get(key)
            if content is not None:
                yield ObjectEntry(key, len(content), old)

    def sync(self) -> None:
        self._call("sync")
        self._store.flush()

    def delete(self, key: str) -> None:
        self._call("delete")
        self._guard(key, None)
        self._store.erase(key)


class _Watched(io.BytesIO):
    """Tells when it was read to its end."""

    def __init__(self, content: bytes, read: object) -> None:
        super().__init__(content)
        self._told = read
        self._size = len(content)

    def _tell(self) -> None:
        if self.tell() >= self._size:
            self._told()  # type: ignore[operator]

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._tell()
        return data

    def readinto(self, buffer: object, /) -> int:
        number = super().readinto(buffer)  # type: ignore[arg-type]
        self._tell()
        return number


assert Killed
