"""The one exception tree.

::

    Error                         exit  http  what went wrong
    ├── UsageError                   2   400  the request makes no sense as it stands
    │   ├── NotFound                 2   404  a named tenant, snapshot, object, job does not exist
    │   └── AlreadyExists            2   409  a name is taken
    ├── ConfigurationError           2   500  settings are missing or contradict each other
    ├── Refused                      4   409  doing it would do harm; nothing was written
    │   ├── StalePlan                4   409  the tenant changed since the plan was made
    │   ├── AlreadyApplied           4   409  a job applies the plan, or has applied it
    │   ├── ApprovalNeeded           4   409  a second person must approve it first
    │   └── OwnKey                   4   409  the key opened the repository for who is asked
    ├── AccessError                  1   403  who asks may not
    │   ├── NotSignedIn              1   401  nobody has shown who they are
    │   ├── NotAllowed               1   403  the role does not allow it
    │   ├── FreshSignInNeeded        1   403  it is too long ago that they showed who they are
    │   ├── TooManyJobs              1   429  somebody has too many jobs that have not ended
    │   └── TooManyAttempts          1   429  somebody guessed too often
    ├── Interrupted                130   499  the operator or the machine stopped it
    ├── GraphError                   1   502  Microsoft Graph answered with an error
    │   ├── Unauthenticated          1   502  no token, or Graph does not accept it
    │   ├── Forbidden                1   502  a permission, role or licence is missing
    │   ├── GraphNotFound            1   502  the resource is not there (or not there yet)
    │   ├── InvalidRequest           1   502  Graph refuses the request as such (400)
    │   ├── Conflict                 1   502  the object exists, or somebody else writes it
    │   ├── DeltaExpired             1   502  the delta token is no longer good (410)
    │   ├── Throttled                1   503  still throttled after all waiting
    │   ├── Unavailable              1   503  Graph failed (5xx) or could not be reached
    │   │   └── GraphDown            1   503  nothing but failures has come for minutes
    │   ├── OutcomeUnknown           1   502  a write was sent and its reply was lost
    │   └── UntrustedLink            1   502  a link leads away from the configured Graph host
    └── RepositoryError              1   500  the repository could not be used
        ├── StorageError             1   503  the object store failed
        ├── RepositoryLocked         1   409  another process holds a lock that excludes this
        └── RepositoryDamaged        5   500  what is stored is not what was written
            ├── WrongPassphrase      5   403  no key slot opens with what was given
            └── UnsupportedFormat    5   500  written by a newer version

``exit_code`` is the CLI's, ``http_status`` the API's, ``code`` is stable and safe to match in
scripts, ``hint`` says what to do next, ``is_retryable`` says whether the same request may succeed
later without a change. ``tests/test_errors.py`` pins all of them.

A hint is in words that fit the pages, the API and the command line alike. What to type for it on
the command line is ``typed``: only that face shows it, and it alone names commands and options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class Error(Exception):
    """Base of everything that Reentra raises on purpose.

    ``message`` says what happened, and to what. ``hint`` says what to do next, ``typed`` with which
    command or option. None may hold a secret.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    is_retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""
    default_typed: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, typed: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.typed = self.default_typed if hint is None else typed

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip() if self.hint else self.message

    def to_json(self) -> dict[str, object]:
        return {"code": self.code, "message": self.message, "hint": self.hint}


class UsageError(Error):
    """The request makes no sense as it stands."""

    code = "usage"
    exit_code = 2
    http_status = 400


class NotFound(UsageError):
    """A named tenant, snapshot, object or job does not exist."""

    code = "not_found"
    http_status = 404


class AlreadyExists(UsageError):
    """The name is taken."""

    code = "already_exists"
    http_status = 409


class ConfigurationError(Error):
    """Settings are missing or contradict each other."""

    code = "configuration"
    exit_code = 2


class Refused(Error):
    """Doing it would do harm, so nothing was written.

    ``refusals`` are the reasons one by one, with code, numbers and how to overrule, where a plan
    gave them.
    """

    code = "refused"
    exit_code = 4
    http_status = 409

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        typed: str = "",
        refusals: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(message, hint=hint, typed=typed)
        self.refusals = tuple(refusals)

    def to_json(self) -> dict[str, object]:
        value = Error.to_json(self)
        return {**value, "refusals": list(self.refusals)} if self.refusals else value


class StalePlan(Refused):
    """The tenant changed since the plan was made."""

    code = "stale_plan"
    default_hint = "Make a new plan with the same options, read it, and apply that one."


class AlreadyApplied(Refused):
    """A plan is applied by one job only; ``job`` is that job."""

    code = "already_applied"

    def __init__(self, message: str, *, job: str) -> None:
        super().__init__(message, hint=f"Look at job {job}; for more, make a new plan.")
        self.job = job

    def to_json(self) -> dict[str, object]:
        return {**Refused.to_json(self), "job": self.job}


class ApprovalNeeded(Refused):
    """A second person must approve it first."""

    code = "approval_needed"
    default_hint = "Ask for it, let somebody else approve it, and do it then."


class OwnKey(Refused):
    """The key is the one by which the process that is asked opened the repository."""

    code = "own_key"
    default_hint = "Give it another passphrase first, or say that its own key is meant (even_own)."


class AccessError(Error):
    """Who asks may not."""

    code = "access"
    http_status = 403


class NotSignedIn(AccessError):
    """Nobody has shown who they are, or what they showed is no longer good."""

    code = "not_signed_in"
    http_status = 401
    default_hint = "Sign in, or send an API token: `Authorization: Bearer TOKEN`."


