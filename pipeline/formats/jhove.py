"""JHOVE: whether files keep the rules of their formats. One JVM for a batch, judged by its XML alone.

Without a module named JHOVE calls every broken file a sound stream of bytes, and its exit code is 0
whatever it finds; so the module follows from the PUID, and a report by any other one is no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from lxml import etree

from packages.package_file import FileFormat
from pipeline.formats.java import JarProgram
from pipeline.formats.tool import (
    ToolError,
    ToolRun,
    ToolState,
    ValidationResult,
    Validity,
    and_its_folder,
    in_batches,
    safely_named,
    xml_answer,
)

__all__ = ["Jhove", "module_for"]

_MAIN = "edu.harvard.hul.ois.jhove.Jhove"
_HUL = "edu.harvard.hul.ois.jhove.module"
_CLASSES = {
    "PDF-hul": f"{_HUL}.PdfModule",
    "TIFF-hul": f"{_HUL}.TiffModule",
    "JPEG-hul": f"{_HUL}.JpegModule",
    "GIF-hul": f"{_HUL}.GifModule",
    "WAVE-hul": f"{_HUL}.WaveModule",
    "AIFF-hul": f"{_HUL}.AiffModule",
    "HTML-hul": f"{_HUL}.HtmlModule",
    "JPEG2000-hul": f"{_HUL}.Jpeg2000Module",
    "PNG-gdm": "com.mcgath.jhove.module.PngModule",
    "EPUB-ptc": "org.ithaka.portico.jhove.module.EpubModule",
    "WARC-kb": f"{_HUL}.WarcModule",
}
_BY_MIME = {
    "application/pdf": "PDF-hul",
    "image/tiff": "TIFF-hul",
    "image/jpeg": "JPEG-hul",
    "image/gif": "GIF-hul",
    "image/png": "PNG-gdm",
    "image/jpx": "JPEG2000-hul",
    "audio/x-wav": "WAVE-hul",
    "audio/vnd.wave": "WAVE-hul",
    "audio/aiff": "AIFF-hul",
    "application/epub+zip": "EPUB-ptc",
    "application/warc": "WARC-kb",
}
_BY_PUID = {
    "fmt/414": "AIFF-hul",
    "fmt/712": "WAVE-hul",  # RF64
    "fmt/713": "WAVE-hul",
    "fmt/151": "JPEG2000-hul",  # JPX; JP2 is left to jpylyzer, which sees more
    "fmt/6": "WAVE-hul",
    "fmt/289": "WARC-kb",
}
_NEWER = {"fmt/1129", "fmt/1910", "fmt/1911", "fmt/1912"}
"""PDF 2.0 and what is built on it: to this JHOVE they have no header at all."""
_STATUS = {
    "Well-Formed and valid": Validity.VALID,
    "Well-Formed": Validity.WELL_FORMED,
    "Well-Formed, but not valid": Validity.NOT_VALID,
    "Not well-formed": Validity.NOT_VALID,
}
_SCRATCH = re.compile(r"(/\S*/)?epub\d+\.epub")
"""How JHOVE's copy of an EPUB is called in messages."""
_BATCH = 100
_TIMEOUT_S = 120.0  # seconds for a batch, and more for its bytes
_MIN_BYTES_PER_S = 2 << 20  # bytes a second
_OLDEST = (1, 28)


def module_for(known: FileFormat) -> str | None:
    """The module that judges a format; None for those JHOVE has nothing for."""
    if known.puid in _NEWER:
        return None
    return _BY_PUID.get(known.puid or "") or _BY_MIME.get(known.mime)


class _Program(JarProgram):
    def run_module(
        self, module: str, words: Sequence[str | Path], *, seconds: float, reads: Sequence[Path] = ()
    ) -> ToolRun:
        """JHOVE does nothing without a configuration; ours names one module."""
        with NamedTemporaryFile("w", suffix=".conf") as conf:
            conf.write(_configuration(module))
            conf.flush()
            return self.run(["-c", conf.name, *words], seconds=seconds, reads=[Path(conf.name), *reads])

    def _ask_version(self) -> ToolRun:
        return self.run_module("PDF-hul", ["-v"], seconds=60)


