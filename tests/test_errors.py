"""Codes, exit codes and HTTP statuses are a contract."""

from __future__ import annotations

from reentra import errors

PINNED = {
    "Error": ("error", 1, 500, False),
    "UsageError": ("usage", 2, 400, False),
    "NotFound": ("not_found", 2, 404, False),
    "AlreadyExists": ("already_exists", 2, 409, False),
    "ConfigurationError": ("configuration", 2, 500, False),
    "Refused": ("refused", 4, 409, False),
    "StalePlan": ("stale_plan", 4, 409, False),
    "AlreadyApplied": ("already_applied", 4, 409, False),
    "ApprovalNeeded": ("approval_needed", 4, 409, False),
    "OwnKey": ("own_key", 4, 409, False),
    "AccessError": ("access", 1, 403, False),
    "NotSignedIn": ("not_signed_in", 1, 401, False),
    "NotAllowed": ("not_allowed", 1, 403, False),
    "FreshSignInNeeded": ("fresh_sign_in", 1, 403, False),
    "TooManyJobs": ("too_many_jobs", 1, 429, True),
    "TooManyAttempts": ("too_many_attempts", 1, 429, True),
    "Interrupted": ("interrupted", 130, 499, False),
    "GraphError": ("graph", 1, 502, False),
    "Unauthenticated": ("unauthenticated", 1, 502, False),
    "Forbidden": ("forbidden", 1, 502, False),
    "GraphNotFound": ("graph_not_found", 1, 502, False),
    "InvalidRequest": ("invalid_request", 1, 502, False),
    "Conflict": ("conflict", 1, 502, False),
    "DeltaExpired": ("delta_expired", 1, 502, False),
    "Throttled": ("throttled", 1, 503, True),
    "Unavailable": ("unavailable", 1, 503, True),
    "GraphDown": ("graph_down", 1, 503, True),
    "OutcomeUnknown": ("outcome_unknown", 1, 502, False),
    "UntrustedLink": ("untrusted_link", 1, 502, False),
    "RepositoryError": ("repository", 1, 500, False),
    "StorageError": ("storage", 1, 503, True),
    "RepositoryLocked": ("locked", 1, 409, True),
    "RepositoryDamaged": ("damaged", 5, 500, False),
    "WrongPassphrase": ("wrong_passphrase", 5, 403, False),
    "UnsupportedFormat": ("unsupported_format", 5, 500, False),
}


def all_errors(base: type[errors.Error] = errors.Error) -> list[type[errors.Error]]:
    return [base, *(e for child in base.__subclasses__() for e in all_errors(child))]


def test_every_error_keeps_its_code_exit_code_and_status() -> None:
    found = {
        e.__name__: (e.code, e.exit_code, e.http_status, e.is_retryable)
        for e in all_errors()
        if e.__module__ == errors.__name__
    }
    assert found == PINNED


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = {
        line.split("──")[-1].split()[0]: line.split()[-1]
        for line in (errors.__doc__ or "").splitlines()
        if "──" in line
    }
    assert set(drawn) == set(PINNED) - {"Error"}
    for line in (errors.__doc__ or "").splitlines():
        if "──" in line:
            name, exit_code, status = line.split("──")[-1].split()[:3]
            assert (int(exit_code), int(status)) == PINNED[name][1:3], name


def test_every_error_has_a_docstring_of_its_own() -> None:
    for e in all_errors():
        assert "__doc__" in vars(e)
        assert e.__doc__, e.__name__
