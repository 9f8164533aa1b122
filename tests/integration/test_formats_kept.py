"""Formats of what is kept: reported, identified again, corrected by a person; all of it survives a rebuild."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.formats.identification import Identifier
from pipeline.formats.report import format_report
from pipeline.ingest.run import ingest
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.reidentify import OverrideRefused, override_format, reidentify
from stele.settings import load_settings
from stele.wiring import build_archive

_OWN = (
    '[[format]]\nid = "local/register"\nname = "Parish register"\nafter = ["UNKNOWN"]\nmagic = "REGISTER"\n'
)


@pytest.fixture
def kept(archive: Archive, agreement, make_bag) -> str:
    """An AIP with a text, two files nobody knows and a damaged PDF."""
    content = {
        "letter.txt": b"Dear agency",
        "a.reg": b"REGISTER\x00\x01\x02\xff" * 9,
        "b.reg": b"OTHER\x00\x01\x02\xff" * 9,
        "cut.pdf": b"%PDF-1.4\n1 0 obj\n<<",
    }
    return str(ingest(make_bag(content), agreement, archive).aip)


def _lines(archive: Archive) -> dict[str, tuple[int, int, str]]:
    lines = format_report(archive.catalogue, archive.tools.policy)
    return {line.puid: (line.files, line.not_valid, line.risk) for line in lines}


def test_the_report(archive: Archive, kept: str) -> None:
    """Counts over the whole archive; the PDF that was cut short is unknown to PRONOM, and not valid."""
    assert _lines(archive) == {"unknown": (3, 1, "high"), "x-fmt/111": (1, 0, "low")}


def test_new_signatures(archive: Archive, kept: str, home: Path, tmp_path: Path) -> None:
    """What a new signature knows becomes an event; the AIP does not change; a rebuild knows it too."""
    before = archive.catalogue.aips.get(kept)
    (tmp_path / "signatures").mkdir()
    (tmp_path / "signatures/own.toml").write_text(_OWN)
    identifier = Identifier(1, [tmp_path / "signatures"])
    newer = replace(archive, tools=replace(archive.tools, identifier=identifier))
    (only,) = reidentify(newer, [kept])
    assert (only[1].path, only[1].before, only[1].puid) == ("a.reg", "unknown", "local/register")
    assert list(reidentify(newer, [kept])) == [], "it is known by now"
    identifier.close()
    assert _lines(archive)["local/register"] == (1, 0, "medium")
    assert _lines(archive)["unknown"] == (2, 1, "high")
    assert archive.catalogue.aips.get(kept) == before
    (report,) = verify_archive(archive, None)
    assert report.outcome == "intact"
    lines, formats = _lines(archive), archive.catalogue.formats.of(kept)
    archive.catalogue.close()
    (home / "catalogue.sqlite").unlink()
    again = build_archive(load_settings(home))
    list(rebuild(again))
    assert _lines(again) == lines
    assert sorted(again.catalogue.formats.of(kept), key=str) == sorted(formats, key=str)
    again.catalogue.close()


def test_a_person_knows_better(archive: Archive, kept: str) -> None:
    """Who, what and why are in the event; nonsense is refused."""
    done = override_format(archive, kept, "b.reg", "fmt/40", person="B. Clerk", reason="opened it")
    assert (done.before, done.puid) == ("unknown", "fmt/40")
    told = [event for event in archive.catalogue.events.of(kept) if "B. Clerk" in event.detail]
    assert [event.type for event in told] == ["format identification"]
    assert "opened it" in told[0].detail
    assert _lines(archive)["fmt/40"][0] == 1
    for path, puid, person in [("no.reg", "fmt/40", "B"), ("b.reg", "word", "B"), ("b.reg", "fmt/1", " ")]:
        with pytest.raises(OverrideRefused):
            override_format(archive, kept, path, puid, person=person, reason="x")
