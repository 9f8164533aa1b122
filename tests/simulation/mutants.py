"""Does the simulation find what it is for? Faults put into a copy of the product, one at a time.

``python -m simulation.mutants [SEEDS] [NAME...]`` (from ``tests/``): for each mutant the number of seeds
until it is found, or *survived*.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent
_FOLDERS = ("schemas", "packages", "storage", "pipeline", "stele", "flows", "dashboard", "config")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: in ``file`` the text ``old`` becomes ``new``.

    ``also`` are further changes, (file, old, new), where one promise is kept at two places.
    """

    name: str
    file: str
    old: str
    new: str
    also: tuple[tuple[str, str, str], ...] = ()


MUTANTS = (
    # -- leases
    Mutant(
        "the lease is not taken", "pipeline/holdings/leases.py",
        "    with archive.catalogue.leases.leased(aip, purpose, since=since, wait_s=wait_s) as lease:\n"
        "        leased = archive.under(lease)\n",
        "    with nullcontext(archive) as leased:\n",
    ),
    Mutant(
        "the writes are not fenced in the catalogue", "storage/catalogue/database.py",
        "lease = self.lease if fenced else None", "lease = None",
    ),
    Mutant(
        "the stores are not fenced", "pipeline/archive.py",
        "repository=one.repository.fenced(lease)", "repository=one.repository",
    ),
    Mutant(
        "expiry is ignored: whoever is silent for long still holds", "storage/catalogue/heartbeats.py",
        "return found is not None and self._now_ms(connection) - found < LEASE_TTL_S * 1000",
        "return found is not None",
    ),
    Mutant(
        "a process that has died is believed alive for ever", "storage/catalogue/heartbeats.py",
        "            return not self.runtime.seen_dead(owner)  # the same machine", "            return True  # the same machine",
    ),
    Mutant(
        "the row is not read again under the lease", "pipeline/holdings/leases.py",
        "        try:\n            row = leased.catalogue.aips.get(aip)\n",
        "        try:\n            row = before\n",
    ),
    Mutant(
        "a lost lease is not noticed when the heartbeat was interrupted", "storage/catalogue/leases.py",
        "if not heartbeat.fresh or heartbeat.interruptions != self._interruptions:", "if False:",
    ),
    # -- versions
    Mutant(
        "no version is planned", "pipeline/holdings/versions.py",
        "    catalogue.versions.plan(row.id, intent)\n", "    pass\n",
    ),
    Mutant(
        "the plan is written after the commit", "pipeline/holdings/versions.py",
        "        catalogue.versions.plan(row.id, plan)\n        first.repository.commit(staged, protection)\n",
        "        first.repository.commit(staged, protection)\n        catalogue.versions.plan(row.id, plan)\n",
    ),
    Mutant(
        "the plan does not survive a power cut", "storage/catalogue/versions.py",
        "        with self._database.write(durable=True) as connection:\n            put_row(connection, PLANNED_VERSION",
        "        with self._database.write() as connection:\n            put_row(connection, PLANNED_VERSION",
    ),
    Mutant(
        "what an update left is not finished", "pipeline/holdings/leases.py",
        "if row is not None and finish_planned_version(leased, row):", "if False:",
    ),
    Mutant(
        "a version that was written but for its commit is undone", "pipeline/holdings/versions.py",
        "first.repository.is_written(row.id, *planned)", "False",
    ),
    Mutant(
        "what was written for a version that is not committed stays", "pipeline/holdings/versions.py",
        "                one.repository.discard(row.id, plan.version)\n", "                pass\n",
    ),
    Mutant(
        "the root inventory is written before the version's own", "storage/ocfl/repository.py",
        "        self.writer.put([inventory, Upload.of(f\"{root}/{version}/{SIDECAR}\", sidecar)], protection)\n"
        "        with self.undone_if_overtaken(staged.object_id, protection):\n"
        "            self.writer.replace(Upload.of(f\"{root}/{SIDECAR}\", sidecar), protection)\n"
        "            self.writer.replace(replace(inventory, key=f\"{root}/{INVENTORY}\"), protection, commit=True)\n",
        "        with self.undone_if_overtaken(staged.object_id, protection):\n"
        "            self.writer.replace(Upload.of(f\"{root}/{SIDECAR}\", sidecar), protection)\n"
        "            self.writer.replace(replace(inventory, key=f\"{root}/{INVENTORY}\"), protection, commit=True)\n"
        "        self.writer.put([inventory, Upload.of(f\"{root}/{version}/{SIDECAR}\", sidecar)], protection)\n",
    ),
    Mutant(
        "the version is registered before the other stores have it", "pipeline/holdings/versions.py",
        "            copy_object(\n                first.repository, one.repository, row.id,\n"
        "                was_committed=one.name in committed, protection=protection,\n            )  # fmt: skip\n",
        "            pass\n",
    ),
    # -- what is said
    Mutant(
        "an update calls every copy verified", "pipeline/holdings/versions.py",
        "            yield replace(before, version=facts.version)\n",
        "            yield replace(before, version=facts.version, state='verified', "
        "verified=facts.created, last_checked=facts.created)\n",
    ),
    Mutant(
        "a copy that a killed ingest left is called verified unread", "pipeline/ingest/store.py",
        "    return digest if wrong == 0 and seen.objects else None\n", "    return digest\n",
    ),
    Mutant(
        "a copy that a killed ingest left is not read", "pipeline/ingest/store.py",
        "        seen = audit_copy(repository, urn, trusted, {})\n    if seen.state is CopyState.UNREADABLE:",
        "        return digest\n    if seen.state is CopyState.UNREADABLE:",
    ),
    Mutant(
        "a replicated copy is called verified, and its source was read", "pipeline/preservation/replicate.py",
        "        seen = audit_copy(target.repository, aip, trusted, versions)\n",
        "        seen = audit_copy(source.repository, aip, trusted, versions)\n",
    ),
    Mutant(
        "a rebuild calls what it finds verified", "pipeline/preservation/rebuild.py",
        '        found = CopyRow(aip, store, record.aip.version, "", state, "")\n',
        '        found = CopyRow(aip, store, record.aip.version, record.aip.created, "verified", "")\n',
    ),
    Mutant(
        "an audit that found damage says verified", "storage/replicas/fixity.py",
        "    state = CopyState.DAMAGED if wrong else whole\n", "    state = whole\n",
    ),
    Mutant(
        "a comparison does not tell of a missing object", "storage/replicas/fixity.py",
        "        else:\n            yield key, digest, None\n", "        else:\n            continue\n",
    ),
    Mutant(
        "reconcile trusts its old listing", "pipeline/preservation/reconcile.py",
        "            if store.repository.holds(aip.id):\n                return\n", "",
    ),
    # -- what is deleted
    Mutant(
        "a sweep trusts the age of objects", "pipeline/preservation/reconcile.py",
        "        with _nobody_writes(archive, aip) as leased:\n            repository =",
        "        with nullcontext(archive) as leased:\n            repository =",
    ),
    Mutant(
        "a repair replaces what could not be kept", "pipeline/preservation/repair.py",
        "        self._quarantine.keep(self._repository.store, f\"{self._root}/{finding.key}\", finding.key)\n",
        "        try:\n            self._quarantine.keep(self._repository.store, f\"{self._root}/{finding.key}\", "
        "finding.key)\n        except QuarantineFailed:\n            pass\n",
    ),
    Mutant(
        "a repair rolls a newer version back", "pipeline/preservation/audit.py",
        "        elif any(finding.key == INVENTORY for finding in seen.findings):\n", "        elif False:\n",
    ),
    Mutant(
        "a removal does not look for holds", "storage/catalogue/removals.py",
        "            if hold is not None:\n                return HoldRow(**hold._mapping)\n", "",
        also=(("pipeline/preservation/removal.py", "    if hold:\n        raise", "    if False:\n        raise"),),
    ),
    Mutant(
        "a hold does not look whether the AIP is on its way out", "storage/catalogue/holds.py",
        'if state == AipState.KEPT or (state == AipState.REMOVING and while_removing):', "if state:",
    ),
    Mutant(
        "a removal that was cut off is not resumed", "pipeline/preservation/removal.py",
        '        if not request.approved_by or row is None or row.state != AipState.REMOVING:\n            continue\n',
        "        continue\n",
    ),
    Mutant(
        "a removal leaves what lies below the inventory", "storage/ocfl/writer.py",
        "        for inventories in (True, False):", "        for inventories in (True,):",
    ),
    Mutant(
        "a removal does not survive a power cut", "storage/ocfl/repository.py",
        "        self.store.sync()  # or a power cut would bring back what is said to be removed\n", "",
    ),
    Mutant(
        "an update's content is not durable before its inventory", "storage/ocfl/repository.py",
        "        self.store.sync()  # all content is durable before this inventory, which is the proof of it\n", "",
    ),
    # -- what is durable
    Mutant(
        "the journal is written without being made durable", "pipeline/holdings/journal.py",
        "            store.repository.store.replace(Upload.of(name, content))  # durable, unlike put\n",
        "            store.repository.store.put([Upload.of(name, content)])\n",
    ),
    Mutant(
        "a hold is not written to the journal", "pipeline/preservation/removal.py",
        "    write_journal(archive).require()\n    return _tell_stores", "    return _tell_stores",
    ),
    Mutant(
        "a hold does not survive a power cut in the catalogue", "storage/catalogue/holds.py",
        '        with self._database.write(durable=True) as connection:\n            # The row is locked',
        '        with self._database.write() as connection:\n            # The row is locked',
    ),
    Mutant(
        "an ingest that was reported does not survive a power cut", "storage/catalogue/submissions.py",
        "with self._database.write(durable=True) as connection:", "with self._database.write() as connection:",
    ),
    Mutant(
        "an inventory is copied whatever its bytes are", "storage/ocfl/object_copy.py",
        "            if upload.sha512 != sha512:\n                raise WriteMismatch(",
        "            if False:\n                raise WriteMismatch(",
    ),
    Mutant(
        "a release is forgotten when the catalogue is rebuilt", "pipeline/preservation/removal_history.py",
        "                self._lifted[HoldRow(**lifted)] += 1\n", "                pass\n",
    ),
)  # fmt: skip


