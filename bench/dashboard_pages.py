"""The dashboard over a large catalogue: how long each page takes.

Usage: python bench/dashboard_pages.py [--aips 1000000] [--files 20] [--url postgresql://…] [--keep FOLDER]

The catalogue is made up: titles, agencies, formats, copies, events and file names as an archive of
138 agencies has them. Nothing beside it does the same job, so there is no peer; the goal is 300 ms.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.testclient import TestClient

from dashboard import Sources, Space, StoreFacts, create_app
from pipeline.formats.policy import load_policy
from storage.catalogue import Catalogue
from storage.catalogue.words import facet, index_words

_FORMATS = (
    "fmt/95",
    "fmt/354",
    "fmt/40",
    "fmt/412",
    "x-fmt/111",
    "fmt/43",
    "fmt/353",
    "fmt/101",
    "unknown",
)
_WORDS = (
    *("minutes", "letter", "permit", "parcel", "map", "survey", "council", "budget", "harbour", "school"),
    *("road", "bridge", "water", "forest", "tax", "会议", "记录", "土地", "许可", "档案", "预算", "道路"),
    *("学校", "医院", "规划"),
)
_COLUMNS = {
    "aip": "id version title agreement agency external_identifier content_digest files bytes created "
    "inventory_sha512 state retain_until",
    "catalogued": "number aip",
    "version": "aip version created message inventory_sha512",
    "copy": "aip store version verified state detail looked",
    "format": "aip puid name files bytes not_valid mime pages seconds",
    "event": "id aip type time outcome detail note store journaled",
    "ingest": "id subject agreement outcome aip owner attempts started finished report agency run",
    "search_text": "number words",
    "file": "number position path size puid sha512 digest_key",
}
_INDEXES = {
    "ix_file_digest": "file (digest_key)", "ix_event_aip": "event (aip)",
    "ix_copy_due": "copy (store, looked)", "ix_copy_state": "copy (store, state, aip)",
    "ix_aip_agency": "aip (agency)", "ix_search_text_number": "search_text (number)",
    "ix_ingest_aip": "ingest (aip)", "ix_ingest_agency": "ingest (agency, started)",
    "ix_ingest_started": "ingest (started)", "ix_ingest_outcome": "ingest (outcome, started)",
}  # fmt: skip


def rows_of(number: int, files: int, chance: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Everything about one made-up AIP: (table, row)."""
    aip = f"urn:uuid:{uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128))}"
    agency = f"Agency {number % 138:03}"
    month = f"{2012 + number * 14 // 1_000_000 if number < 1_000_000 else 2026}-{1 + number % 12:02}"
    created = f"{month}-{1 + number % 28:02}T{number % 24:02}:00:00Z"
    title = f"{chance.choice(_WORDS)} {chance.choice(_WORDS)} {number}"
    size = chance.randrange(1 << 14, 1 << 24)
    yield "aip", (
        aip, "v1", title, "default", agency, f"EXT-{number}", "0" * 128, files, size, created, "0" * 128,
        "kept", "",
    )  # fmt: skip
    yield "catalogued", (number, aip)
    yield "version", (aip, "v1", created, "Ingest", "0" * 128)
    day = f"2026-{9 + number % 3:02}-{1 + number % 24:02}T00:00:00Z"
    for store in ("one", "two"):
        bad = number % 100_000 == 7 and store == "two"
        yield "copy", (aip, store, "v1", day, "damaged" if bad else "verified", "", day)
    puids = chance.sample(_FORMATS, 3)
    for puid in puids:
        yield "format", (aip, puid, f"Format {puid}", files // 3, size // 3, 0, "", 0, 0)
    for kind in ("unpacking", "fixity check", "ingestion"):
        number_of_event = uuid.UUID(int=chance.getrandbits(128))
        yield "event", (str(number_of_event), aip, kind, created, "success", "", "", "", True)
    outcome = "in-review" if number % 50_000 == 9 else "rejected" if number % 1000 == 3 else "stored"
    digest = hashlib.sha1(str(number).encode()).hexdigest()
    yield "ingest", (
        digest, f"/srv/dropbox/{agency}/{number}", "default", outcome, aip if outcome == "stored" else None,
        "host:1:1", 1, created, created, '{"problems": []}', agency, "",
    )  # fmt: skip
    words = {facet("a", agency), facet("m", month), *(facet("p", puid) for puid in puids)}
    words.update(word for text in (title, f"EXT-{number}", agency, aip) for word in index_words(text))
    for position in range(files):
        path = f"data/{chance.choice(_WORDS)}/{chance.choice(_WORDS)}-{number % 5000:04}-{position:03}.tif"
        sha = hashlib.sha512(f"{number} {position}".encode()).digest()
        key = int.from_bytes(sha[:8], "big", signed=True)
        yield "file", (number, position, path, 4096, puids[position % 3], sha, key)
        words.update(index_words(path))
    yield "search_text", (number, " ".join(sorted(words)))


def _batches(aips: int, files: int) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
    chance = random.Random(1)
    batch: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COLUMNS}
    for number in range(1, aips + 1):
        for table, row in rows_of(number, files, chance):
            batch[table].append(row)
        if number % 2000 == 0 or number == aips:
            yield batch
            batch = {name: [] for name in _COLUMNS}


def _fill_sqlite(place: Path, aips: int, files: int) -> None:
    database = sqlite3.connect(place)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-400000")
    for name in _INDEXES:
        database.execute(f"DROP INDEX {name}")
    database.execute("DROP TRIGGER search_text_added")
    for batch in _batches(aips, files):
        for table, rows in batch.items():
            columns = _COLUMNS[table].split()
            marks = ", ".join("?" * len(columns))
            database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
        database.commit()
    for name, what in _INDEXES.items():
        database.execute(f"CREATE INDEX {name} ON {what}")
    database.execute("INSERT INTO search_index(search_index) VALUES ('rebuild')")
    _sums(database.execute)
    database.execute("ANALYZE")
    database.commit()
    database.close()


