"""Advice: what a person can do about Graph's final refusals of writes. Pure.

Graph tells most of them apart by message text alone, so the texts are matched leniently, after
codes and targets. Sources: learn.microsoft.com/graph/errors,
learn.microsoft.com/graph/resolve-auth-errors and the pages of each operation below
learn.microsoft.com/graph/api.
"""

from __future__ import annotations

from reentra import errors

_AGAIN = "then restore this object again."

# Any of the words (in code, target or message, lower case) -> what to do. The first that fits.
_TABLE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("password complexity", "passwordprofile", "password does not comply"),
        ("Choose a default password that the tenant's policy allows, and restore this user again "
        "with it."),
    ),
    (
        ("quotaexceeded", "resultsizelimitexceeded", "quota limit"),
        ("The tenant, or the application that restores, may own no more objects: delete for good "
        f"what nobody needs in the recycle bin, or ask Microsoft for more, {_AGAIN}"),
    ),
    (
        ("usage location", "usagelocation"),
        f"Give the user a usage location where the licence may be used, {_AGAIN}",
    ),
    (
        ("available licen", "countviolation", "not enough licen"),
        f"Free or buy licences of this product, {_AGAIN}",
    ),
    (
        ("mutuallyexclusive", "conflicting service plans"),
        f"The user has another licence with the same services: take one of the two away, {_AGAIN}",
    ),
    (
        ("dependencyviolation", "depends on the service plan"),
        f"Another licence of the user needs this one or lacks it: look at both, {_AGAIN}",
    ),
    (
        ("verified domain",),
        ("The tenant has no such verified domain any more: add and verify it in the admin centre, "
        f"{_AGAIN}"),
    ),
    (
        ("same value for property", "conflicting object", "objectconflict", "conflictingobjects",
         "samekeyvalue"),
        f"Another object has this value now: change or remove that one, {_AGAIN}",
    ),
    (
        ("on-premises mastered", "external service", "directory sync"),
        ("An on-premises directory is its master: restore it in Active Directory; synchronisation "
        "brings it back here."),
    ),
    (
        ("mail-enabled security", "distribution list"),
        "It belongs to Exchange: restore it with Exchange Online PowerShell.",
    ),
    (
        ("unless disabled first",),
        ("An app role or scope has to be disabled before it can change: restore the application "
        "again, which does that first."),
    ),
    (
        ("last owner", "at least one owner"),
        f"Graph takes the last owner from nobody: add another owner first, {_AGAIN}",
    ),
    (
        ("premiumtenant", "premiumlicense", "missinglicense"),
        f"The tenant lacks the Entra ID licence (P1 or P2) that this needs: buy it, {_AGAIN}",
    ),
    (
        ("concurren", "preconditionfailed"),
        "Somebody else was writing to it at the same time: restore this object again.",
    ),
    (
        ("valid application object",),
        f"Its application is gone, or not there yet: restore the application first, {_AGAIN}",
    ),
)  # fmt: skip


def advice_for(error: errors.Error) -> str:
    """Return what to do about an error that ended a step."""
    if isinstance(error, errors.GraphError):
        text = f"{error.graph_code} {error.target} {error.message}".lower()
        for words, advice in _TABLE:
            if any(word in text for word in words):
                return advice
    if error.hint:
        return error.hint
    if isinstance(error, errors.GraphNotFound):
        return "The object or what it refers to is gone: make a new plan."
    if isinstance(error, errors.OutcomeUnknown):
        return "Look at the object, and restore again: what is there already is not made twice."
    if isinstance(error, errors.InvalidRequest | errors.Conflict):
        return f"Graph refuses the value: put right what it names, {_AGAIN}"
    return "Restore this object again."
