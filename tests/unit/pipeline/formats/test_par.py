"""PAR business rules become rules of the format policy, as text that a person looks at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from packages.package_file import FileFormat
from pipeline.formats.par import as_toml, read_par
from pipeline.formats.policy import PolicyError, load_policy

_RULE = {
    "id": {"guid": "1", "name": "br/9", "namespace": "http://registry.example"},
    "description": 'Make "TIFF" of bitmaps',
    "notes": "Tried in 2025\nwith\ttabs",
    "preservationActionTypes": [{"label": "normalization", "id": {"guid": "2", "name": "x/nor"}}],
    "formats": [{"guid": "3", "name": "fmt/116"}, {"guid": "4", "name": "not a PUID"}],
    "formatFamilies": [{"familyType": "BMP", "fileFormats": [{"guid": "5", "name": "fmt/117"}]}],
    "preservationActions": [{"preservationAction": {"guid": "6", "name": "action/25"}}],
}


@pytest.mark.parametrize("form", [_RULE, [_RULE], {"businessRules": [_RULE]}, {"items": [_RULE]}])
def test_round_trip(form: object, tmp_path: Path) -> None:
    """What comes out is a policy that says what the rule says."""
    (tmp_path / "rule.json").write_text(json.dumps(form))
    (rule,) = read_par(tmp_path / "rule.json")
    assert (rule.puids, rule.converts, rule.actions) == (("fmt/116", "fmt/117"), True, ("action/25",))
    (tmp_path / "policy.toml").write_text(as_toml(rule, "image-tiff"), "utf-8")
    made = load_policy([tmp_path / "policy.toml"]).rule_for(FileFormat("fmt/117", "BMP", "", "", "", ""))
    assert (made.name, made.preserve) == ("PAR br/9", "image-tiff")
    assert made.reason == 'Make "TIFF" of bitmaps Tried in 2025 with tabs'


def test_a_check_converts_nothing(tmp_path: Path) -> None:
    """A rule about fixity names no converter, whatever is asked for."""
    check = {**_RULE, "preservationActionTypes": [{"label": "fixity check", "id": {"guid": "7"}}]}
    (tmp_path / "rule.json").write_text(json.dumps(check))
    (rule,) = read_par(tmp_path / "rule.json")
    assert 'preserve = ""' in as_toml(rule, "image-tiff")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": 1}', '[{"formats": []}]'])
def test_what_is_no_rule(text: str, tmp_path: Path) -> None:
    """Said with the file's name."""
    (tmp_path / "rule.json").write_text(text)
    with pytest.raises(PolicyError, match=r"rule\.json"):
        read_par(tmp_path / "rule.json")
