"""Drop boxes in buckets, several processes in one nightly run, and the report by mail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from bag_builder import bag_builder
from pydantic import SecretStr
from requirements import free_port
from servers import Ceph, Server, client_of, new_bucket
from serving import until

from pipeline.archive import Archive
from pipeline.ingest.run import ingest
from pipeline.intake import BucketBox, FolderBox, Intake, NightlyLimits, run_nightly
from stele.intake import agreements
from stele.nightly_report import report_text, send_report, unreadable_addresses
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.files.store import FileStore
from storage.memory import MemoryStore

_NOW = NightlyLimits(quiet=-60)  # stores in memory give every listing the time of day
_STELE = Path(sys.executable).with_name("stele")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def _box(tmp_path: Path, keys: dict[str, bytes]) -> BucketBox:
    store = MemoryStore("cloud-box")
    store.objects.update(keys)
    return BucketBox(store, "s3://bucket/in", tmp_path / "scratch")


def _kept_box(tmp_path: Path, keys: dict[str, bytes]) -> BucketBox:
    """One whose objects keep their times."""
    for key, data in keys.items():
        path = tmp_path / "bucket" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return BucketBox(FileStore(tmp_path / "bucket", "cloud-box"), "s3://bucket/in", tmp_path / "scratch")


def _night(archive: Archive, home: Path, box: BucketBox, limits: NightlyLimits = _NOW) -> Any:
    agreed = choose_agreement(load_settings(home), None)
    return run_nightly(Intake(archive, {box.name: box}, ingest, lambda _: agreed), limits)


def test_a_folder_of_objects(archive: Archive, home: Path, tmp_path: Path, make_bag: Any) -> None:
    """It becomes an AIP; receipt and catalogue name its address, and nothing of it stays in the scratch area."""
    files = _files(make_bag({"a/b.txt": b"text", "会议.txt": b"x"}))
    box = _kept_box(
        tmp_path,
        {f"health/sip/{name}": data for name, data in files.items()}
        | {"top.txt": b"", "health/x.part": b""},
    )
    report = _night(archive, home, box)
    assert report.outcomes == {"stored": 1}
    (row,) = archive.catalogue.submissions.latest()
    assert row.subject == "s3://bucket/in/health/sip"
    (receipt,) = (home / "receipts").glob("*.json")
    assert json.loads(receipt.read_text("utf-8"))["subject"] == row.subject
    assert list((tmp_path / "scratch").iterdir()) == []
    assert _night(archive, home, box).already_processed == 1


def test_an_archive_in_a_bucket(archive: Archive, home: Path, tmp_path: Path, make_bag: Any) -> None:
    """One object is one delivery; when it changes it is another."""
    import shutil

    bag = make_bag({"a.txt": b"text"})
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", bag.parent, bag.name)).read_bytes()
    box = _kept_box(tmp_path, {"health/sip.zip": packed[:-30]})
    assert _night(archive, home, box).outcomes == {"rejected": 1}
    (tmp_path / "bucket/health/sip.zip").write_bytes(packed)
    assert _night(archive, home, box).outcomes == {"stored": 1}


def test_a_folder_called_like_an_archive(
    archive: Archive, home: Path, tmp_path: Path, make_bag: Any
) -> None:
    """Keys below a name that ends in .zip are a folder, and taken in as one."""
    files = _files(make_bag({"a.txt": b"text"}))
    box = _kept_box(tmp_path, {f"health/2026.zip/{name}": data for name, data in files.items()})
    assert _night(archive, home, box).outcomes == {"stored": 1}


@pytest.mark.parametrize(
    "keys",
    [["a/sip/../../../etc/x"], ["a/sip/./x"], ["a/sip//x"], ["a/sip/x\\..\\y"], ["a/sip/x\ny"], ["a/sip/" + "x" * 256], ["a/sip/x", "a/sip/x/y"], ["a/../x"]],
)  # fmt: skip
def test_hostile_keys(archive: Archive, home: Path, tmp_path: Path, keys: list[str]) -> None:
    """The agency gets a report; nothing is written outside the scratch area."""
    box = _box(tmp_path, dict.fromkeys(keys, b"x"))
    before = {
        path for path in tmp_path.rglob("*") if "scratch" not in str(path) and "home" not in str(path)
    }
    report = _night(archive, home, box)
    assert report.outcomes == {"rejected": 1}, report
    assert {
        path for path in tmp_path.rglob("*") if "scratch" not in str(path) and "home" not in str(path)
    } == before
    assert len(list((home / "receipts").glob("*.md"))) == sum(report.outcomes.values())


def test_what_is_whole(tmp_path: Path) -> None:
    """By a marker beside it, or by an hour of quiet."""
    box = _box(
        tmp_path, {"a/said.zip": b"1", "a/said.zip.ready": b"", "a/fresh.zip": b"1", "a/half.zip.part": b""}
    )
    whole, arriving, _ = box.find(quiet=3600, now=time.time())
    assert [d.place for d in whole] == ["s3://bucket/in/a/said.zip"]
    assert [d.place for d in arriving] == [
        "s3://bucket/in/a/fresh.zip", "s3://bucket/in/a/half.zip.part",
    ]  # fmt: skip


def test_a_box_that_is_away(archive: Archive, home: Path, tmp_path: Path, make_bag: Any) -> None:
    """The folder's night goes on; the report says which box could not be looked into."""
    make_bag({"a.txt": b"text"}).rename(home / "dropbox/sip")
    boxes: dict[str, Any] = {
        "gone": FolderBox(tmp_path / "nowhere", "gone"),
        "dropbox": FolderBox(home / "dropbox"),
    }
    agreed = choose_agreement(load_settings(home), None)
    report = run_nightly(Intake(archive, boxes, ingest, lambda _: agreed), _NOW)
    assert report.outcomes == {"stored": 1}
    assert report.unreachable_boxes[0].startswith("gone: ")


