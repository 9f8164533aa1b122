"""What earlier releases wrote into the journal is read as it is written today."""

from __future__ import annotations

import json

import pytest

from pipeline.holdings.journal import FOLDER, read_journal
from storage.memory import MemoryStore
from storage.protocol import Upload

_HOLD = '{"hold": {"aip": "urn:uuid:1", "reason": "case", "person": "C", "since": "2026"}}'


@pytest.mark.parametrize(
    ("written", "note", "payload"),
    [
        ({"note": _HOLD}, "", _HOLD),
        ({"note": "", "payload": _HOLD}, "", _HOLD),
        ({"note": "said by people"}, "said by people", ""),
        ({"note": "{said} by people", "payload": _HOLD}, "{said} by people", _HOLD),
    ],
)
def test_where_the_payload_was(written: dict[str, str], note: str, payload: str) -> None:
    """A note that is JSON was a payload; one beside a payload is a note, whatever it begins with."""
    facts = {"id": "e", "type": "t", "time": "2026", "outcome": "success", "detail": "d", "store": "*"}
    line = json.dumps({"aip": "urn:uuid:1", **facts, **written}) + "\n"
    store = MemoryStore("one")
    store.put([Upload.of(f"{FOLDER}/1.jsonl", line.encode())])
    (record,) = read_journal(store)
    assert record.event is not None
    assert (record.problem, record.event.note, record.event.payload) == ("", note, payload)
