"""Probe results as values, and what follows from them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storage.s3.probe.capabilities import (
    Answer,
    Capabilities,
    Check,
    CheckName,
    capabilities_from_json,
    write_rules,
)


def _found(**answers: Answer) -> Capabilities:
    checks = tuple(Check(CheckName[name], answer, "Seen.") for name, answer in answers.items())
    return Capabilities("http://x", "b", "p/", "s", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 70, checks)


def test_json_round_trip() -> None:
    """What is kept is what was found."""
    import json

    found = _found(PAYLOAD=Answer.YES, RETENTION=Answer.UNKNOWN)
    assert capabilities_from_json(json.dumps(found.as_json())) == found


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 0}', '{"format": 1}', '{"format": 1, "checks": [{"name": "x"}]}']
)
def test_anything_else_is_refused(text: str) -> None:
    """A damaged or foreign file is no result, and never a crash."""
    with pytest.raises(ValueError):
        capabilities_from_json(text)


def test_nothing_is_relied_on_without_proof() -> None:
    """No probe, or a probe that could not tell: read back, look first, no locks."""
    for found in (None, _found(), _found(PAYLOAD=Answer.NO, CREATE_ONLY=Answer.UNKNOWN)):
        rules = write_rules(found, "auto")
        assert rules.read_back
        assert not (rules.create_only or rules.create_only_parts or rules.retention or rules.legal_hold)


@pytest.mark.parametrize(
    ("verify", "answer", "read_back"),
    [
        ("auto", Answer.YES, False),
        ("auto", Answer.UNKNOWN, True),
        ("signed", Answer.UNKNOWN, False),
        ("signed", Answer.NO, True),
        ("read-back", Answer.YES, True),
    ],
)
def test_what_proves_arrival(verify: str, answer: Answer, read_back: bool) -> None:
    """The signed digest only where it is verified; the operator may ask for more, never for less."""
    assert write_rules(_found(PAYLOAD=answer), verify).read_back is read_back  # type: ignore[arg-type]


def test_content_md5_is_sent_where_it_matters() -> None:
    """With object lock, and where a dying writer would leave half an object."""
    assert write_rules(_found(OBJECT_LOCK=Answer.YES), "auto").content_md5
    assert write_rules(_found(OVERWRITE=Answer.NO), "auto").content_md5
    assert not write_rules(_found(OVERWRITE=Answer.YES, OBJECT_LOCK=Answer.NO), "auto").content_md5
