"""What must hold of every fuzzed input; a sentence when it does not."""

from __future__ import annotations

import hashlib
import shutil
import time
from contextlib import suppress
from pathlib import Path

from fuzzing.archives import MadeArchive, make_archive
from fuzzing.documents import make_agreement, make_bag_info, make_mets, make_profile
from packages.problems.problem import Severity
from pipeline.agreement import Agreement, AgreementError, load_agreement
from pipeline.archive import Archive
from pipeline.checking.submission import check
from pipeline.context import Result
from storage.states import Outcome

__all__ = ["judge_archive", "judge_documents"]

_MAX_SECONDS = 20.0
_READERS = ("ARC-", "BAG-", "PATH-", "AGREE-", "CSIP", "METS-", "XML-", "FMT-", "VIRUS-", "SIP", "AIP")


def judge_archive(seed: int, archive: Archive, agreement: Agreement, place: Path) -> str:
    """Judge the archive of a seed as an ingest would; what is wrong with the judgement, or nothing."""
    made = make_archive(seed)
    subject = place / made.name
    subject.write_bytes(made.content)
    began = time.monotonic()
    try:
        result = check(subject, agreement, archive)
    finally:
        subject.unlink()
    wrong = _wrong(result, time.monotonic() - began) or _untrue(result, made)
    return f"archive {seed} ({made.story}): {wrong}" if wrong else ""


def judge_documents(seed: int, archive: Archive, agreement: Agreement, place: Path) -> str:
    """The same for a METS, a bag with a bag-info.txt, a profile and an agreement of a seed."""
    began = time.monotonic()
    mets = place / "METS.xml"
    mets.write_bytes(make_mets(seed))
    wrong = _wrong(check(mets, agreement, archive), time.monotonic() - began)
    if wrong:
        return f"METS {seed}: {wrong}"
    began = time.monotonic()
    wrong = _wrong(check(_bag(place, make_bag_info(seed)), agreement, archive), time.monotonic() - began)
    if wrong:
        return f"bag-info {seed}: {wrong}"
    (place / "p.json").write_bytes(make_profile(seed))
    (place / "terms.toml").write_text('bagit_profile = "p.json"\n[agency]\nname = "x"\n')
    (place / "own.toml").write_bytes(make_agreement(seed))
    for name in ("terms", "own"):
        with suppress(AgreementError):  # with every mistake in one message
            load_agreement(place / f"{name}.toml")
    return ""


def _bag(place: Path, info: bytes) -> Path:
    bag = place / "sip"
    shutil.rmtree(bag, ignore_errors=True)
    (bag / "data").mkdir(parents=True)
    (bag / "data/a").write_bytes(b"a")
    (bag / "bagit.txt").write_bytes(b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    (bag / "manifest-sha512.txt").write_text(f"{hashlib.sha512(b'a').hexdigest()}  data/a\n")
    (bag / "bag-info.txt").write_bytes(info)
    return bag


def _wrong(result: Result, seconds: float) -> str:
    if result.outcome is Outcome.FAILED:
        return f"failed: {result.reason}"
    if seconds > _MAX_SECONDS:
        return f"it took {seconds:.1f} s"
    errors = [problem for problem in result.problems if problem.severity is Severity.ERROR]
    if (result.outcome is Outcome.REJECTED) != bool(errors):
        return f"{result.outcome} with {len(errors)} error(s)"
    strange = [problem.code for problem in result.problems if not problem.code.startswith(_READERS)]
    if strange:
        return f"codes of no reader: {strange}"
    return ""


def _untrue(result: Result, made: MadeArchive) -> str:
    """A reason that the archive itself refutes; only of archives whose own bytes nobody changed."""
    if made.paths is None:
        return ""
    for problem in result.problems:
        said = problem.for_depositor[:200]
        unsupported = problem.code == "ARC-UNSUPPORTED" and made.name.endswith((".zip", ".tar", ".tar.gz"))
        if unsupported or problem.code in ("ARC-CORRUPT", "ARC-ENCRYPTED"):
            return f"a false reason: {said}"
        if problem.code == "BAG-FILE-MISSING" and f"sip/{problem.path}" in made.paths:
            return f"a false reason: {said}"
        if problem.code == "BAG-NOT-A-BAG" and "no bagit.txt;" in said and "sip/bagit.txt" in made.paths:
            return f"a false reason: {said}"
    return ""
