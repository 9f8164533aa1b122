"""JHOVE, veraPDF, MediaConch and ffmpeg when they are missing, old, slow, dead or lie. Stand-ins speak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.formats.ffmpeg import FfmpegDecode
from pipeline.formats.jhove import Jhove
from pipeline.formats.mediaconch import MediaConch
from pipeline.formats.tool import Validity
from pipeline.formats.verapdf import VeraPdf

_JAVA = """#!/bin/sh
case "$*" in *" -v") echo "Jhove (Rel. {version}, 2023-05-18)"; exit 0;; *--version*) echo "veraPDF {version}"; exit 0;; esac
case "$*" in *Jhove*) kind=jhove;; *) kind=verapdf;; esac
files=$(for word in "$@"; do case $word in */stele-*) echo "$word";; esac; done)
for file in $files; do
  case $(cat $file) in
    *hang*) sleep 60;;
    *crash*) kill -9 $$;;
    *cut*) echo "<jhove><repInfo"; exit 0;;
    *silent*) exit 0;;
  esac
done
echo "<report>"
for file in $files; do
  said=$(cat $file)
  if [ $kind = jhove ]; then
    module=PDF-hul; status="Well-Formed and valid"; message=
    case $said in
      *bytes*) module=BYTESTREAM;;
      *unknown*) status=Unknown;;
      *formed*) status="Well-Formed";;
      *invalid*) status="Well-Formed, but not valid"; message="<messages><message severity='error' id='X-1'>bad</message></messages>";;
      *bad*) status="Not well-formed";;
      *forgotten*) continue;;
    esac
    echo "<repInfo uri='file:$file'><reportingModule>$module</reportingModule><status>$status</status>$message</repInfo>"
  else
    inner="<validationReport isCompliant='true'/>"
    case $said in
      *invalid*|*bad*) inner="<validationReport isCompliant='false'><details><rule clause='6.1' testNumber='2' status='failed'><description>no</description></rule></details></validationReport>";;
      *unknown*) inner="";;
      *broken*) inner="<taskException><exceptionMessage>no PDF</exceptionMessage></taskException>";;
      *forgotten*) continue;;
    esac
    echo "<job><item><name>$file</name></item>$inner</job>"
  fi
done
echo "</report>"
exit 0
"""
_MEDIACONCH = """#!/bin/sh
case "$*" in *--Version*) echo "MediaConch Command Line Interface v{version}"; exit 0;; esac
for file; do :; done
case $(cat $file) in
  *hang*) sleep 60;; *crash*) kill -9 $$;; *cut*) echo "<MediaConch><test"; exit 0;; *silent*) exit 0;;
  *invalid*) echo "<m><check icid='FFV1-1'><test outcome='fail'/></check></m>";;
  *unknown*) echo "<m/>";;
  *) echo "<m><check icid='FFV1-1'><test outcome='pass'/></check></m>";;
esac
exit 0
"""
_FFMPEG = """#!/bin/sh
case "$*" in "-version") echo "ffmpeg version {version}-0+deb12u1 Copyright"; exit 0;; esac
previous=; for word in "$@"; do [ "$previous" = -i ] && file=${{word#file:}}; previous=$word; done
case $(cat $file) in
  *hang*) sleep 60;; *crash*) kill -9 $$;; *invalid*) echo "slice CRC mismatch" >&2;;
esac
exit 0
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts stand-ins on the PATH, before everything else or alone; the folder of jars."""
    place = tmp_path / "bin"
    place.mkdir()
    jars = tmp_path / "jars"
    jars.mkdir()
    (jars / "a.jar").touch()

    def put(java: str = "1.28.2", mediaconch: str = "23.03", ffmpeg: str = "5.1") -> Path:
        for name, text, version in (
            ("java", _JAVA, java), ("mediaconch", _MEDIACONCH, mediaconch), ("ffmpeg", _FFMPEG, ffmpeg),
        ):  # fmt: skip
            if version:
                (place / name).write_text(
                    text.replace("{version}", version).replace("{{", "{").replace("}}", "}")
                )
                (place / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin" if java else str(place))
        return jars

    return put


def _files(folder: Path, *said: str) -> list[Path]:
    paths = []
    for number, word in enumerate(said):
        paths.append(folder / f"ü {number} --help.pdf")
        paths[-1].write_text(word)
    return paths


def _tools(jars: Path) -> list[tuple[object, str]]:
    return [
        (Jhove(jars, timeout_s=1.5), "PDF-hul"), (VeraPdf(jars, timeout_s=1.5), "1b"),
        (MediaConch(timeout_s=1.5), "fmt/569"), (FfmpegDecode(timeout_s=1.5), "fmt/569"),
    ]  # fmt: skip


def test_missing(programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says in plain words what is not there."""
    jars = programs(java="", mediaconch="", ffmpeg="")
    assert "no Java" in Jhove(jars).state().problem
    assert "make tools" in Jhove(None).state().problem
    assert "make tools" in VeraPdf(tmp_path).state().problem
    assert "not installed" in MediaConch().state().problem
    assert "not installed" in FfmpegDecode().state().problem


def test_too_old(programs) -> None:
    """A version that is known to lie otherwise is not used."""
    jars = programs(java="1.20.1", mediaconch="16.11", ffmpeg="3.4")
    for tool, _ in _tools(jars):
        state = tool.state()
        assert not state.usable
        assert "too old" in state.problem, state


def test_does_not_start(programs, tmp_path: Path) -> None:
    """A Java that cannot find the class, a program that says nothing."""
    jars = programs(java="nonsense", mediaconch="nonsense", ffmpeg="nonsense")
    for tool, _ in _tools(jars):
        assert not tool.state().usable


@pytest.mark.parametrize("evil", ["hang", "crash", "cut", "silent", "forgotten"])
def test_one_of_ten(evil: str, programs, tmp_path: Path) -> None:
    """The file that breaks the tool has no verdict; the nine others have theirs. Exit codes are 0."""
    jars = programs()
    words = ["fine"] * 10
    words[6] = evil
    for tool, batch in _tools(jars):
        if tool.name == "ffmpeg" and evil in ("cut", "silent", "forgotten"):
            continue  # it has no output to cut
        if tool.name == "MediaConch" and evil == "forgotten":
            continue  # one process a file
        verdicts = tool.check(_files(tmp_path, *words), batch)
        assert verdicts[6].validity is Validity.UNKNOWN, (tool.name, verdicts[6])
        assert "gave up" in verdicts[6].messages[0]
        others = {verdict.validity for number, verdict in enumerate(verdicts) if number != 6}
        assert others <= {Validity.VALID, Validity.WELL_FORMED}, tool.name


def test_what_they_say(programs, tmp_path: Path) -> None:
    """A report by BYTESTREAM, an unknown status, a silence: none is a pass."""
    jars = programs()
    words = ["fine", "invalid", "unknown", "bytes", "formed", "bad", "broken"]
    expected = {
        "JHOVE": ["valid", "not-valid", "unknown", "unknown", "well-formed", "not-valid", "valid"],
        "veraPDF": ["valid", "not-valid", "unknown", "valid", "valid", "not-valid", "not-valid"],
        "MediaConch": ["well-formed", "not-valid", "unknown", *["well-formed"] * 4],
        "ffmpeg": ["well-formed", "not-valid", *["well-formed"] * 5],
    }
    for tool, batch in _tools(jars):
        verdicts = tool.check(_files(tmp_path, *words), batch)
        assert [str(verdict.validity) for verdict in verdicts] == expected[tool.name], tool.name
        assert verdicts[1].messages, tool.name
        assert tool.name in verdicts[0].tool
