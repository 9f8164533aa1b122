"""What single files are, outside any package (``stele inspect``)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from packages.package_file import FileFormat
from packages.paths import printable
from packages.problems.problem import Problem
from pipeline.errors import SubmissionUnreadable
from pipeline.formats.tool import ValidationResult
from pipeline.formats.validation import NOT_CHECKED
from pipeline.tools import Toolbox


def inspect_files(paths: Iterable[Path], tools: Toolbox) -> Iterator[dict[str, Any]]:
    """One record a file, in the form of the ``--json`` contract.

    Raises SubmissionUnreadable when a path does not exist or may not be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = (file for path in paths for file in _files(path))
        while batch := list(islice(files, 500)):
            names = [_safe_name(file, Path(folder), n) for n, file in enumerate(batch)]
            formats = list(tools.identifier.identify(names))
            checked_paths = list(zip((Path(name) for name in names), formats, strict=True))
            verdicts = (
                tools.validation.check(checked_paths) if tools.validation else [NOT_CHECKED] * len(batch)
            )
            looked = tools.archives.look(
                [(file, file.name, known) for file, known in zip(batch, formats, strict=True)]
            )
            for file, known, verdict, found in zip(batch, formats, verdicts, looked, strict=True):
                yield _record(file, known, verdict, found, tools)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (found for found in sorted(path.rglob("*")) if found.is_file())
    elif path.is_file():
        yield path
    else:
        raise SubmissionUnreadable(f"there is no file or folder {path}")


def _safe_name(file: Path, folder: Path, number: int) -> str:
    """Siegfried takes only UTF-8 names; a link of our own stands in for any other."""
    name = str(file.absolute())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        link = folder / f"{number}{file.suffix if file.suffix.isascii() else ''}"
        link.unlink(missing_ok=True)
        link.symlink_to(file.absolute())
        return str(link)
    return name


def _record(
    file: Path, known: FileFormat, verdict: ValidationResult, problems: list[Problem], tools: Toolbox
) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha512").hexdigest()
            size = stream.tell()
    except PermissionError:
        raise SubmissionUnreadable(f"no permission to read {file}") from None
    messages = [problem.for_depositor for problem in problems]
    messages += [known.warning] if known.warning else []
    messages += verdict.messages
    absent = tools.validation.absent_for(known) if tools.validation else ()
    messages += [f"not checked with {state.name}: {state.problem}" for state in absent]
    own = known.registry != "PRONOM"
    return {
        "path": printable(str(file)),
        "size": size,
        "sha512": digest,
        "puid": known.puid,
        "format": f"{known.name} {known.version}".strip(),
        "mime": known.mime,
        "identified_by": known.registry if own else f"Siegfried {tools.identifier.version}",
        "validity": str(verdict.validity),
        "validated_by": verdict.tool or None,
        "facts": dict(sorted(verdict.facts.items())),
        "risk": tools.policy.rule_for(known).risk,
        "messages": messages,
    }
