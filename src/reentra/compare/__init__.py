"""Two states of a tenant to the changes between them. Pure: it only asks ``TenantState``.

``changes_between`` compares two JSON bodies to the leaf; ``compare`` two states. What cannot be
known is said (``Comparison.incomplete``) and never reported as a deletion.

Invariants: bodies are held for a few hundred objects at a time, never for a kind; with
``Candidates`` the cost follows the change; the order is the same on every run.

Read in this order: ``values``, ``changes``, ``identity``, ``links``, ``comparison``, ``kept``.
"""

from reentra.compare.changes import (
    Candidates,
    Change,
    Comparison,
    Incomplete,
    LinkChange,
    ObjectChange,
    RelationshipChange,
)
from reentra.compare.comparison import compare
from reentra.compare.kept import KeptComparisons
from reentra.compare.values import PropertyChange, changes_between

__all__ = [
    "Candidates", "Change", "Comparison", "Incomplete", "KeptComparisons", "LinkChange",
    "ObjectChange", "PropertyChange", "RelationshipChange", "changes_between", "compare",
]  # fmt: skip
