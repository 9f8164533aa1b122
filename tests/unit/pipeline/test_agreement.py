"""Submission agreements as files."""

import json
from pathlib import Path

import pytest

from pipeline.agreement import Agreement, AgreementError, find_agreement, load_agreement

_ROOT = Path(__file__).parent.parent.parent.parent


def test_the_shipped_one_loads() -> None:
    """The default agreement is valid."""
    assert load_agreement(_ROOT / "config/agreements/default.toml").required_copies == 1


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Two wrong fields are named in one message."""
    path = tmp_path / "x.toml"
    path.write_text('required_copies = 0\nbogus = 1\n[agency]\nname = "A"\n')
    with pytest.raises(AgreementError) as error:
        load_agreement(path)
    assert "required_copies" in str(error.value)
    assert "bogus" in str(error.value)


def test_the_first_folder_wins(tmp_path: Path) -> None:
    """A workspace's own agreement hides the shipped one of the same name."""
    for name in ("mine", "shipped"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.toml").write_text(f'[agency]\nname = "{name}"\n')
    found = find_agreement((tmp_path / "mine", tmp_path / "shipped"), "x")
    assert found is not None
    assert found.agency.name == "mine"
    assert find_agreement((tmp_path,), "x") is None


def test_the_exported_schema_is_current() -> None:
    """schemas/agreement.schema.json is what the model says."""
    shipped = json.loads((_ROOT / "schemas/agreement.schema.json").read_text("utf-8"))
    assert shipped == Agreement.model_json_schema()