def killed_after(mutant: Mutant, seeds: int) -> tuple[int | None, str]:
    """The number of seeds until the mutant is found, None when it survives; and what was violated."""
    with tempfile.TemporaryDirectory() as folder:
        for name in _FOLDERS:
            shutil.copytree(_ROOT / name, Path(folder, name))
        shutil.copytree(_ROOT / "tests/simulation", Path(folder, "tests/simulation"))
        for file, old, new in ((mutant.file, mutant.old, mutant.new), *mutant.also):
            place = Path(folder, file)
            text = place.read_text("utf-8")
            if text.count(old) != 1:
                raise SystemExit(f"{mutant.name}: its text occurs {text.count(old)} times in {file}")
            place.write_text(_imports(mutant, text.replace(old, new)), "utf-8")
        code = "from simulation.mutants import first_failure; import sys; first_failure(int(sys.argv[1]))"
        done = subprocess.run(
            [sys.executable, "-c", code, str(seeds)], cwd=Path(folder, "tests"), capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": f"{folder}:{folder}/tests"}, check=False,
        )  # fmt: skip
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if last.startswith("survived"):
        return None, ""
    if last.startswith("killed"):
        _, number, what = last.split(" ", 2)
        return int(number), what
    return 1, (done.stderr.strip().splitlines() or ["no output"])[-1]  # it does not even start


