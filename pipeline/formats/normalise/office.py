"""Office documents to PDF/A or PDF by LibreOffice, many in one run.

It exits 0 for missing and broken files, and converts a text that is called .docx without a word: so
a file must be a container of the kind its name says, and the result is opened and counted.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pikepdf
from lxml import etree

from pipeline.formats.normalise.converter import Converted, failed, fresh, most_written
from pipeline.formats.tool import ToolError, ToolState, and_its_folder, program_state, run_tool
from schemas.xml import safe_parser

_TIMEOUT_S = 90.0  # seconds for a run, and more for each document
_TIMEOUT_EACH_S = 20.0
_BATCH = 20
_SOCKETS = Path("/tmp")
_ZIPPED = {".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp"}
_OLE = {".doc", ".xls", ".ppt", ".wps", ".et", ".dps"}
_AS = {".wps": ".doc", ".et": ".xls", ".dps": ".ppt"}  # by these names LibreOffice knows the structures
_FILTERS = {
    "writer": (".doc", ".docx", ".odt", ".rtf", ".wps"),
    "calc": (".xls", ".xlsx", ".ods", ".et"),
    "impress": (".ppt", ".pptx", ".odp", ".dps"),
}


def office_converters() -> tuple[OfficeToPdf, ...]:
    """PDF/A-2b to keep, PDF to read."""
    return OfficeToPdf("office-pdfa", archival=True), OfficeToPdf("office-pdf", archival=False)


class OfficeToPdf:
    """LibreOffice without a screen, each run with a profile of its own."""

    def __init__(self, name: str, *, archival: bool) -> None:
        self._name = name
        self._archival = archival
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def makes(self) -> str:
        return "PDF/A-2b" if self._archival else "PDF"

    def state(self) -> ToolState:
        if self._state is None:
            self._state = _look()
        return self._state

    def convert(self, sources: Sequence[Path], folder: Path) -> list[Converted]:
        folder.mkdir(parents=True)
        tool = f"LibreOffice {self.state().version}"
        done: dict[Path, Converted] = {}
        for application, suffixes in _FILTERS.items():
            mine = [source for source in sources if source.suffix.lower() in suffixes]
            for at in range(0, len(mine), _BATCH):
                batch = mine[at : at + _BATCH]
                done.update(self._run(batch, application, folder / f"{application}-{at}", tool))
        unknown = f"LibreOffice is not asked about files named {', '.join(sorted(_ZIPPED | _OLE))} only"
        return [done.get(source) or failed(source, tool, unknown) for source in sources]

    def _run(
        self, sources: Sequence[Path], application: str, folder: Path, tool: str
    ) -> dict[Path, Converted]:
        refused = {source: why for source in sources if (why := _not_what_it_says(source))}
        taken = [source for source in sources if source not in refused]
        done = {source: failed(source, tool, why) for source, why in refused.items()}
        if not taken:
            return done
        folder.mkdir()
        with TemporaryDirectory(prefix="stele-") as scratch:
            links = []
            for number, source in enumerate(taken):
                suffix = _AS.get(source.suffix.lower(), source.suffix.lower())
                links.append(Path(scratch, f"{number}{suffix}"))
                links[-1].symlink_to(source.absolute())
            try:
                self._soffice(links, application, folder, Path(scratch, "profile"))
            except ToolError as error:
                if len(taken) == 1:
                    return {**done, taken[0]: failed(taken[0], tool, f"the tool gave up: {error}")}
                half = len(taken) // 2
                for part, name in ((taken[:half], "a"), (taken[half:], "b")):
                    done.update(self._run(part, application, folder / name, tool))
                return done
        for number, source in enumerate(taken):
            done[source] = self._judged(source, folder / f"{number}.pdf", tool)
        return done

    def _soffice(self, links: Sequence[Path], application: str, folder: Path, profile: Path) -> None:
        kind = f"pdf:{application}_pdf_Export"
        if self._archival:
            kind += ':{"SelectPdfVersion":{"type":"long","value":"2"}}'
        user = f"file://{profile}"
        for _ in range(2):  # with a new profile it ends to start again, and finds its own socket in the way
            try:
                ran = run_tool(
                    ["soffice", f"-env:UserInstallation={user}", "--headless", "--norestore",
                     "--convert-to", kind, "--outdir", folder, *links],
                    seconds=_TIMEOUT_S + _TIMEOUT_EACH_S * len(links), cwd=folder,
                    reads=and_its_folder(links), writes=[folder, profile.parent], sockets=[_SOCKETS],
                    max_file_bytes=most_written(*links),
                )  # fmt: skip
            finally:
                _socket_of(user).unlink(missing_ok=True)
            if ran.code == 0:
                return

    def _judged(self, source: Path, result: Path, tool: str) -> Converted:
        if not fresh(result):
            return failed(source, tool, "it was not converted; LibreOffice does not say why")
        try:
            with pikepdf.open(result) as document:
                pages = len(document.pages)
                with document.open_metadata() as metadata:
                    claim = str(metadata.pdfa_status or "")
        except (pikepdf.PdfError, ValueError) as error:
            return failed(source, tool, f"the result cannot be opened: {error}")
        if self._archival and claim != "2B":
            return failed(source, tool, f"the result does not claim PDF/A-2b ({claim or 'no claim'})")
        if not pages:
            return failed(source, tool, "the result has no pages")
        said, problem = _pages_compared(source, pages)
        if problem:
            return failed(source, tool, problem)
        return Converted(source, result, tool, (said,))


def _socket_of(user: str) -> Path:
    """Where LibreOffice listens for a second run with the same profile: no option moves it, and confined it
    may make it there and not remove it."""
    digest = hashlib.md5(user.encode("utf-16-le"), usedforsecurity=False).digest()
    name = "".join(f"{byte:x}" for byte in digest)  # it does not pad them
    return _SOCKETS / f"OSL_PIPE_{os.getuid()}_SingleOfficeIPC_{name}"


def _look() -> ToolState:
    with TemporaryDirectory(prefix="stele-") as profile:
        command = ["soffice", f"-env:UserInstallation=file://{profile}", "--version"]
        return program_state(
            "LibreOffice", command, r"LibreOffice (\d+(?:\.\d+)*)", (7, 0), writes=[Path(profile)]
        )


def _not_what_it_says(source: Path) -> str:
    """Why a file is not asked about: its bytes are not of the kind its name says."""
    suffix = source.suffix.lower()
    with source.open("rb") as stream:
        start = stream.read(8)
    if suffix in _ZIPPED and not zipfile.is_zipfile(source):
        return "it is called an office document and is no ZIP"
    if suffix in _OLE and start != bytes.fromhex("d0cf11e0a1b11ae1"):
        return "it is called an office document of 1997-2003 and is no OLE2 file"
    if suffix == ".rtf" and not start.startswith(b"{\\rtf"):
        return "it is called RTF and does not begin as RTF does"
    return ""


def _pages_compared(source: Path, pages: int) -> tuple[str, str]:
    """What can be said of the number of pages, and what forbids the result.

    Slides must be as many; a text's own count is another program's and may differ a little.
    """
    own, kind = _own_count(source)
    if own is None:
        return f"{pages} page(s); the source does not say how many it has", ""
    if kind == "slides":
        if own != pages:
            return "", f"{own} slides became {pages} pages"
        return f"{own} slides = {pages} pages", ""
    if pages < own * 0.5 or pages > own * 2 + 2:
        return "", f"the source says {own} pages, the result has {pages}"
    return f"{pages} page(s); the source's last program counted {own}", ""


def _own_count(source: Path) -> tuple[int | None, str]:
    with suppress(Exception), zipfile.ZipFile(source) as archive:  # any oddity: it does not say
        names = archive.namelist()
        if source.suffix.lower() == ".pptx":
            return sum(bool(re.fullmatch(r"ppt/slides/slide\d+\.xml", name)) for name in names), "slides"
        if source.suffix.lower() == ".odp":
            content = etree.fromstring(archive.read("content.xml"), safe_parser())
            return sum(1 for _ in content.iter("{*}page")), "slides"
        if source.suffix.lower() == ".docx" and "docProps/app.xml" in names:
            said = etree.fromstring(archive.read("docProps/app.xml"), safe_parser()).findtext("{*}Pages")
            return (int(said) or None) if said else None, "pages"
        if source.suffix.lower() == ".odt" and "meta.xml" in names:
            meta = etree.fromstring(archive.read("meta.xml"), safe_parser())
            for one in meta.iter("{*}document-statistic"):
                said = next((v for k, v in one.attrib.items() if str(k).endswith("page-count")), None)
                return (int(said) or None) if said else None, "pages"
    return None, ""
