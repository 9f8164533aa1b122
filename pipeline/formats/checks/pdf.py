"""PDF: syntax by pikepdf (qpdf), what it claims to be, and what a reader in fifty years must know."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import pikepdf

from pipeline.formats.tool import PASSWORD, ValidationResult, Validity

_TOOL = f"pikepdf {version('pikepdf')}"
_FORBIDDEN = {
    "copying forbidden": "extract",
    "text access forbidden": "accessibility",
    "printing forbidden": "print_highres",
}
_FONTS_LOOKED_AT = 2000
_HARMLESS = (
    "a common error handled correctly",
    "hint table",
    "hints table",
    "linearized",
    "first page section",
    "first page object offset",
    "shared identifier",
    "linearization",
    "resources is missing or invalid; repairing",
)
"""Words of complaints with which nothing is lost; most are about hints for display over a network."""
_NO_MEMORY = "std::bad_alloc"
"""In qpdf's complaints: no fault of the document."""
_NO_STREAM = re.compile(r"page object (\d+) (\d+).*ignoring non-stream in an array of streams")
_MEDIA = {"/Screen", "/Movie", "/Sound", "/RichMedia", "/3D"}  # annotations: ISO 32000-2 12.5.6, 13
_MEDIA_ACTIONS = {"/Rendition", "/Movie", "/Sound", "/RichMediaExecute"}


def check(path: str) -> ValidationResult:
    """WELL_FORMED at best: only a validator for the claimed profile can say valid.

    Messages that begin with “risk:” are no errors.
    """
    try:
        with pikepdf.open(path, suppress_warnings=True) as document:
            said = [str(problem) for problem in document.check_pdf_syntax()]
            problems = [one for one in said if not _is_harmless(one, document)]
            facts = {"pages": str(len(document.pages)), "version": document.pdf_version}
            claim = _claim(document)
            if claim:
                facts["claims"] = f"PDF/A-{claim}"
            risks = tuple(f"risk: {risk}" for risk in _risks(document))
            if any(_NO_MEMORY in one for one in said):
                raise MemoryError(_NO_MEMORY)
    except pikepdf.PasswordError:
        return ValidationResult(Validity.UNKNOWN, _TOOL, (PASSWORD,))
    except (pikepdf.PdfError, ValueError, RecursionError, OverflowError) as error:
        if _NO_MEMORY in str(error):
            raise MemoryError(_NO_MEMORY) from error
        return ValidationResult(Validity.NOT_VALID, _TOOL, (_plain(error, path),))
    if not facts["pages"].isdigit() or facts["pages"] == "0":
        problems.append("it has no pages")
    messages = tuple(problem.replace(path, "file") for problem in problems[:20])
    validity = Validity.NOT_VALID if problems else Validity.WELL_FORMED
    return ValidationResult(validity, _TOOL, messages + risks, facts)


def _is_harmless(complaint: str, document: pikepdf.Pdf) -> bool:
    """Nothing is lost by what it complains of.

    A reference to an object that is not there is a reference to null, and no error (ISO 32000-1 7.3.10).
    """
    if any(words in complaint.lower() for words in _HARMLESS):
        return True
    about_page = _NO_STREAM.search(complaint)
    if about_page is None:
        return False
    page = document.get_object(int(about_page[1]), int(about_page[2]))
    parts = page.get("/Contents")
    return isinstance(parts, pikepdf.Array) and all(
        part is None or isinstance(part, pikepdf.Stream) for part in parts
    )


def _plain(error: Exception, path: str) -> str:
    return str(error).replace(path, "file")[:500] or type(error).__name__


def _claim(document: pikepdf.Pdf) -> str:
    try:
        with document.open_metadata() as metadata:
            return str(metadata.pdfa_status or "")
    except Exception:  # broken XMP of any kind is no claim
        return ""


def _risks(document: pikepdf.Pdf) -> list[str]:
    found = []
    if document.is_encrypted:
        allowed = document.allow
        said = [words for words, name in _FORBIDDEN.items() if not getattr(allowed, name, True)]
        found.append(", ".join(["encrypted", *said]))
    found += _features(document)
    return found


def _features(document: pikepdf.Pdf) -> list[str]:
    found: set[str] = set()
    missing: set[str] = set()
    for number, thing in enumerate(document.objects):
        if number > _FONTS_LOOKED_AT * 50:
            break
        if not isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
            continue
        try:
            kind, action = thing.get("/Type"), thing.get("/S")
            if action == "/JavaScript" or "/JavaScript" in thing:
                found.add("embedded JavaScript")
            if action == "/Launch":
                found.add("starts other programs (Launch action)")
            if kind == "/EmbeddedFile" or "/EF" in thing or "/EmbeddedFiles" in thing:
                found.add("embedded files")
            if thing.get("/Subtype") in _MEDIA or action in _MEDIA_ACTIONS:
                found.add("sound, film or 3D")
            if isinstance(thing, pikepdf.Stream) and "/F" in thing:
                found.add("content in other files")
            if kind == "/Font" and len(missing) < _FONTS_LOOKED_AT and not _embedded(thing):
                missing.add(str(thing.get("/BaseFont", "a font without a name")).lstrip("/"))
        except Exception:  # a broken object is the syntax check's finding
            continue
    if missing:
        found.add(f"fonts not embedded: {', '.join(sorted(missing)[:5])}")
    return sorted(found)


def _embedded(font: Any) -> bool:
    if font.get("/Subtype") in ("/Type3", "/Type0"):
        return True  # drawn in the file itself; a composite font's descendants are looked at
    descriptor = font.get("/FontDescriptor")
    return descriptor is not None and any(f"/FontFile{n}" in descriptor for n in ("", "2", "3"))
