"""Held submissions: decided by people, with effect, on record, whatever is killed in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packages.premis.reader import iter_events
from pipeline.archive import Archive
from pipeline.ingest.run import ingest
from pipeline.preservation.removal import approve_removal, request_removal
from pipeline.review.decisions import Decision, DecisionRefused
from stele.review import decide_and_carry_out, waiting
from stele.settings import Settings, load_settings
from stele.wiring import choose_agreement

_TWO = """name = "careful"
two_people = true
[agency]
name = "County office"
[formats]
review = ["unknown"]
"""
_ONE = _TWO.replace("two_people = true\n", "").replace("careful", "one")


@pytest.fixture
def settings(home: Path) -> Settings:
    """A workspace with agreements under which unknown formats are held."""
    (home / "agreements/careful.toml").write_text(_TWO)
    (home / "agreements/one.toml").write_text(_ONE)
    return load_settings(home)


@pytest.fixture
def take(archive: Archive, settings: Settings, make_bag: Any) -> Callable[..., Any]:
    """Ingest a bag with a file nobody knows."""

    def run(agreement: str = "one", name: str = "sip") -> Any:
        bag = make_bag({"odd.qqq": b"\x01\x02odd", "a.txt": b"text"}, name=name)
        return bag, ingest(bag, choose_agreement(settings, agreement), archive)

    return run


def _decide(
    archive: Archive, settings: Settings, number: str, decision: str, person: str = "A. Clerk"
) -> Any:
    return decide_and_carry_out(
        archive, settings, number, Decision(decision), person=person, reason="case 12/26"
    )


def test_accepted(archive: Archive, settings: Settings, take: Any) -> None:
    """It is stored, and its PREMIS says who accepted what, and why."""
    _, result = take()
    assert result.outcome == "in-review"
    (one,) = waiting(archive, settings)
    assert one.found == result.review_reasons
    done = _decide(archive, settings, one.id, "accept")
    assert done.result.outcome == "stored"
    assert list(waiting(archive, settings)) == []
    repository = archive.repositories[0]
    entries = {entry.logical: entry for entry in repository.inventory(done.result.aip).state()}
    premis = next(name for name in entries if name.endswith("metadata/preservation/premis.xml"))
    said = []
    for name in entries:
        if name.endswith("premis.xml"):
            with repository.open(done.result.aip, entries[name]) as stream:
                said += [e for e in iter_events(stream) if "A. Clerk" in e.detail]
    assert premis
    assert {e.detail for e in said} == {"accepted by A. Clerk: case 12/26"}
    assert one.found[0] in said[0].note


def test_rejected(archive: Archive, settings: Settings, take: Any) -> None:
    """The agency gets a report with the reason; the submission stays where it was."""
    bag, _ = take()
    (one,) = waiting(archive, settings)
    done = _decide(archive, settings, one.id, "reject")
    assert done.result.outcome == "rejected"
    assert "case 12/26" in Path(done.result.receipt).read_text("utf-8")
    assert bag.exists()
    assert list(waiting(archive, settings)) == []
    assert archive.catalogue.aips.totals() == (0, 0, 0)


def test_hold_on_and_after(archive: Archive, settings: Settings, take: Any) -> None:
    """A note changes nothing; somebody may still decide."""
    take()
    (one,) = waiting(archive, settings)
    assert _decide(archive, settings, one.id, "keep").result is None
    assert [one.id for one in waiting(archive, settings)] == [one.id]
    assert _decide(archive, settings, one.id, "accept").result.outcome == "stored"


def test_two_people(archive: Archive, settings: Settings, take: Any) -> None:
    """Two different ones; the same name otherwise written is the same person."""
    take("careful")
    (one,) = waiting(archive, settings)
    assert one.two_people
    assert _decide(archive, settings, one.id, "accept").waiting == "A. Clerk"
    (again,) = waiting(archive, settings)
    assert again.waiting == "A. Clerk"
    with pytest.raises(DecisionRefused, match="another person"):
        _decide(archive, settings, one.id, "accept", "ａ.  CLERK")
    assert _decide(archive, settings, one.id, "keep", "B. Archivist").waiting == ""
    assert _decide(archive, settings, one.id, "accept", "B. Archivist").waiting == "B. Archivist"
    done = _decide(archive, settings, one.id, "accept")
    assert done.result.outcome == "stored"
    (event,) = [
        e for e in archive.catalogue.events.of(done.result.aip) if e.detail.startswith("accepted by")
    ]
    assert event.detail == "accepted by B. Archivist and A. Clerk: case 12/26"


def test_more_was_found_since(archive: Archive, settings: Settings, take: Any, home: Path) -> None:
    """What was accepted is what was known then; a new finding holds it again."""
    bag, _ = take()
    (one,) = waiting(archive, settings)
    (home / "agreements/one.toml").write_text('review = "new agency"\n' + _ONE)
    result = _decide(archive, settings, one.id, "accept").result
    assert result.outcome == "in-review"
    assert "new agency" in result.review_reasons
    (again,) = waiting(archive, settings)
    assert _decide(archive, settings, again.id, "accept").result.outcome == "stored"
    assert bag.exists()


def test_gone(archive: Archive, settings: Settings, take: Any) -> None:
    """A decision about what lies there no more waits for it, or ends it."""
    bag, _ = take()
    away = bag.rename(bag.with_name("away"))
    (one,) = waiting(archive, settings)
    assert "not there" in _decide(archive, settings, one.id, "accept").detail
    away.rename(bag)
    assert ingest(bag, choose_agreement(settings, "one"), archive).outcome == "stored"
    other, _ = take(name="other")
    other.rename(other.with_name("other-away"))
    (one,) = waiting(archive, settings)
    assert _decide(archive, settings, one.id, "reject").decision == "reject"
    assert list(waiting(archive, settings)) == []


def test_what_cannot_be_decided(archive: Archive, settings: Settings, take: Any) -> None:
    """No such number, no name, no reason."""
    take()
    (one,) = waiting(archive, settings)
    for number, person, reason in (("none", "A", "b"), (one.id, " ", "b"), (one.id, "A", "")):
        with pytest.raises(DecisionRefused):
            decide_and_carry_out(archive, settings, number, Decision.ACCEPT, person=person, reason=reason)
    assert archive.catalogue.decisions.of(one.id) == ()


def test_removed_before_and_sent_again(archive: Archive, settings: Settings, make_bag: Any) -> None:
    """What was removed by decision comes back only by decision."""
    bag, agreed = make_bag({"a.txt": b"text"}), choose_agreement(settings, None)
    aip = ingest(bag, agreed, archive).aip
    assert aip
    request_removal(archive, aip, reason="disposal", person="A")
    (removal,) = waiting(archive, settings)
    assert (removal.kind, removal.waiting) == ("removal", "A")
    done = _decide(archive, settings, aip, "accept", "B")
    assert "certificate" in done.detail
    assert ingest(bag, agreed, archive).outcome == "in-review"
    (one,) = waiting(archive, settings)
    assert "removed" in one.found[0]
    assert _decide(archive, settings, one.id, "accept").result.outcome == "stored"
    assert archive.catalogue.aips.get(aip).state == "kept"  # type: ignore[union-attr]
    assert archive.catalogue.aips.totals()[0] == 1


def test_a_removal_refused(archive: Archive, settings: Settings, make_bag: Any) -> None:
    """The request is gone, the refusal on record, the AIP kept."""
    aip = ingest(make_bag({"a.txt": b"text"}), choose_agreement(settings, None), archive).aip
    assert aip
    request_removal(archive, aip, reason="disposal", person="A")
    _decide(archive, settings, aip, "reject", "B")
    assert list(waiting(archive, settings)) == []
    assert any("refused by B" in event.detail for event in archive.catalogue.events.of(aip))
    with pytest.raises(Exception, match="nobody asked"):
        approve_removal(archive, aip, person="B")


def test_too_many_unidentified(archive: Archive, home: Path, make_bag: Any) -> None:
    """An agreement may set the share of unknown formats above which somebody decides."""
    (home / "agreements/limit.toml").write_text(
        'name = "limit"\n[agency]\nname = "A"\n[formats]\nunidentified_limit = 40\n'
    )
    agreed = choose_agreement(load_settings(home), "limit")
    few = ingest(make_bag({"o.qqq": b"\1\2", "a.txt": b"t", "b.txt": b"u"}, name="few"), agreed, archive)
    assert few.outcome == "stored"
    many = ingest(make_bag({"o.qqq": b"\1\2", "a.txt": b"t"}, name="many"), agreed, archive)
    assert many.outcome == "in-review"
    assert "1 of 2 files" in many.reason


def _stele(*words: object) -> Any:
    program = Path(sys.executable).with_name("stele")
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_command_line_and_the_next_night(
    home: Path, settings: Settings, take: Any, archive: Archive, make_bag: Any
) -> None:
    """The same by command; and a decision whose ingest was killed is carried out by the next nightly run."""
    (home / "agreements/office.toml").write_text(_ONE.replace('"one"', '"office"'))
    (home / "dropbox/office").mkdir()
    for name in ("first", "second"):
        make_bag({"odd.qqq": f"\1{name}".encode()}, name=f"bag-{name}").rename(
            home / "dropbox/office" / name
        )
    config = home / "stele.toml"
    config.write_text(config.read_text("utf-8") + "\n[nightly]\nquiet_seconds = 0\n", "utf-8")
    code, (night,) = _stele("nightly", "--no-audit", "--json", "--home", home)
    assert (code, night["outcomes"]) == (1, {"in-review": 2})
    code, waiting = _stele("review", "list", "--json", "--home", home)
    assert len(waiting) == 2
    first, second = waiting
    code, (done,) = _stele(
        "review", "decide", first["id"], "accept", "--by", "A", "--reason", "r", "--json", "--home", home
    )
    assert (code, done["result"]["outcome"]) == (0, "stored")
    # Killed between decision and ingest: the row is there, nothing else happened.
    from pipeline.review.decisions import decide

    decide(
        archive.catalogue,
        second["id"],
        Decision.ACCEPT,
        person="A",
        reason="r",
        two_people=False,
        clock=archive.clock,
    )
    code, (night,) = _stele("nightly", "--no-audit", "--json", "--home", home)
    assert code == 0
    # The first one was taken in by its decision, which the nightly run knows; the second is now.
    assert night["outcomes"] == {"stored": 1}
    assert _stele("review", "list", "--json", "--home", home) == (0, [])


def test_what_waits_and_what_came_by_command(home: Path, take: Any) -> None:
    """Shown by the first characters of a number; listed by outcome; found by words; mistakes exit 2."""
    _, result = take()
    code, (one,) = _stele("review", "list", "--json", "--home", home)
    code, (shown,) = _stele("review", "show", one["id"][:6], "--json", "--home", home)
    assert (code, shown["id"], shown["decisions"]) == (0, one["id"], [])
    assert shown["found"] == list(result.review_reasons)
    code, (listed,) = _stele("submissions", "list", "--outcome", "in-review", "--json", "--home", home)
    assert (code, listed["id"], listed["outcome"]) == (0, one["id"], "in-review")
    code, (came,) = _stele("submissions", "show", one["id"][:8], "--json", "--home", home)
    assert [attempt["outcome"] for attempt in came["attempts"]] == ["in-review"]
    assert came["report"]["review_reasons"] == list(result.review_reasons)
    for words in (("review", "show", "ffff"), ("submissions", "show", "zz"), ("aip", "show", "ffffff")):
        assert _stele(*words, "--json", "--home", home) == (2, [])
    words = (
        "review",
        "decide",
        one["id"][:6],
        "accept",
        "--by",
        "A",
        "--reason",
        "r",
        "--json",
        "--home",
        home,
    )
    code, (done,) = _stele(*words)
    assert (code, done["result"]["outcome"]) == (0, "stored")
    aip = done["result"]["aip"]
    code, (found,) = _stele("search", "odd", "--json", "--home", home)
    assert (code, found["id"]) == (0, aip)
    code, (kept,) = _stele("aip", "show", aip.removeprefix("urn:uuid:")[:5], "--json", "--home", home)
    assert (code, kept["id"]) == (0, aip)