def _bucket_workspace(tmp_path: Path, server: Server, sips: int) -> tuple[Path, str]:
    home, bucket = tmp_path / "home", new_bucket(server)
    make_workspace(home)
    client = client_of(server)
    build = bag_builder(tmp_path)
    for number in range(sips):
        bag = build({"a.txt": str(number).encode()}, name=f"sip-{number}")
        for name, data in _files(bag).items():
            client.put_object(Bucket=bucket, Key=f"in/agency-{number % 3}/sip-{number}/{name}", Body=data)
    client.close()
    config = home / "stele.toml"
    keys = f'access_key = "{server.access_key}"\nsecret_key = "{server.secret_key}"\n'
    config.write_text(
        f'{config.read_text("utf-8")}\n[nightly]\nquiet_seconds = 0\n[[nightly.boxes]]\nname = "cloud-box"\n'
        f'bucket = "{bucket}"\nprefix = "in"\nendpoint_url = "{server.endpoint}"\n{keys}',
        "utf-8",
    )
    return home, bucket


def _nightly(home: Path, **more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [_STELE, "nightly", "--no-audit", "--json", "--home", home], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, **more},
    )  # fmt: skip


def _is_whole(home: Path, sips: int) -> None:
    archive = build_archive(load_settings(home))
    assert archive.catalogue.aips.totals()[0] == sips
    assert {row.outcome for row in archive.catalogue.deliveries.latest()} <= {"stored", "duplicate"}
    archive.catalogue.close()


def test_two_nights_on_one_bucket_one_killed(tmp_path: Path, ministack: str) -> None:
    """Each once; what the dead one had fetched is swept away; the bucket is as it was."""
    server = Server(ministack, "AK", "SK")
    home, bucket = _bucket_workspace(tmp_path, server, 24)
    client = client_of(server)
    before = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
    one, other = _nightly(home), _nightly(home)
    until(lambda: len(list((home / "receipts").glob("*.json"))) >= 3)
    one.send_signal(signal.SIGKILL)
    one.communicate()
    _, error = other.communicate(timeout=120)
    assert other.returncode == 0, error.decode()
    last = _nightly(home)
    _, error = last.communicate(timeout=120)
    assert last.returncode == 0, error.decode()
    _is_whole(home, 24)
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == before
    client.close()
    assert not list((home / "work").glob("work-*"))


