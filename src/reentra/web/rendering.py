"""Turns what a page knows into HTML: the templates, and the words and forms of values in them."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from markupsafe import Markup

from reentra import clock as clocks
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.web import charts, reasons, values
from reentra.web.assets import load_assets

_UNITS = ("B", "KB", "MB", "GB", "TB")
# How a status is shown: the badge's class. What is not named here is neutral.
_TONES: Mapping[str, str] = {
    "complete": "good", "succeeded": "good", "done": "good", "approved": "good", "granted": "good",
    "active": "good", "added": "good",
    "partial": "attention", "skipped": "attention", "interrupted": "attention",
    "asked": "attention", "waiting": "attention", "cancelled": "attention",
    "failed": "bad", "refused": "bad", "denied": "bad", "deleted": "bad", "removed": "bad",
    "running": "busy", "pending": "busy", "queued": "busy", "cancelling": "busy",
    "changed": "busy",
}  # fmt: skip
_ICONS: Mapping[str, str] = {
    "user": "person", "group": "people", "application": "app_generic",
    "servicePrincipal": "apps", "device": "desktop", "administrativeUnit": "building_people",
    "conditionalAccessPolicy": "shield_lock", "unifiedRoleDefinition": "person_key",
    "unifiedRoleAssignment": "person_key", "domain": "globe", "organization": "building",
    "oAuth2PermissionGrant": "key", "appRoleAssignment": "key", "subscribedSku": "badge",
}  # fmt: skip

# What the target of a relationship is to its sources.
_INVERSE: Mapping[str, str] = {
    "members": "Member of", "owners": "Owner of", "manager": "Manager of",
    "sponsors": "Sponsor of", "registeredOwners": "Registered owner of",
    "registeredUsers": "Registered user of", "scopedRoleMembers": "Scoped role member of",
}  # fmt: skip


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates, in which everything is escaped that is not markup of ours."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reentra.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number, size=size, moment=moment, taken=taken, day=day, duration=duration,
        title=kind_title,
        relationship=relationship_title, by_day=by_day, when=when, date_of=date_of,
        icon_of=icon_of, tone=tone, words=words, query=query, one_title=one_title,
        counted=counted, said=reasons.said, starter=starter, lower_first=lower_first,
    )  # fmt: skip
    made.tests.update(guid=values.is_guid, moment=values.is_moment)
    made.globals.update(
        asset=load_assets().path,
        path=path,
        query=query,
        relationship_words=relationship_words,
        kind_or_links=kind_or_links,
        part_words=part_words,
        reason_of=reasons.reason_of,
        failure_of=reasons.failure_of,
        named_inside=values.named_inside,
        changes_chart=charts.changes,
        kinds_chart=charts.kinds,
    )
    return made


def path(*parts: object) -> str:
    """Return an address of ours from its parts, each made harmless."""
    return "/" + "/".join(quote(str(part), safe="@") for part in parts)


def query(address: str, **values: Any) -> str:
    """Return an address with a query; what is empty is left out, a list is said many times."""
    pairs = [
        (name, "true" if one is True else str(one))
        for name, value in values.items()
        for one in (value if isinstance(value, list | tuple | set | frozenset) else [value])
        if one not in ("", None, False)
    ]
    return f"{address}?{urlencode(pairs)}" if pairs else address


def number(value: int | float) -> str:
    """Return a number as people read it."""
    return f"{value:,}"


def size(value: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def _moment_of(value: dt.datetime | str) -> dt.datetime:
    return clocks.parse_iso(value) if isinstance(value, str) else value


def zone_named(name: str) -> dt.tzinfo:
    """Return the zone of that name; UTC for one that nobody knows."""
    try:
        return zoneinfo.ZoneInfo(name) if name else dt.UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


@jinja2.pass_context
def moment(context: jinja2.runtime.Context, value: dt.datetime | str | None) -> Markup | str:
    """Return a time in the reader's zone, which says UTC when one asks it."""
    if not value:
        return "—"
    found = _moment_of(value)
    local = found.astimezone(context["zone"])
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        clocks.iso(found), f"{found.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}",
        f"{local:%d %b %Y, %H:%M}",
    )  # fmt: skip


