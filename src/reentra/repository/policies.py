"""The retention policy of each tenant: a document of the repository, seen by all its machines."""

from __future__ import annotations

import datetime as dt

from reentra import clock as clocks
from reentra import errors

from .repository import Repository
from .retention import RetentionPolicy

COLLECTION = "retention"
_NONE = RetentionPolicy()


def load_policy(repository: Repository, tenant_id: str) -> RetentionPolicy:
    """Fetch a tenant's policy; the empty one, which forgets nothing, where nobody set it.

    Raises: ``errors.RepositoryDamaged``: a policy that cannot be read forgets nothing either.
    """
    names = repository.list_documents(COLLECTION, f"{tenant_id}/")
    if not names:
        return _NONE
    try:
        return RetentionPolicy.from_json(repository.load_document(COLLECTION, names[-1]))
    except (TypeError, AttributeError, errors.UsageError) as error:
        raise errors.RepositoryDamaged(
            f"The retention policy of {tenant_id} makes no sense.", hint="Set it again."
        ) from error


def save_policy(
    repository: Repository, tenant_id: str, policy: RetentionPolicy, now: dt.datetime
) -> None:
    """Set a tenant's policy; it is durable when this returns."""
    older = repository.list_documents(COLLECTION, f"{tenant_id}/")
    # First the new one, then away with the old: a death between the two loses neither.
    number = max((int(one.rpartition("/")[2].partition(".")[0]) for one in older), default=0) + 1
    name = f"{tenant_id}/{number:08}.{clocks.new_id(3)}"
    value = {**policy.to_json(), "set_at": clocks.iso(now)}
    repository.put_document(COLLECTION, name, value)
    for one in older:
        repository.delete_document(COLLECTION, one)
