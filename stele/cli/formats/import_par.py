"""``stele formats import-par``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.formats.normalise import CONVERTERS
from pipeline.formats.par import as_toml, read_par
from stele.cli.options import EXIT_USAGE, AsJson, fail, plain_errors
from stele.cli.output import print_json

EXAMPLE = "stele formats import-par rules.json --preserve image-tiff"


def command(
    file: Annotated[Path, typer.Argument(help="Business rules of PAR (JSON).")],
    preserve: Annotated[str, typer.Option(help="Our converter for rules that ask for copies.")] = "",
    as_json: AsJson = False,
) -> None:
    """Turn business rules of PAR into rules for format-policy.toml, to be looked at and pasted."""
    if preserve and preserve not in CONVERTERS:
        fail(f"there is no converter “{preserve}”; there are: {', '.join(CONVERTERS)}", EXIT_USAGE)
    with plain_errors():
        rules = read_par(file)
    if as_json:
        for rule in rules:
            print_json(asdict(rule))
        return
    typer.echo("\n".join(as_toml(rule, preserve) for rule in rules))
