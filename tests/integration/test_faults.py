"""Faults between us and S3: nothing lost, nothing half visible, retries bounded."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faulty_proxy import FAULTS, FaultyProxy, seeded
from requirements import LONG
from servers import Server, client_of, keep_probe, new_bucket, store_settings, workspace_on

from packages.identifiers import PackageId
from pipeline.access.export import export_aip
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.context import Result
from pipeline.ingest.run import ingest
from pipeline.preservation.reconcile import DifferenceKind, reconcile
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement

_INGESTS = 200 if LONG else 30
_URN = re.compile("urn%253auuid%253a([0-9a-f-]{36})")
_TRIES = 8


def _archive(folder: Path, endpoint: str, bucket: str, probed: dict[str, Any]) -> Archive:
    server = Server(endpoint, "AK", "SK")
    settings = (
        store_settings(server, bucket, connect_timeout="10", read_timeout="20")
        .replace('connect_timeout = "10"', "connect_timeout = 10")
        .replace('read_timeout = "20"', "read_timeout = 20")
    )
    home = workspace_on(folder, settings)
    keep_probe(home, "cloud", {**probed, "endpoint": endpoint}, bucket)
    return build_archive(load_settings(home))


def test_many_ingests_through_a_faulty_network(
    ministack: str, ministack_probe: dict[str, Any], make_bag, tmp_path: Path
) -> None:
    """Every AIP ends intact or cleanly absent, whatever the network does; what is absent is said."""
    direct = Server(ministack, "AK", "SK")
    bucket = new_bucket(direct)
    proxy = FaultyProxy(ministack, seeded(0.05, 20261125), stall=1.2)
    archive = _archive(tmp_path, proxy.endpoint, bucket, ministack_probe)
    agreement = choose_agreement(load_settings(tmp_path / "home"), None)
    chance = random.Random(4)
    sips = {}
    for number in range(_INGESTS):
        content = {f"f{n}.bin": chance.randbytes(chance.randrange(1, 3000)) for n in range(3)}
        if number % 20 == 0:
            content["large.bin"] = chance.randbytes(17 << 20)  # in parts
        sips[make_bag(content, name=f"sip-{number}")] = content

    def persist(sip: Path) -> tuple[Result, int]:
        """As an orchestrator would: what failed on our side is tried again, a bounded time."""
        for attempt in range(1, _TRIES + 1):  # noqa: B007  (the count is the answer)
            result = ingest(sip, agreement, archive)
            if result.outcome != "failed":
                break
            assert result.reason
            failures.append(result.reason)
            assert "unexpected" not in result.reason, result.reason
        return result, attempt

    failures: list[str] = []
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        done = dict(zip(sips, pool.map(persist, sips), strict=True))
    outcomes = Counter(str(result.outcome) for result, _ in done.values())
    tries = Counter(attempt for _, attempt in done.values())
    stored = {str(result.aip): sips[sip] for sip, (result, _) in done.items() if result.aip}
    reasons = [result.reason for result, _ in done.values() if result.reason]
    seconds = time.monotonic() - began
    proxy.close()
    each: Counter[str] = Counter()
    for (_, path), count in proxy.seen.items():
        each.update(dict.fromkeys(_URN.findall(path), count))
    print(
        f"\n{_INGESTS} ingests in {seconds:.0f} s, {dict(outcomes)}; tries {dict(sorted(tries.items()))}; "
        f"requests {dict(proxy.requests)}, at most {max(each.values())} and at least {min(each.values())} for one; "
        f"faults {dict(proxy.faults)}; failed tries {failures}"
    )
    assert set(proxy.faults) == set(FAULTS), "every kind of fault was met"
    assert outcomes["stored"] == _INGESTS, reasons
    assert max(each.values()) < 4 * min(each.values()), "the retries of each ingest are bounded"
    assert not list(archive.work.iterdir())
    archive.catalogue.close()
    _judge_directly(tmp_path, ministack, bucket, stored, ministack_probe)


def _judge_directly(
    folder: Path, endpoint: str, bucket: str, stored: dict[str, dict[str, bytes]], probed: dict[str, Any]
) -> None:
    """Past the proxy: what the catalogue says is there, whole, and nothing else is visible."""
    archive = _archive(folder, endpoint, bucket, probed)
    reports = list(verify_archive(archive, None))
    assert {report.object for report in reports} == set(stored)
    wrong = [report for report in reports if report.outcome != "intact"]
    assert not wrong, wrong[:2]
    assert [d for d in reconcile(archive) if d.kind is not DifferenceKind.NOT_COMMITTED] == []
    for aip, content in list(stored.items())[:20]:
        package = PackageId.parse(aip)
        bag = export_aip(package, archive.repositories, folder / "out").folder
        for name, data in content.items():
            kept = bag / f"data/{package.objid}/representations/rep1/data/{name}"
            assert kept.read_bytes() == data
    archive.catalogue.close()


def test_ingest_lists_no_bucket(
    ministack: str, ministack_probe: dict[str, Any], make_bag, tmp_path: Path
) -> None:
    """A fresh ingest asks for no listing at all, however many objects the bucket holds."""
    bucket = new_bucket(Server(ministack, "AK", "SK"))
    proxy = FaultyProxy(ministack, lambda _: None)
    archive = _archive(tmp_path, proxy.endpoint, bucket, ministack_probe)
    agreement = choose_agreement(load_settings(tmp_path / "home"), None)
    for number in range(3):
        sip = make_bag({f"f{n}.txt": f"{number} {n}".encode() for n in range(20)}, name=f"s{number}")
        assert ingest(sip, agreement, archive).outcome == "stored"
        assert ingest(sip, agreement, archive).outcome == "duplicate"
    proxy.close()
    archive.catalogue.close()
    print(f"\nrequests of 3 ingests of 20 files and 3 duplicates: {dict(proxy.requests)}")
    assert proxy.requests["LIST"] == 0
    assert proxy.requests["PUT"] <= 3 * (20 + 21) + 3
    client_of(Server(ministack, "AK", "SK")).close()