def test_a_real_server(tmp_path: Path, ceph: Ceph) -> None:
    """Ceph's gateway; and with a wrong key the nightly run says so, with exit 3 and no secret."""
    home, _ = _bucket_workspace(tmp_path, ceph.server(), 3)
    night = _nightly(home)
    said, error = night.communicate(timeout=120)
    assert night.returncode == 0, error.decode()
    assert json.loads(said)["outcomes"] == {"stored": 3}
    config = home / "stele.toml"
    config.write_text(config.read_text("utf-8").replace("SK456", "WRONG789"), "utf-8")
    night = _nightly(home)
    said, error = night.communicate(timeout=120)
    assert night.returncode == 3
    assert "cloud-box" in json.loads(said)["unreachable_boxes"][0]
    assert b"WRONG789" not in said + error


@pytest.fixture
def forty(tmp_path: Path) -> Path:
    """A workspace with forty deliveries of eight agencies."""
    home = tmp_path / "home"
    make_workspace(home)
    build = bag_builder(tmp_path)
    for number in range(40):
        place = home / f"dropbox/agency-{number % 8}/sip-{number}"
        place.parent.mkdir(exist_ok=True)
        build({"a.txt": str(number).encode()}, name=f"sip-{number}").rename(place)
    return home


_PARALLEL = {"STELE_NIGHTLY__PARALLEL": "3", "STELE_NIGHTLY__QUIET_SECONDS": "0", "STELE_WORKERS": "1"}


def test_three_processes(forty: Path) -> None:
    """Together they do what one does, and the report counts it once."""
    night = _nightly(forty, **_PARALLEL)
    said, error = night.communicate(timeout=120)
    assert night.returncode == 0, error.decode()
    report = json.loads(said)
    assert report["outcomes"] == {"stored": 40}
    assert {agency: counts["stored"] for agency, counts in report["agencies"].items()} == {
        f"agency-{n}": 5 for n in range(8)
    }
    _is_whole(forty, 40)


def _children(pid: int) -> list[int]:
    """The processes that take deliveries in: children that run Python's spawn."""
    found = []
    for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if b"spawn_main" in Path(f"/proc/{word}/cmdline").read_bytes():
                found.append(int(word))
        except OSError:
            continue
    return found


def test_a_process_dies(forty: Path) -> None:
    """What it had in hand is told as failed; the others and the next nightly run do the rest."""
    night = _nightly(forty, **_PARALLEL)
    until(lambda: len(list((forty / "receipts").glob("*.json"))) >= 5)
    os.kill(_children(night.pid)[0], signal.SIGKILL)
    said, error = night.communicate(timeout=120)
    assert night.returncode == 3, error.decode()
    report = json.loads(said)
    assert 1 <= report["outcomes"]["failed"] <= 3
    assert sum(report["outcomes"].values()) + report["claimed_elsewhere"] == 40
    last = _nightly(forty, **_PARALLEL)
    assert last.wait(120) == 0, last.communicate()[1]
    last.communicate()
    _is_whole(forty, 40)


def test_the_parent_dies(forty: Path) -> None:
    """No child goes on for hours with nobody to report to."""
    night = _nightly(forty, **_PARALLEL)
    until(lambda: len(list((forty / "receipts").glob("*.json"))) >= 5)
    children = _children(night.pid)
    assert len(children) == 3
    night.kill()
    night.communicate()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 20)
    last = _nightly(forty, STELE_NIGHTLY__QUIET_SECONDS="0")
    last.communicate(timeout=120)
    _is_whole(forty, 40)


