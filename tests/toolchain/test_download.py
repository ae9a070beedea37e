"""Downloads against a real server: verified, resumed, given up."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest

from gpuprov.toolchain.archive import extract
from gpuprov.toolchain.download import ATTEMPTS, HOSTS_BEFORE_GIVING_UP, Downloader
from gpuprov.toolchain.events import SourceFailed
from toolchain.vendor import Vendor, serving, tarball

BIG = bytes(range(256)) * 400
DIGEST = hashlib.sha256(BIG).hexdigest()


def fetch(vendor: Vendor, partial: Path, path: str = "/big", digest: str = DIGEST) -> Path:
    return Downloader().fetch(vendor.base + path, digest, partial, lambda *_: None)


def test_a_good_file_is_fetched_and_verified(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/big", BIG)
    assert fetch(vendor, tmp_path / "partial").read_bytes() == BIG


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/big", BIG)
    with pytest.raises(SourceFailed, match=f"wrong checksum: SHA-256 {DIGEST}, expected 000"):
        fetch(vendor, tmp_path / "partial", digest="0" * 64)
    assert list((tmp_path / "partial").iterdir()) == []


def test_a_broken_transfer_goes_on_where_it_stopped(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/big", BIG)
    vendor.cut = [30_000, 20_000]
    assert fetch(vendor, tmp_path / "partial").read_bytes() == BIG
    assert vendor.asked("/big") == ["", "bytes=30000-", "bytes=50000-"]


def test_without_range_support_a_broken_transfer_begins_anew(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/big", BIG)
    vendor.ranges, vendor.cut = False, [30_000]
    assert fetch(vendor, tmp_path / "partial").read_bytes() == BIG
    assert vendor.asked("/big") == ["", ""]


def test_a_truncated_file_is_never_used_but_the_next_run_continues_it(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/big", BIG)
    vendor.cut = [10_000] * ATTEMPTS
    with pytest.raises(SourceFailed, match=f"broke off {ATTEMPTS} times"):
        fetch(vendor, tmp_path / "partial")
    vendor.log.clear()
    assert fetch(vendor, tmp_path / "partial").read_bytes() == BIG
    assert vendor.asked("/big") == [f"bytes={10_000 * ATTEMPTS}-"]


def test_a_file_that_changed_on_the_server_is_fetched_whole(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/big", b"x" * len(BIG))
    vendor.cut = [10_000] * ATTEMPTS
    with pytest.raises(SourceFailed, match="broke off"):
        fetch(vendor, tmp_path / "partial")
    vendor.publish("/big", BIG)
    vendor.etag = '"two"'
    assert fetch(vendor, tmp_path / "partial").read_bytes() == BIG


def test_a_part_that_is_longer_than_the_file_is_thrown_away(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/big", BIG)
    vendor.cut = [30_000] * ATTEMPTS
    with pytest.raises(SourceFailed):
        fetch(vendor, tmp_path / "partial")
    short = BIG[:20_000]
    vendor.publish("/big", short)
    assert fetch(vendor, tmp_path / "partial", digest=hashlib.sha256(short).hexdigest()).read_bytes() == short


def test_a_complete_but_unverified_part_is_not_fetched_again(vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "big").write_bytes(BIG)
    assert fetch(vendor, tmp_path / "partial").read_bytes() == BIG
    assert vendor.log == []


def test_a_missing_file_is_told_with_its_status(vendor: Vendor, tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match=r"/big: HTTP 404"):
        fetch(vendor, tmp_path / "partial")


@pytest.mark.parametrize("line", ["{digest}", "{digest}  big", "{digest} *big", "aaaa  other\n{digest}  ./big\n"])
def test_checksum_files_of_all_vendors_are_read(vendor: Vendor, line: str) -> None:
    vendor.files["/sums"] = line.format(digest=DIGEST).encode()
    assert Downloader().published_digest(vendor.base + "/sums", "big") == DIGEST


@pytest.mark.parametrize("text", ["", "{digest}  other", "a" * 40 + "  big", "<html>no</html>"])
def test_a_checksum_file_without_a_sha256_for_the_file_is_not_enough(vendor: Vendor, text: str) -> None:
    vendor.files["/sums"] = text.format(digest=DIGEST).encode()
    with pytest.raises(SourceFailed, match="no SHA-256 for big: an unverified file is not used"):
        Downloader().published_digest(vendor.base + "/sums", "big")


def test_githubs_description_of_a_release_is_a_checksum_file(vendor: Vendor) -> None:
    assets = [{"name": "other", "digest": None}, {"name": "big", "digest": f"sha256:{DIGEST}"}, {"name": "old"}]
    vendor.files["/release"] = json.dumps({"assets": assets}).encode()
    downloader = Downloader()
    assert downloader.published_digest(f"{vendor.base}/release", "big") == DIGEST
    for name in ("other", "old", "none"):
        with pytest.raises(SourceFailed, match=f"no SHA-256 for {name}"):
            downloader.published_digest(f"{vendor.base}/release", name)


@pytest.mark.parametrize(
    "text", ["{", '{"assets": null}', '{"assets": [1]}', '{"assets": [{"name": "big", "digest": 1}]}']
)
def test_a_strange_description_is_not_a_checksum_file(vendor: Vendor, text: str) -> None:
    vendor.files["/release"] = text.encode()
    with pytest.raises(SourceFailed, match="no SHA-256 for big"):
        Downloader().published_digest(f"{vendor.base}/release", "big")


def test_redirects_are_followed(vendor: Vendor, tmp_path: Path) -> None:
    vendor.publish("/elsewhere", BIG)
    vendor.redirects["/big"] = "/elsewhere"
    assert fetch(vendor, tmp_path / "partial").read_bytes() == BIG


def test_a_checksum_over_an_unprotected_line_is_refused(vendor: Vendor) -> None:
    # 127.0.0.2 stands for any other host: only the local machine is exempt from https.
    with serving(Vendor(), "127.0.0.2") as other:
        other.files["/sums"] = DIGEST.encode()
        vendor.redirects["/sums"] = f"{other.base}/sums"
        for url in (f"{other.base}/sums", f"{vendor.base}/sums"):
            with pytest.raises(SourceFailed, match=r"127\.0\.0\.2:\d+/sums: a checksum must come over https"):
                Downloader().published_digest(url, "big")


def test_a_host_that_does_not_answer_is_asked_once(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        downloader = Downloader()
        with pytest.raises(SourceFailed, match=r"cannot reach 127\.0\.0\.1:\d+: .*refused"):
            downloader.fetch(f"{address}/a", DIGEST, tmp_path, lambda *_: None)
    # The port is free now; had the host been asked again, the message would be another one.
    with pytest.raises(SourceFailed, match=r"cannot reach 127\.0\.0\.1:\d+: .*refused"):
        downloader.fetch(f"{address}/b", DIGEST, tmp_path, lambda *_: None)


def test_after_some_dead_hosts_no_other_host_is_asked(vendor: Vendor, tmp_path: Path) -> None:
    downloader = Downloader()
    for number in range(HOSTS_BEFORE_GIVING_UP):
        with pytest.raises(SourceFailed, match="cannot reach"):
            downloader.fetch(f"http://127.0.0.{number + 2}:9/a", DIGEST, tmp_path, lambda *_: None)
    vendor.publish("/big", BIG)
    with pytest.raises(SourceFailed, match="downloads do not work in this run"):
        downloader.fetch(f"{vendor.base}/big", DIGEST, tmp_path, lambda *_: None)
    assert vendor.log == []


def test_the_mirror_keeps_the_vendors_host_as_first_folder() -> None:
    assert Downloader("https://mirror.example/x/").address("https://dl.k8s.io/a/b") == (
        "https://mirror.example/x/dl.k8s.io/a/b"
    )


def test_an_archive_gives_only_the_members_asked_for(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tarball({"./d/tool": b"tool", "../outside": b"no", "/abs": b"no"}))
    extract(archive, {"d/tool": "bin/tool"}, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["tool"]
    assert (tmp_path / "out" / "bin" / "tool").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "outside").exists()


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tarball({"other": b"x"}, links={"tool": "/etc/passwd"}))
    with pytest.raises(SourceFailed, match="does not contain tool"):
        extract(archive, {"tool": "bin/tool"}, tmp_path / "out")


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tarball({"tool": BIG})[:-40])
    with pytest.raises(SourceFailed, match=r"a\.tar\.gz cannot be unpacked"):
        extract(archive, {"tool": "bin/tool"}, tmp_path / "out")
