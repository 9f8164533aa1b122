"""New versions of stored AIPs: only what changed is stored, every judge accepts every version."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from judging import assert_all_accept
from servers import Server, keep_probe, new_bucket, store_settings

from packages.identifiers import PackageId
from pipeline.access.export import export_aip
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.update import Change, UpdateRefused, update_aip
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.protocol import read_all

_EAD = b'<?xml version="1.0"?>\n<ead xmlns="urn:isbn:1-931666-22-9"><eadheader/></ead>\n'


def _objects(archive: Archive, aip: str) -> set[str]:
    repository = archive.repositories[0]
    return set(repository.store.list(repository.layout.object_root(aip) + "/"))


def _bag(archive: Archive, aip: str, target: Path, version: str | None = None) -> Path:
    done = export_aip(PackageId.parse(aip), archive.repositories, target, version=version)
    assert not done.problems
    return done.folder


def _materialised(archive: Archive, aip: str, target: Path) -> Path:
    """The object as files, from whatever store it is in."""
    repository = archive.repositories[0]
    root = repository.layout.object_root(aip)
    for key in repository.store.list(f"{root}/"):
        place = target / key.removeprefix(f"{root}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(read_all(repository.store, key))
    return target


@pytest.fixture(params=["files", "s3"])
def archive(request: pytest.FixtureRequest, tmp_path: Path):
    """A workspace with one store of either kind."""
    home = tmp_path / "home"
    make_workspace(home)
    if request.param == "s3":
        server = Server(request.getfixturevalue("ministack"), "AK", "SK")
        bucket = new_bucket(server)
        (home / "stele.toml").write_text(store_settings(server, bucket, name="s3"))
        keep_probe(home, "s3", request.getfixturevalue("ministack_probe"), bucket)
    built = build_archive(load_settings(home))
    yield built
    built.catalogue.close()


def test_three_versions(archive: Archive, make_bag, agreement, judges: Path, tmp_path: Path) -> None:
    """v1 the records, v2 a finding aid, v3 a second representation: each accepted, each exportable."""
    content = {
        "letter.txt": b"Dear agency",
        "scan/ä 1.tif": os.urandom(200_000),
        "copy.txt": b"Dear agency",
    }
    aip = str(ingest(make_bag(content), agreement, archive).aip)
    objid = PackageId.parse(aip).objid
    v1_objects = _objects(archive, aip)
    v1 = {
        p.relative_to(tmp_path / "v1"): p.read_bytes()
        for p in _bag(archive, aip, tmp_path / "v1").rglob("*")
        if p.is_file()
    }

    ead = tmp_path / "ead.xml"
    ead.write_bytes(_EAD)
    done = update_aip(aip, Change("described", "B. Archivist", metadata=(ead,)), archive)
    assert done.version == "v2"
    new = {key.split("/v2/")[1] for key in _objects(archive, aip) - v1_objects if "/v2/" in key}
    assert len([key for key in new if key.startswith("content/")]) == done.files
    assert not [key for key in new if "representations" in key], "the records are not stored again"

    access = tmp_path / "access"
    (access / "pdf").mkdir(parents=True)
    (access / "pdf/letter.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    (access / "letter.txt").write_bytes(b"Dear agency")
    done = update_aip(
        aip, Change("access copies", "B. Archivist", representation=access, name="rep2"), archive
    )
    assert done.version == "v3"

    bag = _bag(archive, aip, tmp_path / "v3")
    inner = bag / "data" / objid
    assert (inner / "metadata/descriptive/ead.xml").read_bytes() == _EAD
    assert (inner / "representations/rep2/data/pdf/letter.pdf").is_file()
    assert (inner / "representations/rep1/data/scan/ä 1.tif").read_bytes() == content["scan/ä 1.tif"]
    for version in ("v1", "v2", "v3"):
        folder = bag if version == "v3" else _bag(archive, aip, tmp_path / f"again-{version}", version)
        stored = _materialised(archive, aip, tmp_path / f"object-{version}")
        assert_all_accept(judges, folder, objid, stored)
    again = {
        p.relative_to(tmp_path / "again-v1"): p.read_bytes()
        for p in (tmp_path / "again-v1").rglob("*")
        if p.is_file()
    }
    assert again == v1, "an earlier version comes back as it was"
    (report,) = verify_archive(archive, None)
    assert (report.outcome, report.problems) == ("intact", ())


def test_catalogue_knows_the_versions(archive: Archive, make_bag, agreement, tmp_path: Path) -> None:
    """Versions, counts and events; and a rebuilt catalogue says the same."""
    aip = str(ingest(make_bag({"a.txt": b"a"}), agreement, archive).aip)
    ead = tmp_path / "ead.xml"
    ead.write_bytes(_EAD)
    update_aip(aip, Change("described", "B. Archivist", metadata=(ead,)), archive)
    row = archive.catalogue.aips.get(aip)
    assert row is not None
    assert (row.version, row.files) == ("v2", 1)
    assert [v.message for v in archive.catalogue.versions.of(aip)] == [
        "Ingest of sip",
        "described (B. Archivist)",
    ]
    kinds = [event.type for event in archive.catalogue.events.of(aip)]
    assert kinds.count("metadata modification") == 1
    before = (row, archive.catalogue.versions.of(aip), set(archive.catalogue.events.of(aip)))
    list(rebuild(archive))
    again = archive.catalogue
    assert (again.aips.get(aip), again.versions.of(aip), set(again.events.of(aip))) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change("", "B"), "needs a reason"),
        (Change("x", "B"), "nothing to update"),
        (Change("x", "B", metadata=(Path("bad.xml"),)), "cannot be used"),
        (Change("x", "B", metadata=(Path("notes.txt"),)), "no name for a metadata file"),
        (Change("x", "B", representation=Path("empty"), name="rep1"), "already"),
        (Change("x", "B", representation=Path("empty"), name="../x"), "no name for a representation"),
    ],
)
def test_unfit_updates_change_nothing(
    change: Change, words: str, archive: Archive, make_bag, agreement, tmp_path: Path, monkeypatch
) -> None:
    """Refused with the reason; not one object is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    aip = str(ingest(make_bag({"a.txt": b"a"}), agreement, archive).aip)
    before = _objects(archive, aip)
    with pytest.raises(UpdateRefused, match=words):
        update_aip(aip, change, archive)
    assert _objects(archive, aip) == before


