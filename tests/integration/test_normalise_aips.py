"""Normalisation of stored AIPs: a preview first, then a new version with what was made and whence."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from judging import assert_all_accept, judged
from PIL import Image
from requirements import unavailable

from packages.identifiers import PackageId
from packages.premis.reader import iter_events, iter_files
from pipeline.access.dip import disseminate
from pipeline.access.export import export_aip
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.formats.normalise import CONVERTERS
from pipeline.ingest.run import ingest
from pipeline.intake.ingest_and_normalise import ingest_and_normalise
from pipeline.preservation.normalise import normalise, preview
from pipeline.preservation.rebuild import rebuild


def _gif(colour: int) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((60, 40)).point(lambda v: (v + colour) % 256).save(out, "GIF")
    return out.getvalue()


def _cut() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((60, 40)).convert("RGB").save(out, "BMP")
    return out.getvalue()[:3000]


@pytest.fixture
def kept(archive: Archive, agreement, make_bag) -> str:
    """An AIP with two pictures the policy wants as TIFF, one broken, and a text."""
    if not CONVERTERS["image-tiff"].state().usable:
        unavailable("no libvips here")
    content = {"scans/ä 1.gif": _gif(0), "scans/2.gif": _gif(7), "cut.bmp": _cut(), "a.txt": b"a"}
    result = ingest(make_bag(content), agreement, archive)
    assert result.outcome == "stored", result
    return str(result.aip)


def test_preview_first(archive: Archive, kept: str) -> None:
    """How many files and bytes, how long it would take, and a sample that nothing is kept of."""
    lines = list(preview(archive, samples=2))
    counts = {(line.puid, line.converter, line.files, line.aips, line.missing) for line in lines}
    assert counts == {("fmt/3", "image-tiff", 2, 1, ""), ("fmt/116", "image-tiff", 1, 1, "")}
    (line,) = [line for line in lines if line.puid == "fmt/3"]
    assert line.seconds is not None
    assert line.seconds > 0
    assert [sample.path for sample in line.samples if sample.compared]
    assert archive.catalogue.aips.get(kept).version == "v1"
    assert not list(archive.work.iterdir())
    print(f"\n{line}")


def test_a_new_version(archive: Archive, kept: str, judges: Path, tmp_path: Path) -> None:
    """Originals stay; each copy names its source and how it was compared; judges accept it; once only."""
    (done,) = normalise(archive, [kept], person="B. Archivist", reason="policy 2026")
    assert done.version == "v2"
    assert sorted(done.made) == ["scans/2.gif.tif", "scans/ä 1.gif.tif"]
    assert [line.split(":")[0] for line in done.failed] == ["cut.bmp"]
    package = PackageId.parse(kept)
    folder = export_aip(package, archive.repositories, tmp_path / "out").folder
    data = folder / "data" / package.objid / "representations"
    assert (data / "rep1/data/scans/ä 1.gif").read_bytes() == _gif(0)
    with Image.open(data / "preservation-1/data/scans/ä 1.gif.tif") as image:
        assert image.convert("RGB").tobytes() == Image.open(io.BytesIO(_gif(0))).convert("RGB").tobytes()
    with (data / "preservation-1/metadata/preservation/premis.xml").open("rb") as stream:
        files = {file.original: file for file in iter_files(stream)}
        stream.seek(0)
        told = [event for event in iter_events(stream) if event.type == "normalization"]
    assert files["data/scans/2.gif.tif"].source == package.child("file", "scans/2.gif")
    assert len(told) == 2
    assert all("largest pixel difference 0" in event.note for event in told)
    repository = archive.repositories[0]
    root = repository.layout.object_root(kept)
    stored = tmp_path / "object"
    for key in repository.store.list(f"{root}/"):
        place = stored / key.removeprefix(f"{root}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        with repository.store.open(key) as stream:
            place.write_bytes(stream.read())
    assert_all_accept(judges, folder, package.objid, stored)
    (report,) = verify_archive(archive, None)
    assert report.outcome == "intact", report.problems
    (again,) = normalise(archive, [kept], person="B. Archivist", reason="again")
    assert (again.version, again.made) == ("", ()), "what is made is made"
    formats, events = archive.catalogue.formats.of(kept), archive.catalogue.events.of(kept)
    assert not [one for one in rebuild(archive) if one.problem]
    assert archive.catalogue.formats.of(kept) == formats
    assert archive.catalogue.events.of(kept) == events


def test_right_after_the_ingest(archive: Archive, agreement, make_bag, tmp_path: Path) -> None:
    """Stored first, copies as the next version; without the program it is stored all the same."""
    if not CONVERTERS["image-tiff"].state().usable:
        unavailable("no libvips here")
    sip = make_bag({"1.gif": _gif(0), "cut.bmp": _cut()})
    result = ingest_and_normalise(sip, agreement, archive)
    assert (result.outcome, result.version) == ("stored", "v2")
    assert "1 preservation copies made" in result.reason
    assert "cut.bmp" in result.reason


def test_a_dip_to_read(archive: Archive, agreement, make_bag, judges: Path, tmp_path: Path) -> None:
    """Originals and copies for readers, linked; the judge of E-ARK accepts it; what failed is named."""
    if not CONVERTERS["image-jpeg"].state().usable:
        unavailable("no libvips here")
    content = {"scans/ä 1.gif": _gif(0), "cut.bmp": _cut(), "a.txt": b"a"}
    package = PackageId.parse(str(ingest(make_bag(content), agreement, archive).aip))
    made = disseminate(package, archive, tmp_path / "dip", access_copies=True)
    assert (made.files, [line.split(":")[0] for line in made.failed]) == (4, ["cut.bmp"])
    with Image.open(made.folder / "representations/access/data/scans/ä 1.gif.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (60, 40))
    page = (made.folder / "index.html").read_text("utf-8")
    assert "to read: <a" in page
    with (made.folder / "representations/access/metadata/preservation/premis.xml").open("rb") as stream:
        (file,) = iter_files(stream)
    assert file.source == package.child("file", "scans/ä 1.gif")
    said = judged(judges / "eark", "eark_judge", made.folder)
    assert said.returncode == 0, said.stdout + said.stderr
