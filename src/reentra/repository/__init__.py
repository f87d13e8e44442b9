"""The encrypted store. It knows bytes and tables, never users or groups.

What it promises: a snapshot appears whole or not at all; what is acknowledged survives a power
loss; a changed byte is told and never served; the store without the key tells sizes and times.
``docs/format.md`` is the law, ``docs/threat-model.md`` says against whom it holds.

Invariants: the manifest is the only commit point, written last and create-only; all durable writes
go through ``Storage``; every object has a key of its own, bound to its path.

Read: ``storage``, ``keys``, ``sealed``, ``manifests``, ``segments``,
``segment_writer``, ``config``, ``documents``, ``locks``, ``forgetting``, ``repository``,
``retention``, ``policies``, ``prune``, ``check``.
"""

from .check import CheckProblem, CheckReport, Severity, check_repository
from .keys import KdfCost
from .locks import Lock, LockInfo
from .manifests import Manifest, ManifestRef, SegmentInfo
from .policies import load_policy, save_policy
from .prune import MergesSegments, PrunePlan, PruneReport, plan_prune, prune
from .repository import Repository
from .retention import Dated, Kept, RetentionPolicy, retained, retained_captures
from .segment_writer import RowPosition, SegmentLayout, SegmentWriter
from .storage import Storage, open_storage

__all__ = [
    "CheckProblem", "CheckReport", "Dated", "KdfCost", "Kept", "Lock", "LockInfo", "Manifest",
    "ManifestRef", "MergesSegments", "PrunePlan", "PruneReport", "Repository", "RetentionPolicy",
    "RowPosition", "SegmentInfo", "SegmentLayout", "SegmentWriter", "Severity", "Storage",
    "check_repository", "load_policy", "open_storage", "plan_prune", "prune", "retained",
    "retained_captures", "save_policy",
]  # fmt: skip