_CHILD = """
import os, signal, sys
from pathlib import Path
import storage.files.store
from pipeline.preservation.update import Change, update_aip
from stele.settings import load_settings
from stele.wiring import build_archive
home, aip, left, ead = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
originals = storage.files.store.FileStore._put_one, storage.files.store.FileStore.replace

def counted(original):
    def wrapper(self, upload):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return original(self, upload)
    return wrapper

storage.files.store.FileStore._put_one = counted(originals[0])
storage.files.store.FileStore.replace = counted(originals[1])
update_aip(aip, Change("described", "B", metadata=(ead,)), build_archive(load_settings(home)))
"""


def test_killed_while_updating(tmp_path: Path, make_bag, judges: Path) -> None:
    """kill -9 before each single write: readable all the time, and the next update is whole."""
    home, ead = tmp_path / "home", tmp_path / "ead.xml"
    make_workspace(home)
    ead.write_bytes(_EAD)
    archive = build_archive(load_settings(home))
    agreement = choose_agreement(load_settings(home), None)
    aip = str(ingest(make_bag({"a.txt": b"a", "b.txt": b"b"}), agreement, archive).aip)
    repository = archive.repositories[0]
    versions = 1
    for left in range(30):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(home), aip, str(left), str(ead)],
            check=False,
            capture_output=True,
        )
        head = repository.head(aip)
        _bag(archive, aip, tmp_path / f"killed-{left}")
        if done.returncode == 0:
            versions += 1
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert head == f"v{versions}", "nothing but the last write commits"
    else:
        raise AssertionError("the update never came to its end")
    assert left > 8
    update_aip(aip, Change("again", "B", metadata=(ead,)), archive)
    (report,) = verify_archive(archive, None)
    assert (report.outcome, report.problems) == ("intact", ())
    objid = PackageId.parse(aip).objid
    stored = _materialised(archive, aip, tmp_path / "object")
    assert_all_accept(judges, _bag(archive, aip, tmp_path / "last"), objid, stored)
    archive.catalogue.close()
