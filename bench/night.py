"""A nightly run of many small SIPs from many agencies: how long, and how much of it is not the ingests.

Usage: python bench/night.py [--sips 1000] [--agencies 138]    made in a scratch folder, thrown away
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def _bag(place: Path, number: int, *, bad: bool) -> None:
    (place / "data").mkdir(parents=True)
    lines = []
    for n in range(10):
        content = f"Record {n} of delivery {number}\n".encode() * 30
        (place / f"data/{n}.txt").write_bytes(content)
        digest = hashlib.sha512(content + (b"!" if bad and n == 5 else b"")).hexdigest()
        lines.append(f"{digest}  data/{n}.txt\n")
    (place / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    (place / "manifest-sha512.txt").write_text("".join(lines))


def main() -> None:
    """Fill a drop box, run the nightly run as the schedule would, and say what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sips", type=int, default=1000)
    parser.add_argument("--agencies", type=int, default=138)
    parser.add_argument("--parallel", type=int, default=1, help="Processes that share the nightly run.")
    parser.add_argument("--work", type=Path, default=None)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="stele-night-", dir=asked.work))
    try:
        stele = Path(sys.executable).with_name("stele")
        home = folder / "home"
        subprocess.run([stele, "init", home], check=True, stdout=subprocess.DEVNULL)
        bad = 0
        for number in range(asked.sips):
            spoilt = number % 20 == 7
            bad += spoilt
            agency = f"agency-{number % asked.agencies:03d}"
            _bag(home / "dropbox" / agency / f"sip-{number:05d}", number, bad=spoilt)
        print(f"{asked.sips} SIPs of 10 files from {asked.agencies} agencies, {bad} of them bad")
        environment = {
            **os.environ, "STELE_NIGHTLY__QUIET_SECONDS": "0",
            "STELE_NIGHTLY__PARALLEL": str(asked.parallel),
        }  # fmt: skip
        began = time.perf_counter()
        done = subprocess.run(
            [stele, "nightly", "--no-audit", "--json", "--home", home],
            stdout=subprocess.PIPE, env=environment, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        report = json.loads(done.stdout)
        receipts = [json.loads(path.read_text("utf-8")) for path in (home / "receipts").glob("*.json")]
        work = sum(receipt["seconds"] for receipt in receipts)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
        print(f"outcomes {report['outcomes']}, not started {report['not_started']}")
        print(f"whole command {seconds:.1f} s, {seconds * 1000 / asked.sips:.1f} ms a SIP; peak {peak} MiB")
        rest = seconds - work / asked.parallel
        print(
            f"ingests {work:.1f} s in {asked.parallel} process(es); "
            f"all else {rest:.1f} s = {rest / seconds:.0%}"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
