"""Addresses of Graph: how they are written, which links may be followed, what DELETE may name."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from reentra import errors


def short_path(path: str) -> str:
    """Return ``path`` for a message: no host, no query (a query may hold names and addresses)."""
    return urlsplit(path).path or path.partition("?")[0]


def ensure_same_origin(link: str, endpoint: str) -> None:
    """Let a link pass only when scheme, host and port are those of the configured endpoint.

    Raises: ``UntrustedLink``.
    """
    if origin(link) != origin(endpoint):
        parts = urlsplit(link)
        raise errors.UntrustedLink(
            f"An answer links to {parts.scheme}://{parts.netloc.rpartition('@')[2]}, "
            f"but the Graph endpoint is {endpoint}; the link was not followed."
        )


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port (the scheme's own when none is written)."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    scheme = parts.scheme.lower()
    if port is None:
        port = {"https": 443, "http": 80}.get(scheme, -1)
    return scheme, (parts.hostname or "").lower(), port


def query_string(params: Mapping[str, str | int | bool]) -> str:
    """Return ``params`` as a query string in the form that Graph documents."""
    return "&".join(
        f"{name}={quote(_query_value(value), safe=_QUERY_SAFE)}" for name, value in params.items()
    )


_QUERY_SAFE = "$,()'=:;/@*!-._~"


def _query_value(value: str | int | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def literal(value: str) -> str:
    """Return ``value`` as an OData string literal, quotes doubled."""
    return "'" + value.replace("'", "''") + "'"


def segment(value: str) -> str:
    """Return ``value`` fit to stand as one segment of a path (``#`` in a UPN becomes ``%23``)."""
    return quote(value, safe="@'!$()*,;:-._~")


# DELETE /groups/{id}/members/{id} without /$ref deletes the member itself where the app may
# (learn.microsoft.com/graph/api/group-delete-members). So a DELETE is let through only where the
# last segment names an object in its own collection.

_DIRECTORY_ROOTS = frozenset(
    {
        "users",
        "groups",
        "applications",
        "serviceprincipals",
        "devices",
        "contacts",
        "directoryobjects",
        "directoryroles",
        "organization",
        "domains",
        "directory/administrativeunits",
        "directory/deleteditems",
    }
)
# Collections that an object owns: what is deleted there exists nowhere else.
_CONTAINED = frozenset(
    {
        "approleassignments",
        "approleassignedto",
        "scopedrolemembers",
        "extensionproperties",
        "federatedidentitycredentials",
        "settings",
        "extensions",
        "delegatedpermissionclassifications",
        "federationconfiguration",
        "certificatebasedauthconfiguration",
    }
)
_LINKS = frozenset(
    {
        "members",
        "owners",
        "manager",
        "sponsors",
        "registeredowners",
        "registeredusers",
        "directreports",
        "memberof",
        "transitivemembers",
        "transitivememberof",
        "ownedobjects",
        "owneddevices",
        "createdobjects",
        "acceptedsenders",
        "rejectedsenders",
        "appliesto",
        "tokenlifetimepolicies",
        "tokenissuancepolicies",
        "claimsmappingpolicies",
        "homerealmdiscoverypolicies",
    }
)


def ensure_deletes_only_its_own(path: str) -> None:
    """Let a DELETE pass only when it cannot delete an object that is merely linked.

    Raises: ``UsageError`` for ``…/members/{id}`` without ``/$ref``, for anything below an object
    that is not known to belong to it, and for a path with an empty segment.
    """
    segments = short_path(path).strip("/").lower().split("/")
    if segments and segments[0] in ("v1.0", "beta"):
        segments = segments[1:]
    is_reference = segments[-1] == "$ref"
    if is_reference:
        segments = segments[:-1]
    problem = ""
    if "" in segments or len(segments) < 2:
        problem = "it names no object"
    elif any(part.startswith("$") or part in (".", "..") for part in segments):
        problem = "it is no plain path to an object"
    else:
        is_deep = segments[0] == "policies" or "/".join(segments[:2]) in _DIRECTORY_ROOTS
        root_length = 2 if is_deep else 1
        below = segments[root_length + 1 :]
        is_directory = "/".join(segments[:root_length]) in _DIRECTORY_ROOTS
        if is_reference:
            if not below or below[0] not in _LINKS:
                problem = "it names no link"
        elif any(part in _LINKS for part in segments[root_length:]):
            problem = "without /$ref it would delete the linked object itself"
        elif is_directory and len(segments) == root_length:
            problem = "it names a collection"
        elif is_directory and below and (below[0] not in _CONTAINED or len(below) != 2):
            problem = "what lies below the object is not known to belong to it"
    if problem:
        raise errors.UsageError(
            f"DELETE {short_path(path)} is never sent: {problem}.",
            hint="Remove a link with remove_reference; delete an object by its own collection.",
        )
