"""Forms: what was typed as the body of a route of the API, and the form again after a mistake."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Response

from reentra import errors
from reentra.web.visiting import Visit

Body = TypeVar("Body", bound=msgspec.Struct)
# What is wrong with who asks, or with the address; the rest is wrong with what was typed.
_NOT_THE_FORM = (errors.FreshSignInNeeded, errors.NotAllowed)


def body(shape: type[Body], **typed: Any) -> Body:
    """Return what was typed as the body that a route of the API takes.

    Raises: ``UsageError``, which names the field and never what was typed into it.
    """
    try:
        return msgspec.convert(typed, type=shape)
    except msgspec.ValidationError as failure:
        raise errors.UsageError(
            f"The form does not fit: {failure}.", hint="Correct it and send it again."
        ) from failure


def whole_number(text: str, what: str) -> int:
    """Return a number that was typed.

    Raises: ``UsageError``.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise errors.UsageError(f"{what} must be a whole number.", hint="Write it in digits.")
    return int(text)


def again(visit: Visit, failure: errors.Error, template: str, **known: Any) -> Response[str]:
    """Show the form again with what was wrong; what was typed is ``visit.value`` in it.

    Raises: the failure itself when nothing that could be typed would mend it.
    """
    if isinstance(failure, _NOT_THE_FORM) or failure.http_status >= 500:
        raise failure
    shown = visit.show(template, status=failure.http_status, failure=failure, **known)
    if isinstance(failure, errors.TooManyAttempts):
        shown.headers["retry-after"] = str(failure.wait_seconds)
    return shown
