"""The repository's keys as pages: who may open it, and a new generation."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Permission
from reentra.api import keys
from reentra.web import forms
from reentra.web.routing import form_for, page
from reentra.web.visiting import Visit, Visiting

_AT = "/settings/keys"


@page(_AT, Permission.SETTINGS)
def show_keys(visit: Visiting) -> Response[str]:
    """Show which passphrases and recovery keys there are, by their ids."""
    return visit.show("keys.html", keys=visit.ask(keys.list_keys))


@page(f"{_AT}/add", Permission.SETTINGS, is_sensitive=True)
def ask_add(visit: Visiting) -> Response[str]:
    """Ask for one more passphrase, or offer to make a recovery key."""
    return _form(visit, "add")


@form_for(f"{_AT}/add", keys.add_key)
def add_key(visit: Visiting) -> Response[Any]:
    """Add a passphrase, or make a recovery key and show it this once."""
    recovery = visit.value("recovery") == "true"
    try:
        passphrase = "" if recovery else _twice(visit)
        data = forms.body(keys.NewKey, passphrase=passphrase, recovery=recovery)
        made = visit.ask(keys.add_key, data=data)
    except errors.Error as failure:
        return _again(visit, failure, "add")
    return _shown(visit, made)


@page(f"{_AT}/change", Permission.SETTINGS, is_sensitive=True)
def ask_change(visit: Visiting) -> Response[str]:
    """Ask for a passphrase and the next one."""
    return _form(visit, "change")


@form_for(f"{_AT}/change", keys.change_passphrase)
def change(visit: Visiting) -> Response[Any]:
    """Replace a passphrase."""
    try:
        data = forms.body(
            keys.ChangedPassphrase, old=visit.value("old"), new=_twice(visit),
            even_own=visit.value("even_own") == "true",
        )  # fmt: skip
        visit.ask(keys.change_passphrase, data=data)
    except errors.Error as failure:
        return _again(visit, failure, "change")
    return visit.lead(_AT)


@page(f"{_AT}/rotation", Permission.SETTINGS, is_sensitive=True)
def ask_rotation(visit: Visiting) -> Response[str]:
    """Say what a new generation means, and ask for the passphrase that stays."""
    return _form(visit, "rotation")


@form_for(f"{_AT}/rotation", keys.rotate)
def rotate(visit: Visiting) -> Response[Any]:
    """Make a new generation, and show its recovery key this once."""
    try:
        data = forms.body(
            keys.Rotation, passphrase=visit.value("old"),
            even_own=visit.value("even_own") == "true",
        )  # fmt: skip
        made = visit.ask(keys.rotate, data=data)
    except errors.Error as failure:
        return _again(visit, failure, "rotation")
    return _shown(visit, made)


@page(f"{_AT}/{{key:str}}/removal", Permission.SETTINGS, is_sensitive=True)
def ask_removal(key: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask whether a key is to be taken away."""
    return _form(visit, "removal", key)


@form_for(f"{_AT}/{{key:str}}/removal", keys.remove_key)
def remove(key: FromPath[str], visit: Visiting) -> Response[Any]:
    """Take a key away."""
    try:
        visit.ask(keys.remove_key, key=key, even_own=visit.value("even_own") == "true")
    except errors.Error as failure:
        return _again(visit, failure, "removal", key)
    return visit.lead(_AT)


def _twice(visit: Visit) -> str:
    """Return the new passphrase, typed twice.

    Raises: ``UsageError``.
    """
    if visit.value("new") != visit.value("again"):
        raise errors.UsageError("The two new passphrases differ.", hint="Type the same in both.")
    return visit.value("new")


def _form(visit: Visit, act: str, key: str = "") -> Response[str]:
    return visit.show("key-form.html", **_known(visit, act, key), is_asked=False)


def _again(visit: Visit, failure: errors.Error, act: str, key: str = "") -> Response[str]:
    is_asked = isinstance(failure, errors.ApprovalNeeded)
    known = {**_known(visit, act, key), "is_asked": is_asked}
    return forms.again(visit, failure, "key-form.html", **known)


def _known(visit: Visit, act: str, key: str) -> dict[str, Any]:
    listed = visit.ask(keys.list_keys)
    own = [item["id"] for item in listed["items"] if item["own"]]
    return {"act": act, "key": key, "keys": listed, "is_own": key in own}


def _shown(visit: Visit, made: dict[str, Any]) -> Response[Any]:
    if not made["recovery_key"]:
        return visit.lead(_AT)
    return visit.show("key-made.html", recovery_key=made["recovery_key"])


ROUTES = (
    show_keys, ask_add, add_key, ask_change, change, ask_rotation, rotate, ask_removal, remove,
)  # fmt: skip