def _fill_postgres(url: str, aips: int, files: int) -> None:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:
        for name in (*_INDEXES, "ix_search_text_lexemes"):
            database.execute(f"DROP INDEX {name}")
        database.execute("ALTER TABLE file DROP CONSTRAINT pk_file")
        database.execute("SET session_replication_role = replica")  # no foreign keys while it is filled
        for batch in _batches(aips, files):
            with database.transaction(), database.cursor() as cursor:
                for table, rows in batch.items():
                    columns = ", ".join(_COLUMNS[table].split())
                    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                        for row in rows:
                            copy.write_row(row)
        database.execute("SET maintenance_work_mem = '1GB'")
        database.execute("ALTER TABLE file ADD CONSTRAINT pk_file PRIMARY KEY (number, position)")
        for name, what in {**_INDEXES, "ix_search_text_lexemes": "search_text USING gin (lexemes)"}.items():
            database.execute(f"CREATE INDEX {name} ON {what}")
        _sums(database.execute)
        database.execute("VACUUM ANALYZE")


def _sums(execute: Any) -> None:
    for kind, name in (("month", "substr(created, 1, 7)"), ("agency", "agency")):
        execute(
            f"INSERT INTO tally SELECT '{kind}', {name}, '', '', count(*), sum(files), sum(bytes), 0, 0, 0 "
            f"FROM aip GROUP BY {name}"
        )
    execute(
        "INSERT INTO tally SELECT 'format', puid, min(name), '', count(*), sum(files), sum(bytes), 0, 0, 0 "
        "FROM format GROUP BY puid"
    )
    execute(
        "INSERT INTO copy_tally SELECT c.store, c.state, substr(c.verified, 1, 10), count(*), sum(a.bytes) "
        "FROM copy c JOIN aip a ON a.id = c.aip GROUP BY 1, 2, 3"
    )


def _pages(catalogue: Catalogue) -> list[str]:
    (_, middle), *_ = catalogue.search.find(_search("minutes"), limit=1)
    digest = catalogue.files.of(middle.id, limit=1)[0].sha512
    (in_review,) = catalogue.submissions.latest(["in-review"], limit=1)
    aip = middle.id[9:]
    return [
        "/", "/holdings", "/stores", "/copies?store=two&state=damaged", "/copies?store=one&state=verified",
        "/search", "/search?q=minutes", "/search?q=会议", "/search?q=mi", "/search?q=tif&agency=Agency+007",
        "/search?q=parcel+4711&from=2015-01-01&to=2019-12-31", "/search?q=nothing+such",
        "/search?q=harbour+会议+4999-013", "/search?format=fmt%2F43&agency=Agency+100&from=2020-01-01",
        "/search?from=2013-02-01&to=2013-02-28", f"/search?q={digest}", f"/search?q={aip}", f"/aips/{aip}",
        f"/aips/{aip}/files", "/agencies/Agency%20007", "/submissions", "/submissions?outcome=in-review",
        "/submissions?outcome=rejected", f"/submissions/{in_review.id}",
        "/removals", "/nightly-runs", "/problems",
        "/metrics",
    ]  # fmt: skip


def _search(text: str) -> Any:
    from storage.catalogue import Search

    return Search(text)


def main() -> None:
    """Make the catalogue, ask for each page five times, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aips", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--url", default="", help="An empty PostgreSQL database; default: SQLite.")
    parser.add_argument("--keep", type=Path, default=None, help="Leave the SQLite file here, or use it.")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="stele-dashboard-"))
    folder.mkdir(exist_ok=True)
    place = folder / "catalogue.sqlite"
    made_already = place.exists()
    catalogue = Catalogue(asked.url or f"sqlite:///{place}")
    catalogue.migrate()
    made_already = made_already or (bool(asked.url) and catalogue.aips.totals()[0] > 0)
    if not made_already:
        began = time.perf_counter()
        if asked.url:
            _fill_postgres(asked.url, asked.aips, asked.files)
        else:
            _fill_sqlite(place, asked.aips, asked.files)
        print(f"made in {time.perf_counter() - began:.0f} s")
    print(f"{'PostgreSQL' if asked.url else 'SQLite'}: {catalogue.aips.totals()} AIPs, files, bytes")
    try:
        _measure(catalogue)
    finally:
        catalogue.close()
        if not asked.keep:
            shutil.rmtree(folder)


def _measure(catalogue: Catalogue) -> None:
    stores = tuple(
        StoreFacts(name, "files", "", "required", True, 0, lambda: Space(1 << 50, 1 << 49))
        for name in ("one", "two")
    )
    policy = load_policy([Path(__file__).parent.parent / "config/format-policy.toml"])
    nowhere = Path("/nonexistent")
    sources = Sources(
        "Bench", catalogue, stores, policy, lambda _: None, nowhere, nowhere, 90, 24, ZoneInfo("UTC")
    )
    slow = 0
    with TestClient(create_app(sources, hosts=["testserver"], loopback=True)) as client:
        for address in _pages(catalogue):
            times = []
            for _ in range(5):
                began = time.perf_counter()
                answer = client.get(address)
                times.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, (address, answer.status_code, answer.text[:300])
            first, *rest = times
            slow += max(times) > 300
            print(f"{first:8.0f} ms first, {sorted(rest)[1]:6.0f} ms then   {address[:90]}")
    print(f"{slow} page(s) over 300 ms")


if __name__ == "__main__":
    main()