class NotAllowed(AccessError):
    """The role does not allow it."""

    code = "not_allowed"
    default_hint = "An administrator can give the role."
    default_typed = "reentra people role NAME ROLE"


class FreshSignInNeeded(AccessError):
    """What is asked for wants a sign-in of the last minutes, not just a session."""

    code = "fresh_sign_in"
    default_hint = (
        "Show the password again: POST /api/v1/session/confirm. Who signs in with the directory"
        " signs in anew: /api/v1/session/oidc?fresh=true. Then do it again."
    )


class TooManyJobs(AccessError):
    """Somebody has as many jobs waiting and running as one person may."""

    code = "too_many_jobs"
    http_status = 429
    is_retryable = True
    default_hint = (
        "Wait until one has ended, or cancel one. REENTRA_OPEN_JOBS_PER_PERSON says how many."
    )


class TooManyAttempts(AccessError):
    """Somebody guessed too often; the same request may succeed later."""

    code = "too_many_attempts"
    http_status = 429
    is_retryable = True

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(
            "There were too many failed attempts.", hint=f"Try again in {wait_seconds} seconds."
        )
        self.wait_seconds = wait_seconds


class Interrupted(Error):
    """The operator or the machine stopped it."""

    code = "interrupted"
    exit_code = 130
    http_status = 499


class GraphError(Error):
    """Microsoft Graph answered with an error.

    ``status`` is the HTTP status (0 when there was no answer), ``graph_code`` and the message are
    Graph's own, ``request_id`` is what Microsoft's support asks for. ``target`` is the property
    that Graph blames, where it names one.
    """

    code = "graph"
    http_status = 502

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        graph_code: str = "",
        request_id: str = "",
        target: str = "",
        retry_after_seconds: float | None = None,
        hint: str | None = None,
        typed: str = "",
    ) -> None:
        super().__init__(message, hint=hint, typed=typed)
        self.status = status
        self.graph_code = graph_code
        self.request_id = request_id
        self.target = target
        self.retry_after_seconds = retry_after_seconds

    def to_json(self) -> dict[str, object]:
        return {
            **Error.to_json(self),
            "status": self.status,
            "graph_code": self.graph_code,
            "request_id": self.request_id,
        }


class Unauthenticated(GraphError):
    """No token, or Graph does not accept it."""

    code = "unauthenticated"
    default_hint = "Check the tenant id, the client id and the credential."
    default_typed = "reentra tenant check NAME"


class Forbidden(GraphError):
    """A permission, an Entra role or a licence is missing."""

    code = "forbidden"
    default_hint = "Check the tenant's permissions: that lists what is missing and for what."
    default_typed = "reentra tenant check NAME"


class GraphNotFound(GraphError):
    """The resource is not there, or not there yet (replication)."""

    code = "graph_not_found"


class InvalidRequest(GraphError):
    """Graph refuses the request as such (400). Repeating it unchanged is pointless."""

    code = "invalid_request"


class Conflict(GraphError):
    """The object exists already, or somebody else writes it at the same time."""

    code = "conflict"


class DeltaExpired(GraphError):
    """The delta token is no longer good (410); the kind must be read in full."""

    code = "delta_expired"


class Throttled(GraphError):
    """Still throttled after all the waiting that is allowed."""

    code = "throttled"
    http_status = 503
    is_retryable = True
    default_hint = "Try again in a few minutes; other applications share the tenant's limits."


class Unavailable(GraphError):
    """Graph failed (5xx), could not be reached, or cut its answer short."""

    code = "unavailable"
    http_status = 503
    is_retryable = True
    default_hint = "Try again; if it lasts, look at the network and at Microsoft's service health."


class GraphDown(Unavailable):
    """For minutes nothing but failures has come from Graph, whatever was asked.

    Unlike ``Unavailable`` it is not about one request: asking for something else is in vain too.
    """

    code = "graph_down"
    default_hint = "Run it again when Graph is well: it goes on where it can."


class OutcomeUnknown(GraphError):
    """A write was sent and its reply was lost: it may or may not have happened.

    The caller must look before it sends the write again.
    """

    code = "outcome_unknown"


class UntrustedLink(GraphError):
    """A link in an answer leads away from the configured Graph host and was not followed."""

    code = "untrusted_link"
    default_hint = "Check the address of Graph; a token is never sent to another host."
    default_typed = "--graph-endpoint"


class RepositoryError(Error):
    """The repository could not be used."""

    code = "repository"


class StorageError(RepositoryError):
    """The object store failed; nothing was acknowledged."""

    code = "storage"
    http_status = 503
    is_retryable = True


class RepositoryLocked(RepositoryError):
    """Another process holds a lock that excludes this one."""

    code = "locked"
    http_status = 409
    is_retryable = True


class RepositoryDamaged(RepositoryError):
    """What is stored is not what was written; it is never served."""

    code = "damaged"
    exit_code = 5
    default_hint = "Check the repository for the whole picture; other snapshots may be whole."
    default_typed = "reentra check"


class WrongPassphrase(RepositoryDamaged):
    """No key slot of the repository opens with what was given."""

    code = "wrong_passphrase"
    http_status = 403
    default_hint = "Give the repository's passphrase; the recovery key works in its place."
    default_typed = "REENTRA_PASSPHRASE, or --passphrase-file FILE"


class UnsupportedFormat(RepositoryDamaged):
    """The repository was written by a newer version of Reentra."""

    code = "unsupported_format"
    default_hint = "Install a newer version of Reentra; this one will not touch the repository."
