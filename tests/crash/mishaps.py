"""What happens to the tenant before a restore, and how to see that nothing came back twice."""

from __future__ import annotations

from collections import Counter

from reentra.sandbox.app import Sandbox


def harm(sandbox: Sandbox) -> Counter[str]:
    """Do a mishap; returns how often each name was there before."""
    tenant = sandbox.tenant
    names = names_in(sandbox)
    users = {r.props["displayName"]: r.id for r in tenant.collection("user").values()}
    groups = {r.props["displayName"]: r.id for r in tenant.collection("group").values()}
    for kind, object_id in (("user", users["Ada Berg"]), ("group", groups["Sales"])):
        tenant.soft_delete(tenant.get(kind, object_id))
        tenant.purge(tenant.find_deleted(object_id))
    tenant.soft_delete(tenant.get("user", users["Omar Haas"]))
    tenant.update(tenant.get("user", users["Lina Costa"]), {"department": None})
    return names


def names_in(sandbox: Sandbox) -> Counter[str]:
    """Return how often each name is there, in the recycle bin as well."""
    tenant = sandbox.tenant
    return Counter(
        f"{kind} {record.props['displayName']}"
        for kind in ("user", "group")
        for record in tenant.collection(kind).values()
    )


def in_bin(sandbox: Sandbox) -> set[str]:
    return {record.id for record in sandbox.tenant.deleted()}


def loads_of(sandbox: Sandbox) -> dict[str, object]:
    """Return what the mishap takes away, told by names, since ids may be new afterwards."""
    tenant = sandbox.tenant
    names = {
        record.id: str(record.props["displayName"])
        for kind in ("user", "group", "servicePrincipal")
        for record in tenant.collection(kind).values()
    }
    loads: dict[str, object] = {
        f"department of {record.props['displayName']}": record.props.get("department")
        for record in tenant.collection("user").values()
    }
    for relation, source, targets in tenant._links.all():
        if source in names and relation in {"group.members", "group.owners", "user.manager"}:
            loads[f"{relation} of {names[source]}"] = sorted(
                names[target] for target in targets if target in names
            )
    return loads
