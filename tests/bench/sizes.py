"""How large a run is."""

from __future__ import annotations

from dataclasses import dataclass

LINKS_PER_USER = 10
USERS_PER_GROUP = 10


@dataclass(frozen=True, slots=True)
class Size:
    """A tenant's size and how often each question is asked of it."""

    name: str
    users: int
    repeats: int
    sample_objects: int  # objects that the other tools also get in a file each
    year_snapshots: int = 0  # of the pages' own small home

    @property
    def groups(self) -> int:
        return max(1, self.users // USERS_PER_GROUP)


SIZES = {
    size.name: size
    for size in (
        Size("small", 4_000, 10, 500),
        Size("medium", 40_000, 40, 10_000, 1_000),
        Size("full", 200_000, 60, 20_000, 8_760),
    )
}
