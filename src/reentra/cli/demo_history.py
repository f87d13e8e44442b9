"""The demo's past: a week of backups in which a tenant lived, made with the clock set back."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reentra import clock as clocks
from reentra import errors
from reentra.cli import running
from reentra.cli.demo_tenant import Script
from reentra.cli.screen import Screen

if TYPE_CHECKING:
    from reentra.app import Application

GROUP = "Project Aurora"
SECOND_GROUP = "Reception desk"
MEMBERS = 6
# What the tenant does not give, so that there is a kind that is not covered.
WITHHELD_KIND = "deviceRegistrationPolicy"
WITHHELD = ("Policy.Read.DeviceConfiguration", "Policy.ReadWrite.DeviceConfiguration")
_PERSON = "id,displayName,userType,onPremisesSyncEnabled,department,accountEnabled"


class SetBackClock:
    """The machine's clock, some time ago. ``back`` may be changed at any time."""

    def __init__(self, back: dt.timedelta) -> None:
        self.back = back

    def now(self) -> dt.datetime:
        return clocks.SYSTEM.now() - self.back

    def monotonic_seconds(self) -> float:
        return clocks.SYSTEM.monotonic_seconds()

    def sleep(self, seconds: float) -> None:
        clocks.SYSTEM.sleep(seconds)


@dataclass(frozen=True, slots=True)
class History:
    """What was done in the week: the snapshots, oldest first, and who played a part."""

    snapshots: tuple[str, ...]
    failed_job: str
    group: str
    second_group: str
    members: tuple[str, ...]
    moved: tuple[str, ...]
    left: str


def live_through(
    application: Application,
    clock: SetBackClock,
    screen: Screen,
    script: Script,
    tenant: str,
    throttle: str,
) -> History:
    """Let six days pass in the tenant, with a backup of each but one, and end today.

    Graph's limits count from then on: these days are over.
    """
    script.control("POST", "options", {"throttle": "off"})
    for permission in WITHHELD:
        script.control("POST", "permissions/withdraw", {"permission": permission})
    try:
        return _Week(application, clock, screen, script, tenant).live()
    finally:
        script.control("POST", "options", {"throttle": throttle})


class _Week:
    def __init__(
        self,
        application: Application,
        clock: SetBackClock,
        screen: Screen,
        script: Script,
        tenant: str,
    ) -> None:
        self._application = application
        self._clock = clock
        self._screen = screen
        self._script = script
        self._tenant = tenant
        self._snapshots: list[str] = []

    def live(self) -> History:
        script = self._script
        admins = {
            str(one["principalId"])
            for one in script.list_all("/roleManagement/directory/roleAssignments")
        }
        people = [
            one["id"]
            for one in script.list_all(f"/users?$select={_PERSON}&$top=999")
            if one.get("userType") == "Member"
            and not one.get("onPremisesSyncEnabled")
            and one["id"] not in admins
        ]
        members, moved = tuple(people[:MEMBERS]), tuple(people[1:4])
        left = people[-1]
        group = self._add_group(GROUP, members)
        second = self._add_group(SECOND_GROUP, members[:2])
        self._back_up(6)
        self._change_users(moved, department="Logistics")
        self._back_up(5)
        script.send_all([("PATCH", f"/groups/{second}", {"description": "Front of house"})])
        self._change_users(moved[:2], jobTitle="Team lead", department="Supply chain")
        self._back_up(4)
        failed = self._fail_to_back_up(3)
        script.send_all([("DELETE", f"/users/{left}", None)])
        script.send_all([("DELETE", f"/groups/{group}/members/{members[-1]}/$ref", None)])
        self._back_up(2)
        script.send_all([("DELETE", f"/groups/{group}", None)])
        self._change_users(moved[:1], officeLocation="Building 7")
        self._back_up(1)
        self._clock.back = dt.timedelta()
        return History(tuple(self._snapshots), failed, group, second, members, moved, left)

    def _add_group(self, name: str, members: tuple[str, ...]) -> str:
        made = self._script.post(
            "/groups",
            {
                "displayName": name,
                "description": f"Everybody of {name}",
                "mailEnabled": False,
                "mailNickname": name.replace(" ", "").lower(),
                "securityEnabled": True,
            },
        )
        self._script.send_all(
            [
                (
                    "POST",
                    f"/groups/{made['id']}/members/$ref",
                    {"@odata.id": f"{self._script.url}/v1.0/directoryObjects/{one}"},
                )
                for one in members
            ]
        )
        return str(made["id"])

    def _change_users(self, ids: tuple[str, ...], **properties: Any) -> None:
        self._script.send_all([("PATCH", f"/users/{one}", properties) for one in ids])

    def _back_up(self, days_ago: int) -> None:
        self._clock.back = dt.timedelta(days=days_ago)
        _, result = running.run(self._application, self._screen, "backup", tenant=self._tenant)
        self._snapshots.append(str(result.summary["snapshot"]))

    def _fail_to_back_up(self, days_ago: int) -> str:
        """Let a backup fail: that day the tenant took no token of ours."""
        self._clock.back = dt.timedelta(days=days_ago)
        self._script.control(
            "POST",
            "faults",
            {
                "match": "* .", "what": 401, "times": 10_000, "code": "InvalidAuthenticationToken",
                "message": "Continuous access evaluation resulted in a challenge.",
            },
        )  # fmt: skip
        try:
            with contextlib.suppress(errors.Error):
                running.run(self._application, self._screen, "backup", tenant=self._tenant)
        finally:
            self._script.control("DELETE", "faults")
        return self._application.jobs.list_jobs(tenant=self._tenant, task="backup", limit=1)[0].id
