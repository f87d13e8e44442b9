"""Refusals in Microsoft Graph's own form: a status, a code, a message and details.

https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Detail:
    """One entry of the envelope's ``details``: what is wrong with which target."""

    code: str
    message: str
    target: str = ""


class GraphError(Exception):
    """{status} {code}: {message}"""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.headers = dict(headers or {})

    def envelope(
        self, date: str = "", request_id: str = "", client_request_id: str = ""
    ) -> dict[str, Any]:
        """Return the body that Graph sends with this refusal."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [
                {
                    "code": detail.code,
                    "message": detail.message,
                    "target": detail.target,
                }
                for detail in self.details
            ]
        error["innerError"] = {
            "date": date,
            "request-id": request_id,
            "client-request-id": client_request_id or request_id,
        }
        return {"error": error}


@dataclass
class LogTruncated(Exception):
    """The change log of {type} no longer reaches back to {since_seq}.

    The HTTP side turns it into 410 with a Location that starts over.
    """

    type: str
    since_seq: int
    floor: int = field(default=0)

    def __str__(self) -> str:
        return f"the change log of {self.type} no longer reaches back to {self.since_seq}"


def bad_request(message: str, *details: Detail) -> GraphError:
    """Return the general refusal of the directory service."""
    return GraphError(400, "Request_BadRequest", message, details)


def not_found(id_: str) -> GraphError:
    """Return the 404 that the directory service gives for an unknown or unreplicated id."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{id_}' does not exist or one of its queried reference-property objects "
        "are not present.",
    )


def policy_not_found(id_: str) -> GraphError:
    """Return the 404 of the Conditional Access service, whose code differs."""
    return GraphError(404, "ResourceNotFound", f"The resource '{id_}' could not be found.")


def denied(
    message: str = "Insufficient privileges to complete the operation.",
) -> GraphError:
    """Return the 403 of the directory service."""
    return GraphError(403, "Authorization_RequestDenied", message)


def bad_policy(number: int, message: str) -> GraphError:
    """Return a refusal of the Conditional Access service: its message begins with a number."""
    return GraphError(400, "BadRequest", f"{number}: {message}")


def read_only(name: str) -> GraphError:
    """Return the refusal of a write to a property that only the service sets."""
    text = f"Property '{name}' is read-only and cannot be set."
    return bad_request(text, Detail("InvalidValue", text, name))


def invalid_value(name: str, resource: str) -> GraphError:
    """Return the refusal of a value that the property cannot have."""
    text = f"Invalid value specified for property '{name}' of resource '{resource}'."
    return bad_request(text, Detail("InvalidValue", text, name))


def missing_value(name: str, resource: str) -> GraphError:
    """Return the refusal of a create that lacks a property."""
    text = f"A value is required for property '{name}' of resource '{resource}'."
    return bad_request(text, Detail("MissingValue", text, name))


def unknown_property(name: str, resource: str) -> GraphError:
    """Return the refusal of a property that the type does not have."""
    text = f"Property '{name}' does not exist on type 'microsoft.graph.{resource}'."
    return bad_request(text, Detail("UnknownProperty", text, name))


def same_value(name: str) -> GraphError:
    """Return the refusal of a value that another object holds and that must be unique."""
    text = f"Another object with the same value for property {name} already exists."
    return bad_request(text, Detail("ObjectConflict", text, name))


def conflicting_object() -> GraphError:
    """Return the refusal of an object whose key another object has."""
    text = (
        "A conflicting object with one or more of the specified property values is present "
        "in the directory."
    )
    return bad_request(text, Detail("ConflictingObjects", text))
