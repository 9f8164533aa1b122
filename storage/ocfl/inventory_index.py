"""Inventories of any size: one streamed read into a scratch database that answers questions about them.

Memory stays flat whatever the inventory holds. The validator has its own reader, which keeps every mistake.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import ijson.backends.yajl2_c as yajl  # type: ignore[import-untyped]
from ijson.common import JSONError, ObjectBuilder  # type: ignore[import-untyped]
from ijson.utils import sendable_list  # type: ignore[import-untyped]

from storage.errors import InventoryUnreadable
from storage.ocfl.inventory import INVENTORY_TYPE, InventoryEntry, VersionInfo
from storage.scratch import scratch_folder

__all__ = ["InventoryIndex", "VersionFacts", "next_inventory_parts", "read_inventory"]

_CHUNK_BYTES = 64 << 10
_MAX_IN_MEMORY_BYTES = 2 << 20  # larger inventories are indexed in a file
_MAX_TOKEN_BYTES = 4 << 20  # a longer string or run of whitespace is refused
_MAX_VERSION_DATA_BYTES = 32 << 20  # of all version blocks together, without their states
_MAX_DEPTH = 200
_CACHE_KIB = 32 << 10
_ROWS_PER_STATEMENT = 8  # takes half the time of one
_PART_CHARACTERS = 256 << 10

# The part of a JSON text in which every escaped surrogate has its other half.
# yajl turns half a pair into “?” or into another character without a word.
_SOUND_ESCAPES = re.compile(
    rb"(?:[^\\]+|\\[^u]"
    rb"|\\u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*"
)
_LONGEST_ESCAPE_BYTES = 12

# Nothing in it outlives the process, so that it needs no journal; the transaction never ends.
_SETUP = f"""
PRAGMA page_size=16384;
PRAGMA cache_size=-{_CACHE_KIB};
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
PRAGMA locking_mode=EXCLUSIVE;
PRAGMA secure_delete=OFF;
PRAGMA temp_store=FILE;
BEGIN;
CREATE TABLE manifest (id INTEGER PRIMARY KEY, key INTEGER, digest BLOB, content TEXT);
CREATE TABLE listed (id INTEGER PRIMARY KEY, key INTEGER, digest BLOB, written TEXT, logical TEXT);
CREATE TABLE state (
  version INTEGER, logical TEXT, listed INTEGER, digest BLOB, content TEXT,
  PRIMARY KEY (version, logical, listed)) WITHOUT ROWID;
"""

# The order of digests in JSON is that of their texts; needed where some are stored as bytes, some as text.
_MIXED_ORDER = "CASE typeof(digest) WHEN 'text' THEN digest ELSE lower(hex(digest)) END"

_Digest = bytes | str  # as stored: the bytes of a hexadecimal digest, else its text
_Events = Iterator[tuple[str, Any]]
_Row = tuple[object, str, str | None]  # what tells one list from the next, its key, one text of it
_DEPTH_STEP = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
_STATE = object()  # stands in a version block for its state, which is in the database
_TEXTS = ("id", "digestAlgorithm", "head", "contentDirectory")
_quoted: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a version block says beside its state; ``""`` where it says nothing or no text."""

    name: str
    created: str
    message: str
    user_name: str
    user_address: str


@dataclass(slots=True)
class _Block:
    """A version block: its members in order, and the rows of ``listed`` that hold its state."""

    members: dict[str, object] = field(default_factory=dict)
    first: int = 0
    last: int = -1
    has_state: bool = False
    is_loaded: bool = False
    may_repeat: bool = False
    has_empty_list: bool = False
    flaw: tuple[str, str] | None = None

    def facts(self, name: str) -> VersionFacts:
        user = self.members.get("user")
        user = user if isinstance(user, dict) else {}
        return VersionFacts(
            name,
            _text_or_empty(self.members.get("created")),
            _text_or_empty(self.members.get("message")),
            _text_or_empty(user.get("name")),
            _text_or_empty(user.get("address")),
        )


def _text_or_empty(value: object) -> str:
    return value if isinstance(value, str) else ""


def _stored(lower: str) -> _Digest:
    try:
        raw = bytes.fromhex(lower)
    except ValueError:
        return lower
    return raw if raw and len(raw) * 2 == len(lower) else lower  # fromhex passes over spaces


