"""Asking the foreign judges of ``make tools``."""

from __future__ import annotations

import subprocess
from pathlib import Path

_JUDGES = Path(__file__).parent / "judges"


def judged(environment: Path, script: str, subject: Path) -> subprocess.CompletedProcess[str]:
    """One judge's verdict on one subject; exit 0 is a yes without any reserve."""
    return subprocess.run(
        [environment / "bin" / "python", _JUDGES / f"{script}.py", subject],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def assert_all_accept(judges: Path, bag: Path, objid: str, stored: Path) -> None:
    """bagit.py, eark-validator, the schemas, metsrw and ocfl-py accept an exported AIP and its object."""
    inner = bag / "data" / objid
    for environment, script, subject in (
        ("readers", "bagit_judge", bag),
        ("eark", "eark_judge", inner),
        ("schemas", "schema_judge", inner),
        ("readers", "metsrw_judge", inner),
        ("ocfl", "ocfl_judge", stored),
    ):
        done = judged(judges / environment, script, subject)
        assert done.returncode == 0, f"{script} on {subject}: {done.stdout}{done.stderr}"
