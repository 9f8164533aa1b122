"""The main job on real records: ten series in, ten AIPs judged by foreign tools, everything out."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import bagit
import pytest
from judging import judged

from packages.identifiers import PackageId
from pipeline.access.dip import disseminate
from pipeline.access.export import export_aip
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace

_JUDGES = Path(__file__).parent.parent / "judges"


class Kept:
    """The ten series after their ingest."""

    def __init__(self, folder: Path, corpora: Path) -> None:
        self.home = folder / "home"
        make_workspace(self.home)
        settings = load_settings(self.home)
        self.archive: Archive = build_archive(settings)
        self.agreement = choose_agreement(settings, None)
        self.sips, self.aips = [], {}
        for series in sorted((corpora / "records-sample" / "objects").iterdir()):
            sip = folder / "sips" / series.name
            shutil.copytree(series, sip)
            bagit.make_bag(str(sip), {"External-Identifier": series.name}, checksums=["sha512"])
            result = ingest(sip, self.agreement, self.archive)
            assert result.outcome == "stored", (series.name, result.reason, result.problems)
            self.sips.append(sip)
            self.aips[series.name] = PackageId.parse(str(result.aip))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, corpora: Path) -> Iterator[Kept]:
    """Ingested once for all tests here."""
    made = Kept(tmp_path_factory.mktemp("records"), corpora)
    yield made
    made.archive.catalogue.close()


def _expected(corpora: Path) -> dict[str, set[str]]:
    """SHA-256 of every file, by series."""
    series: dict[str, set[str]] = {}
    with (corpora / "records-sample" / "PROVENANCE.tsv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            series.setdefault(row["path"].split("/")[1], set()).add(row["sha256"])
    return series


def _sha256(folder: Path) -> set[str]:
    return {hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def test_everything_comes_back(kept: Kept, corpora: Path, tmp_path: Path) -> None:
    """Every SHA-256 of PROVENANCE.tsv is in the export and in the DIP of its series."""
    expected = _expected(corpora)
    total = 0
    for series, package in kept.aips.items():
        bag = export_aip(package, kept.archive.repositories, tmp_path / "out").folder
        dip = disseminate(package, kept.archive, tmp_path / "dip").folder
        content = "representations/rep1/data"
        assert _sha256(bag / "data" / package.objid / content) == expected[series]
        assert _sha256(dip / content) == expected[series]
        total += sum(1 for p in (dip / content).rglob("*") if p.is_file())
    assert total == 430


def test_every_file_has_a_format_or_an_explicit_unknown(kept: Kept) -> None:
    """The formats of each AIP add up to its files."""
    total = 0
    for package in kept.aips.values():
        row = kept.archive.catalogue.aips.get(package.urn)
        assert row is not None
        counts = kept.archive.catalogue.formats.of(package.urn)
        assert sum(count.files for count in counts) == row.files
        assert all(count.puid for count in counts)
        total += row.files
    assert total == 430


def test_again_is_a_duplicate(kept: Kept) -> None:
    """The same SIPs again: duplicate, and not one new object in storage."""
    store = kept.archive.repositories[0].store
    before = list(store.list(""))
    for sip in kept.sips:
        assert ingest(sip, kept.agreement, kept.archive).outcome == "duplicate"
    assert list(store.list("")) == before


def test_our_own_verdict(kept: Kept) -> None:
    """``store verify`` finds all ten intact, without even a warning."""
    reports = list(verify_archive(kept.archive, None))
    assert len(reports) == 10
    assert all(report.outcome == "intact" and not report.problems for report in reports)


def test_foreign_judges(kept: Kept, judges: Path, tmp_path: Path) -> None:
    """bagit.py, eark-validator, the schemas, metsrw and ocfl-py accept every AIP and DIP."""
    for package in kept.aips.values():
        bag = export_aip(package, kept.archive.repositories, tmp_path / "out").folder
        inner = bag / "data" / package.objid
        dip = disseminate(package, kept.archive, tmp_path / "dip").folder
        repository = kept.archive.repositories[0]
        stored = kept.home / "store" / repository.layout.object_root(package.urn)
        for environment, script, subject in (
            ("readers", "bagit_judge", bag),
            ("eark", "eark_judge", inner),
            ("schemas", "schema_judge", inner),
            ("readers", "metsrw_judge", inner),
            ("ocfl", "ocfl_judge", stored),
            ("eark", "eark_judge", dip),
            ("schemas", "schema_judge", dip),
        ):
            done = judged(judges / environment, script, subject)
            assert done.returncode == 0, f"{script} on {subject}: {done.stdout}{done.stderr}"


def test_judges_can_say_no(kept: Kept, judges: Path, tmp_path: Path) -> None:
    """Each judge refuses a damaged copy: a harness that cannot fail proves nothing."""
    package = next(iter(kept.aips.values()))
    repository = kept.archive.repositories[0]
    stored = tmp_path / "object"
    shutil.copytree(kept.home / "store" / repository.layout.object_root(package.urn), stored)
    (stored / "v1" / "content" / "stray").write_text("x")
    bag = export_aip(package, kept.archive.repositories, tmp_path / "out").folder
    inner = bag / "data" / package.objid
    mets = inner / "METS.xml"
    mets.write_text(mets.read_text("utf-8").replace(' ID="fsec"', "").replace("CSIP", "CSIPX", 1), "utf-8")
    premis = inner / "metadata/preservation/premis.xml"
    premis.write_text(premis.read_text("utf-8").replace("eventDateTime", "eventTime"), "utf-8")
    for environment, script, subject in (
        ("readers", "bagit_judge", bag),
        ("eark", "eark_judge", inner),
        ("schemas", "schema_judge", inner),
        ("readers", "metsrw_judge", inner),
        ("ocfl", "ocfl_judge", stored),
    ):
        done = judged(judges / environment, script, subject)
        assert done.returncode != 0, f"{script} accepts damage: {done.stdout}"


def test_receipts_are_json_too(kept: Kept) -> None:
    """Each receipt exists for machines as well, with the contract's keys."""
    receipts = sorted((kept.home / "receipts").glob("*-stored.json"))
    assert len(receipts) == 10
    for receipt in receipts:
        record = json.loads(receipt.read_text("utf-8"))
        assert {"subject", "outcome", "aip", "version", "files", "bytes", "problems"} <= set(record)
