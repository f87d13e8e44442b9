"""What is selected, as pages hand it on: the fields ``snapshot``, ``kind`` and ``id``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reentra.api import selecting, snapshots
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.web.visiting import Visit


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selection of one snapshot: whole kinds and single objects; neither means everything."""

    snapshot: str
    kinds: tuple[str, ...]
    ids: tuple[str, ...]

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The selection as fields of a form."""
        return [
            ("snapshot", self.snapshot),
            *(("kind", kind) for kind in self.kinds),
            *(("id", one) for one in self.ids),
        ]

    @property
    def is_everything(self) -> bool:
        return not self.kinds and not self.ids

    def takes_whole(self, kind: str) -> bool:
        """Tell whether all objects of a kind are selected."""
        return self.is_everything or kind in self.kinds


def chosen_of(visit: Visit) -> Chosen:
    """Read the selection that a link or a form hands over.

    Raises: ``UsageError`` when it is from several snapshots.
    """
    return Chosen(
        selecting.one_snapshot(visit.all_given("snapshot") or "latest"),
        tuple(dict.fromkeys(visit.all_given("kind"))),
        tuple(dict.fromkeys(visit.all_given("id"))),
    )


def named(visit: Visit, tenant: str, chosen: Chosen) -> Any:
    """Return what is selected in names, as the API tells it."""
    return visit.ask(
        snapshots.show_selection,
        tenant=tenant,
        snapshot=chosen.snapshot,
        kind=list(chosen.kinds),
        id=list(chosen.ids),
    )


def not_created(selected: Mapping[str, Any]) -> list[ObjectKind]:
    """Return the selected kinds of which Graph creates no object, with the reason in each row."""
    kinds = {item["kind"] for item in (*selected["kinds"], *selected["objects"])}
    rows = [KINDS[kind] for kind in sorted(kinds)]
    return [row for row in rows if not row.can_create and not row.is_settings and row.reason]
