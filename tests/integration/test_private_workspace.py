"""A workspace's secrets are its owner's, and Prefect has a password unless somebody writes that it has none."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stele.permissions import exposed, open_doors
from stele.settings import load_settings
from stele.workspace import make_workspace

_STELE = Path(sys.executable).with_name("stele")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace made by somebody whose files others may read."""
    before = os.umask(0o022)
    try:
        make_workspace(tmp_path / "home")
    finally:
        os.umask(before)
    return tmp_path / "home"


def test_only_the_owner_reads_secrets(home: Path) -> None:
    """Settings, password, catalogue; and doctor says when that is no longer so."""
    for name in ("stele.toml", "prefect-password", "catalogue.sqlite"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
    assert list(exposed(home)) == []
    (home / "stele.toml").chmod(0o644)
    (home / "catalogue.sqlite").chmod(0o660)
    assert list(exposed(home)) == ["stele.toml (644)", "catalogue.sqlite (660)"]
    told = subprocess.run(
        [_STELE, "doctor", "--home", home, "--json"], capture_output=True, text=True, check=False
    ).stdout
    assert "stele.toml (644)" in told


def test_every_workspace_has_a_password_of_its_own(home: Path, tmp_path: Path) -> None:
    """Settings take its place where they name one; a server elsewhere has another."""
    make_workspace(tmp_path / "other")
    words = [load_settings(one).prefect.auth.get_secret_value() for one in (home, tmp_path / "other")]
    assert words[0].startswith("stele:")
    assert len(words[0]) > 30
    assert words[0] != words[1]
    (home / "stele.toml").write_text('[prefect]\nauth = "admin:a-long-secret"\n')
    assert load_settings(home).prefect.auth.get_secret_value() == "admin:a-long-secret"
    (home / "stele.toml").write_text('[prefect]\napi = "http://10.0.0.1:4200/api"\n')
    assert load_settings(home).prefect.auth.get_secret_value() == ""


def test_no_server_without_a_password(home: Path) -> None:
    """A workspace of an earlier version: refused with what to do, which then works."""
    (home / "prefect-password").unlink()
    refused = subprocess.run([_STELE, "serve", "--home", home], capture_output=True, text=True, check=False)
    assert refused.returncode == 2, refused.stderr
    assert "Prefect has no password" in refused.stderr
    assert "stele init" in refused.stderr.replace("\n", " ")
    assert not (home / "logs").exists(), "nothing was started"
    assert not make_workspace(home)
    assert load_settings(home).prefect.auth.get_secret_value()


def test_open_doors_are_named(home: Path) -> None:
    """What lets people in who should not be, or makes all look alike."""
    assert list(open_doors(load_settings(home))) == []
    (home / "stele.toml").write_text(
        '[prefect]\nwithout_password = true\n[dashboard]\nnames = ["a.example"]\n'
    )
    without, names = open_doors(load_settings(home))
    assert "no password" in without
    assert "proxies is not" in names
