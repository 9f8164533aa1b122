"""Writes to OCFL objects, each after a question to the fence, under the locks a store is to keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from storage.fence import Fence
from storage.ocfl.inventory import INVENTORY
from storage.protocol import (
    ListsFolders,
    LockMode,
    ObjectStore,
    Progress,
    Protection,
    Purges,
    SupportsLegalHold,
    Upload,
)

__all__ = ["FencedWriter"]


class FencedWriter:
    """Puts, replaces and deletes keys. Every write to an object goes through here."""

    def __init__(self, store: ObjectStore, fence: Fence, lock_mode: LockMode | None) -> None:
        """``lock_mode`` locks, in a store that can, every object that has a day to be kept until."""
        self._store = store
        self._fence = fence
        self._lock_mode = lock_mode

    def under(self, fence: Fence) -> FencedWriter:
        """The same writer, which asks ``fence``."""
        return FencedWriter(self._store, fence, self._lock_mode)

    def check(self) -> None:
        """Whether its holder may go on, as far as is known here. Raises LeaseLost."""
        self._fence.check()

    def confirm(self) -> None:
        """Whether its holder may go on: asked anew. Raises LeaseLost, StoreUnavailable."""
        self._fence.confirm()

    def put(
        self, uploads: Iterable[Upload], protection: Protection, progress: Progress | None = None
    ) -> None:
        """Write what is not there yet; nothing is written over. Raises as ``ObjectStore.put``."""

        def checked() -> Iterator[Upload]:
            for upload in uploads:
                self._fence.check()
                yield self.locked(upload, protection)

        self._store.put(checked(), progress)

    def replace(self, upload: Upload, protection: Protection, *, commit: bool = False) -> None:
        """Write one key, whatever is there; ``commit``: it commits a version or repairs a committed one."""
        if commit:
            self._fence.confirm()
        else:
            self._fence.check()
        self._store.replace(self.locked(upload, protection))

    def delete(self, key: str) -> None:
        """Delete one key of an object, as a repair or a sweep does; earlier S3 versions of it stay."""
        self._fence.confirm()
        self._store.delete(key)

    def delete_below(self, prefix: str, *, purge: bool = False) -> int:
        """Delete all objects of an object root or of a version; how many there were.

        ``purge``: with all their versions. Listed a page at a time: keys may be a million.
        """
        delete = self._purge if purge else self._store.delete
        number = 0
        for inventories in (True, False):  # inventories first: they prove content that goes then
            for key in self._store.list(prefix):
                if key.endswith(f"/{INVENTORY}") is not inventories:
                    continue
                if number % 1000 == 0:
                    self._fence.confirm()
                self._fence.check()
                delete(key)
                number += 1
        # Deleting a folder's last key takes the folder too, but not when it was killed in between.
        if isinstance(self._store, ListsFolders):
            self._fence.check()
            self._store.remove_empty_folders(prefix)
        return number

    def locked(self, upload: Upload, protection: Protection) -> Upload:
        """The upload with what makes the store itself keep it, where locks are configured."""
        if self._lock_mode is None:
            return upload
        if protection.until is not None:
            upload = replace(upload, retain_until=protection.until, lock_mode=self._lock_mode)
        return replace(upload, legal_hold=True) if protection.held and self._keeps_holds else upload

    @property
    def _keeps_holds(self) -> bool:
        return isinstance(self._store, SupportsLegalHold) and self._store.keeps_legal_holds

    @property
    def enforces_holds(self) -> bool:
        """Whether the store itself refuses to delete what is under a hold."""
        return self._lock_mode is not None and self._keeps_holds

    def set_hold(self, prefix: str, *, held: bool) -> bool:
        """Have the store itself refuse the removal of what lies below, or refuse it no longer.

        False where locks are not configured or not kept. Raises StoreUnavailable: then some of the
        objects may be held and some not, and calling it again finishes it.
        """
        store = self._store
        if self._lock_mode is None or not isinstance(store, SupportsLegalHold) or not self._keeps_holds:
            return False
        keys = list(store.list(prefix))
        self._fence.confirm()
        with ThreadPoolExecutor(store.connections, thread_name_prefix="hold") as pool:
            for done in [pool.submit(store.set_legal_hold, key, held=held) for key in keys]:
                done.result()
        return bool(keys)

    def purge(self, key: str) -> None:
        """Delete one key with all its versions, where the store keeps them: no bytes must stay behind."""
        self._fence.confirm()
        self._purge(key)

    def _purge(self, key: str) -> None:
        if isinstance(self._store, Purges):
            self._store.purge(key)
        else:
            self._store.delete(key)
