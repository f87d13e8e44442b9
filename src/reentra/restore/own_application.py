"""The application that restores: what a plan must not take from it.

Without it nothing could be undone. Reads through ``TenantState`` only, and only when a step could
touch it.
"""

from __future__ import annotations

from collections.abc import Sequence

from reentra.restore.administrators import key_of, principal_of
from reentra.restore.draft import Draft, name_of
from reentra.restore.refusals import IDENTITY_LOCKED_OUT, Refusal
from reentra.restore.steps import Action, Step

_GRANTS = ("appRoleAssignment", "unifiedRoleAssignment")


def may_harm(step: Step) -> bool:
    """Tell whether a step can disable or delete an application, or take a permission from it."""
    if step.action is Action.DELETE:
        return step.ref.kind in ("application", "servicePrincipal", *_GRANTS)
    return (
        step.action is Action.UPDATE
        and step.ref.kind == "servicePrincipal"
        and step.body.get("accountEnabled") is False
    )


def application_refusals(draft: Draft, steps: Sequence[Step], client_id: str) -> list[Refusal]:
    """Refuse to disable or delete the restoring application, or to take its permissions.

    Raises: ``errors.GraphError`` when applications cannot be read.
    """
    doubtful = [step for step in steps if may_harm(step)]
    if not client_id or not doubtful:
        return []
    principal = next(iter(draft.live.find_objects("servicePrincipal", "appId", [client_id])), None)
    own = {principal.id} if principal is not None else set()
    registered: set[str] = set()
    if any(step.ref.kind == "application" for step in doubtful):
        found = draft.live.find_objects("application", "appId", [client_id])
        registered = {item.id for item in found}
    harming = [
        step
        for step in doubtful
        if (step.ref.kind == "servicePrincipal" and key_of(draft, step) in own)
        or (step.ref.kind == "application" and key_of(draft, step) in registered)
        or (step.ref.kind in _GRANTS and principal_of(step.body) in own)
    ]
    if not harming:
        return []
    name = name_of(principal) if principal is not None else client_id
    return [
        Refusal(
            IDENTITY_LOCKED_OUT,
            f"The plan takes from the application that restores ({name}) in {len(harming)} "
            f"step{'s' if len(harming) > 1 else ''}: {harming[0].summary}. Nothing could be undone "
            "with it.",
            "Leave the application and what it was granted out of the selection.",
            IDENTITY_LOCKED_OUT,
            {"steps": len(harming)},
        )
    ]