def _imports(mutant: Mutant, text: str) -> str:
    if "nullcontext(" in mutant.new:
        text = text.replace(
            "from contextlib import contextmanager", "from contextlib import contextmanager, nullcontext"
        )
    if "row = before" in mutant.new:
        text = text.replace(
            "    since = timestamp(archive.clock())\n",
            "    since = timestamp(archive.clock())\n    before = archive.catalogue.aips.get(aip)\n",
        )
    return text


def first_failure(seeds: int) -> None:
    """In the copy: run until something is violated, also where an operation breaks in an unknown way."""
    from simulation.run import run, scenario_of

    for number in range(1, seeds + 1):
        try:
            failure = run(scenario_of(number))
        except Exception as error:
            print(f"killed {number} {error!r}"[:300])
            return
        if failure is not None:
            print(f"killed {number} {failure.violation}".replace("\n", " ")[:300])
            return
    print("survived")


def main() -> None:
    """The table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    wanted = [one for one in MUTANTS if not sys.argv[2:] or any(word in one.name for word in sys.argv[2:])]
    killed = 0
    for mutant in wanted:
        began = time.monotonic()
        number, what = killed_after(mutant, seeds)
        killed += number is not None
        said = f"killed by seed {number}" if number else "SURVIVED"
        print(f"{mutant.name:70} {said:20} {time.monotonic() - began:6.1f} s  {what[:110]}", flush=True)
    print(f"{killed} of {len(wanted)} killed within {seeds} seeds")


if __name__ == "__main__":
    main()
