"""What a page says of itself: method, path, what it needs, and whether it changes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar import get, post

from reentra.api.routing import Needed, Needs

_DECORATORS: dict[str, Any] = {"GET": get, "POST": post}
_NOTHING: Mapping[str, Any] = {}


def page(
    path: str, needs: Needed, *, is_sensitive: bool = False, **more: Any
) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of a handler that shows something.

    One that ``is_sensitive`` asks for a fresh sign-in before its form is filled in, so that nothing
    typed is lost when the form wants it.
    """
    return _route("GET", path, needs, more, {"is_sensitive": is_sensitive})


def page_for(path: str, handler: Any, **more: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of an address that answers with what a route of the API answers.

    It needs what that route needs, and has its word in the audit trail.
    """
    return _route("GET", path, handler.opt["needs"], more, handler.opt)


def form(path: str, needs: Needed, **more: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of a handler of a form that only shows something.

    It is for what an address would be too short for; what changes something is a ``form_for``.
    """
    return _route("POST", path, needs, more)


def form_for(path: str, handler: Any, **more: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of a form that does what a route of the API does.

    It needs what that route needs, and has its word in the audit trail.
    """
    return _route("POST", path, handler.opt["needs"], more, handler.opt)


def _route(
    method: str, path: str, needs: Needed, more: dict[str, Any], api: Mapping[str, Any] = _NOTHING
) -> Callable[[Callable[..., Any]], Any]:
    return _DECORATORS[method](  # type: ignore[no-any-return]
        path,
        opt={
            "needs": needs,
            "action": api.get("action", ""),
            "is_sensitive": api.get("is_sensitive", False),
            "is_page": True,
        },
        sync_to_thread=True,
        status_code=200,
        include_in_schema=False,
        **more,
    )


__all__ = ["Needs", "form", "form_for", "page", "page_for"]
