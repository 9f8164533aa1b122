"""How fast files are identified and checked, tool by tool, beside the tools used one file at a time.

Usage: python bench/formats.py [--files 5000]    a mixed set is made, in the page cache, and thrown away
"""

from __future__ import annotations

import argparse
import io
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import wave
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pikepdf
import pygfried
from PIL import Image

from packages.package_file import FileFormat
from pipeline.formats.builtin import Builtin
from pipeline.formats.exiftool import ExifTool, described_by
from pipeline.formats.identification import Identifier
from pipeline.formats.jhove import Jhove, module_for
from pipeline.formats.kinds import kind_of
from pipeline.formats.tool import Validator
from pipeline.formats.validation import BatchSelector, Validation
from pipeline.formats.verapdf import VeraPdf, flavour_for
from stele.wiring import shared_validation, shipped_config

_TOOLS = Path(__file__).parent.parent / ".tools"


def _pdf(number: int) -> bytes:
    document, out = pikepdf.new(), io.BytesIO()
    for _ in range(1 + number % 5):
        document.add_blank_page()
    document.docinfo["/Title"] = f"Document {number}"
    document.save(out)
    return out.getvalue()


def _image(number: int, kind: str) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((200 + number % 50, 150)).convert("RGB").save(out, kind)
    return out.getvalue()


def _zip(number: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "OFD.xml", f'<OFD xmlns="http://www.ofdspec.org/2016" DocType="OFD" n="{number}"/>'
        )
    return out.getvalue()


def _sound(number: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2000 + 2 * (number % 99)))
    return out.getvalue()


_MAKERS: dict[str, Callable[[int], bytes]] = {
    "txt": lambda n: f"Letter number {n}\n".encode() * 40,
    "pdf": _pdf,
    "tif": lambda n: _image(n, "TIFF"),
    "jpg": lambda n: _image(n, "JPEG"),
    "png": lambda n: _image(n, "PNG"),
    "xml": lambda n: f"<records><record n='{n}'>text</record></records>".encode() * 1,
    "ofd": _zip,
    "wav": _sound,
    "csv": lambda n: b"agency,files\n" + f"a{n},{n}\n".encode() * 50,
    "bin": lambda n: bytes((n * k) % 251 for k in range(900)),
}


def _make(folder: Path, number: int) -> list[Path]:
    paths = []
    kinds = list(_MAKERS)
    for n in range(number):
        kind = kinds[n % len(kinds)]
        paths.append(folder / f"{n:06d}.{kind}")
        paths[-1].write_bytes(_MAKERS[kind](n))
    return paths


def _say(what: str, seconds: float, files: int, more: str = "") -> None:
    each = seconds * 1000 / files
    print(f"{what:<58}{seconds:7.2f} s {files / seconds:9,.0f} files/s {each:7.2f} ms/file  {more}")


def _timed(what: str, files: int, work: Callable[[], object], more: str = "") -> float:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    _say(what, seconds, files, more)
    return seconds


def _identification(paths: Sequence[Path]) -> list[FileFormat]:
    names, number = [str(path) for path in paths], len(paths)
    ours = Identifier(2, [shipped_config() / "signatures"])
    list(ours.identify(names[:50]))  # the processes start
    known: list[FileFormat] = []
    for what, work in (
        ("ours, two processes, own signatures", lambda: known.extend(ours.identify(names))),
        ("pygfried.identify_many, two workers", lambda: pygfried.identify_many(names, workers=2)),
        ("pygfried.identify, one by one", lambda: [pygfried.identify(n, detailed=True) for n in names]),
    ):
        _timed(f"identify: {what}", number, work)
    ours.close()
    few = names[:500]
    both = Identifier(2, [shipped_config() / "signatures"], second=True)
    list(both.identify(few[:20]))
    _timed("identify: ours with fido beside it (500 files)", len(few), lambda: list(both.identify(few)))
    both.close()
    program = Path(sys.executable).with_name("fido")
    _timed(
        "identify: fido's own command (500 files)", len(few),
        lambda: subprocess.run([program, "-q", *few], capture_output=True, check=False),
    )  # fmt: skip
    return known


def _validation(paths: Sequence[Path], known: Sequence[FileFormat]) -> None:
    files = list(zip(paths, known, strict=True))
    checked = [file for file in files if kind_of(file[1])]
    alone = Validation(Builtin())
    alone.check(checked[:20])
    _rate("check: built-in checks only", checked, alone)
    alone.close()
    tools: tuple[tuple[Validator, BatchSelector], ...] = (
        (Jhove(_TOOLS / "jhove"), module_for),
        (VeraPdf(_TOOLS / "verapdf"), flavour_for),
        (ExifTool(), described_by),
    )
    for tool, choice in tools:
        mine = [file for file in files if choice(file[1])]
        if mine and tool.state().usable:
            one = Validation(Builtin(), [(tool, choice)])
            _rate(f"check: built-in and {tool.name}, its {len(mine)} files", mine, one)
            one.close()
    jhove = Jhove(_TOOLS / "jhove")
    few = [path for path, one in files if module_for(one) == "TIFF-hul"][:20]
    if jhove.state().usable and few:
        _timed(
            "check: JHOVE, a JVM for each (20 TIFFs)", len(few),
            lambda: [jhove.check([path], "TIFF-hul") for path in few],
        )  # fmt: skip
    every = shared_validation()
    there = ", ".join(state.name for state in every.states if state.usable) or "none"
    _rate("check: everything that is installed", checked, every, there)


def _rate(what: str, files: list[tuple[Path, FileFormat]], by: Validation, more: str = "") -> None:
    size = sum(path.stat().st_size for path, _ in files)
    began = time.perf_counter()
    by.check(files)
    seconds = time.perf_counter() - began
    _say(what, seconds, len(files), f"{size / 2**20 / seconds:6.1f} MiB/s  {more}")


def main() -> None:
    """Make the files, time each way, throw them away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    number = parser.parse_args().files
    folder = Path(tempfile.mkdtemp(prefix="stele-bench-"))
    try:
        paths = _make(folder, number)
        size = sum(path.stat().st_size for path in paths)
        print(f"{number} mixed files, {size / 2**20:.1f} MiB: {', '.join(_MAKERS)}")
        known = _identification(paths)
        _validation(paths, known)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
        print(f"peak memory: {own} MiB here, {children} MiB in the largest process started")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