def test_agencies_without_an_agreement(home: Path) -> None:
    """They bear their own name; where the workspace says so, an archivist decides about each package."""
    settings = load_settings(home)
    lent = agreements(settings)("harbour <b>")
    assert (lent.name, lent.agency.name, lent.review) == ("default", "harbour <b>", "")
    careful = settings.model_copy(
        update={"nightly": settings.nightly.model_copy(update={"unknown_agency": "review"})}
    )
    assert "no submission agreement" in agreements(careful)("harbour").review
    assert agreements(careful)("").review == ""


class _Postbox:
    """A mail server's end of the line."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.came = threading.Event()

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.letters.append(envelope)
        self.came.set()
        return "250 OK"


@pytest.fixture
def postbox() -> Iterator[tuple[_Postbox, int]]:
    """A real SMTP server on loopback."""
    box, port = _Postbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


_SUMMARY = {
    "started": "2026-11-24T22:30:00Z", "finished": "2026-11-24T23:00:00Z", "outcomes": {"stored": 3, "failed": 1, "in-review": 2},
    "files": 12, "bytes": 3456, "left": 4, "arriving": 1, "unreachable_boxes": ["cloud: gone"],
    "agencies": {"鄞州区档案局": {"stored": 3}, "a\nSubject: evil\u202e": {"failed": 1}, "<b>x": {"failed": 1}},
}  # fmt: skip


def _by_mail(
    home: Path, port: int, *, to: str = "ops@archive.example", more: str = "", user: str = ""
) -> Any:
    settings = load_settings(home)
    address = (
        f"mailto://{user}127.0.0.1:{port}/?from=stele@archive.example&to={to}&{more or 'mode=insecure'}"
    )
    nightly = settings.nightly.model_copy(update={"notify": (SecretStr(address),)})
    return settings.model_copy(update={"archive_name": "档案馆", "nightly": nightly})


def test_the_report_by_mail(home: Path, postbox: tuple[_Postbox, int]) -> None:
    """In clear words, first what needs attention; names from elsewhere change no header."""
    from email import message_from_bytes, policy

    box, port = postbox
    assert send_report(_SUMMARY, _by_mail(home, port)) == ""
    assert box.came.wait(5)
    letter = message_from_bytes(box.letters[0].content, policy=policy.default)
    assert letter["Subject"] == "档案馆: 1 failed, 2 in-review, 3 stored"
    assert letter.get_all("Subject") == [letter["Subject"]]
    text = letter.get_body(("plain",)).get_content()
    assert text.index("1 failed on our side") < text.index("鄞州区档案局: 3 stored")
    assert "cloud: gone" in text
    assert "a\\x0aSubject: evil\\u202e: 1 failed" in text
    assert "<b>" not in letter.get_body(("html",)).get_content()


def test_mail_that_cannot_be_sent(home: Path, postbox: tuple[_Postbox, int]) -> None:
    """The reason in words; never an exception, never the password."""
    _, port = postbox
    said = send_report(_SUMMARY, _by_mail(home, port, to="ops@x.example,nobody@x.example"))
    assert "nobody@x.example" in said
    assert "could not be sent to mailto://127.0.0.1" in send_report(_SUMMARY, _by_mail(home, free_port()))
    assert "could not be sent" in send_report(_SUMMARY, _by_mail(home, port, more="mode=starttls"))
    said = send_report(_SUMMARY, _by_mail(home, port, user="me:a-secret-word@"))
    assert "could not be sent" in said
    assert "a-secret-word" not in said


def test_an_address_nobody_knows(home: Path) -> None:
    """``stele doctor`` and the report say which one it is; never what it says, which may be a secret."""
    settings = load_settings(home)
    nightly = settings.nightly.model_copy(update={"notify": (SecretStr("nonsense://a-secret-word"),)})
    wrong = settings.model_copy(update={"nightly": nightly})
    assert unreadable_addresses(wrong) == [1]
    said = send_report(_SUMMARY, wrong)
    assert "address 1 of [nightly] notify" in said
    assert "a-secret-word" not in said


def test_a_quiet_night_in_words() -> None:
    """Nothing is said to need a person when nothing does."""
    assert "Nothing needs attention." in report_text(
        {"outcomes": {"stored": 2}, "started": "", "finished": ""}
    )
