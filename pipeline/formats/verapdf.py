"""veraPDF: whether a PDF that claims to be PDF/A is. One JVM for a batch; exit codes say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from packages.package_file import FileFormat
from pipeline.formats.java import JarProgram
from pipeline.formats.tool import (
    ToolError,
    ToolState,
    ValidationResult,
    Validity,
    and_its_folder,
    in_batches,
    safely_named,
    xml_answer,
)

__all__ = ["VeraPdf", "flavour_for"]

_MAIN = "org.verapdf.apps.GreenfieldCliWrapper"
_FLAVOURS = {
    "fmt/95": "1a", "fmt/354": "1b", "fmt/476": "2a", "fmt/477": "2b", "fmt/478": "2u",
    "fmt/479": "3a", "fmt/480": "3b", "fmt/481": "3u", "fmt/1910": "4", "fmt/1911": "4e",
    "fmt/1912": "4f",
}  # fmt: skip
_BATCH = 50
_TIMEOUT_S = 180.0  # seconds for a batch, and more for its bytes
_MIN_BYTES_PER_S = 1 << 20  # bytes a second
_OLDEST = (1, 24)


def flavour_for(known: FileFormat) -> str | None:
    """The PDF/A that a format claims to be (``1b``, ``4f``…); None for any other format."""
    return _FLAVOURS.get(known.puid or "")


class VeraPdf:
    """veraPDF in a folder of jars. Batches are named by their flavour."""

    def __init__(self, home: Path | None, timeout_s: float = _TIMEOUT_S) -> None:
        self._program = JarProgram("veraPDF", home, _MAIN, oldest=_OLDEST, heap="1g", core="core")
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        return "veraPDF"

    def state(self) -> ToolState:
        return self._program.state()

    def check(self, paths: Sequence[Path], puid: str) -> list[ValidationResult]:
        """``puid`` is here the flavour, as ``flavour_for`` names it."""
        tool = f"veraPDF {self.state().version} PDF/A-{puid}"

        def ask(batch: Sequence[Path]) -> list[ValidationResult]:
            seconds = self._timeout_s + sum(path.stat().st_size for path in batch) / _MIN_BYTES_PER_S
            with safely_named(batch) as links:
                words = ["--format", "xml", "--flavour", puid, "--maxfailuresdisplayed", "1"]
                words += ["--nonpdfext", "--loglevel", "0"]
                ran = self._program.run([*words, *links], seconds=seconds, reads=and_its_folder(links))
                return _verdicts(ran.stdout, links, puid, tool)

        return in_batches(paths, ask, size=_BATCH, tool=tool)


def _verdicts(output: bytes, links: Sequence[Path], flavour: str, tool: str) -> list[ValidationResult]:
    """Raises ToolError for output that is cut short or lacks a file."""
    root = xml_answer(output)
    jobs = {Path(job.findtext("item/name") or "").name: job for job in root.iter("job")}
    missing = [link.name for link in links if link.name not in jobs]
    if missing:
        raise ToolError(f"no answer about {len(missing)} of {len(links)} files")
    return [_verdict(jobs[link.name], flavour, tool) for link in links]


def _verdict(job: etree._Element, flavour: str, tool: str) -> ValidationResult:
    report = job.find("validationReport")
    if report is None:  # it could not even parse the file: then it is no PDF/A either
        said = job.findtext("taskException/exceptionMessage") or job.findtext(".//exceptionMessage")
        if job.find("taskException") is None and said is None:
            return ValidationResult(Validity.UNKNOWN, tool, ("no report and no reason",))
        return ValidationResult(
            Validity.NOT_VALID, tool, (f"not parseable as PDF: {said or 'no reason'}"[:300],)
        )
    compliant = report.get("isCompliant")
    if compliant == "true":
        return ValidationResult(Validity.VALID, tool, (), {"profile": f"PDF/A-{flavour}"})
    if compliant != "false":
        return ValidationResult(Validity.UNKNOWN, tool, ("the report has no verdict",))
    messages = tuple(
        f"PDF/A-{flavour} {rule.get('clause')}-{rule.get('testNumber')}: "
        f"{(rule.findtext('description') or '').strip()}"[:300]
        for rule in report.iterfind("details/rule")
        if rule.get("status") == "failed"
    )
    return ValidationResult(Validity.NOT_VALID, tool, messages[:20] or ("not compliant",))
