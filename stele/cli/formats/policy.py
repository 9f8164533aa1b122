"""``stele formats policy``."""

from __future__ import annotations

from rich.table import Table

from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, RISK_COLOUR, data, print_json
from stele.wiring import build_policy
from stele.workspace import settings_or_defaults

EXAMPLE = "stele formats policy"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """The rules in the order in which they are asked; the first that fits decides."""
    table = Table()
    for column in ("Formats", "Decision", "Risk", "Kept as", "Read as", "Why"):
        table.add_column(column, overflow="fold")
    with plain_errors():
        rules = build_policy(settings_or_defaults(home)).rules
    for rule in rules:
        if as_json:
            print_json(rule.model_dump(mode="json"))
            continue
        risk = f"[{RISK_COLOUR[rule.risk]}]{rule.risk}[/]"
        table.add_row(
            data(rule.name), rule.decision, risk, rule.preserve or "as it is",
            rule.access or "as it is", data(rule.reason),
        )  # fmt: skip
    if not as_json:
        OUT.print(table)
