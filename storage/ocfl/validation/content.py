"""The bytes themselves: each file read once, with every algorithm any inventory gives for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.errors import ObjectMissing, StoreUnavailable
from storage.ocfl.digests import Hasher, new_hasher
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation.folder import Folder
from storage.ocfl.validation.reading import PathsByDigest, Reading
from storage.ocfl.validation.verdict import ObjectVerdict
from storage.ocfl.validation.versions import version_number

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Claim:
    """An inventory says that a file has a digest; ``code`` is the rule if it has not."""

    algorithm: str
    digest: str
    code: str
    where: str


@dataclass(slots=True)
class Claims:
    """What inventories say of each content path; the same thing said twice is kept once."""

    by_path: dict[str, list[Claim]] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        """Take over the manifest and the fixity block of an inventory."""
        self._add(reading.manifest, reading.algorithm, "E092", reading.where)
        for algorithm, block in reading.fixity.items():
            self._add(block, algorithm, "E093", reading.where)

    def _add(self, block: PathsByDigest, algorithm: str, code: str, where: str) -> None:
        for digest, paths in block.items():
            for path in paths:
                known = self.by_path.setdefault(path, [])
                new = (algorithm, digest.lower(), code)
                if all(new != (old.algorithm, old.digest, old.code) for old in known):
                    known.append(Claim(*new, where))


def check_unlisted(folder: Folder, reading: Reading, verdict: ObjectVerdict) -> None:
    """Every file in a content folder is in the manifest (§3.3.1)."""
    if not reading.content_directory:
        return
    listed = {path for paths in reading.manifest.values() for path in paths}
    for key in sorted(folder.keys - listed):
        version, _, rest = key.partition("/")
        if version_number(version) and rest.startswith(f"{reading.content_directory}/"):
            verdict.report("E023", f"is not in the manifest of {INVENTORY}", at=key)


def check_content(folder: Folder, claims: Claims, algorithm: str, verdict: ObjectVerdict) -> None:
    """Read every file an inventory names and compare (§3.5.2, §3.5.4).

    ``algorithm`` is that of the root inventory: its digests go into ``verdict.contents``.
    """
    for path, claimed in sorted(claims.by_path.items()):
        if path not in folder.keys:
            for code in sorted({claim.code for claim in claimed}):
                verdict.report(code, "is missing", at=path)
            continue
        _check_file(folder, path, claimed, algorithm, verdict)


def _check_file(
    folder: Folder, path: str, claimed: list[Claim], algorithm: str, verdict: ObjectVerdict
) -> None:
    wanted = {claim.algorithm for claim in claimed} | {algorithm}
    hashers = {name: hasher for name in wanted if (hasher := new_hasher(name)) is not None}
    try:
        size = _read(folder, path, hashers)
    except ObjectMissing:  # it went away while we looked
        verdict.report("E092", "is missing", at=path)
        return
    except StoreUnavailable as error:
        verdict.cannot_read(error.reason, at=path)
        return
    found = {name: hasher.hexdigest() for name, hasher in hashers.items()}
    if algorithm in found:
        verdict.contents[path] = (size, found[algorithm])
    for claim in claimed:
        if found.get(claim.algorithm, claim.digest) != claim.digest:
            text = f"has changed: {claim.algorithm} is {found[claim.algorithm]}, "
            where = f"{claim.where}{INVENTORY}"
            verdict.report(claim.code, f"{text}{where} says {claim.digest}", at=path)


def _read(folder: Folder, path: str, hashers: dict[str, Hasher]) -> int:
    size = 0
    with folder.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            for hasher in hashers.values():
                hasher.update(chunk)
            size += len(chunk)
    return size
