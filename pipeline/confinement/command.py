"""The command line that runs a program confined, and what can be confined here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.confinement.launcher import landlock_abi

__all__ = ["ConfinementState", "confined", "confinement", "environment"]

_LAUNCHER = Path(__file__).with_name("launcher.py")
_PASSED_ON = ("LANG", "LC_ALL", "PATH", "TZ")
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf",
    "/etc/locale.alias", "/etc/fonts", "/etc/ghostscript", "/etc/localtime", "/etc/libreoffice",
    "/etc/ImageMagick-6", "/etc/vulkan", "/etc/OpenCL", "/var/cache/fontconfig", "/var/lib/ghostscript",
    "/var/lib/libreoffice", "/var/spool/libreoffice", "/proc/self", "/proc/meminfo", "/proc/cpuinfo",
    "/proc/stat", "/proc/filesystems", "/sys/devices/system/cpu", "/dev/urandom", "/dev/random",
    "/dev/zero",
)  # fmt: skip
"""What programs of a system need to start: nothing of it belongs to a workspace."""
_DEVICES = ("/dev/null",)
_BY_JAVA = ("/etc/java", "/etc/ssl/certs/java")


@dataclass(frozen=True, slots=True)
class ConfinementState:
    """What is closed to foreign tools on this machine.

    ``files`` is ``landlock``, ``bubblewrap`` or ``none``; ``network`` is ``own`` (a namespace without
    interfaces), ``landlock`` (TCP refused) or ``open``.
    """

    files: str
    network: str
    detail: str

    @property
    def complete(self) -> bool:
        """Whether a tool reads only its input and reaches nobody."""
        return self.files != "none" and self.network == "own"


@cache
def confinement() -> ConfinementState:
    """What this machine offers, tried once: Landlock, else bubblewrap, else a network namespace alone."""
    abi = landlock_abi() if sys.platform == "linux" else 0
    own_network = _try_network()
    network = "own" if own_network else "landlock" if abi >= 4 else "open"
    if abi:
        return ConfinementState("landlock", network, f"Landlock ABI {abi}")
    if _bubblewrap_works():
        return ConfinementState("bubblewrap", "own", "bubblewrap")
    return ConfinementState("none", network, "no Landlock in this kernel, no working bubblewrap")


def _bubblewrap_works() -> bool:
    return bool(shutil.which("bwrap")) and _starts(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    )


def _try_network() -> bool:
    spec = {
        "nice": 0,
        "limits": {},
        "network": "own",
        "files": "none",
        "reads": [],
        "writes": [],
        "sockets": [],
    }
    return _starts([*_launcher(spec), "true"])


def _starts(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _launcher(spec: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(spec)]


def environment(home: Path | None, **more: str) -> dict[str, str]:
    """What a foreign program gets of the environment: no keys of stores, no passwords, no options.

    Whatever it keeps for itself it keeps in ``home``, which goes when it ends.
    """
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    kept.setdefault("PATH", os.defpath)
    if home is not None:
        kept.update(HOME=str(home), TMPDIR=str(home), XDG_CACHE_HOME=str(home), XDG_CONFIG_HOME=str(home))
    return {**kept, **more}


def confined(
    command: Sequence[str],
    *,
    reads: Iterable[Path],
    writes: Iterable[Path],
    limits: Mapping[str, int],
    sockets: Iterable[Path] = (),
) -> list[str]:
    """The command that runs ``command`` so that it can open only these, and what a system needs.

    ``reads`` and ``writes`` are files or folders, with what lies below; links are followed now, by us.
    ``sockets`` are folders in which it may make sockets (a private one where that is possible).
    ``limits`` are resource limits by their names (``CPU`` in seconds, ``FSIZE`` and ``DATA`` in bytes).
    """
    state = confinement()
    readable = [*_SYSTEM, *_program_folders(command[0]), *(os.path.realpath(path) for path in reads)]
    writable = [*_DEVICES, *(os.path.realpath(path) for path in writes)]
    spec = {
        "nice": 10, "limits": {"CORE": 0, **limits}, "network": "own" if state.network == "own" else "open",
        "files": state.files, "reads": readable, "writes": writable,
        "sockets": [str(path) for path in sockets],
    }  # fmt: skip
    if state.files == "bubblewrap":
        spec.update(reads=[], writes=[], sockets=[], network="open")  # bubblewrap closes both itself
        return [*_launcher(spec), *_bubblewrap(readable, writable), *command]
    return [*_launcher(spec), *command]


def _program_folders(program: str) -> list[str]:
    """Where a program and what belongs to it lies, if not where systems have theirs."""
    found = shutil.which(program)
    folders = [sys.prefix, sys.base_prefix]
    if found:
        real = Path(found).resolve()
        folders += [found, str(real)]
        installed = real.parent.parent
        if real.parent.name in ("bin", "program") and installed not in (Path("/"), Path.home()):
            folders.append(str(installed))
    return [*folders, *_BY_JAVA, *(f"/etc/java-{version}-openjdk" for version in (11, 17, 21, 25))]


def _bubblewrap(reads: Sequence[str], writes: Sequence[str]) -> list[str]:
    words = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
    ]
    bound: list[str] = []
    for path in sorted(set(reads)):  # a folder before what lies in it, which it brings along
        if not _is_its_own(path) and not path.startswith(tuple(f"{one}/" for one in bound)):
            bound.append(path)
            words += ["--ro-bind-try", path, path]
    for path in writes:
        if not _is_its_own(path):
            words += ["--bind", path, path]
    return [*words, "--"]


def _is_its_own(path: str) -> bool:
    """Whether bubblewrap brings its own: devices and processes. Files in shared memory are files."""
    return path.startswith(("/proc/", "/dev/")) and not path.startswith("/dev/shm/")
