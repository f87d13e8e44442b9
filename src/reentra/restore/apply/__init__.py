"""Applying a plan: precondition, intent, write, wait for consistency, record.

The only package of the product that imports ``graph.writer``: the one door to the tenant. A
wave of steps that do not depend on each other is one durable unit: all of it is intended, then
sent in several batches at once, then recorded. A job applies wave after wave, and what was begun
before a crash is looked at before it is written again.

Invariants: an intent is durable before its write is sent; a new id is durable before anything that
could use it is sent; a write that may have happened is looked at before it is repeated; every step
ends with one record.

Read in this order: ``standing`` (what is known of each step), ``requests`` (steps as writes),
``answers`` (what Graph's answer means for them), ``sending`` (rounds until all have one),
``applier``. Begin with ``Applier``.
"""

# Whoever applies a plan gets the writer from here.
from reentra.graph.writer import TenantWriter
from reentra.restore.apply.applier import Applier
from reentra.restore.passwords import NO_SECRETS, RestoreSecrets

__all__ = ["NO_SECRETS", "Applier", "RestoreSecrets", "TenantWriter"]
