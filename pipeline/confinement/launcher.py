"""Run one program confined: ``python -I -S launcher.py SPEC PROGRAM [WORD…]``, SPEC a JSON object.

Standard library only, so that it starts in some 15 ms. It gives up what the program must not have
(network, files, memory, time), then becomes the program. What this system cannot confine stays open:
``pipeline.confinement.confinement`` says beforehand what that is. Exit code 126: the confinement failed,
which is never ignored.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import stat
import struct
import sys
from contextlib import suppress
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_ABI_VERSION, _PATH_BENEATH = 1, 1
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_SOCKET = 1 << 9
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_ABI_1 = (1 << 13) - 1
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_TCP = 0b11  # bind, connect: since ABI 4
_SCOPES = 0b11  # abstract sockets and signals of processes outside: since ABI 6


def landlock_abi() -> int:
    """The version of Landlock's interface here; 0 without it."""
    return max(0, int(_LIBC.syscall(_CREATE_RULESET, None, 0, _ABI_VERSION)))


def enter_landlock(reads: list[str], writes: list[str], sockets: list[str] | None = None) -> None:
    """From now on this process and its children open only what lies below these paths.

    In folders of ``sockets`` they may make sockets, and nothing else. Raises OSError.
    """
    abi = landlock_abi()
    handled = _ALL_OF_ABI_1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        handled |= right if abi >= since else 0
    attributes = struct.pack("=QQQ", handled, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _call(_CREATE_RULESET, ctypes.c_char_p(attributes), size, 0)
    for paths, allowed in ((reads, _READING), (writes, handled), (sockets or [], _MAKE_SOCKET)):
        for path in paths:
            _allow(ruleset, path, allowed & handled)
    if _LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there cannot be opened anyway
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= _OF_FILES
        rule = struct.pack("=Qi", allowed, descriptor)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: Any) -> int:
    done = int(_LIBC.syscall(number, *arguments))
    if done < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return done


def leave_network() -> None:
    """Enter a network namespace that has no interface but a loopback that is down. Raises OSError."""
    user, group = os.getuid(), os.getgid()
    if _LIBC.unshare(_CLONE_NEWNET) == 0:
        return
    if _LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")
    for name, text in (
        ("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")
    ):  # fmt: skip
        with open(f"/proc/self/{name}", "w", encoding="ascii") as sink:
            sink.write(text)


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""
    _LIBC.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def read_only(memory_bytes: int) -> None:
    """For a reader of our own that opens only what it is named: it writes nothing, has no network and at
    most this much memory, so that a file for which it needs more crashes it alone.

    To be called before there are threads. What the system does not offer stays open.
    """
    limit({"DATA": memory_bytes, "CORE": 0})
    with suppress(OSError):
        leave_network()
    with suppress(OSError):
        enter_landlock(["/"], ["/dev/null"])


def limit(limits: dict[str, int]) -> None:
    """Set resource limits by their names in ``resource``, soft and hard."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def main() -> None:
    """See the module."""
    spec, command = json.loads(sys.argv[1]), sys.argv[2:]
    end_with_parent()
    # Python ignores these, and the program would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.nice(spec["nice"])
        limit(spec["limits"])
        if spec["network"] == "own":
            leave_network()
        if spec["files"] == "landlock":
            enter_landlock(spec["reads"], spec["writes"], spec["sockets"])
    except OSError as error:
        sys.stderr.write(f"it could not be confined: {error}\n")
        os._exit(126)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main()
