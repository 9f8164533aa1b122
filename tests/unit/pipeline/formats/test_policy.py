"""The format policy: rules as data, the first that fits decides, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from packages.package_file import UNKNOWN_FORMAT, FileFormat
from pipeline.formats.policy import FormatPolicy, PolicyError, load_policy
from stele.wiring import shipped_config

_SHIPPED = shipped_config() / "format-policy.toml"


def _format(puid: str, mime: str = "") -> FileFormat:
    return FileFormat(puid, puid, "", mime, "", "")


@pytest.fixture(scope="module")
def shipped() -> FormatPolicy:
    """The rules that come with the software."""
    return load_policy([_SHIPPED])


@pytest.mark.parametrize(
    ("known", "name", "decision", "risk"),
    [
        (_format("fmt/354", "application/pdf"), "PDF/A", "accepted", "low"),
        (_format("fmt/18", "application/pdf"), "PDF", "accepted", "medium"),
        (_format("local/ofd", "application/ofd"), "OFD", "accepted", "low"),
        (_format("local/ceb"), "CEB", "review", "high"),
        (_format("fmt/40", "application/msword"), "Microsoft Office 97-2003", "accepted", "high"),
        (_format("x-fmt/263", "application/zip"), "Archives in the package", "warned", "medium"),
        (UNKNOWN_FORMAT, "Unknown", "accepted", "high"),
        (_format("fmt/9999", "model/stl"), "other", "accepted", "medium"),
    ],
)
def test_shipped_rules(
    shipped: FormatPolicy, known: FileFormat, name: str, decision: str, risk: str
) -> None:
    """What archives ask about first."""
    rule = shipped.rule_for(known)
    assert (rule.name, rule.decision, rule.risk) == (name, decision, risk)
    assert rule.reason


def test_a_workspace_is_asked_first(tmp_path: Path) -> None:
    """Its own rules go before the shipped ones."""
    own = tmp_path / "own.toml"
    own.write_text('[[rule]]\nname = "no PDF"\npuids = ["fmt/18"]\ndecision = "refused"\nreason = "ours"\n')
    policy = load_policy([own, _SHIPPED, tmp_path / "absent.toml"])
    assert policy.rule_for(_format("fmt/18", "application/pdf")).decision == "refused"
    assert policy.rule_for(_format("fmt/19", "application/pdf")).decision == "accepted"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]]\nname = 'x'\nreason = 'y'", "needs puids or mime"),
        ("[[rule]]\nname = 'x'\npuids = ['a']\nreason = 'y'\ndecision = 'maybe'", "decision"),
        ("[[rule]]\nname = 'x'\npuids = ['a']", "reason"),
        ("[[rule", "own.toml"),
    ],
)
def test_mistakes(text: str, said: str, tmp_path: Path) -> None:
    """File and mistake are named."""
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(PolicyError, match=said) as error:
        load_policy([own])
    assert "own.toml" in str(error.value)