class Jhove:
    """JHOVE in a folder of jars. Batches are named by their module."""

    def __init__(self, home: Path | None, timeout_s: float = _TIMEOUT_S) -> None:
        self._program = _Program("JHOVE", home, _MAIN, oldest=_OLDEST, heap="512m")
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        return "JHOVE"

    def state(self) -> ToolState:
        return self._program.state()

    def check(self, paths: Sequence[Path], puid: str) -> list[ValidationResult]:
        """``puid`` is here the module, as ``module_for`` names it."""
        tool = f"JHOVE {self.state().version} {puid}"

        def ask(batch: Sequence[Path]) -> list[ValidationResult]:
            seconds = self._timeout_s + sum(path.stat().st_size for path in batch) / _MIN_BYTES_PER_S
            extension = ".epub" if puid == "EPUB-ptc" else ""  # it trusts nothing but this name
            with safely_named(batch, extension) as links:
                words: list[str | Path] = ["-m", puid, "-h", "xml", *links]
                ran = self._program.run_module(puid, words, seconds=seconds, reads=and_its_folder(links))
                return _verdicts(ran.stdout, links, puid, tool)

        verdicts = in_batches(paths, ask, size=_BATCH, tool=tool)
        if puid == "AIFF-hul":
            verdicts = [_whole(path, verdict) for path, verdict in zip(paths, verdicts, strict=True)]
        return verdicts


def _whole(path: Path, verdict: ValidationResult) -> ValidationResult:
    """AIFF-hul calls a file valid that ends long before its own header says (EA IFF 85)."""
    with path.open("rb") as stream:
        start = stream.read(8)
    said = int.from_bytes(start[4:8], "big") + 8
    size = path.stat().st_size
    if start[:4] == b"FORM" and said > size + 1:
        cut = f"cut short: its header says {said} bytes, there are {size}"
        return ValidationResult(Validity.NOT_VALID, verdict.tool, (cut, *verdict.messages), verdict.facts)
    return verdict


def _configuration(module: str) -> str:
    return (
        '<jhoveConfig version="1.0" xmlns="http://hul.harvard.edu/ois/xml/ns/jhove/jhoveConfig">'
        "<jhoveHome>.</jhoveHome><defaultEncoding>utf-8</defaultEncoding>"
        "<bufferSize>131072</bufferSize><sigBytes>1024</sigBytes>"
        f"<module><class>{_CLASSES[module]}</class></module></jhoveConfig>"
    )


def _verdicts(output: bytes, links: Sequence[Path], module: str, tool: str) -> list[ValidationResult]:
    """Raises ToolError for output that is cut short or lacks a file."""
    root = xml_answer(output)
    reports = {str(one.get("uri")).rpartition("/")[2]: one for one in root.iter("{*}repInfo")}
    missing = [link.name for link in links if link.name not in reports]
    if missing:
        raise ToolError(f"no answer about {len(missing)} of {len(links)} files")
    return [_verdict(reports[link.name], module, tool) for link in links]


def _verdict(report: etree._Element, module: str, tool: str) -> ValidationResult:
    said_by = report.findtext("{*}reportingModule") or ""
    status = report.findtext("{*}status") or ""
    messages = []
    for message in report.iterfind("{*}messages/{*}message"):
        if message.get("severity") != "info":
            code = f"{message.get('id')}: " if message.get("id") else ""
            messages.append(_SCRATCH.sub("the file", f"{code}{message.text or ''}")[:300])
    messages.sort()  # it keeps them in no order
    if said_by != module:
        messages.append(f"not validated: {module} did not recognise it")
        return ValidationResult(
            Validity.NOT_VALID if messages[:-1] else Validity.UNKNOWN, tool, tuple(messages[:20])
        )
    validity = _STATUS.get(status, Validity.UNKNOWN)
    if validity is Validity.UNKNOWN:
        messages.append(f"the module gave no verdict ({status or 'no status'})")
    facts = {}
    if version := report.findtext("{*}version"):
        facts["version"] = version
    if profiles := [one.text or "" for one in report.iterfind("{*}profiles/{*}profile")]:
        facts["profile"] = "; ".join(profiles)[:200]
    return ValidationResult(validity, tool, tuple(messages[:20]), facts)