@jinja2.pass_context
def taken(context: jinja2.runtime.Context, snapshot_id: str) -> Markup | str:
    """Return when a snapshot was taken, which its id begins with; of another id the id itself."""
    try:
        found = dt.datetime.strptime(snapshot_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return snapshot_id
    return moment(context, found)


@jinja2.pass_context
def day(context: jinja2.runtime.Context, value: dt.datetime | str) -> str:
    """Return the day of a time in the reader's zone."""
    return f"{_moment_of(value).astimezone(context['zone']):%A, %d %B %Y}"


@jinja2.pass_context
def by_day(
    context: jinja2.runtime.Context, items: Iterable[Mapping[str, Any]]
) -> list[tuple[str, list[tuple[str, Mapping[str, Any]]]]]:
    """Return things with ``created_at`` by the reader's day: its name, then time and thing.

    They stay in the order in which they come. Those of the same minute are told apart by their
    seconds, those of the same second by the end of their ids.
    """
    timed = [(_moment_of(item["created_at"]).astimezone(context["zone"]), item) for item in items]
    minutes = Counter(f"{local:%d %b %Y, %H:%M}" for local, _ in timed)
    seconds = Counter(f"{local:%d %b %Y, %H:%M:%S}" for local, _ in timed)
    found: list[tuple[str, list[tuple[str, Mapping[str, Any]]]]] = []
    for local, item in timed:
        said = f"{local:%A, %d %B %Y}"
        if not found or found[-1][0] != said:
            found.append((said, []))
        label, exact = f"{local:%d %b %Y, %H:%M}", f"{local:%d %b %Y, %H:%M:%S}"
        if minutes[label] > 1:
            label = exact
        if seconds[exact] > 1:
            label = f"{exact} ({str(item['id'])[-4:]})"
        found[-1][1].append((label, item))
    return found


@jinja2.pass_context
def when(context: jinja2.runtime.Context, value: dt.datetime | str) -> str:
    """Return a time in the reader's zone as plain text, where there can be no markup."""
    return f"{_moment_of(value).astimezone(context['zone']):%d %b %Y, %H:%M}"


@jinja2.pass_context
def date_of(context: jinja2.runtime.Context, value: dt.datetime | str) -> str:
    """Return the day of a time in the reader's zone, as a date field holds it."""
    return f"{_moment_of(value).astimezone(context['zone']):%Y-%m-%d}"


def duration(seconds: float | None) -> str:
    """Return a length of time as people say it."""
    if seconds is None:
        return "—"
    if seconds < 1:
        return "under a second"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min")]
    said = [f"{count} {unit}" for count, unit in parts if count]
    if whole < 600 and whole % 60:
        said.append(f"{whole % 60} s")
    return " ".join(said[:2])


def kind_title(kind: str) -> str:
    """Return what people call the objects of a kind."""
    row = KINDS.get(kind)
    return row.title if row is not None else kind


def one_title(kind: str) -> str:
    """Return what people call one object of a kind."""
    row = KINDS.get(kind)
    title = kind_title(kind)
    if row is None or row.is_singleton or title.endswith("ss"):
        return title
    if title.endswith("ies"):
        return f"{title[:-3]}y"
    return title.removesuffix("s")


def counted(kind: str, count: int) -> str:
    """Return a number of objects of a kind, as within a sentence."""
    return f"{number(count)} {lower_first(one_title(kind) if count == 1 else kind_title(kind))}"


def lower_first(text: str) -> str:
    """Return a title as within a sentence: with a small letter, unless it is a proper name."""
    is_name = any(letter.isupper() for letter in text[1:])
    return text if is_name else f"{text[:1].lower()}{text[1:]}"


def starter(who: str) -> str:
    """Return who began a job, where the schedule is nobody."""
    return "The schedule" if who == "reentra" else who or "—"


def kind_or_links(name: str) -> str:
    """Return what people call a kind, or a relationship with the kind that has it."""
    kind, dot, _ = name.partition(".")
    if not dot:
        return kind_title(kind)
    row = RELATIONSHIPS.get(name)
    title = row.title if row is not None else words(name.rpartition(".")[2])
    return f"{title} of {lower_first(kind_title(kind))}"


def part_words(what: str) -> str:
    """Return which part of an object is meant: itself, a relationship, or a property as it is."""
    if what == "object":
        return "The object"
    return relationship_title(what) if what in RELATIONSHIPS else what


def relationship_title(name: str) -> str:
    """Return what people call a relationship, such as "Members"."""
    if name not in RELATIONSHIPS:
        return name
    return words(name.rpartition(".")[2])


def relationship_words(name: str, direction: str) -> str:
    """Return what a relationship is seen from one end: "Members", or "Member of groups"."""
    row = RELATIONSHIPS.get(name)
    if row is None:
        return name
    if direction == "to":
        return row.title
    return f"{_INVERSE.get(row.property, 'Applies to')} {kind_title(row.source_kind).lower()}"


def icon_of(kind: str) -> str:
    """Return the icon of a kind."""
    row = KINDS.get(kind)
    if row is not None and row.is_settings:
        return _ICONS.get(kind, "settings")
    return _ICONS.get(kind, "document")


def tone(status: str) -> str:
    """Return how good or bad a status is, as the class of its badge."""
    return _TONES.get(status, "")


def words(name: str) -> str:
    """Return a name of Graph or of a status in words: ``memberOf`` is "Member of"."""
    said = "".join(
        f" {letter.lower()}" if letter.isupper() and index and not name[index - 1].isupper()
        else letter
        for index, letter in enumerate(name.replace("_", " "))
    )  # fmt: skip
    return said[:1].upper() + said[1:]
