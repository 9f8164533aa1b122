"""The ``extensions`` folder of an object (§3.9) or a storage root (§4.4)."""

from __future__ import annotations

from storage.ocfl.validation.folder import Folder
from storage.ocfl.validation.verdict import Verdict

REGISTERED = frozenset({
    "0001-digest-algorithms",
    "0002-flat-direct-storage-layout",
    "0003-hash-and-id-n-tuple-storage-layout",
    "0004-hashed-n-tuple-storage-layout",
    "0005-mutable-head",
    "0006-flat-omit-prefix-storage-layout",
    "0007-n-tuple-omit-prefix-storage-layout",
    "0008-schema-registry",
    "0009-digest-algorithms",
    "0010-differential-n-tuple-omit-prefix-storage-layout",
    "0011-direct-clean-path-layout",
    "0012-hash-and-no-prefix-id-n-tuple-storage-layout",
    "initial",
})  # fmt: skip
"""The names in the register of the OCFL community."""


def check_extensions(folder: Folder, verdict: Verdict, *, file_code: str, name_code: str) -> None:
    """Only folders in it, each with a registered name."""
    names = set()
    for key in sorted(folder.keys | folder.empty):
        top, _, rest = key.partition("/")
        if top != "extensions" or not rest:
            continue
        if "/" in rest or key in folder.empty:
            names.add(rest.partition("/")[0])
        else:
            verdict.report(file_code, "a file among the extension folders", at=key)
    for name in sorted(names - REGISTERED):
        verdict.report(name_code, "not the name of a registered extension", at=f"extensions/{name}")
