"""The digest file beside every inventory (§3.6)."""

from __future__ import annotations

import re

from storage.errors import ObjectMissing
from storage.ocfl.digests import new_hasher
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation.folder import Folder
from storage.ocfl.validation.verdict import Verdict

_LINE = re.compile(rb"([0-9a-fA-F]+)[ \t]+inventory\.json\s*")
_NAME = re.compile(r"inventory\.json\.([^/.]+)")


def check_sidecar(folder: Folder, where: str, raw: bytes, algorithm: str, verdict: Verdict) -> None:
    """``inventory.json.ALGORITHM`` is there, of the inventory's own algorithm, and right.

    ``algorithm`` is empty where the inventory does not say; then any sidecar is tried.
    """
    found = [m.group(1) for m in map(_NAME.fullmatch, folder.files_in(where)) if m]
    wanted = [algorithm] if algorithm in found else [] if algorithm else found
    if not wanted:
        # Said only where none is right: one too many is an unexpected file, and reported as that.
        for other in found:
            verdict.report("E059", f"the inventory says {algorithm}", at=f"{where}{INVENTORY}.{other}")
        verdict.report("E058", f"no digest file {INVENTORY}.{algorithm or 'sha512'}", at=where)
    for name in wanted:
        _check_line(folder, f"{where}{INVENTORY}.{name}", raw, name, verdict)


def _check_line(folder: Folder, key: str, raw: bytes, algorithm: str, verdict: Verdict) -> None:
    try:
        line = folder.read(key, limit=4096)
    except ObjectMissing:
        line = b""
    match = _LINE.fullmatch(line)
    if match is None:
        verdict.report("E061", "is not “DIGEST inventory.json”", at=key)
        return
    hasher = new_hasher(algorithm)
    if hasher is None:
        return
    hasher.update(raw)
    if hasher.hexdigest() != match.group(1).decode("ascii").lower():
        verdict.report("E060", "does not match the inventory beside it", at=key)
