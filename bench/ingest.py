"""Our ingest beside the chain people use today, on the same bag, in the same run.

    python bench/ingest.py --files 100000 --size 4KiB
    python bench/ingest.py --files 1 --size 4GiB
    python bench/ingest.py --sips 500 --files 10 --size 100KiB

The chain: ``bagit.py --validate`` (one process), Siegfried over every file, one METS with a PREMIS
object a file by metsrw, then a copy of the bag into the store. ``--no-chain`` leaves it out.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import multiprocessing
import os
import pstats
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_bags import make_bag, parse_size


def run_ours(bags: list[Path], home: Path) -> dict[str, float]:
    """Ingest every bag into a fresh workspace; seconds per stage."""
    from pipeline.ingest.run import ingest
    from stele.settings import load_settings
    from stele.wiring import build_archive, choose_agreement
    from stele.workspace import make_workspace

    make_workspace(home)
    settings = load_settings(home)
    archive = build_archive(settings)
    agreement = choose_agreement(settings, None)
    stages: dict[str, float] = {}
    for bag in bags:
        result = ingest(bag, agreement, archive)
        assert result.outcome == "stored", (result.reason, result.problems[:3])
        for name, seconds in result.stages.items():
            stages[name] = stages.get(name, 0.0) + seconds
    return stages


def run_chain(bags: list[Path], target: Path) -> dict[str, float]:
    """The usual tools one after the other; seconds per step."""
    import bagit
    import metsrw
    import pygfried

    steps = {"bagit": 0.0, "siegfried": 0.0, "metsrw": 0.0, "copy": 0.0}
    for bag in bags:
        began = time.perf_counter()
        bagit.Bag(str(bag)).validate(processes=1)
        steps["bagit"] += time.perf_counter() - began

        began = time.perf_counter()
        files = sorted(path for path in (bag / "data").rglob("*") if path.is_file())
        answers: list[Any] = []
        for start in range(0, len(files), 2000):
            batch = [str(path) for path in files[start : start + 2000]]
            answers += pygfried.identify_many(batch, workers=2)["files"]
        steps["siegfried"] += time.perf_counter() - began

        began = time.perf_counter()
        document = metsrw.METSDocument()
        children: list[Any] = []
        for path, answer in zip(files, answers, strict=True):
            entry = metsrw.FSEntry(
                path=str(path.relative_to(bag)), label=path.name, use="original", type="Item",
                file_uuid=f"{len(children):08d}-0000-4000-8000-000000000000",
            )  # fmt: skip
            entry.add_premis_object(_premis(len(children), path, answer))
            children.append(entry)
        document.append_file(metsrw.FSEntry.dir(label="objects", children=children))
        document.write(str(bag.parent / f"{bag.name}.mets.xml"))
        steps["metsrw"] += time.perf_counter() - began

        began = time.perf_counter()
        shutil.copytree(bag, target / bag.name)
        os.sync()
        steps["copy"] += time.perf_counter() - began
    return steps


def _premis(number: int, path: Path, answer: Any) -> Any:
    from metsrw.plugins import premisrw

    match = answer["matches"][0] if answer["matches"] else {"id": "UNKNOWN", "format": "unknown"}
    return premisrw.PREMISObject(
        object_identifier=[{"object_identifier_type": "UUID", "object_identifier_value": f"{number:08d}"}],
        object_characteristics=[
            {
                "size": str(path.stat().st_size),
                "format": [{"format_designation": {"format_name": match["format"] or match["id"]}}],
            }
        ],
        original_name=path.name,
    ).serialize()


def measured(work: Callable[[], dict[str, float]], profile: bool) -> dict[str, Any]:
    """Run in a fresh process: its own memory peak, no warm caches of the interpreter."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work, profile))
    process.start()
    sender.close()
    answer: dict[str, Any] = receiver.recv()
    process.join()
    return answer


class Job:
    """A picklable call."""

    def __init__(self, function: Callable[..., dict[str, float]], bags: list[Path], to: Path) -> None:
        self.function, self.bags, self.to = function, bags, to

    def __call__(self) -> dict[str, float]:
        return self.function(self.bags, self.to)


def _child(sender: Any, work: Callable[[], dict[str, float]], profile: bool) -> None:
    profiler = cProfile.Profile() if profile else None
    began = time.perf_counter()
    steps = profiler.runcall(work) if profiler else work()
    seconds = time.perf_counter() - began
    if profiler:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumulative").print_stats(40)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sender.send({"seconds": seconds, "peak_mib": peak, "steps": steps})


def report(name: str, answer: dict[str, Any], files: int, size: int) -> None:
    """One line of figures, one of where the time went."""
    seconds = answer["seconds"]
    print(
        f"{name:6} {seconds:9.2f} s  {files / seconds:10.0f} files/s  "
        f"{size / seconds / (1 << 20):8.1f} MiB/s  peak {answer['peak_mib']:7.0f} MiB"
    )
    print("       " + "  ".join(f"{step} {spent:.2f} s" for step, spent in answer["steps"].items()))


def main() -> None:
    """Make the bags, run both sides, print rates and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sips", type=int, default=1)
    parser.add_argument("--files", type=int, default=2000, help="files in each SIP")
    parser.add_argument("--size", default="4KiB", help="of each file: B, KiB, MiB, GiB")
    parser.add_argument("--work", type=Path, default=Path("bench/work"))
    parser.add_argument("--no-chain", action="store_true")
    parser.add_argument("--profile", action="store_true", help="profile ours, to stderr")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size = parse_size(options.size)
    total_files, total = options.sips * options.files, options.sips * options.files * size
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work.resolve()) as folder:
        root = Path(folder)
        bags = [root / "sips" / f"sip-{number:05d}" for number in range(options.sips)]
        for bag in bags:
            make_bag(bag, options.files, size)
        os.sync()
        ours = measured(Job(run_ours, bags, root / "home"), options.profile)
        shutil.rmtree(root / "home")
        results = {"ours": ours}
        if not options.no_chain:
            (root / "chain").mkdir()
            results["chain"] = measured(Job(run_chain, bags, root / "chain"), False)
    if options.json:
        print(json.dumps({"sips": options.sips, "files": options.files, "size": size, **results}))
        return
    print(f"{options.sips} SIP(s) of {options.files} file(s) of {options.size}")
    for name, answer in results.items():
        report(name, answer, total_files, total)
    if "chain" in results:
        print(f"ratio  {results['chain']['seconds'] / ours['seconds']:.2f} times the chain's speed")
    print(f"sha512 {_sha512_speed():8.1f} MiB/s on this machine")


def _sha512_speed() -> float:
    block = os.urandom(1 << 24)
    began = time.perf_counter()
    hasher = hashlib.sha512()
    for _ in range(16):
        hasher.update(block)
    return 256 / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
