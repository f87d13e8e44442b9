"""Every page and dialog: where it is, who looks at it, and what is done before it is looked at.

``make screenshots`` takes a picture of each, and ``test_every_page`` lets axe look at each. A name
in braces is filled in from what the stage holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Address:
    """A page (or with ``dialog``, what a link or button of that name opens over it).

    ``person`` looks at it; the empty name is nobody. ``status`` is what the server answers.
    """

    name: str
    path: str
    person: str = "admin"
    dialog: str = ""
    status: int = 200

    def at(self, facts: dict[str, Any]) -> str:
        """Return the address with its names filled in."""
        return self.path.format(**facts)


def known(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the braces of addresses may name."""
    first, *_, last = facts["snapshots"]
    return {
        **{name: value for name, value in facts.items() if isinstance(value, str)},
        "first": first,
        "last": last,
        "user": facts["moved"][0],
    }


_USER = "/tenants/contoso/snapshots/latest/kinds/user/objects/{user}"
_GROUP = "/tenants/contoso/snapshots/{first}/kinds/group/objects/{group}"

ADDRESSES = (
    Address("overview", "/tenants/contoso"),
    Address("overview-empty", "/tenants/fabrikam"),
    Address("overview-reader", "/tenants/contoso", "rolf"),
    Address("search", "/tenants/contoso/search", "rita"),
    Address("search-found", "/tenants/contoso/search?kind=group&kind=user", "rita"),
    Address("search-deleted", "/tenants/contoso/search?text=aurora&deleted=on"),
    Address("search-nothing", "/tenants/contoso/search?text=nobodyatall"),
    Address("restore", "/tenants/contoso/restore?snapshot={first}&id=group/{group}", "rita"),
    Address("restore-kind", "/tenants/contoso/restore?snapshot={first}&kind=device", "rita"),
    Address("plan", "/tenants/contoso/plans/{plan}"),
    Address("download", "/tenants/contoso/download?snapshot={first}&kind=user"),
    Address("viewer", "/tenants/contoso/snapshots/latest"),
    Address("viewer-reader", "/tenants/contoso/snapshots/{first}", "rolf"),
    Address("viewer-empty", "/tenants/fabrikam/snapshots/latest"),
    Address("kind-users", "/tenants/contoso/snapshots/latest/kinds/user"),
    Address("kind-groups", "/tenants/contoso/snapshots/{first}/kinds/group"),
    Address("kind-devices", "/tenants/contoso/snapshots/latest/kinds/device"),
    Address("kind-nothing", "/tenants/contoso/snapshots/latest/kinds/user?text=nobodyatall"),
    Address("object-overview", f"{_USER}"),
    Address("object-properties", f"{_USER}/properties"),
    Address("object-relationships", f"{_GROUP}/relationships"),
    Address("object-compare", f"{_USER}/compare"),
    Address("object-everything", f"{_USER}/compare?asked=true&other={{first}}"),
    Address("compare", "/tenants/contoso/compare?before={first}&after={last}"),
    Address("compare-live", "/tenants/contoso/compare?before={last}&after=live&kind=group"),
    Address("compare-empty", "/tenants/fabrikam/compare"),
    Address("sign-in", "/sign-in", ""),
    Address("set-up", "/set-up", ""),
    Address("confirm", "/confirm?next=/tenants"),
    Address("refused-reader", "/tenants/contoso/restore?snapshot={first}", "rolf", status=403),
    Address("not-found", "/tenants/nobody", status=404),
)
