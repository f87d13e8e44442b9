"""Each of Graph's common final refusals comes with what a person can do."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.directory.objects import ObjectRef
from reentra.graph import odata
from reentra.restore.outcomes import failed_records
from reentra.restore.steps import Action, Precondition, Step

STEP = Step(
    "update/application/a",
    Action.UPDATE,
    ObjectRef("application", "a"),
    "App",
    "Put back tags",
    Precondition.PRESENT,
    60,
)


@pytest.mark.parametrize(
    ("status", "code", "message", "advice"),
    [
        (400, "Request_BadRequest",
         "The specified password does not comply with password complexity requirements.",
         "Choose a default password"),
        (403, "Directory_QuotaExceeded", "The directory object quota limit has been exceeded.",
         "recycle bin"),
        (400, "Request_BadRequest",
         "License assignment cannot be done for user with invalid usage location.",
         "usage location"),
        (400, "Request_BadRequest",
         "Subscription with SKU x does not have any available licenses.", "buy licences"),
        (400, "Request_BadRequest",
         ("The domain portion of the userPrincipalName property is invalid. You must use one of "
         "the verified domain names in your organization."), "verify it"),
        (400, "Request_BadRequest",
         "Another object with the same value for property mailNickname already exists.",
         "Another object has this value"),
        (409, "Conflict", "ConcurrencyViolation: the object was being written.",
         "at the same time"),
        (400, "Request_BadRequest",
         ("Unable to update the specified properties for on-premises mastered Directory Sync "
         "objects or objects currently undergoing migration."), "Active Directory"),
        (400, "Request_BadRequest",
         "Cannot Update a mail-enabled security groups and or distribution list.", "Exchange"),
        (403, "AadPremiumLicenseRequired", "The tenant needs a premium licence.", "P1 or P2"),
        (404, "Request_ResourceNotFound",
         ("Resource 'x' does not exist or one of its queried reference-property objects are not "
         "present."), "make a new plan"),
        (400, "BadRequest", "1012: 'applications' condition cannot include both.",
         "put right what it names"),
        (403, "Authorization_RequestDenied",
         "Insufficient privileges to complete the operation.", "tenant's permissions"),
        (503, "serviceNotAvailable", "The service is unavailable.", "service health"),
    ],
)  # fmt: skip
def test_what_graph_refuses_for_good_says_what_to_do(
    status: int, code: str, message: str, advice: str
) -> None:
    body = {"error": {"code": code, "message": message, "innerError": {"request-id": "r-1"}}}
    error = odata.error_from_answer(status, {}, body, method="PATCH", path="/x")
    (record,) = failed_records([STEP], error)
    assert advice in record.detail["hint"]
    assert record.detail["graph_code"] == code
    assert message in record.detail["message"]
    assert record.detail["request_id"] == "r-1"


def test_what_no_table_knows_still_says_something() -> None:
    for error in (errors.OutcomeUnknown("lost"), errors.Error("odd"), errors.Conflict("odd")):
        (record,) = failed_records([STEP], error)
        assert record.detail["hint"]
