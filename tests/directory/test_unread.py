"""What no backup holds is said, and nothing that one holds is said to be unread."""

from __future__ import annotations

from reentra.directory.kinds import KINDS
from reentra.directory.unread import UNREAD


def test_what_is_said_to_be_unread_is_read_by_no_kind() -> None:
    read = {row.list_path for row in KINDS.values()}
    for item in UNREAD:
        said = {where.strip() for where in item.where.split(",")}
        assert not said & read, item.title
        assert item.why.endswith("."), item.title
