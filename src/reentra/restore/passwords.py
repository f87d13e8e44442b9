"""Passwords of users that are created anew: asked for when they are needed, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra import errors
from reentra.directory.objects import ObjectRef
from reentra.restore.steps import Password, Step


def _no_password() -> str | None:
    return None


def _no_backed_up_password(ref: ObjectRef) -> str | None:  # noqa: ARG001  the type's shape
    return None


@dataclass(frozen=True, slots=True)
class RestoreSecrets:
    """Where passwords come from. They are asked for when a user is created, and never kept."""

    default_password: Callable[[], str | None] = field(default=_no_password, repr=False)
    backed_up_password: Callable[[ObjectRef], str | None] = field(
        default=_no_backed_up_password, repr=False
    )

    @classmethod
    def with_default(cls, password: str) -> RestoreSecrets:
        """Return secrets whose default password is at hand."""
        return cls(lambda: password)


NO_SECRETS = RestoreSecrets()


def with_password(step: Step, body: Mapping[str, Any], secrets: RestoreSecrets) -> dict[str, Any]:
    """Return the body with the password that the plan only names.

    Raises: ``errors.UsageError`` when it is needed and nobody gave one.
    """
    result = dict(body)
    if step.password is Password.NOT_NEEDED:
        return result
    profile = dict(result.get("passwordProfile") or {})
    password: str | None = None
    if step.password is Password.BACKED_UP:
        password = secrets.backed_up_password(step.ref)
    if password is None:
        password = secrets.default_password()
        if step.password is Password.BACKED_UP:
            profile["forceChangePasswordNextSignIn"] = True
    if not password:
        raise errors.UsageError(
            f"User {step.name} has to be created anew and no default password was given.",
            hint="Restore again with a default password.",
            typed="--default-password-file FILE",
        )
    profile["password"] = password
    result["passwordProfile"] = profile
    return result
