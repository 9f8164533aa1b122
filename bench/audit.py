"""The audit's speed: large objects against SHA-512, many small ones, and planning over a million rows.

    python bench/audit.py --large 4GiB --small 20000 --rows 1000000

Large and small AIPs are ingested into a folder store below ``--work`` and audited; ``sha512sum``
over the same stored files runs beside it. Rows are synthetic and only planned.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench_bags import make_bag, parse_size
from sqlalchemy import insert

from packages.package_file import timestamp
from pipeline.archive import Archive
from pipeline.ingest.run import ingest
from pipeline.preservation.audit import AuditBudget, audit, plan
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.catalogue.tables import AIP, COPY


def budget(days: float, home: Path) -> AuditBudget:
    """No limit but the term."""
    return AuditBudget(
        timedelta(days=days), 1 << 60, 1 << 40, 1e9, repair=False, quarantine=home / "damaged"
    )


def audited(archive: Archive, home: Path, title: str) -> None:
    """Audit everything and print the rate beside sha512sum's over the same files."""
    began = time.perf_counter()
    results = list(audit(archive, budget(0, home)))
    seconds = time.perf_counter() - began
    assert all(result.state == "verified" for result in results), results
    objects, size = sum(r.seen.objects for r in results), sum(r.seen.bytes for r in results)
    files = [str(path) for path in (home / "store").rglob("*") if path.is_file()]
    began = time.perf_counter()
    for start in range(0, len(files), 1000):
        subprocess.run(["sha512sum", *files[start : start + 1000]], stdout=subprocess.DEVNULL, check=True)
    peer = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    mib = size / (1 << 20)
    print(
        f"{title}: {objects} objects, {mib:.0f} MiB, {seconds:.2f} s = {objects / seconds:.0f} objects/s, "
        f"{mib / seconds:.0f} MiB/s; sha512sum {peer:.2f} s = {mib / peer:.0f} MiB/s; "
        f"ratio {peer / seconds:.2f}; peak {peak:.0f} MiB"
    )


def synthetic(archive: Archive, rows: int) -> None:
    """A catalogue of ``rows`` AIPs, verified over the last 90 days; a nightly run planned over them."""
    now = datetime.now(UTC)

    def batches() -> Iterator[list[int]]:
        for start in range(0, rows, 20_000):
            yield list(range(start, min(start + 20_000, rows)))

    with archive.catalogue.database.engine.begin() as connection:
        for batch in batches():
            ids = {n: f"urn:uuid:{n:08x}-0000-4000-8000-000000000000" for n in batch}
            connection.execute(
                insert(AIP),
                [
                    {
                        "id": ids[n], "version": "v1", "title": f"AIP {n}", "agreement": "default",
                        "agency": f"agency {n % 138}", "external_identifier": "", "content_digest": "",
                        "files": 9, "bytes": 10_000_000, "created": timestamp(now), "inventory_sha512": "0",
                    }
                    for n in batch
                ],
            )  # fmt: skip
            verified = {n: timestamp(now - timedelta(seconds=(n * 7919) % 7_776_000)) for n in batch}
            connection.execute(
                insert(COPY),
                [
                    {"aip": ids[n], "store": "archive", "version": "v1", "verified": verified[n],
                     "looked": verified[n], "state": "verified", "detail": ""}
                    for n in batch
                ],
            )  # fmt: skip
    began = time.perf_counter()
    tonight = plan(archive, budget(90, Path()))
    print(f"plan: {len(tonight)} of {rows} copies chosen in {time.perf_counter() - began:.2f} s")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--large", default="1GiB", help="size of the one large file")
    parser.add_argument("--small", type=int, default=5000, help="number of 4 KiB files")
    parser.add_argument("--rows", type=int, default=1_000_000, help="synthetic AIPs to plan over")
    parser.add_argument("--work", type=Path, default=Path("bench/work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for title, files, size in (
        ("large", 1, parse_size(options.large)),
        ("small", options.small, 4096),
        ("plan", 0, 0),
    ):
        with tempfile.TemporaryDirectory(dir=options.work.resolve()) as folder:
            home = Path(folder, "home")
            make_workspace(home)
            settings = load_settings(home)
            archive = build_archive(settings)
            if title == "plan":
                synthetic(archive, options.rows)
            else:
                make_bag(Path(folder, "sip"), files, size)
                result = ingest(Path(folder, "sip"), choose_agreement(settings, None), archive)
                assert result.outcome == "stored", result.reason
                shutil.rmtree(Path(folder, "sip"))
                os.sync()
                time.sleep(1.1)  # so that “verified before now” holds
                audited(archive, home, title)
            archive.catalogue.close()


if __name__ == "__main__":
    main()
