"""What pages load travels compressed; the pages themselves do not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from reentra.web.assets import FOLDER, Asset, load_assets

from .conftest import HOST, Pages

MOST_BYTES = 150_000  # of the first view, compressed


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("GZIP;q=0.5", "gzip"),
        ("br;q=0, gzip;q=1.0", "gzip"), ("br; q=0.000", ""), ("br;q=0.01", "br"),
        ("identity", ""), ("", ""), ("*", ""),
    ],
)  # fmt: skip
def test_the_best_encoding_that_a_browser_takes_is_chosen(accepted: str, expected: str) -> None:
    assert Asset(b"", "", {"br": b"", "gzip": b""}).encoding_for(accepted) == expected


def test_what_is_sent_compressed_is_what_was_built(pages: Pages) -> None:
    for name, asset in load_assets().files.items():
        plain = (Path(FOLDER) / name).read_bytes()
        assert gzip.decompress(asset.compressed["gzip"]) == plain
        sent = {"host": HOST, "accept-encoding": "gzip"}
        answer = pages.client.get(f"/static/{name}", headers=sent)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "accept-encoding"
        assert answer.content == plain
        answer = pages.client.get(f"/static/{name}", headers={**sent, "accept-encoding": ""})
        assert "content-encoding" not in answer.headers
        assert answer.content == plain


def test_a_page_is_not_compressed_since_it_holds_a_secret_beside_what_was_asked_for(
    pages: Pages,
) -> None:
    answer = pages.admin_reader.get("/tenants/contoso", accept_encoding="gzip, br")
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


def test_the_first_view_is_small(pages: Pages) -> None:
    files = sum(len(one.compressed["gzip"]) for one in load_assets().files.values())
    page = gzip.compress(pages.admin_reader.page("/tenants/contoso").encode())
    assert files + len(page) < MOST_BYTES
