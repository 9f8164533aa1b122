"""Which entries of a submission may be unpacked. All findings at once."""

from __future__ import annotations

from collections.abc import Iterator

from packages import paths
from packages.problem import Problem, Severity
from packages.problem_catalogue import problem
from pipeline.agreement import Limits
from pipeline.receive.sources import Entry, EntryKind

_RATIO_FROM = 1 << 20  # small files may compress as well as they like


def check_entries(
    entries: list[Entry], limits: Limits, packed_size: int | None = None
) -> Iterator[Problem]:
    """Every reason not to unpack, and everything to be told about."""
    yield from _limits(entries, limits, packed_size)
    kinds: dict[str, EntryKind] = {}
    folded: dict[str, str] = {}
    for entry in entries:
        path = paths.normalise(entry.path)
        shown = paths.printable(entry.path)
        reason = paths.escape_reason(entry.path)
        if reason:
            yield problem("PATH-ESCAPE", shown, found=reason)
        elif not path:
            if entry.kind is not EntryKind.FOLDER:
                yield problem("PATH-ESCAPE", shown, found="the name stands for the folder itself")
            continue
        yield from _kind(entry, shown)
        if entry.guessed:
            yield problem("PATH-ENCODING-GUESSED", shown, expected=entry.guessed, found=entry.raw)
        if entry.kind is EntryKind.FOLDER:
            if kinds.get(path) is EntryKind.FILE:
                yield problem("PATH-FILE-AND-FOLDER", shown)
            kinds.setdefault(path, EntryKind.FOLDER)
            continue
        if path in kinds:
            code = "PATH-DUPLICATE"
            if kinds[path] is EntryKind.FOLDER:
                code = "PATH-FILE-AND-FOLDER"
            yield problem(code, shown)
        kinds[path] = EntryKind.FILE
        key = paths.collision_key(path)
        if folded.setdefault(key, path) != path:
            yield problem("PATH-COLLISION", shown, found=paths.printable(folded[key]))
        unportable = paths.unportable_reason(path)
        if unportable and not reason:
            yield problem("PATH-UNPORTABLE", shown, found=unportable)
    yield from _under_a_file(kinds)


def _under_a_file(kinds: dict[str, EntryKind]) -> Iterator[Problem]:
    """A file whose parent is a file: ``a`` and ``a/b`` cannot both be unpacked."""
    files = {path for path, kind in kinds.items() if kind is EntryKind.FILE}
    seen: set[str] = set()
    for path in kinds:
        parent = path.rpartition("/")[0]
        while parent and parent not in seen:
            seen.add(parent)
            if parent in files:
                yield problem("PATH-FILE-AND-FOLDER", paths.printable(parent))
            parent = parent.rpartition("/")[0]


def _kind(entry: Entry, shown: str) -> Iterator[Problem]:
    if entry.kind is EntryKind.LINK:
        yield problem("PATH-LINK", shown, found=paths.printable(entry.target) or "a symbolic link")
    elif entry.kind is EntryKind.DEVICE:
        yield problem("PATH-DEVICE", shown, found="a device, pipe or socket")
    elif entry.encrypted:
        yield problem("ARC-ENCRYPTED", shown, found=f"entry {shown}")


def _limits(entries: list[Entry], limits: Limits, packed_size: int | None) -> Iterator[Problem]:
    files = [entry for entry in entries if entry.kind is EntryKind.FILE]
    total = sum(entry.size for entry in files)
    if len(files) > limits.max_files:
        yield problem("ARC-BOMB", expected=f"{limits.max_files} files", found=f"{len(files)} files")
    if total > limits.max_bytes:
        yield problem("ARC-BOMB", expected=f"{limits.max_bytes} bytes", found=f"{total} bytes")
    if packed_size is not None and total >= _RATIO_FROM and total > limits.max_ratio * packed_size:
        yield problem(
            "ARC-BOMB",
            expected=f"{limits.max_ratio:g} to 1",
            found=f"the whole archive expands {total / max(packed_size, 1):.0f} to 1",
        )
    for entry in files:
        ratio = expansion(entry)
        if ratio > limits.max_ratio:
            yield problem(
                "ARC-BOMB",
                paths.printable(entry.path),
                expected=f"{limits.max_ratio:g} to 1",
                found=f"{paths.printable(entry.path)} expands {ratio:.0f} to 1",
            )


def expansion(entry: Entry) -> float:
    """How many times larger an entry becomes when unpacked; 1 for small ones."""
    return entry.size / max(entry.packed, 1) if entry.size >= _RATIO_FROM else 1.0


def blocking(problems: list[Problem]) -> bool:
    """Whether nothing of the submission may be written to disk."""
    return any(p.severity is Severity.ERROR and p.code.startswith(("PATH-", "ARC-")) for p in problems)
