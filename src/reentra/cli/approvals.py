"""``reentra approvals``."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from cyclopts import App, Parameter

from reentra import errors
from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen

app = App(name="approvals")


@app.default
def approvals(
    *,
    restores: Annotated[
        str, Parameter(help="Restores of more steps than this number need one; or `off`.")
    ] = "",
    disconnect: Annotated[
        bool | None, Parameter(help="Whether disconnecting a tenant needs one.")
    ] = None,
    retention: Annotated[
        bool | None,
        Parameter(help="Whether forgetting snapshots, and a policy that keeps less, need one."),
    ] = None,
    keys: Annotated[
        bool | None, Parameter(help="Whether changing the repository's keys needs one.")
    ] = None,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Show or set what needs a second person's word, on the pages and over the API.

    There, to ask for fewer second persons must itself be approved by one; here it is only recorded
    in the audit trail, so that an installation with one administrator is never locked.

    Example: reentra approvals --restores 100 --disconnect
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        known = application.access.load_rules()
        rules = known
        if restores:
            rules = dataclasses.replace(rules, restore_steps=_steps(restores))
        if disconnect is not None:
            rules = dataclasses.replace(rules, disconnect=disconnect)
        if retention is not None:
            rules = dataclasses.replace(rules, retention=retention)
        if keys is not None:
            rules = dataclasses.replace(rules, keys=keys)
        if rules != known:
            application.access.change_rules(acting.actor(), rules)
    screen.say(f"A second person is needed for: [bold]{rules.described()}[/]")
    screen.result(
        {
            "approve_restores_over_steps": rules.restore_steps,
            "approve_disconnect": rules.disconnect,
            "approve_retention": rules.retention,
            "approve_keys": rules.keys,
        }
    )
    return 0


def _steps(text: str) -> int | None:
    if text == "off":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise errors.UsageError(
            f"--restores {text} is no number of steps.", hint="Write it in digits, or `off`."
        )
    return int(text)
