"""A catalogue of an earlier release is brought up to date, with its sums."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url, text

from pipeline.archive import Archive
from pipeline.ingest.run import ingest
from pipeline.preservation.rebuild import rebuild
from stele.settings import load_settings
from stele.wiring import choose_agreement
from storage.catalogue import Catalogue, Search

_AIP = "INSERT INTO aip (id, version, title, agreement, agency, external_identifier, content_digest, files, bytes, created, inventory_sha512, state) VALUES (:id, 'v1', 'T', 'default', :agency, '', '', 2, 10, :created, '', :state)"

_EVENT = "INSERT INTO event (id, aip, type, time, outcome, detail, note, store) VALUES (:id, :aip, 't', '2026', 'success', '', :note, :store)"
_HELD = '{"hold": {"aip": "urn:uuid:1", "reason": "case", "person": "C", "since": "2026"}}'


def test_from_before_the_sums(catalogue_url: str) -> None:
    """AIPs, formats and copies of then are counted; removed ones are not; nightly runs are kept."""
    url = make_url(catalogue_url)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(str(files("storage.catalogue"))) / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for number, state in ((1, "kept"), (2, "kept"), (3, "removed")):
            facts = {
                "id": f"urn:uuid:{number}",
                "agency": f"A{number}",
                "created": f"2025-0{number}-01T00:00:00Z",
                "state": state,
            }
            connection.execute(text(_AIP), facts)
            connection.execute(
                text(
                    "INSERT INTO format (aip, puid, name, files, bytes) VALUES (:id, 'fmt/1', 'F', 2, 10)"
                ),
                {"id": facts["id"]},
            )
            connection.execute(
                text(
                    "INSERT INTO copy (aip, store, version, verified) VALUES (:id, 'one', 'v1', '2026-01-01T00:00:00Z')"
                ),
                {"id": facts["id"]},
            )
        for number, note, store in ((1, _HELD, "*"), (2, "said by people", "*"), (3, "{in PREMIS}", "")):
            row = {"id": f"e{number}", "aip": "urn:uuid:1", "note": note, "store": store}
            connection.execute(text(_EVENT), row)
        connection.execute(
            text(
                "INSERT INTO night (id, owner, started, finished, report) VALUES ('n', 'o', '2026-01-01', '2026-01-02', '{}')"
            )
        )
    engine.dispose()
    catalogue = Catalogue(catalogue_url)
    catalogue.migrate()
    assert catalogue.aips.totals() == (2, 4, 20)
    assert {row.name: row.aips for row in catalogue.aips.tallies("agency")} == {"A1": 1, "A2": 1}
    assert [(f.puid, f.files, aips) for f, aips in catalogue.formats.all()] == [("fmt/1", 4, 2)]
    assert catalogue.copies.count("one") == {"verified": 2}
    assert len(catalogue.nightly_runs.latest()) == 1
    events = {row.id: (row.note, row.payload) for row in catalogue.events.of("urn:uuid:1")}
    assert events == {"e1": ("", _HELD), "e2": ("said by people", ""), "e3": ("{in PREMIS}", "")}
    catalogue.aips.set_state("urn:uuid:1", "removed")
    assert catalogue.aips.totals() == (1, 2, 10)
    catalogue.close()


def test_files_of_before_are_listed_by_a_rebuild(archive: Archive, home: Path, make_bag) -> None:
    """What the catalogue knew and did not list is found by its names afterwards; its copies stay verified."""
    aip = str(
        ingest(make_bag({"会议.txt": b"x"}), choose_agreement(load_settings(home), None), archive).aip
    )
    with archive.catalogue.database.transaction() as connection:
        for table in ("file", "search_text", "catalogued"):
            connection.execute(text(f"DELETE FROM {table}"))
    assert archive.catalogue.search.find(Search("会议"), limit=5) == []
    assert [one.problem for one in rebuild(archive)] == [""]
    assert [row.id for _, row in archive.catalogue.search.find(Search("会议"), limit=5)] == [aip]
    assert archive.catalogue.copies.count("archive") == {"verified": 1}
    assert archive.catalogue.aips.totals() == (1, 1, 1)
