"""Generates docs/reference/problems.md: ``python tests/problem_page.py > docs/reference/problems.md``."""

from __future__ import annotations

import sys

from packages.problems.catalogue import catalogue

_HEAD = """# Problem codes

Generated from `packages/problems/catalogue.tsv`; do not edit.
`{path}`, `{expected}` and `{found}` stand for the facts of a case.
Codes that E-ARK (`CSIP…`, `CSIPSTR…`, `SIP…`, `AIPM…`, `DIP…`) or OCFL (`E…`, `W…`) number themselves are reported under their own numbers.

| Code | Weight | Clause | What the agency reads |
|---|---|---|---|
"""


def render() -> str:
    """The page."""
    rows = (
        f"| `{kind.code}` | {kind.severity} | {kind.clause} | {kind.for_depositor} |\n"
        for kind in catalogue().values()
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(render())
