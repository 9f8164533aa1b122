"""ExifTool when it is missing, old, slow, dead, or answers half."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.formats.exiftool import ExifTool
from pipeline.formats.tool import Validity

_TOOL = """#!/bin/sh
[ "$1" = -ver ] && echo {version} && exit 0
for word; do case $word in /*) files="$files $word";; esac; done
sep=; echo "["
for file in $files; do
  case $(cat $file) in
    *hang*) sleep 60;; *crash*) kill -9 $$;; *cut*) exit 0;; *forgotten*) continue;;
  esac
  printf '%s{"SourceFile": "%s", "Title": "T"}' "$sep" "$file"; sep=,
done
echo "]"
"""


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ExifTool]:
    """A stand-in of some version, alone on the PATH when it is missing."""

    def make(version: str) -> ExifTool:
        place = tmp_path / "bin"
        place.mkdir()
        if version:
            (place / "exiftool").write_text(_TOOL.replace("{version}", version))
            (place / "exiftool").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin" if version else str(place))
        return ExifTool(timeout_s=1.0)

    return make


@pytest.mark.parametrize(
    ("version", "said"), [("", "not installed"), ("11.0", "too old"), ("x", "version")]
)
def test_not_usable(version: str, said: str, put) -> None:
    """In plain words."""
    assert said in put(version).state().problem


@pytest.mark.parametrize("evil", ["hang", "crash", "cut", "forgotten"])
def test_one_of_five(evil: str, put, tmp_path: Path) -> None:
    """It alone is not told about."""
    paths = []
    for number, word in enumerate(["fine", "fine", evil, "fine", "fine"]):
        paths.append(tmp_path / f"{number}.pdf")
        paths[-1].write_text(word)
    verdicts = put("12.57").check(paths, "metadata")
    assert [dict(verdict.facts) for verdict in verdicts] == [
        {"title inside": "T"}, {"title inside": "T"}, {}, {"title inside": "T"}, {"title inside": "T"},
    ]  # fmt: skip
    assert verdicts[2].validity is Validity.UNKNOWN
