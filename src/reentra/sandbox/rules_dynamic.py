"""Membership that Graph computes: dynamic groups and units, and restricted management.

Only a small part of the rule language is understood: comparisons of one property with a constant,
joined by -and, -or, -not and parentheses. A rule beyond that leaves the membership as it is.
https://learn.microsoft.com/entra/identity/users/groups-dynamic-membership
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from reentra.sandbox import rules_licences
from reentra.sandbox.tenant import Record, Tenant

Predicate = Callable[[Record], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<list>\[[^\]]*\])|(?P<text>"[^"]*"|'[^']*')
    |(?P<operator>-[A-Za-z]+)|(?P<name>[A-Za-z][\w.]*))""",
    re.VERBOSE,
)
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "-eq": lambda have, want: have == want,
    "-ne": lambda have, want: have != want,
    "-startswith": lambda have, want: isinstance(have, str) and have.startswith(want),
    "-notstartswith": lambda have, want: not (isinstance(have, str) and have.startswith(want)),
    "-contains": lambda have, want: want in have if isinstance(have, str | list) else False,
    "-notcontains": lambda have, want: want not in have if isinstance(have, str | list) else True,
    "-in": lambda have, want: have in want,
    "-notin": lambda have, want: have not in want,
}


class _NotUnderstood(Exception):
    """The rule {rule} uses more of the language than the sandbox knows."""


@lru_cache(maxsize=4096)
def predicate_of(rule: str) -> tuple[str, Predicate] | None:
    """Return the type that a rule is about and its test, or None when it is not understood."""
    try:
        parser = _Parser(rule)
        test = parser.alternatives()
        parser.finish()
    except _NotUnderstood:
        return None
    return (parser.type, test) if parser.type else None


class _Parser:
    """Reads a membership rule from left to right."""

    def __init__(self, rule: str) -> None:
        self.type = ""
        self._tokens: list[tuple[str, str]] = []
        at, rule = 0, rule.rstrip()
        while at < len(rule):
            match = _TOKEN.match(rule, at)
            if match is None or match.lastgroup is None:
                raise _NotUnderstood(rule)
            self._tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()

    def finish(self) -> None:
        if self._tokens:
            raise _NotUnderstood(self._tokens)

    def alternatives(self) -> Predicate:
        tests = [self._conjunction()]
        while self._accept("-or"):
            tests.append(self._conjunction())
        return tests[0] if len(tests) == 1 else lambda record: any(t(record) for t in tests)

    def _conjunction(self) -> Predicate:
        tests = [self._term()]
        while self._accept("-and"):
            tests.append(self._term())
        return tests[0] if len(tests) == 1 else lambda record: all(t(record) for t in tests)

    def _term(self) -> Predicate:
        if self._accept("-not"):
            inner = self._term()
            return lambda record: not inner(record)
        kind, text = self._take()
        if kind == "open":
            inner = self.alternatives()
            if self._take()[0] != "close":
                raise _NotUnderstood(text)
            return inner
        if kind != "name":
            raise _NotUnderstood(text)
        type_, _, path = text.partition(".")
        if type_ not in ("user", "device") or not path or self.type not in ("", type_):
            raise _NotUnderstood(text)
        self.type = type_
        operator = self._take()[1].lower()
        compare = _COMPARISONS.get(operator)
        if compare is None:
            raise _NotUnderstood(operator)
        want = self._constant()
        return lambda record: compare(_folded(_value(record, path)), want)

    def _constant(self) -> Any:
        kind, text = self._take()
        if kind == "text":
            return text[1:-1].casefold()
        if kind == "list":
            return [item.strip().strip("\"'").casefold() for item in text[1:-1].split(",")]
        if kind == "name" and text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        raise _NotUnderstood(text)

    def _take(self) -> tuple[str, str]:
        if not self._tokens:
            raise _NotUnderstood("end of rule")
        return self._tokens.pop(0)

    def _accept(self, operator: str) -> bool:
        # The hyphen before a logical operator is optional in the language.
        if self._tokens and self._tokens[0][1].lower() in (operator, operator[1:]):
            self._tokens.pop(0)
            return True
        return False


def _value(record: Record, path: str) -> Any:
    if path == "objectId":
        return record.id
    if path.startswith("extensionAttribute"):
        holder = "onPremisesExtensionAttributes" if record.type == "user" else "extensionAttributes"
        return (record.props.get(holder) or {}).get(path)
    for name in (path, path[:1].lower() + path[1:]):
        if name in record.props:
            return record.props[name]
    return None


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold() or None
    if isinstance(value, list):
        return [item.casefold() if isinstance(item, str) else item for item in value]
    return value


def settle_member(tenant: Tenant, record: Record) -> None:
    """Put one user or device into the dynamic groups and units whose rule it meets, and out."""
    for nav, holders in (
        ("group.members", tenant.by("group", "groupTypes", "DynamicMembership")),
        (
            "administrativeUnit.members",
            tenant.by("administrativeUnit", "membershipType", "Dynamic"),
        ),
    ):
        for holder in holders:
            found = _running_rule(holder)
            if found is not None and found[0] == record.type:
                _settle(tenant, nav, holder, record, found[1](record))
    if record.type == "user":
        rules_licences.reconcile(tenant, record)
    settle_restriction(tenant, record)


def settle_holder(tenant: Tenant, holder: Record) -> None:
    """Compute the members of one dynamic group or administrative unit anew."""
    found = _running_rule(holder)
    if found is None:
        return
    nav = f"{holder.type}.members"
    type_, test = found
    for target_id in tenant.targets(nav, holder.id):
        member = tenant.find(target_id)
        if member is None or member.type != type_:
            tenant.unlink(nav, holder.id, target_id)
    for record in list(tenant.collection(type_).values()):
        if _settle(tenant, nav, holder, record, test(record)):
            if record.type == "user":
                rules_licences.reconcile(tenant, record)
            settle_restriction(tenant, record)


def _running_rule(holder: Record) -> tuple[str, Predicate] | None:
    dynamic = (
        "DynamicMembership" in (holder.props.get("groupTypes") or ())
        or holder.props.get("membershipType") == "Dynamic"
    )
    if not dynamic or holder.props.get("membershipRuleProcessingState") != "On":
        return None
    return predicate_of(holder.props.get("membershipRule") or "")


def _settle(tenant: Tenant, nav: str, holder: Record, record: Record, belongs: bool) -> bool:
    if belongs:
        return tenant.link(nav, holder.id, record.id)
    return tenant.unlink(nav, holder.id, record.id)


def settle_restriction(tenant: Tenant, record: Record) -> None:
    """Mark an object as restricted when it is in a restricted management unit, else clear it."""
    if record.type not in ("user", "group", "device"):
        return
    restricted = any(
        (unit := tenant.get("administrativeUnit", id_)) is not None
        and unit.props.get("isMemberManagementRestricted")
        for id_ in tenant.sources("administrativeUnit.members", record.id)
    )
    if bool(record.props.get("isManagementRestricted")) != restricted:
        tenant.update(record, {"isManagementRestricted": True if restricted else None})
