"""Every page and dialog: where it is, who looks at it, and what is done before it is looked at.

``make screenshots`` takes a picture of each, and ``test_every_page`` lets axe look at each. A name
in braces is filled in from what the stage holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .window import Window


@dataclass(frozen=True, slots=True)
class Address:
    """A page; with ``over`` it is opened as a dialog over the page at that address.

    ``person`` looks at it; the empty name is nobody. ``status`` is what the server answers.
    """

    name: str
    path: str
    person: str = "admin"
    over: str = ""
    status: int = 200

    def show(self, window: Window, facts: dict[str, Any]) -> None:
        """Let a window show it; ``facts`` fill in the names in braces."""
        first, *_, last = facts["snapshots"]
        known = {"first": first, "last": last, "user": facts["moved"][0], **facts}
        if self.over:
            window.open(self.over.format(**known))
            window.open_over(self.path.format(**known))
        else:
            window.open(self.path.format(**known))

    @property
    def route(self) -> tuple[str, ...]:
        """The parts of the address, without what follows a question mark."""
        return tuple(self.path.partition("?")[0].strip("/").split("/"))


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
    Address("job-reader", "/tenants/contoso/jobs/{restore_job}", "rolf"),
    Address("compare-empty", "/tenants/fabrikam/compare"),
    Address(
        "restore-dialog", "/tenants/contoso/restore?snapshot={first}&id=group/{group}", "rita",
        "/tenants/contoso",
    ),
    Address(
        "download-dialog", "/tenants/contoso/download?snapshot={first}&kind=user", "olga",
        "/tenants/contoso",
    ),
    Address("search-dialog", "/tenants/contoso/search", "rolf", "/tenants/contoso"),
    Address("snapshots", "/tenants/contoso/snapshots"),
    Address("snapshots-empty", "/tenants/fabrikam/snapshots"),
    Address("coverage", "/tenants/contoso/coverage", "rolf"),
    Address("coverage-empty", "/tenants/fabrikam/coverage"),
    Address("permissions", "/tenants/contoso/coverage/permissions"),
    Address("approvals", "/tenants/contoso/approvals"),
    Address("jobs", "/tenants/contoso/jobs"),
    Address("jobs-empty", "/tenants/fabrikam/jobs"),
    Address("job-restore", "/tenants/contoso/jobs/{restore_job}", "rita"),
    Address("job-failed", "/tenants/contoso/jobs/{failed_job}"),
    Address("job-undo", "/tenants/contoso/jobs/{restore_job}/undo", "rita"),
    Address("job-resume", "/tenants/contoso/jobs/{failed_job}/resume"),
    Address("upkeep", "/jobs"),
    Address("tenants", "/tenants"),
    Address("tenants-reader", "/tenants", "rolf"),
    Address("tenant-settings", "/tenants/contoso/settings"),
    Address("tenant-settings-reader", "/tenants/contoso/settings", "rolf"),
    Address("retention", "/tenants/contoso/retention"),
    Address("retention-preview", "/tenants/contoso/retention?preview=true&daily=1&zone=UTC"),
    Address("retention-reader", "/tenants/fabrikam/retention", "rolf"),
    Address("forget", "/tenants/contoso/forget?snapshot={first}"),
    Address("forget-dialog", "/tenants/contoso/forget", over="/tenants/contoso/retention"),
    Address("settings", "/settings"),
    Address("people", "/people"),
    Address("tokens", "/tokens"),
    Address("account", "/account"),
    Address("account-reader", "/account", "rolf"),
    Address("audit", "/audit"),
    Address("upkeep-job", "/jobs/{check_job}"),
    Address("connect", "/connect"),
    Address("people-new", "/people/new"),
    Address("people-new-dialog", "/people/new", over="/people"),
    Address("person", "/people/{person}"),
    Address("person-role", "/people/{person}/role"),
    Address("person-link", "/people/{person}/link"),
    Address("person-codes", "/people/{person}/codes"),
    Address("person-standing", "/people/{person}/standing"),
    Address("tokens-new", "/tokens/new"),
    Address("account-codes", "/account/codes"),
    Address("recovery-codes", "/account/recovery-codes"),
    Address("account-password", "/account/password"),
    Address("account-sessions", "/account/sessions"),
    Address("audit-verification", "/audit/verification"),
    Address("settings-approvals", "/settings/approvals"),
    Address("approvals-of-the-installation", "/approvals"),
    Address("keys", "/settings/keys"),
    Address("key-add", "/settings/keys/add"),
    Address("key-change", "/settings/keys/change"),
    Address("key-rotation", "/settings/keys/rotation"),
    Address("key-removal", "/settings/keys/{key}/removal"),
    Address("settings-emergency", "/settings/emergency"),
    Address("settings-provider", "/settings/provider"),
    Address("disconnect", "/tenants/contoso/settings/disconnect"),
    Address("disconnect-dialog", "/tenants/contoso/settings/disconnect",
            over="/tenants/contoso/settings"),
    Address("sign-in", "/sign-in", ""),
    Address("set-up", "/set-up", ""),
    Address("confirm", "/confirm?next=/tenants"),
    Address("password-dialog", "/account/password", over="/account"),
    Address("refused-reader", "/tenants/contoso/restore?snapshot={first}", "rolf", status=403),
    Address("not-found", "/tenants/nobody", status=404),
)  # fmt: skip
