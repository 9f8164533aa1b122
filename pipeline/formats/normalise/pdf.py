"""PDF to PDF/A-2b by Ghostscript. The claim is proved by veraPDF where that is installed, not here.

Ghostscript drops document information that it cannot map, silently: what was there is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pikepdf

from pipeline.formats.normalise.converter import Converted, failed, fresh, most_written
from pipeline.formats.tool import (
    ToolError,
    ToolState,
    and_its_folder,
    program_state,
    run_tool,
    safely_named,
)

_TIMEOUT_S = 120.0
_MIN_BYTES_PER_S = 100_000  # bytes a second


class PdfToPdfA:
    """The ``gs`` program; one process a file."""

    def __init__(self) -> None:
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return "pdf-pdfa"

    @property
    def makes(self) -> str:
        return "PDF/A-2b"

    def state(self) -> ToolState:
        if self._state is None:
            command, version = ["gs", "--version"], r"^(\d+\.\d+(?:\.\d+)?)"
            self._state = program_state("Ghostscript", command, version, (9, 50))
        return self._state

    def convert(self, sources: Sequence[Path], folder: Path) -> list[Converted]:
        folder.mkdir(parents=True)
        tool = f"Ghostscript {self.state().version}"
        return [self._one(source, folder / f"{n}.pdf", tool) for n, source in enumerate(sources)]

    def _one(self, source: Path, result: Path, tool: str) -> Converted:
        try:
            with pikepdf.open(source) as document:
                pages, boxes = len(document.pages), [list(map(float, p.mediabox)) for p in document.pages]
                info = sorted(str(key).lstrip("/") for key in document.docinfo) if document.docinfo else []
        except (pikepdf.PdfError, ValueError, RecursionError) as error:
            return failed(
                source, tool, f"the source cannot be opened: {error}".replace(str(source), "file")
            )
        seconds = _TIMEOUT_S + source.stat().st_size / _MIN_BYTES_PER_S
        try:
            with safely_named([source]) as (link,):
                ran = run_tool(
                    ["gs", "-dSAFER", "-dPDFA=2", "-dBATCH", "-dNOPAUSE", "-dQUIET",
                     "-sColorConversionStrategy=RGB", "-sDEVICE=pdfwrite", "-dPDFACompatibilityPolicy=1",
                     f"-sOutputFile={result}", link],
                    seconds=seconds, reads=and_its_folder([link]), writes=[result.parent],
                    max_file_bytes=most_written(source),
                )  # fmt: skip
        except ToolError as error:
            return failed(source, tool, f"the tool gave up: {error}")
        said = (ran.stdout.decode("utf-8", "replace") + ran.stderr).strip()[:300]
        if ran.code or not fresh(result):
            return failed(source, tool, said or f"nothing was written (exit code {ran.code})")
        return _judged(source, result, tool, (pages, boxes, info), said)


def _judged(
    source: Path, result: Path, tool: str, before: tuple[int, list[list[float]], list[str]], said: str
) -> Converted:
    pages, boxes, info = before
    try:
        with pikepdf.open(result) as document:
            now, new_boxes = len(document.pages), [list(map(float, p.mediabox)) for p in document.pages]
            with document.open_metadata() as metadata:
                claim = str(metadata.pdfa_status or "")
            kept = {str(key).lstrip("/") for key in document.docinfo} if document.docinfo else set()
    except (pikepdf.PdfError, ValueError) as error:
        return failed(source, tool, f"the result cannot be opened: {error}")
    if claim != "2B":
        return failed(source, tool, f"the result does not claim PDF/A-2b ({claim or 'no claim'})")
    if now != pages:
        return failed(source, tool, f"{pages} page(s) became {now}")
    moved = sum(_size(one) != _size(two) for one, two in zip(boxes, new_boxes, strict=True))
    if moved:
        return failed(source, tool, f"{moved} page(s) have another size")
    lost = [name for name in info if name not in kept]
    problems: tuple[str, ...] = (f"document information lost: {', '.join(lost)}",) if lost else ()
    if said:
        problems += (f"Ghostscript: {said}",)
    return Converted(source, result, tool, (f"{pages} page(s) = {now} page(s), same sizes",), problems)


def _size(box: list[float]) -> tuple[int, int]:
    return round(abs(box[2] - box[0])), round(abs(box[3] - box[1]))
