"""The catalogue's sums are never wrong, and what was kept is found by what people know of it."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from storage.catalogue import (
    AipRow,
    Catalogue,
    CopyRow,
    EventRow,
    FileRow,
    FormatCount,
    RemovalRow,
    Search,
)


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    """An empty catalogue."""
    made = Catalogue(catalogue_url)
    made.migrate()
    yield made
    made.close()


def _aip(number: int, **changes: object) -> AipRow:
    row = AipRow(
        id=f"urn:uuid:{uuid.UUID(int=number)}", version="v1", title=f"Minutes {number}", agreement="default",
        agency="County office", external_identifier=f"EXT-{number}", content_digest="0" * 128, files=1,
        bytes=100, created="2025-03-01T00:00:00Z", inventory_sha512="0" * 128,
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


def _register(
    catalogue: Catalogue, row: AipRow, *names: str, puid: str = "fmt/43", stores: tuple[str, ...] = ("one",)
) -> None:
    files = [FileRow(name, 10, puid, f"{n + 1:0128x}") for n, name in enumerate(names)]
    formats = [FormatCount(puid, f"Format {puid}", max(row.files, 1), row.bytes)]
    copies = [
        CopyRow(row.id, store, row.version, row.created, "verified", "", row.created) for store in stores
    ]
    catalogue.aips.register(row, copies=copies, formats=formats, events=(), files=files)


def _found(catalogue: Catalogue, text: str = "", **more: str) -> set[str]:
    return {row.title for _, row in catalogue.search.find(Search(text, **more), limit=100)}


def test_sums_are_what_adding_up_gives(catalogue: Catalogue) -> None:
    """After any mixture of registering again, removal, audits and changed formats."""
    chance = random.Random(7)
    for _ in range(300):
        number = chance.randrange(20)
        row = _aip(
            number, agency=chance.choice(["A", "B"]), files=chance.randrange(5), bytes=chance.randrange(900),
            created=f"202{chance.randrange(3)}-0{chance.randrange(1, 9)}-01T00:00:00Z",
        )  # fmt: skip
        match chance.randrange(6):
            case 0 | 1:
                _register(
                    catalogue,
                    row,
                    "a.txt",
                    puid=chance.choice(["fmt/1", "x-fmt/2"]),
                    stores=chance.choice([("one",), ("one", "two")]),
                )
            case 2 if catalogue.aips.get(row.id):
                catalogue.aips.set_state(row.id, chance.choice(["kept", "removing", "removed"]))
            case 3 if catalogue.aips.get(row.id):
                day = f"2026-01-{chance.randrange(10, 28)}T00:00:00Z"
                catalogue.copies.put(
                    CopyRow(row.id, "one", "v1", day, chance.choice(["verified", "damaged"]), "")
                )
            case 4 if catalogue.aips.get(row.id) and catalogue.formats.of(row.id):
                old = catalogue.formats.of(row.id)[0]
                catalogue.formats.move(row.id, old.puid, FormatCount("fmt/9", "Nine", 1, 10))
            case 5 if catalogue.aips.get(row.id):
                gone = RemovalRow(
                    row.id, "list 4", "A", "2026-01-01T00:00:00Z", "B", "2026-01-02T00:00:00Z"
                )
                told = EventRow(str(uuid.uuid4()), "deletion", gone.removed, "success", "removed", "", "*")
                catalogue.removals.complete(gone, told)
    kept = list(catalogue.aips.all())
    assert kept
    assert catalogue.aips.totals() == (len(kept), sum(r.files for r in kept), sum(r.bytes for r in kept))
    agencies = {row.name: (row.aips, row.bytes) for row in catalogue.aips.tallies("agency")}
    assert agencies == {
        name: (sum(r.agency == name for r in kept), sum(r.bytes for r in kept if r.agency == name))
        for name in {r.agency for r in kept}
    }
    formats: Counter[str] = Counter()
    copies: Counter[tuple[str, str, str]] = Counter()
    for row in kept:
        formats.update({f.puid: f.files for f in catalogue.formats.of(row.id)})
        copies.update((c.store, c.state, c.verified[:10]) for c in catalogue.copies.of(row.id))
    assert {f.puid: f.files for f, _ in catalogue.formats.all() if f.files} == {
        p: n for p, n in formats.items() if n
    }
    assert {(t.store, t.state, t.day): t.copies for t in catalogue.copies.tallies()} == copies


@pytest.mark.parametrize(
    "text",
    ["minutes", "MINUTES 7", "min", "ext-7", "résumé", "resume", "2025", "会议", "会议记录", "录", "议", "記",
     "𠮷野", "pdf", "county", "００７", "Straße", "strasse"],
)  # fmt: skip
def test_found(catalogue: Catalogue, text: str) -> None:
    """By title, identifier, agency, file name; without case, accents, width; in Chinese too."""
    _register(
        catalogue, _aip(7, title="Minutes 7 of the Straße"), "a/résumé_minutes2025.PDF", "鄞州/会议记录.docx",
        "記.txt", "𠮷野家.xml", "007.txt",
    )  # fmt: skip
    _register(catalogue, _aip(8, title="Other", agency="Elsewhere", external_identifier="Z"), "b.csv")
    assert _found(catalogue, text) == {"Minutes 7 of the Straße"}


@pytest.mark.parametrize(
    "text", ["议会", "minutes 8", "inutes", "'; DROP TABLE aip; --", '"', "*", "NEAR(", "§afoo"]
)
def test_not_found(catalogue: Catalogue, text: str) -> None:
    """Pairs in another order, words of two packages, the syntax of any database."""
    _register(catalogue, _aip(7), "会议.txt")
    _register(catalogue, _aip(9, title="Eight"), "8.csv")
    found = _found(catalogue, text)
    assert found in (set(), {"Minutes 7", "Eight"} if not any(c.isalnum() for c in text) else set())


def test_by_properties(catalogue: Catalogue) -> None:
    """Agency, format and days narrow what words find, and find alone."""
    _register(catalogue, _aip(1, title="One"), "x.txt", puid="fmt/1")
    _register(
        catalogue,
        _aip(2, title="Two", agency="甲局", created="2024-02-29T23:59:59Z"),
        "x.txt",
        puid="fmt/2",
    )
    assert _found(catalogue, "x") == {"One", "Two"}
    assert _found(catalogue, "x", agency="甲局") == {"Two"}
    assert _found(catalogue, agency="甲") == set()
    assert _found(catalogue, puid="fmt/1") == {"One"}
    assert _found(catalogue, begin="2024-02-29", end="2024-02-29") == {"Two"}
    assert _found(catalogue, "x", begin="2024-03-01") == {"One"}
    assert _found(catalogue, end="2024-12-31") == {"Two"}
    catalogue.aips.set_state(_aip(2).id, "removed")
    assert _found(catalogue, "x") == {"One"}


def test_pages(catalogue: Catalogue) -> None:
    """Every AIP once, latest first, whatever the page; also one with many names."""
    for number in range(30):
        _register(catalogue, _aip(number), *(f"file-{number}-{n}.txt" for n in range(3)))
    _register(catalogue, _aip(99), *(f"scan{n:x}{'z' * 40}.txt" for n in range(20_000)))
    for text in ("", "txt"):
        seen: list[str] = []
        mark = 0
        while page := catalogue.search.find(Search(text), limit=7, before=mark):
            seen += [row.id for _, row in page if row.id not in seen]
            mark = page[-1][0]
        assert seen == [_aip(n).id for n in (99, *range(29, -1, -1))]
    assert _found(catalogue, "scan4e1") == {"Minutes 99"}
    assert catalogue.files.count(_aip(99).id) == 20_000
    assert [f.path[:5] for f in catalogue.files.of(_aip(99).id, limit=2, skip=19_999)] == ["scan4"]


def test_registered_again(catalogue: Catalogue) -> None:
    """The old names are forgotten."""
    _register(catalogue, _aip(1), "old.txt")
    _register(catalogue, _aip(1, version="v2"), "new.txt")
    assert _found(catalogue, "old") == set()
    assert _found(catalogue, "new") == {"Minutes 1"}
    assert [f.path for f in catalogue.files.of(_aip(1).id, limit=9)] == ["new.txt"]
    (one,) = catalogue.files.with_digest(f"{1:0128x}", limit=5)
    assert one == (_aip(1).id, FileRow("new.txt", 10, "fmt/43", f"{1:0128x}"))
    assert catalogue.files.with_digest("ff" * 64, limit=5) == []
