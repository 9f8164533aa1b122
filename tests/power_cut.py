"""Disks whose power can be cut: ext4 in image files, and copies of those files.

The copy of an image holds what was written to the disk, and nothing of what the kernel still has in its
page cache. That is what a power cut leaves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from requirements import unavailable

__all__ = ["Disks", "require_loop_devices"]

_IMAGE_BYTES = 48 << 20
_COMMIT_S = 300  # of ext4's own journal; by default it makes everything durable every five seconds
_UMOUNT_TRIES = 50


class Disks:
    """File systems mounted below ``root``, one for each name; the empty name is ``root`` itself."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = names
        self.root = folder / "disks"
        try:
            for name in names:
                image = self._image(name)
                with image.open("wb") as file:
                    file.truncate(_IMAGE_BYTES)
                _run("mkfs.ext4", "-q", "-F", str(image))
                _mount(image, self.root / name)
        except OSError:
            self.close()
            raise

    def flush(self) -> None:
        """Make everything durable that was written so far."""
        for name in self._names:
            _run("sync", "-f", str(self.root / name))

    def copy_images(self) -> None:
        """Keep what a power cut at this moment would leave."""
        for name in self._names:
            _run("cp", "--sparse=always", str(self._image(name)), str(self._image(name, "cut")))

    @contextmanager
    def after_cut(self) -> Iterator[Path]:
        """The root of the same file systems as the copied images have them, mounted meanwhile."""
        root = self._folder / "after"
        try:
            for name in self._names:
                _mount(self._image(name, "cut"), root / name)
            yield root
        finally:
            _unmount(*(root / name for name in reversed(self._names)))

    def close(self) -> None:
        """Unmount everything; the images go with their folder."""
        _unmount(*(self.root / name for name in reversed(self._names)))

    def _image(self, name: str, state: str = "disk") -> Path:
        return self._folder / f"{name or 'all'}.{state}"


def require_loop_devices(folder: Path) -> None:
    """Skip where an ext4 file system in a file cannot be made or mounted, and say why."""
    lacking = [name for name in ("mkfs.ext4", "mount", "umount", "sync", "cp") if not shutil.which(name)]
    if lacking:
        unavailable(f"a power cut is tested on ext4 in a file, which needs {', '.join(lacking)}")
    if os.geteuid() != 0:
        unavailable("a power cut is tested on a mounted image, and only root may mount one")
    try:
        Disks(folder, [""]).close()
    except OSError as error:
        unavailable(f"a power cut is tested on a mounted image, which does not work here: {error}")


def _mount(image: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    _run("mount", "-o", f"loop,commit={_COMMIT_S}", str(image), str(place))


def _unmount(*places: Path) -> None:
    for place in places:
        for _ in range(_UMOUNT_TRIES):
            if not place.is_mount():
                break
            try:
                _run("umount", str(place))
            except OSError:
                time.sleep(0.1)  # a process that has just ended may still be let go
        else:
            _run("umount", "--lazy", str(place))


def _run(*words: str) -> None:
    """Raises OSError with what the program said."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
