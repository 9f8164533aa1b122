"""The nineteen ways to break an AIP: at rest (A), and by a faulty producer (P). All must be caught."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from packages.identifiers import PackageId
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.checking.stores import verify_object
from pipeline.ingest.run import ingest
from storage.files.store import FileStore

_REP = "representations/rep1"


class Copy:
    """A copy of a stored object that can be damaged."""

    def __init__(self, folder: Path, package: PackageId) -> None:
        self.folder = folder
        self.content = folder / "v1" / "content"
        self.inner = self.content / "data" / package.objid
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def edit(self, path: str, old: str, new: str, *, count: int = 1) -> None:
        """Replace text in a metadata file of the package; it must be there."""
        (target,) = self.inner.glob(path)
        text = target.read_text("utf-8")
        assert re.search(old, text), f"{old} is not in {path}"
        target.write_text(re.sub(old, new, text, count=count), "utf-8")

    def reseal(self) -> None:
        """Recompute bag and OCFL digests, as a producer that made the mistake would have."""
        manifest = self.content / "manifest-sha512.txt"
        lines = []
        for line in manifest.read_text("utf-8").splitlines():
            path = line.partition("  ")[2]
            lines.append(f"{_sha(self._stored(path))}  {path}\n")
        manifest.write_text("".join(lines), "utf-8")
        self.reseal_tags()

    def reseal_tags(self) -> None:
        """Tag manifest and OCFL inventory for what is on disk now."""
        tags = self.content / "tagmanifest-sha512.txt"
        names = [line.partition("  ")[2] for line in tags.read_text("utf-8").splitlines()]
        tags.write_text("".join(f"{_sha(self.content / n)}  {n}\n" for n in names), "utf-8")
        inventory = json.loads((self.folder / "inventory.json").read_text("utf-8"))
        old = inventory["manifest"]
        where = {logical: d for d, ps in inventory["versions"]["v1"]["state"].items() for logical in ps}
        state: dict[str, list[str]] = {}
        manifest: dict[str, list[str]] = {}
        for logical, digest in where.items():
            path = old[digest][0]
            if not (self.folder / path).exists():
                continue
            new = _sha(self.folder / path)
            manifest.setdefault(new, [path])
            state.setdefault(new, []).append(logical)
        inventory["manifest"], inventory["versions"]["v1"]["state"] = manifest, state
        for extra in self.content.rglob("*"):
            relative = extra.relative_to(self.folder).as_posix()
            if extra.is_file() and [relative] not in manifest.values():
                digest = _sha(extra)
                manifest.setdefault(digest, [relative])
                state.setdefault(digest, []).append(relative.removeprefix("v1/content/"))
        self.write_inventory(inventory)

    def _stored(self, logical: str) -> Path:
        inventory = json.loads((self.folder / "inventory.json").read_text("utf-8"))
        for digest, paths in inventory["versions"]["v1"]["state"].items():
            if logical in paths:
                return self.folder / inventory["manifest"][digest][0]
        return self.content / logical

    def write_inventory(self, inventory: dict[str, object]) -> None:
        """Both inventories and both sidecars."""
        raw = json.dumps(inventory).encode()
        for folder in (self.folder, self.folder / "v1"):
            (folder / "inventory.json").write_bytes(raw)
            digest = hashlib.sha512(raw).hexdigest()
            (folder / "inventory.json.sha512").write_text(f"{digest} inventory.json\n")


def _sha(path: Path) -> str:
    return hashlib.sha512(path.read_bytes()).hexdigest()


def _payload(copy: Copy) -> Path:
    return copy.inner / _REP / "data" / "letter.txt"


def _flip(copy: Copy) -> None:
    data = bytearray(_payload(copy).read_bytes())
    data[0] ^= 1
    _payload(copy).write_bytes(bytes(data))


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def _edit_inventory(copy: Copy) -> None:
    path = copy.folder / "inventory.json"
    path.write_text(path.read_text("utf-8").replace("Ingest of", "Ingest  of"), "utf-8")


def _drop_state(copy: Copy) -> None:
    inventory = json.loads((copy.folder / "inventory.json").read_text("utf-8"))
    state = inventory["versions"]["v1"]["state"]
    digest = next(d for d, paths in state.items() if paths[0].endswith("letter.txt"))
    del state[digest]
    copy.write_inventory(inventory)


def _unlisted(copy: Copy) -> None:
    stray = copy.inner / _REP / "data" / "unmentioned.txt"
    stray.write_text("nobody mentions me")
    manifest = copy.content / "manifest-sha512.txt"
    line = f"{_sha(stray)}  {stray.relative_to(copy.content).as_posix()}\n"
    manifest.write_text(manifest.read_text("utf-8") + line, "utf-8")
    copy.reseal_tags()


def _omit(copy: Copy) -> None:
    manifest = copy.content / "manifest-sha512.txt"
    lines = [x for x in manifest.read_text("utf-8").splitlines(True) if "letter.txt" not in x]
    manifest.write_text("".join(lines), "utf-8")
    copy.reseal_tags()


def _edited(path: str, old: str, new: str) -> Callable[[Copy], None]:
    def damage(copy: Copy) -> None:
        copy.edit(path, old, new)
        copy.reseal()

    return damage


_DAMAGES: dict[str, tuple[Callable[[Copy], None], str]] = {
    "A1 one bit of a content file": (_flip, "E092"),
    "A2 content file deleted": (lambda c: _payload(c).unlink(), "E092"),
    "A3 stray file in the payload": (
        lambda c: (c.inner / _REP / "data" / "stray").write_text("x") and None, "E023"),
    "A4 bag-info.txt edited": (lambda c: _append(c.content / "bag-info.txt"), "E092"),
    "A5 root METS edited": (lambda c: _append(c.inner / "METS.xml"), "E092"),
    "A6 inventory edited": (_edit_inventory, "E060"),
    "A7 state entry removed": (_drop_state, "E107"),
    "P1 METS without OBJID": (_edited("METS.xml", r' OBJID="[^"]*"', ""), "CSIP1"),
    "P2 no OAISPACKAGETYPE": (_edited("METS.xml", r' csip:OAISPACKAGETYPE="AIP"', ""), "CSIP9"),
    "P3 structMap LABEL wrong": (_edited("METS.xml", 'LABEL="CSIP"', 'LABEL="CISP"'), "CSIP82"),
    "P4 METS not schema-valid": (_edited("METS.xml", "<mets:fileSec ", "<mets:bogus/><mets:fileSec "),
                                 "METS-SCHEMA"),
    "P5 wrong CHECKSUM": (_edited(f"{_REP}/METS.xml", 'CHECKSUM="[0-9a-f]{128}"', f'CHECKSUM="{"0" * 128}"'),
                          "METS-DIGEST"),
    "P6 wrong SIZE": (_edited("METS.xml", r'SIZE="\d+"', 'SIZE="1"'), "METS-SIZE"),
    "P7 FLocat to a missing file": (_edited(f"{_REP}/METS.xml", "data/letter.txt", "data/lettre.txt"),
                                    "METS-FILE-MISSING"),
    "P8 event without time": (
        _edited("metadata/preservation/premis.xml",
                "<premis:eventDateTime>[^<]*</premis:eventDateTime>", ""), "PREMIS-SCHEMA"),
    "P9 representation METS is no XML": (_edited(f"{_REP}/METS.xml", "</mets:mets>", ""), "XML-NOT-WELL-FORMED"),
    "P10 file no METS mentions": (_unlisted, "METS-FILE-UNLISTED"),
    "P11 manifest omits a file": (_omit, "BAG-FILE-UNLISTED"),
    "P12 dangling FILEID in the sidecar": (
        _edited("metadata/preservation/METS.*.xml", r'FILEID="file-[^"]*"', 'FILEID="file-none"'),
        "METS-IDREF"),
}  # fmt: skip


@pytest.fixture
def copy(archive: Archive, agreement: Agreement, home: Path, make_bag, tmp_path: Path) -> Copy:
    """A fresh copy of a small stored AIP."""
    sip = make_bag({"letter.txt": b"Dear office,\n", "plan.svg": b"<svg/>", "sub/note.txt": b"note"})
    result = ingest(sip, agreement, archive)
    package = PackageId.parse(str(result.aip))
    root = archive.repositories[0].layout.object_root(package.urn)
    target = tmp_path / "damaged"
    shutil.copytree(home / "store" / root, target)
    return Copy(target, package)


def test_the_undamaged_copy_is_intact(copy: Copy) -> None:
    """Without damage, and resealed by the same means, nothing is reported."""
    copy.reseal()
    report = verify_object(FileStore(copy.folder, "copy"), "")
    assert (report.outcome, report.problems) == ("intact", ())


@pytest.mark.parametrize("name", _DAMAGES)
def test_damage_is_caught(copy: Copy, name: str) -> None:
    """The damage is reported under its own code."""
    damage, code = _DAMAGES[name]
    damage(copy)
    report = verify_object(FileStore(copy.folder, "copy"), "")
    assert report.outcome in ("damaged", "invalid")
    assert code in {problem.code for problem in report.problems}, report.problems
