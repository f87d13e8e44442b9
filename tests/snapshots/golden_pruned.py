"""Makes the golden pruned snapshots. Run once per format, never again: what it made stays.

python -m tests.snapshots.golden_pruned tests/golden/pruned-v1

Of five snapshots the first and third are pruned and the second is only forgotten.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from reentra.repository import Repository, open_storage, prune
from reentra.snapshots import SnapshotMerger
from tests.repository.golden import PASSPHRASE

from . import golden

KEPT = (3, 4)


def make(target: Path) -> str:
    facts = json.loads(golden.make(target, 5))
    repository = Repository.open(open_storage(str(target)), PASSPHRASE)
    for numbers in ((0, 2), (1,)):
        with repository.lock_tenant(golden.TENANT, "golden") as lock:
            chosen = [facts["snapshots"][number] for number in numbers]
            repository.forget(golden.TENANT, chosen, lock=lock)
        if numbers == (0, 2):
            prune(repository, SnapshotMerger(repository))
    for folder in ("locks", "tmp"):
        (target / folder).rmdir()
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if place.exists():
        sys.exit(f"{place} exists: golden snapshots are made once.")
    place.with_suffix(".json").write_text(make(place), encoding="utf-8")
