"""Hostile, broken and oddly named archives: as a submission, and as a record inside one.

Each is run in a process of its own with 512 MB of memory and ten seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from scoring import Row, Score, rows

from pipeline.agreement import Limits

# Receive (as a submission) or look into (as a record) in a child with limits; a JSON answer.
_CHILD = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from packages.package_file import UNKNOWN_FORMAT
from pipeline.agreement import Agreement, Party
from pipeline.context import IngestContext, Software
from pipeline.formats.identification import Identification, Identifier
from pipeline.formats.policy import FormatPolicy
from pipeline.tools import Toolbox
from pipeline.formats.archives import inspect_container
from pipeline.ingest.receive import receive
case, work = Path(sys.argv[1]), Path(sys.argv[2])
agreed = Agreement(name="test", agency=Party(name="x"))
tools = Toolbox(Identifier(), FormatPolicy(()), None)
formats = Identification(tools.identifier, work / "content")
context = IngestContext(case, agreed, work, Software("Stele", "0"), formats, tools)
_, report = receive(context)
inside = inspect_container(case, case.name, UNKNOWN_FORMAT)
# Not ru_maxrss: that begins with what the parent of this process had.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024
print(json.dumps({
    "submission": [p.as_json() for p in report.findings.all()],
    "record": [p.as_json() for p in inside], "peak_mib": peak,
}))
"""
_CODES = {
    "archive-unsafe": {"PATH-ESCAPE", "PATH-DUPLICATE"},
    "archive-corrupt": {"ARC-CORRUPT", "ARC-UNSUPPORTED"},
    "archive-encrypted": {"FMT-ENCRYPTED"},
    "archive-bomb": {"FMT-EXPANDS"},
    "archive-names": {"PATH-ENCODING-GUESSED"},
}
# An ordinary archive is no bag; that finding is about its content, not about the archive.
_NOT_A_BAG = {"BAG-NOT-A-BAG", "PATH-UNPORTABLE"}


def _run(case: Path, work: Path) -> dict[str, list[dict[str, str]]]:
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(case), str(work)],
        capture_output=True, timeout=10, check=False, cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, f"{case}: {done.stderr.decode()[-800:]}"
    answer = json.loads(done.stdout)
    assert answer["peak_mib"] < 512, f"{case} took {answer['peak_mib']} MiB"
    return answer


def _verdict(row: Row, answer: dict[str, list[dict[str, str]]]) -> tuple[str, list[str]]:
    as_record = row.kind in ("archive-encrypted", "archive-bomb")
    problems = answer["record" if as_record else "submission"]
    found = [p for p in problems if p["code"] not in _NOT_A_BAG]
    if any(p["severity"] == "error" for p in found):
        return "invalid", [p["code"] for p in found]
    return ("warn" if found else "valid"), [p["code"] for p in found]


def test_archives_family(corpora: Path, tmp_path: Path) -> None:
    """No crash, no hang, no blow-up, nothing outside; and the right verdict with its reason."""
    score = Score("archives")
    place = tmp_path / "up/up/up/work"  # what climbs out of it is seen in a folder nobody else writes to
    place.mkdir(parents=True)
    for number, row in enumerate(rows(corpora, "archives")):
        answer = _run(row.path, place / str(number))
        verdict, codes = _verdict(row, answer)
        score.judge(row, verdict, codes, lambda row, codes: bool(set(codes) & _CODES[row.kind]))
    outside = {path for path in tmp_path.rglob("*") if place not in (path, *path.parents)}
    assert outside == {place.parent, *place.parent.parents} - {tmp_path, *tmp_path.parents}, (
        "something was written outside the work area"
    )
    score.close()


def test_legacy_names_are_read_right(corpora: Path) -> None:
    """The names a row gives in its reason are the names we read."""
    from packages.containers.sources import open_source

    for row in rows(corpora, "archives"):
        if row.kind != "archive-names":
            continue
        source = open_source(row.path, Limits())
        assert source is not None
        names = {entry.path for entry in source.entries()}
        source.close()
        if ":" in row.reason:
            wanted = {name.strip() for name in row.reason.rpartition(":")[2].split(",")}
            assert wanted <= names | {""}, f"{row.case}: {names}"
