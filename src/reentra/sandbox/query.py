"""OData query options as the directory understands them: $select, $expand, $filter, $search.

Filters are parsed into a tree and evaluated in memory. What Graph cannot do is refused with
Graph's codes, and what it can only do as an advanced query needs ConsistencyLevel: eventual.
https://learn.microsoft.com/graph/aad-advanced-queries
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reentra.sandbox.errors import GraphError, bad_request

MAX_TERMS = 15
"""How many values `in` and how many terms `or` may have in a directory filter."""

Values = Mapping[str, Any]
"""An object's properties; ``id`` is one of them."""
Predicate = Callable[[Values], bool]


def unsupported(message: str = "Unsupported Query.") -> GraphError:
    """Return the refusal of a query that the directory does not support."""
    return GraphError(400, "Request_UnsupportedQuery", message)


def select_names(text: str) -> tuple[str, ...]:
    """Split $select into names, in order and without repetition."""
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise bad_request("Parsing OData Select and Expand failed: an empty name was found.")
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Expand:
    """One expanded navigation and its own $select."""

    name: str
    select: tuple[str, ...] | None = None


def expansions(text: str) -> tuple[Expand, ...]:
    """Parse $expand; the directory allows one level."""
    parts: list[str] = []
    depth = 0
    current = ""
    for character in text:
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        current += character
    parts.append(current)
    found = []
    for part in parts:
        match = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", part, re.DOTALL)
        if match is None or depth != 0:
            raise bad_request("Parsing OData Select and Expand failed.")
        select: tuple[str, ...] | None = None
        for option in (match.group(2) or "").split(";"):
            name, _, value = option.partition("=")
            if name.strip() == "$select":
                select = select_names(value)
            elif name.strip() in ("$levels", "$expand") and value.strip() not in ("", "1"):
                raise bad_request("Only one level of $expand is supported.")
        found.append(Expand(match.group(1), select))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed $filter."""

    matches: Predicate
    is_advanced: bool
    equals: tuple[tuple[str, str], ...] = ()
    """Properties that the filter pins to one string each, at its top level or joined by and."""


_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<punct>[(),:])"
    r"|(?P<word>[^\s(),:']+(?::\d[^\s(),']*)?))"
)
_COMPARISONS = {"eq", "ne", "gt", "ge", "lt", "le"}
_FUNCTIONS = {"startswith", "endswith", "contains"}
_ADVANCED_FUNCTIONS = {"endswith"}


class _Parser:
    def __init__(self, text: str, filterable: frozenset[str] | None) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._filterable = filterable
        self.is_advanced = False
        self.equals: list[tuple[str, str]] = []
        self._or_seen = False

    def parse(self) -> Predicate:
        predicate = self._or()
        if self._at != len(self._tokens):
            raise self._syntax()
        if self._or_seen:
            self.equals.clear()
        return predicate

    def _syntax(self) -> GraphError:
        seen = self._tokens[self._at] if self._at < len(self._tokens) else "the end"
        return bad_request(f"Invalid filter clause: unexpected {seen}.")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if not token or (expected is not None and token != expected):
            raise self._syntax()
        self._at += 1
        return token

    def _or(self) -> Predicate:
        terms = [self._and()]
        while self._peek().lower() == "or":
            self._take()
            self._or_seen = True
            terms.append(self._and())
        if len(terms) == 1:
            return terms[0]
        if len(terms) > MAX_TERMS:
            raise bad_request(
                f"Too many child clauses specified in search filter expression containing 'OR' "
                f"operators: {len(terms)}. Max allowed: {MAX_TERMS}."
            )
        return lambda values: any(term(values) for term in terms)

    def _and(self) -> Predicate:
        terms = [self._not()]
        while self._peek().lower() == "and":
            self._take()
            terms.append(self._not())
        if len(terms) == 1:
            return terms[0]
        return lambda values: all(term(values) for term in terms)

    def _not(self) -> Predicate:
        if self._peek().lower() == "not":
            self._take()
            self.is_advanced = True
            self._or_seen = True
            inner = self._not()
            return lambda values: not inner(values)
        return self._primary()

    def _primary(self) -> Predicate:
        token = self._peek()
        if token == "(":
            self._take()
            inner = self._or()
            self._take(")")
            return inner
        if token.lower() in _FUNCTIONS:
            return self._function()
        return self._comparison()

    def _function(self) -> Predicate:
        name = self._take().lower()
        if name == "contains":
            raise unsupported("contains is not supported in $filter of directory objects.")
        if name in _ADVANCED_FUNCTIONS:
            self.is_advanced = True
        self._take("(")
        get = self._path(self._take())
        self._take(",")
        needle = str(_literal(self._take())).lower()
        self._take(")")

        def holds(values: Values) -> bool:
            value = get(values)
            if not isinstance(value, str):
                return False
            lowered = value.lower()
            return lowered.startswith(needle) if name == "startswith" else lowered.endswith(needle)

        return holds

    def _comparison(self) -> Predicate:
        path = self._take()
        if path.endswith("/any") and self._peek() == "(":
            return self._any(path[: -len("/any")])
        if path.lower() == "isof" or self._peek() == "(":
            raise unsupported(f"The function '{path}' is not supported in $filter.")
        count = path.endswith("/$count")
        get = self._path(path.removesuffix("/$count"))
        if count:
            self.is_advanced = True
            inner_get = get

            def get(values: Values) -> Any:
                return len(inner_get(values) or ())

        return self._compare(path, get)

    def _compare(self, path: str, get: Callable[[Values], Any]) -> Predicate:
        operator = self._take().lower()
        if operator == "in":
            self._take("(")
            items = [_literal(self._take())]
            while self._peek() == ",":
                self._take()
                items.append(_literal(self._take()))
            self._take(")")
            if len(items) > MAX_TERMS:
                raise bad_request(
                    f"Too many values in the 'in' operator: {len(items)}. Max: {MAX_TERMS}."
                )
            wanted = {_comparable(item) for item in items}
            return lambda values: _comparable(get(values)) in wanted
        if operator not in _COMPARISONS:
            raise bad_request(f"Invalid filter clause: '{operator}' is not an operator.")
        literal = _comparable(_literal(self._take()))
        if operator == "eq":
            if isinstance(literal, str):
                self.equals.append((path, literal))
            return lambda values: _comparable(get(values)) == literal
        if operator == "ne":
            self.is_advanced = True
            return lambda values: _comparable(get(values)) != literal

        def ordered(values: Values) -> bool:
            value = _comparable(get(values))
            if value is None or literal is None or type(value) is not type(literal):
                return False
            if operator == "gt":
                return bool(value > literal)
            if operator == "ge":
                return bool(value >= literal)
            return bool(value < literal if operator == "lt" else value <= literal)

        return ordered

    def _any(self, path: str) -> Predicate:
        get = self._path(path)
        self._take("(")
        if self._peek() == ")":
            self._take()
            return lambda values: bool(get(values))
        variable = self._take().rstrip(":")
        if self._peek() == ":":
            self._take()
        sub = _Parser("", None)
        sub._tokens = self._tokens
        sub._at = self._at
        pattern = re.compile(rf"^{re.escape(variable)}(/|$)")
        sub._tokens = [
            pattern.sub("$it\\1", token) if index >= self._at else token
            for index, token in enumerate(self._tokens)
        ]
        inner = sub._or()
        self._at = sub._at
        self.is_advanced = self.is_advanced or sub.is_advanced
        self._take(")")
        return lambda values: any(inner({"$it": item}) for item in get(values) or ())

    def _path(self, path: str) -> Callable[[Values], Any]:
        if not re.fullmatch(r"\$?[A-Za-z_][\w]*(/[A-Za-z_]\w*)*", path):
            raise bad_request(f"Invalid filter clause: '{path}' is not a property.")
        names = path.split("/")
        if self._filterable is not None and names[0] not in self._filterable:
            raise unsupported(
                f"Unsupported or invalid query filter clause specified for property '{path}' "
                "of resource."
            )

        def get(values: Values) -> Any:
            value: Any = values
            for name in names:
                value = value.get(name) if isinstance(value, Mapping) else None
            return value

        return get


def parse_filter(text: str, filterable: frozenset[str] | None) -> Filter:
    """Parse $filter over the properties that may be filtered on (None: any).

    Raises:
        GraphError: 400 Request_BadRequest for bad syntax, Request_UnsupportedQuery for a property
            or function that the directory cannot filter on.
    """
    parser = _Parser(text, filterable)
    predicate = parser.parse()
    return Filter(predicate, parser.is_advanced, tuple(parser.equals))


def parse_search(text: str) -> Predicate:
    """Parse $search: quoted "property:value" terms joined by AND and OR, on tokens' beginnings."""
    terms = re.findall(r'"([A-Za-z]+):([^"]*)"', text)
    if not terms:
        raise bad_request(
            'Syntax error: the $search clause must be of the form "property:value" in quotes.'
        )
    by_or = re.search(r'"\s+OR\s+"', text) is not None

    def one(values: Values, name: str, needle: str) -> bool:
        value = values.get(name)
        words = re.split(r"[\s@.\-_]+", str(value).lower()) if value else []
        lowered = needle.lower()
        return any(word.startswith(lowered) for word in words) or (
            value is not None and lowered in str(value).lower()
        )

    combine = any if by_or else all
    return lambda values: combine(one(values, name, needle) for name, needle in terms)


def order_key(text: str, sortable: frozenset[str]) -> tuple[str, bool]:
    """Parse $orderby into a property and whether it descends."""
    parts = text.split()
    if not parts or len(parts) > 2 or (len(parts) == 2 and parts[1].lower() not in ("asc", "desc")):
        raise bad_request("Invalid $orderby clause.")
    if parts[0] not in sortable:
        raise unsupported(f"Sorting by '{parts[0]}' is not supported.")
    return parts[0], len(parts) == 2 and parts[1].lower() == "desc"


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise bad_request(f"Invalid filter clause: syntax error at position {position}.")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


def _literal(token: str) -> Any:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    lowered = token.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered == "null":
        return None
    if re.fullmatch(r"-?\d+", token):
        return int(token)
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", token):
        return token
    if re.fullmatch(r"\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?", token):
        return token
    raise bad_request(f"Invalid filter clause: '{token}' is not a literal.")


def _comparable(value: Any) -> Any:
    """Strings compare without regard to case, as the directory compares them."""
    return value.lower() if isinstance(value, str) else value
