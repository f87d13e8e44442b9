"""The snapshots of a repository as a searchable SQL index. Derived: it may be dropped at any time.

It holds when each object version and each link began and ended, digests, names, and where the body
is; bodies stay in the repository and are read by place. So a list at a snapshot, a search and a
comparison are range queries whose cost follows the answer, not the tenant.

Invariants: a snapshot is indexed in one transaction, whole or not at all; a catalog made anew gives
the same answers as one that grew; a lost or unreadable file costs time and nothing else.

Read in this order: ``identities``, ``indexing``, ``chain``, ``reading``, ``differences``,
``naming``, ``state``, ``searching``, ``catalog``.
"""

from reentra.catalog.catalog import Catalog, RebuildReport
from reentra.catalog.differences import Candidates
from reentra.catalog.reading import ObjectVersion, Page, PageRow, SnapshotSummary
from reentra.catalog.searching import SearchHit, SearchPage, SearchQuery
from reentra.catalog.state import CatalogBase, CatalogState

__all__ = [
    "Candidates", "Catalog", "CatalogBase", "CatalogState", "ObjectVersion", "Page", "PageRow",
    "RebuildReport", "SearchHit", "SearchPage", "SearchQuery", "SnapshotSummary",
]  # fmt: skip
