"""What a route says of itself: method, path, what it needs, and whether it changes anything."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec

from reentra.access import Permission
from reentra.api.problems import MEDIA_TYPE, Problem

LONGEST_PAGE = 1000
_GUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
Guid = Annotated[str, msgspec.Meta(pattern=_GUID, max_length=36)]


class Needs(enum.Enum):
    """What a route needs that is no permission on a tenant."""

    NOTHING = "nothing"  # anybody may call it
    SIGN_IN = "sign_in"  # anybody who is signed in; it concerns themselves


Needed = Needs | Permission

_PROBLEMS = {
    400: "The request makes no sense as it stands.",
    401: "Nobody is signed in.",
    403: "The role does not allow it, or it wants a fresh sign-in (fresh_sign_in).",
    404: "There is no such thing, or not for who asks.",
    409: "Refused, or in the way of something else; nothing was done.",
    413: "The body is too large.",
    429: "Too many attempts.",
    500: "Something unforeseen happened.",
    502: "Microsoft Graph answered with an error.",
    503: "Graph or the store cannot be used now.",
}
_DECORATORS: dict[str, Any] = {"GET": get, "POST": post, "PUT": put, "DELETE": delete}


def route(
    method: str,
    path: str,
    needs: Needed,
    *,
    action: str = "",
    is_sensitive: bool = False,
    status: int = 200,
    tags: tuple[str, ...] = (),
    media_type: str = "application/json",
    **more: Any,
) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of a handler.

    ``action`` is the word for the audit trail; a route that has one is recorded before and after.
    Every route that changes something has one. One that is sensitive wants a sign-in of the last
    minutes from whoever comes with a session.
    """
    if method != "GET" and needs is not Needs.NOTHING and not action:
        raise ValueError(f"{method} {path} changes something and has no word for the trail")
    return _DECORATORS[method](  # type: ignore[no-any-return]
        path,
        opt={"needs": needs, "action": action, "is_sensitive": is_sensitive},
        sync_to_thread=True,
        status_code=status,
        tags=list(tags),
        media_type=media_type,
        responses={
            code: ResponseSpec(
                data_container=Problem,
                description=text,
                media_type=MEDIA_TYPE,
                generate_examples=False,
            )
            for code, text in _PROBLEMS.items()
        },
        **more,
    )