def _shown_digest(stored: _Digest) -> str:
    return stored.hex() if isinstance(stored, bytes) else stored


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 150 else f"{text[:150]}…")


def _version_order(name: str) -> tuple[bool, int, str]:
    number = re.fullmatch(r"v(\d{1,9})", name)
    return (number is None, int(number[1]) if number else 0, name)


def _insert(database: sqlite3.Connection, columns: str, rows: Iterator[tuple[object, ...]]) -> None:
    width = columns.count(",") + 1
    row = f"({', '.join('?' * width)})"
    rest: list[object] = []

    def batches() -> Iterator[list[object]]:
        nonlocal rest
        while True:
            rest = list(chain.from_iterable(islice(rows, _ROWS_PER_STATEMENT)))
            if len(rest) < width * _ROWS_PER_STATEMENT:
                return
            yield rest

    insert = f"INSERT INTO {columns} VALUES {row}"
    database.executemany(insert + f", {row}" * (_ROWS_PER_STATEMENT - 1), batches())
    database.executemany(insert, [rest[at : at + width] for at in range(0, len(rest), width)])


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"the scratch database of an inventory cannot be used: {error}") from error


class InventoryIndex:
    """One inventory, held in a scratch database until ``close``.

    Several iterators may be open at once; two threads must not use an index at the same time.
    Its methods raise KeyError for a version that the inventory lacks or that was not loaded.
    """

    def __init__(self, database: sqlite3.Connection, resources: ExitStack, reader: _Reader) -> None:
        self.object_id = reader.text("id")
        self.algorithm = reader.text("digestAlgorithm")
        self.head = reader.text("head")
        self.content_directory = reader.text("contentDirectory")
        self.sha512 = reader.source.sha512
        self.size = reader.source.size
        self.versions = tuple(
            reader.blocks[name].facts(name) for name in sorted(reader.blocks, key=_version_order)
        )
        self._database = database
        self._resources = resources
        self._blocks = reader.blocks
        self._states = reader.states
        self.has_every_version = reader.every_version

    def __enter__(self) -> InventoryIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete the database. Calling it again does nothing."""
        self._resources.close()

    def state(self, version: str | None = None) -> Iterator[InventoryEntry]:
        """The files of a version (default: the head) in code-point order of their logical paths."""
        return self.below("", version)

    def below(self, prefix: str, version: str | None = None) -> Iterator[InventoryEntry]:
        """As ``state``, only the files whose logical path starts with ``prefix``."""
        return self._below(self._number(version), prefix)

    def _below(self, number: int, prefix: str) -> Iterator[InventoryEntry]:
        for logical, digest, content in self._rows(
            "SELECT logical, digest, content FROM state"
            " WHERE version = ? AND logical >= ? ORDER BY logical, listed",
            (number, prefix),
        ):
            if not logical.startswith(prefix):
                return
            yield InventoryEntry(_shown_digest(digest), logical, content)

    def entry(self, logical: str, version: str | None = None) -> InventoryEntry | None:
        """The file with this logical path; the last one where a damaged state lists it more than once."""
        row = self._row(
            "SELECT digest, content FROM state"
            " WHERE version = ? AND logical = ? ORDER BY listed DESC LIMIT 1",
            (self._number(version), logical),
        )
        return InventoryEntry(_shown_digest(row[0]), logical, row[1]) if row else None

    def count(self, version: str | None = None) -> int:
        """How many files a version has."""
        row = self._row("SELECT count(*) FROM state WHERE version = ?", (self._number(version),))
        return int(row[0]) if row else 0

    def contents(self) -> Iterator[tuple[str, str]]:
        """Every content path of the manifest with its digest, in code-point order of the paths."""
        self._index_contents()
        rows = self._rows("SELECT content, digest FROM manifest ORDER BY content, digest")
        return ((content, _shown_digest(digest)) for content, digest in rows)

    def content_of(self, sha512: str) -> str | None:
        """The first content path that the manifest lists for a digest."""
        row = self._row(
            "SELECT content FROM manifest WHERE digest = ? ORDER BY key, id LIMIT 1",
            (_stored(sha512.lower()),),
        )
        return row[0] if row else None

    def digest_of(self, content: str) -> str | None:
        """The digest of a content path; the last one where a damaged manifest lists it more than once."""
        self._index_contents()
        row = self._row(
            "SELECT digest FROM manifest WHERE content = ? ORDER BY id DESC LIMIT 1", (content,)
        )
        return _shown_digest(row[0]) if row else None

    def _index_contents(self) -> None:
        with _database_errors():
            self._database.execute("CREATE INDEX IF NOT EXISTS by_content ON manifest (content, digest)")

    def _number(self, version: str | None) -> int:
        return self._states[self.head if version is None else version]

    def _row(self, query: str, parameters: tuple[object, ...]) -> Any:
        return next(self._rows(query, parameters), None)

    def _rows(self, query: str, parameters: tuple[object, ...] = ()) -> Iterator[Any]:
        # A parameter with half a surrogate pair cannot be encoded, and no text here has one.
        # The chain hides the cursor's close, which would fail after that of the database.
        with _database_errors(), suppress(UnicodeEncodeError):
            yield from chain(self._database.execute(query, parameters))


def read_inventory(
    stream: BinaryIO,
    key: str,
    *,
    size: int | None = None,
    scratch: Path | None = None,
    every_version: bool = False,
) -> InventoryIndex:
    """Read an inventory to the end of ``stream``; ``key`` names it in errors.

    The state of the head is loaded, with ``every_version`` that of all versions. ``size`` is only a
    hint. ``scratch`` is the folder for the database of a large inventory (None: the system's).
    Raises InventoryUnreadable with the OCFL code of the first fatal flaw, OSError when the
    database cannot be written, and what ``stream`` raises. Of repeated keys the last one counts.
    """
    source = _Source(stream, key, read_ahead=size is None or size <= _MAX_IN_MEMORY_BYTES)
    with ExitStack() as resources, _database_errors():
        where = ":memory:"
        if not source.ended:
            where = str(resources.enter_context(scratch_folder(scratch)) / "inventory.sqlite")
        database = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
        resources.callback(database.close)
        database.executescript(_SETUP)
        reader = _Reader(source, database, every_version=every_version)
        reader.read()
        return InventoryIndex(database, resources.pop_all(), reader)


class _Source:
    """The bytes of an inventory on their way to the parser: hashed, counted and bounded."""

    def __init__(self, stream: BinaryIO, key: str, *, read_ahead: bool) -> None:
        self.key = key
        self.size = 0
        self._stream = stream
        self._hash = hashlib.sha512()
        self._escape = b""  # where the last chunk ended within an escape
        self._ahead: list[bytes] = []
        self.ended = False
        self.document_read = False
        while read_ahead and not self.ended and self.size < _MAX_IN_MEMORY_BYTES:
            self._ahead.append(self._read())
        self._ahead.reverse()

    @property
    def sha512(self) -> str:
        """Of the bytes read so far."""
        return self._hash.hexdigest()

    def not_json(self, reason: str) -> InventoryUnreadable:
        return InventoryUnreadable(self.key, code="E033", reason=f"not JSON: {reason}")

    def _read(self) -> bytes:
        chunk = self._stream.read(_CHUNK_BYTES)
        while len(chunk) < _CHUNK_BYTES and (more := self._stream.read(_CHUNK_BYTES - len(chunk))):
            chunk += more
        self.ended = len(chunk) < _CHUNK_BYTES
        self._hash.update(chunk)
        self.size += len(chunk)
        return chunk

    def event_lists(self) -> Iterator[list[tuple[str, Any]]]:
        """The parser's events, a list for each chunk. Raises InventoryUnreadable with E033."""
        events = sendable_list()
        # use_float: without it an integer of 5000 digits breaks the interpreter (ijson 3.6.0).
        parser = yajl.basic_parse_coro(events, use_float=True)
        silent = 0
        try:
            for chunk in self._chunks():
                parser.send(chunk)
                silent = 0 if events else silent + len(chunk)
                if silent > _MAX_TOKEN_BYTES:
                    raise self.not_json(f"a string or whitespace of more than {_MAX_TOKEN_BYTES} bytes")
                yield events
                events.clear()
            if self.document_read:
                parser.send(b'"')  # ends an open string after the document, which yajl would overlook
            parser.close()
        except (JSONError, UnicodeDecodeError) as error:
            raise self.not_json(_first_line(error)) from error
        yield events

    def _chunks(self) -> Iterator[bytes]:
        chunk = self._next().removeprefix(b"\xef\xbb\xbf")
        while chunk:
            self._check(chunk)
            yield chunk
            chunk = self._next()
        if self._escape:
            raise self.not_json("half a surrogate pair")

    def _next(self) -> bytes:
        if self._ahead:
            return self._ahead.pop()
        return b"" if self.ended else self._read()

    def _check(self, chunk: bytes) -> None:
        if b"\v" in chunk or b"\f" in chunk:  # yajl takes them for whitespace
            raise self.not_json("a control character")
        text = self._escape + chunk
        if b"\\" not in text:
            return
        sound = _SOUND_ESCAPES.match(text)
        self._escape = text[sound.end() :] if sound else text
        if len(self._escape) >= _LONGEST_ESCAPE_BYTES:
            raise self.not_json("half a surrogate pair, or an escape that is none")


def _first_line(error: Exception) -> str:
    reason = error.args[0] if len(error.args) == 1 else str(error)
    if isinstance(reason, bytes):
        reason = reason.decode("utf-8", "replace")
    return str(reason).partition("\n")[0]


class _Lists:
    """A JSON object of digests with lists of texts, as rows; an empty list is one row without text.

    A row is the number of the key, the digest, the key where it is not in lower case, one text.
    Iterate once; the other attributes hold afterwards.
    """

    def __init__(self, reader: _Reader, events: _Events, item_flaw: tuple[str, str]) -> None:
        self._reader = reader
        self._events = events
        self._item_flaw = item_flaw
        self.flaw: tuple[str, str] | None = None
        self.has_empty_list = False
        self.may_repeat = False  # False: the keys came in order, so none came twice

    def __iter__(self) -> Iterator[tuple[int, _Digest, str | None, str | None]]:
        events, reader = self._events, self._reader
        previous, number = "", 0
        for event, key in events:
            if event == "end_map":
                return
            number += 1
            lower = key.lower()
            digest, written = _stored(lower), None if lower == key else key
            self.may_repeat |= lower <= previous
            previous = lower
            event, _ = next(events)
            if event != "start_array":
                reader.skip(event)
                self.flaw = self.flaw or ("E036", f"what {_excerpt(key)} has is no list")
                continue
            empty = True
            for event, text in events:
                if event == "string":
                    yield number, digest, written, text
                    empty = False
                elif event == "end_array":
                    break
                else:
                    reader.skip(event)
                    self.flaw = self.flaw or self._item_flaw
            if empty:
                self.has_empty_list = True
                yield number, digest, written, None


class _Reader:
    """Fills the database from one inventory. A flaw is kept until the end, for E033 comes before it."""

    def __init__(self, source: _Source, database: sqlite3.Connection, *, every_version: bool) -> None:
        self.source = source
        self.every_version = every_version
        self.blocks: dict[str, _Block] = {}
        self.states: dict[str, int] = {}
        self._database = database
        self._events: _Events = chain.from_iterable(source.event_lists())
        self._texts: dict[str, object] = {"contentDirectory": "content"}
        self._flaws: dict[str, tuple[str, str] | None] = {
            "manifest": ("E036", "has no manifest"),
            "versions": ("E036", "has no versions"),
        }
        self._manifest_may_repeat = False
        self._manifest_has_empty_list = False
        self._version_data_bytes = 0

    def text(self, name: str) -> str:
        """A member that is a text. Raises InventoryUnreadable."""
        value = self._texts.get(name)
        if isinstance(value, str):
            return value
        raise self._unreadable("E036", f"{name} {'is no text' if name in self._texts else 'is missing'}")

    def _unreadable(self, code: str, reason: str) -> InventoryUnreadable:
        return InventoryUnreadable(self.source.key, code=code, reason=reason)

    def skip(self, event: str) -> None:
        """Pass over the rest of the value that began with ``event``."""
        depth = _DEPTH_STEP.get(event, 0)
        if not depth:
            return
        for event, _ in self._events:
            depth += _DEPTH_STEP.get(event, 0)
            if not depth:
                return
            if depth > _MAX_DEPTH:
                raise self.source.not_json("nested too deep")

    def read(self) -> None:
        event, _ = next(self._events)
        if event == "start_map":
            self._read_members()
        else:
            self.skip(event)
        self.source.document_read = True
        for _ in self._events:  # to the end of the stream: trailing bytes are checked and hashed too
            pass
        for name in _TEXTS:
            self.text(name)
        self._require_sound()
        self._index_manifest()
        self._fill_states()

    def _read_members(self) -> None:
        for event, name in self._events:
            if event == "end_map":
                return
            event, value = next(self._events)
            if name in _TEXTS:
                self._texts[name] = value if event == "string" else None
                self.skip(event)
            elif name == "manifest":
                self._read_manifest(event)
            elif name == "versions":
                self._read_versions(event)
            else:
                self.skip(event)

    def _read_manifest(self, event: str) -> None:
        self._database.execute("DELETE FROM manifest")
        if event != "start_map":
            self._flaws["manifest"] = ("E036", "manifest is no object")
            self.skip(event)
            return
        lists = _Lists(self, self._events, ("E036", "a content path is no text"))
        _insert(
            self._database,
            "manifest (key, digest, content)",
            ((number, digest, content) for number, digest, _, content in lists),
        )
        self._flaws["manifest"] = lists.flaw
        self._manifest_may_repeat = lists.may_repeat
        self._manifest_has_empty_list = lists.has_empty_list

    def _read_versions(self, event: str) -> None:
        self.blocks.clear()
        self._flaws["versions"] = None
        if event != "start_map":
            self._flaws["versions"] = ("E036", "versions is no object")
            self.skip(event)
            return
        for event, name in self._events:
            if event == "end_map":
                return
            event, _ = next(self._events)
            self._version_data_bytes += 1000 + len(name)
            if self._version_data_bytes <= _MAX_VERSION_DATA_BYTES:
                self.blocks[name] = self._read_block(event, name)
            else:
                self.skip(event)

    def _read_block(self, event: str, name: str) -> _Block:
        block = _Block()
        if event != "start_map":
            block.flaw = ("E036", f"version {_excerpt(name)} is no object")
            self.skip(event)
            return block
        # A head that comes after the versions is not known yet, so that every state is loaded.
        load = self.every_version or self._texts.get("head", name) == name
        for event, member in self._events:
            if event == "end_map":
                break
            event, value = next(self._events)
            if member == "state":
                block.has_state = True
                block.members[member] = _STATE
                if load:
                    self._read_state(event, name, block)
                else:
                    self.skip(event)
            elif self.every_version or member in ("created", "message", "user"):
                block.members[member] = self._read_value(event, value)
            else:
                self.skip(event)
        return block

    def _read_state(self, event: str, name: str, block: _Block) -> None:
        block.is_loaded = True
        block.first = self._last_row() + 1
        if event != "start_map":
            block.flaw = ("E036", f"the state of {_excerpt(name)} is no object")
            self.skip(event)
            return
        lists = _Lists(self, self._events, ("E051", f"a logical path of {_excerpt(name)} is no text"))
        _insert(self._database, "listed (key, digest, written, logical)", iter(lists))
        block.last = self._last_row()
        block.flaw = lists.flaw
        block.may_repeat = lists.may_repeat
        block.has_empty_list = lists.has_empty_list

    def _last_row(self) -> int:
        last: int | None = self._database.execute("SELECT max(id) FROM listed").fetchone()[0]
        return last or 0

    def _read_value(self, event: str, value: object) -> object:
        """A whole value, as long as the version blocks are not too large to be kept in memory."""
        builder = ObjectBuilder()
        depth = 0
        while True:
            depth += _DEPTH_STEP.get(event, 0)
            if depth > _MAX_DEPTH:
                raise self.source.not_json("nested too deep")
            self._version_data_bytes += 100 + (len(value) if isinstance(value, str) else 0)
            if self._version_data_bytes <= _MAX_VERSION_DATA_BYTES:
                builder.event(event, value)
            if not depth:
                return builder.value
            event, value = next(self._events)

    def _require_sound(self) -> None:
        if self._version_data_bytes > _MAX_VERSION_DATA_BYTES:
            reason = f"version blocks have more than {_MAX_VERSION_DATA_BYTES} bytes beside their states"
            raise self._unreadable("E036", reason)
        for flaw in self._flaws.values():
            if flaw:
                raise self._unreadable(*flaw)
        head = self.text("head")
        if head not in self.blocks:
            raise self._unreadable("E036", f"head {_excerpt(head)} is none of the versions")
        for name, block in self._wanted_blocks():
            if block.flaw:
                raise self._unreadable(*block.flaw)
            if not block.has_state:
                raise self._unreadable("E036", f"version {_excerpt(name)} has no state")
            if not block.is_loaded:
                raise self._unreadable("E033", "has the key head more than once")

    def _wanted_blocks(self) -> list[tuple[str, _Block]]:
        return [item for item in self.blocks.items() if self.every_version or item[0] == self.text("head")]

    def _index_manifest(self) -> None:
        execute = self._database.execute
        execute("CREATE INDEX by_digest ON manifest (digest, key)")
        if self._manifest_may_repeat and self._repeats("manifest GROUP BY digest"):
            newest = "(SELECT max(m.key) FROM manifest m WHERE m.digest = manifest.digest)"
            execute(f"DELETE FROM manifest WHERE key < {newest}")
        if self._manifest_has_empty_list:
            execute("DELETE FROM manifest WHERE content IS NULL")

    def _repeats(self, keys: str) -> bool:
        """Whether a key came more than once: then the last one counts, as everywhere in JSON."""
        query = f"SELECT 1 FROM {keys} HAVING min(key) < max(key) LIMIT 1"
        return self._database.execute(query).fetchone() is not None

    def _fill_states(self) -> None:
        for name, block in self._wanted_blocks():
            self.states[name] = number = len(self.states)
            if block.may_repeat:
                self._drop_repeated_keys(block)
            self._database.execute(
                "INSERT INTO state SELECT ?, logical, id, digest, (SELECT content FROM manifest m"
                " WHERE m.digest = listed.digest ORDER BY m.key, m.id LIMIT 1)"
                " FROM listed WHERE id BETWEEN ? AND ? AND logical IS NOT NULL ORDER BY logical, id",
                (number, block.first, block.last),
            )
            self._require_known_digests(name, number, block)
        if not self.every_version:
            self._database.execute("DROP TABLE listed")

    def _drop_repeated_keys(self, block: _Block) -> None:
        rows = f"listed WHERE id BETWEEN {block.first} AND {block.last}"
        if self._repeats(f"{rows} GROUP BY digest, written"):
            newest = f"SELECT key, max(key) OVER (PARTITION BY digest, written) AS newest FROM {rows}"
            self._database.execute(
                f"DELETE FROM {rows} AND key IN (SELECT key FROM ({newest}) WHERE key < newest)"
            )

    def _require_known_digests(self, name: str, number: int, block: _Block) -> None:
        row = self._database.execute(
            "SELECT digest FROM state WHERE version = ? AND content IS NULL LIMIT 1", (number,)
        ).fetchone()
        if block.has_empty_list and not row:
            row = self._database.execute(
                "SELECT digest FROM listed WHERE id BETWEEN ? AND ? AND logical IS NULL"
                " AND digest NOT IN (SELECT digest FROM manifest) LIMIT 1",
                (block.first, block.last),
            ).fetchone()
        if row:
            digest = _excerpt(_shown_digest(row[0]))
            raise self._unreadable("E036", f"the manifest lacks {digest}, which {_excerpt(name)} has")


def next_inventory_parts(
    index: InventoryIndex,
    version: str,
    info: VersionInfo,
    changed: Iterable[tuple[str, str]],
    removed: Iterable[str],
    added: Iterable[tuple[str, str]],
) -> Iterator[bytes]:
    """The JSON of ``version``, which comes after the head of ``index``, in parts.

    ``index`` was read with ``every_version`` and stays open until the last part; one such iterator
    at a time. ``changed`` are (logical path, SHA-512) of new and replaced files, ``removed`` logical
    paths of the head, ``added`` (SHA-512, content path) of contents the manifest lacks. Earlier
    versions and content paths stay as they are. Raises at once: KeyError for a removed path that the
    head lacks, ValueError for a digest without content, for content the manifest has and for a version
    that exists, OSError when the database cannot be written.
    """
    if not index.has_every_version:
        raise ValueError("the inventory was read without its earlier versions")
    if any(facts.name == version for facts in index.versions):
        raise ValueError(f"{index.object_id} has {version} already")
    writer = _Writer(index)
    with _database_errors():
        writer.prepare(changed, removed, added)
    return _encoded(writer.document(version, info))


class _Writer:
    """The inventory that comes after an index; what is new is collected in the index's database."""

    def __init__(self, index: InventoryIndex) -> None:
        self._database = index._database
        self._rows = index._rows
        self._index = index
        self._head = index._blocks[index.head]
        self._order = "digest"

    def prepare(
        self, changed: Iterable[tuple[str, str]], removed: Iterable[str], added: Iterable[tuple[str, str]]
    ) -> None:
        for name, columns in (
            ("changed", "id INTEGER PRIMARY KEY, logical TEXT, digest BLOB"),
            ("removed", "logical TEXT"),
            ("added", "digest BLOB, content TEXT"),
            ("dropped", "listed INTEGER PRIMARY KEY"),  # rows of the head that the next state lacks
        ):
            self._database.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
            self._database.execute(f"DELETE FROM {name}")
        rows = ((logical, _stored(sha512.lower())) for logical, sha512 in changed)
        _insert(self._database, "changed (logical, digest)", rows)
        _insert(self._database, "removed (logical)", ((logical,) for logical in removed))
        contents = ((_stored(sha512.lower()), content) for sha512, content in added)
        _insert(self._database, "added (digest, content)", contents)
        self._database.execute("CREATE INDEX IF NOT EXISTS by_changed ON changed (logical)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_added ON added (digest)")
        self._require_consistency()
        self._drop_rows()
        texts = self._database.execute(  # text sorts before bytes
            "SELECT 1 FROM manifest WHERE digest < x'' UNION ALL SELECT 1 FROM added WHERE digest < x''"
        ).fetchone()
        self._order = _MIXED_ORDER if texts else "digest"

    def _require_consistency(self) -> None:
        number = self._index._states[self._index.head]
        absent = self._database.execute(
            "SELECT logical FROM removed r WHERE NOT EXISTS"
            " (SELECT 1 FROM state s WHERE s.version = ? AND s.logical = r.logical) LIMIT 1",
            (number,),
        ).fetchone()
        if absent:
            raise KeyError(absent[0])
        stored = "(SELECT 1 FROM manifest m WHERE m.digest = {}.digest)"
        for reason, query in (
            (
                "is in the manifest already",
                f"SELECT digest FROM added WHERE EXISTS {stored.format('added')}",
            ),
            ("is added twice", "SELECT digest FROM added GROUP BY digest HAVING count(*) > 1"),
            (
                "is in neither manifest nor what is added",
                f"SELECT digest FROM changed WHERE NOT EXISTS {stored.format('changed')}"
                " AND NOT EXISTS (SELECT 1 FROM added a WHERE a.digest = changed.digest)",
            ),
        ):
            row = self._database.execute(f"{query} LIMIT 1").fetchone()
            if row:
                raise ValueError(f"the content {_shown_digest(row[0])} {reason}")

    def _drop_rows(self) -> None:
        number = self._index._states[self._index.head]
        for source in ("removed", "changed"):
            self._database.execute(
                f"INSERT OR IGNORE INTO dropped SELECT s.listed FROM {source} n"
                " CROSS JOIN state s ON s.version = ? AND s.logical = n.logical",
                (number,),
            )
        self._database.execute(  # of a path that a damaged state lists twice the last one counts
            "INSERT OR IGNORE INTO dropped SELECT s.listed FROM state s WHERE s.version = ? AND EXISTS"
            " (SELECT 1 FROM state t WHERE t.version = s.version AND t.logical = s.logical"
            " AND t.listed > s.listed)",
            (number,),
        )

    def document(self, version: str, info: VersionInfo) -> Iterator[str]:
        index = self._index
        yield from _object(
            [
                ("contentDirectory", [_quoted(index.content_directory)]),
                ("digestAlgorithm", [_quoted(index.algorithm)]),
                ("head", [_quoted(version)]),
                ("id", [_quoted(index.object_id)]),
                ("manifest", _object_of_lists(self._manifest(), 1)),
                ("type", [_quoted(INVENTORY_TYPE)]),
                ("versions", _object(self._versions(version, info), 1)),
            ],
            0,
        )
        yield "\n"

    def _versions(self, version: str, info: VersionInfo) -> Iterator[tuple[str, Iterable[str]]]:
        for name, block in self._index._blocks.items():
            yield name, _object(self._members(block), 2)
        members = [
            ("created", [_quoted(info.created)]),
            ("message", [_quoted(info.message)]),
            ("state", _object_of_lists(self._next_state(), 3)),
            ("user", [_indented({"address": info.address, "name": info.user}, 3)]),
        ]
        yield version, _object(members, 2)

    def _members(self, block: _Block) -> Iterator[tuple[str, Iterable[str]]]:
        for name, value in block.members.items():
            if value is _STATE:
                yield name, _object_of_lists(self._state(block), 3)
            else:
                yield name, [_indented(value, 3)]

    def _manifest(self) -> Iterator[_Row]:
        rows = self._rows(
            f"SELECT {self._order}, key, id, content FROM manifest"
            f" UNION ALL SELECT {self._order}, 0, 0, content FROM added ORDER BY 1, 2, 3"
        )
        return ((digest, _shown_digest(digest), content) for digest, _, _, content in rows)

    def _state(self, block: _Block) -> Iterator[_Row]:
        rows = self._rows(
            "SELECT key, written, digest, logical FROM listed WHERE id BETWEEN ? AND ? ORDER BY id",
            (block.first, block.last),
        )
        return ((key, written or _shown_digest(digest), logical) for key, written, digest, logical in rows)

    def _next_state(self) -> Iterator[_Row]:
        rows = self._rows(
            f"SELECT {self._order}, logical FROM listed WHERE id BETWEEN ? AND ? AND logical IS NOT NULL"
            f" AND id NOT IN (SELECT listed FROM dropped) UNION ALL SELECT {self._order}, logical"
            " FROM changed WHERE id = (SELECT max(id) FROM changed c WHERE c.logical = changed.logical)"
            " ORDER BY 1, 2",
            (self._head.first, self._head.last),
        )
        return ((digest, _shown_digest(digest), logical) for digest, logical in rows)


def _object(members: Iterable[tuple[str, Iterable[str]]], depth: int) -> Iterator[str]:
    """A JSON object that begins ``depth`` levels deep, as json.dumps indents it."""
    before = "{"
    for name, value in members:
        yield f"{before}\n{' ' * (depth + 1)}{_quoted(name)}: "
        yield from value
        before = ","
    yield f"\n{' ' * depth}}}" if before == "," else "{}"


def _object_of_lists(rows: Iterable[_Row], depth: int) -> Iterator[str]:
    """As ``_object``, of lists of texts."""
    key_line, text_line = "\n" + " " * (depth + 1), "\n" + " " * (depth + 2)
    list_end = f"{key_line}]"
    before, current = "{", None
    for list_id, key, text in rows:
        if text is None:
            yield f"{before}{key_line}{_quoted(key)}: []"
            before = ","
        elif list_id == current:
            yield f",{text_line}{_quoted(text)}"
        else:
            yield f"{before}{key_line}{_quoted(key)}: [{text_line}{_quoted(text)}"
            before, current = f"{list_end},", list_id
    yield "{}" if before == "{" else f"{before[:-1]}\n{' ' * depth}}}"


def _indented(value: object, depth: int) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1).replace("\n", "\n" + " " * depth)


def _encoded(texts: Iterator[str]) -> Iterator[bytes]:
    collected: list[str] = []
    size = 0
    for text in texts:
        collected.append(text)
        size += len(text)
        if size >= _PART_CHARACTERS:
            yield "".join(collected).encode()
            collected.clear()
            size = 0
    yield "".join(collected).encode()
