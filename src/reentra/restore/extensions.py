"""Values of directory extensions: which can be written, and what has to be made for it before.

The name of a value holds the client id of the application that defines it. When that application
is created anew its definitions get new names, and so do the values that a restore writes.
Source: learn.microsoft.com/graph/extensibility-overview. Reads through ``TenantState`` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reentra import errors
from reentra.directory.kinds import extension_app_id, is_extension_name
from reentra.directory.objects import DirectoryObject
from reentra.restore.draft import Draft
from reentra.restore.steps import MISSING_REFERENCE


def without_undefined(
    draft: Draft, item: DirectoryObject, properties: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``properties`` without values whose definition is gone, which are refused."""
    undefined = sorted(
        name
        for name, value in properties.items()
        if is_extension_name(name) and value not in (None, []) and not is_defined(draft, name)
    )
    for name in undefined:
        draft.refuse(
            item,
            name,
            "The application that defines this directory extension, or its definition, does not "
            "exist in the tenant.",
            "Restore the application too: add it to the selection.",
            code=MISSING_REFERENCE,
        )
    return {name: value for name, value in properties.items() if name not in undefined}


def is_defined(draft: Draft, name: str) -> bool:
    """Tell whether the extension ``name`` exists in the tenant, or will once the plan is applied.

    What an application of another tenant defines is taken to exist: Graph tells.
    """
    app_id = extension_app_id(name)
    if name.lower() in draft.made_extensions or app_id in draft.undeleted_apps:
        return True
    if app_id not in draft.extensions:
        draft.extensions[app_id] = _defined_by(draft, app_id)
    known = draft.extensions[app_id]
    return known is None or name.lower() in known


def makers(draft: Draft, names: Iterable[str]) -> tuple[str, ...]:
    """Return the steps that make the definitions of the extension values among ``names``."""
    steps: dict[str, None] = {}
    for name in names:
        if is_extension_name(name):
            made = draft.made_extensions.get(name.lower())
            made = made or draft.undeleted_apps.get(extension_app_id(name))
            if made:
                steps[made] = None
    return tuple(steps)


def _defined_by(draft: Draft, app_id: str) -> frozenset[str] | None:
    """Return the names that an application of the tenant defines now; ``None`` for another's."""
    try:
        found = draft.live.find_objects("application", "appId", [app_id])
        ids = [item.id for item in found]
        if ids:
            definitions = draft.live.find_objects("extensionProperty", "applicationId", ids)
            return frozenset(str(item.get("name")).lower() for item in definitions)
    except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound):
        return None
    olds = [old for old in draft.identity.apps if draft.identity.current_app(old) == app_id]
    if draft.desired.find_objects("application", "appId", [app_id, *olds]):
        return frozenset()
    return None
