"""People: who may sign in, with which roles; adding, shutting out, new links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import EVERY_TENANT, Permission, Role
from reentra.api import people
from reentra.web import forms, rendering
from reentra.web.routing import form_for, page
from reentra.web.visiting import Visit, Visiting

_ROLES = [role.value for role in Role]


@page("/people", Permission.PEOPLE)
def show_people(visit: Visiting) -> Response[str]:
    """List who may sign in."""
    found = visit.ask(people.list_people)["items"]
    wanted = visit.request.query_params.get("text", "").strip().casefold()
    shown = [one for one in found if wanted in one["name"].casefold()]
    return visit.show("people.html", people=shown, text=wanted, all=len(found))


@page("/people/new", Permission.PEOPLE, is_sensitive=True)
def show_new_person(visit: Visiting) -> Response[str]:
    """Show the form for somebody new."""
    return visit.show("person-new.html", roles=_ROLES)


@form_for("/people/new", people.add_person)
def add_person(visit: Visiting) -> Response[str]:
    """Add somebody, and show their link this once."""
    try:
        data = forms.body(
            people.NewPerson,
            name=visit.value("name"),
            role=visit.value("role"),
            tenant=visit.value("tenant") or EVERY_TENANT,
        )
        made = visit.ask(people.add_person, data=data)
    except errors.Error as failure:
        return forms.again(visit, failure, "person-new.html", roles=_ROLES)
    return visit.show("person-link.html", about=made, link=made["set_up"], is_new=True)


@page("/people/{person:str}", Permission.PEOPLE)
def show_person(person: FromPath[str], visit: Visiting) -> Response[str]:
    """Show one person with their roles and what can be done."""
    return visit.show("person.html", **_known(visit, person))


@page("/people/{person:str}/role", Permission.PEOPLE, is_sensitive=True)
def show_role(person: FromPath[str], visit: Visiting) -> Response[str]:
    """Show the form that gives or takes a role."""
    return visit.show("person-role.html", **_known(visit, person))


@form_for("/people/{person:str}/role", people.set_role)
def set_role(person: FromPath[str], visit: Visiting) -> Response[Any]:
    """Give somebody a role for a tenant or for all, or take it away."""

    def change() -> None:
        data = forms.body(
            people.NewRole,
            role=visit.value("role"),
            tenant=visit.value("tenant") or EVERY_TENANT,
        )
        visit.ask(people.set_role, person=person, data=data)

    return _changed(visit, person, "person-role.html", change)


@page("/people/{person:str}/standing", Permission.PEOPLE, is_sensitive=True)
def show_standing(person: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask whether somebody is to be shut out, or let in again."""
    return visit.show("person-standing.html", **_known(visit, person))


@form_for("/people/{person:str}/standing", people.set_standing)
def set_standing(person: FromPath[str], visit: Visiting) -> Response[Any]:
    """Shut somebody out at once, or let them in again."""

    def change() -> None:
        data = people.Standing(disabled=visit.value("disabled") == "true")
        visit.ask(people.set_standing, person=person, data=data)

    return _changed(visit, person, "person-standing.html", change)


@page("/people/{person:str}/link", Permission.PEOPLE, is_sensitive=True)
def show_link(person: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask whether somebody is to have a new set-up link."""
    return visit.show("person-link.html", **_known(visit, person), link="", is_new=False)


@form_for("/people/{person:str}/link", people.renew_link)
def renew_link(person: FromPath[str], visit: Visiting) -> Response[str]:
    """Make a new set-up link, and show it this once."""
    known: dict[str, Any] = {**_known(visit, person), "is_new": False}
    try:
        link = visit.ask(people.renew_link, person=person)["set_up"]
    except errors.Error as failure:
        return forms.again(visit, failure, "person-link.html", link="", **known)
    return visit.show("person-link.html", link=link, **known)


@page("/people/{person:str}/codes", Permission.PEOPLE, is_sensitive=True)
def show_drop_codes(person: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask whether somebody's one-time codes are to be switched off."""
    return visit.show("person-codes.html", **_known(visit, person))


@form_for("/people/{person:str}/codes", people.drop_totp)
def drop_codes(person: FromPath[str], visit: Visiting) -> Response[Any]:
    """Switch the second factor off for who lost their device."""
    return _changed(
        visit, person, "person-codes.html", lambda: visit.ask(people.drop_totp, person=person)
    )


def _changed(visit: Visit, person: str, template: str, change: Callable[[], None]) -> Response[Any]:
    try:
        change()
    except errors.Error as failure:
        return forms.again(visit, failure, template, **_known(visit, person))
    return visit.lead(rendering.path("people", person))


def _known(visit: Visit, person: str) -> dict[str, Any]:
    """Return the person whom a page is about.

    Raises: ``NotFound``.
    """
    found = [one for one in visit.ask(people.list_people)["items"] if one["id"] == person]
    if not found:
        raise errors.NotFound("There is no such person.", hint="Look at the list of people.")
    assert visit.identity is not None
    return {
        "about": found[0], "roles": _ROLES, "is_oneself": person == visit.identity.person.id,
    }  # fmt: skip


ROUTES = (
    show_people, show_new_person, add_person, show_person, show_role, set_role, show_standing,
    set_standing, show_link, renew_link, show_drop_codes, drop_codes,
)  # fmt: skip
