"""Error bodies of every shape, what refusals mean, and addresses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reentra import errors
from reentra.graph import addresses, odata

PATH = "/v1.0/users/a?$filter=secret eq 'x'"


def refused(
    message: str, *, status: int = 400, code: str = "Request_BadRequest", **more: Any
) -> errors.GraphError:
    body = {"error": {"code": code, "message": message, **more}}
    return odata.error_from_answer(status, {}, body, method="PATCH", path=PATH)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.GraphNotFound),
        (405, errors.InvalidRequest),
        (409, errors.Conflict),
        (410, errors.DeltaExpired),
        (412, errors.Conflict),
        (413, errors.InvalidRequest),
        (424, errors.InvalidRequest),
        (429, errors.Throttled),
        (500, errors.Unavailable),
        (501, errors.InvalidRequest),
        (503, errors.Unavailable),
        (504, errors.Unavailable),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html><title>x</title></html>", b"plain", b'"text"', b"[]", b"{}", b"null"]
)
def test_a_status_decides_whatever_the_body_is(
    status: int, kind: type[errors.GraphError], body: bytes
) -> None:
    error = odata.error_from_answer(status, {}, body, method="GET", path=PATH)
    assert type(error) is kind
    assert error.status == status
    assert "secret" not in error.message


@pytest.mark.parametrize("inner", ["innerError", "innererror"])
def test_the_envelope_is_read_whole(inner: str) -> None:
    body = {
        "error": {
            "code": "Request_BadRequest",
            "message": "Another object with the same value for property proxyAddresses exists.",
            "details": [{"code": "ObjectConflict", "message": "x", "target": "proxyAddresses"}],
            inner: {"date": "x", inner: {"request-id": "deep", "code": "Deep_Code"}},
        }
    }
    read = odata.error_body(body)
    assert read.codes == ("Request_BadRequest", "ObjectConflict", "Deep_Code")
    error = odata.error_from_answer(400, {}, body, method="POST", path=PATH)
    assert isinstance(error, errors.Conflict)
    assert (error.target, error.request_id) == ("proxyAddresses", "deep")
    assert odata.is_already_exists(error)


def test_the_request_id_of_the_header_wins_in_any_letter_case() -> None:
    error = odata.error_from_answer(400, {"Request-Id": "h"}, b"{}", method="GET", path=PATH)
    assert error.request_id == "h"
    assert "request-id h" in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_client", "error_description": "AADSTS1: x"},
        {"error": {"message": {"lang": "en", "value": "old"}}},
        {"error": {"code": 5, "message": None, "details": "x", "innerError": "y"}},
        {"error": None},
        {"Message": "other"},
    ],
)
def test_odd_bodies_do_not_break_the_reading(body: object) -> None:
    assert odata.error_from_answer(400, {}, body, method="GET", path=PATH).status == 400


def test_a_licence_is_named_as_what_is_missing() -> None:
    error = refused("x", status=403, code="Authentication_RequestFromNonPremiumTenantOrB2CTenant")
    assert "licence" in error.hint


@pytest.mark.parametrize(
    "message",
    [
        (
            "One or more added object references already exist for the following modified "
            "properties: 'members'."
        ),
        "Permission being assigned already exists on the object",
        (
            "A conflicting object with one or more of the specified property values is present "
            "in the directory."
        ),
        "Another object with the same value for property userPrincipalName already exists.",
    ],
)
def test_what_exists_already_is_recognised(message: str) -> None:
    error = refused(message)
    assert odata.is_already_exists(error)
    assert not odata.is_missing_reference(error)


def test_a_concurrent_write_is_no_already_exists() -> None:
    error = refused("Concurrency violation.", status=409, code="Directory_ConcurrencyViolation")
    assert not odata.is_already_exists(error)
    assert odata.is_replication_lag(error)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (
            (
                "Resource 'a' does not exist or one of its queried reference-property objects are "
                "not present."
            ),
            404,
        ),
        (
            "The appId 'a' of the service principal does not reference a valid application object.",
            400,
        ),
        ("Resource 'a' does not exist.", 400),
    ],
)
def test_a_missing_reference_is_recognised(message: str, status: int) -> None:
    error = refused(message, status=status)
    assert odata.is_missing_reference(error)
    assert odata.is_replication_lag(error)
    assert not odata.is_already_exists(error)


def test_invalid_values_may_be_replication_lag_and_nothing_else() -> None:
    error = refused("One or more property values specified are invalid.")
    assert odata.is_replication_lag(error)
    assert not odata.is_missing_reference(error)
    assert not odata.is_replication_lag(refused("The password is too weak."))


def test_a_read_only_property_is_named() -> None:
    error = refused("Property 'createdDateTime' is read-only and cannot be set.")
    assert odata.read_only_property(error) == "createdDateTime"
    assert odata.is_read_only_property(error, "CREATEDDATETIME")
    assert not odata.is_read_only_property(error, "city")
    by_target = refused("The value is read-only.", target="mail")
    assert odata.read_only_property(by_target) == "mail"
    assert not odata.is_read_only_property(refused("Something else."))


@pytest.mark.parametrize(
    "message",
    [
        "Could not find a property named 'ageGroup' on type 'microsoft.graph.user'.",
        (
            "Parsing OData Select and Expand failed: Could not find a property named 'ageGroup' on "
            "type 'microsoft.graph.user'."
        ),
        "Property 'ageGroup' does not exist as a declared property or extension property.",
    ],
)
def test_an_unknown_property_is_named(message: str) -> None:
    error = refused(message, code="BadRequest")
    assert odata.unknown_property(error) == "ageGroup"
    assert odata.is_unknown_property(error, "agegroup")
    assert not odata.is_unknown_property(error, "city")


def test_an_unsupported_query_is_recognised() -> None:
    assert odata.is_unsupported_query(refused("x", code="Request_UnsupportedQuery"))
    assert odata.is_unsupported_query(refused("Filter operator not supported."))
    assert odata.is_unsupported_query(refused("x", status=501, code="NotImplemented"))
    assert not odata.is_unsupported_query(refused("Invalid value."))
    assert not odata.is_unsupported_query(refused("not supported", status=403))


def test_long_messages_are_cut_and_tags_taken_out() -> None:
    error = refused("<b>x</b> " + "y" * 5_000)
    assert "<b>" not in error.message
    assert len(error.message) < 1_000


@pytest.mark.parametrize(
    ("link", "is_ours"),
    [
        ("https://graph.example.com/v1.0/x", True),
        ("HTTPS://GRAPH.example.com:443/v1.0/x", True),
        ("https://graph.example.com:8443/x", False),
        ("http://graph.example.com/x", False),
        ("https://graph.example.com.evil.example/x", False),
        ("https://graph.example.com@evil.example/x", False),
        ("https://graph.example.com:x/x", False),
        ("/v1.0/x", False),
        ("", False),
    ],
)
def test_links_are_ours_by_scheme_host_and_port(link: str, is_ours: bool) -> None:
    if is_ours:
        addresses.ensure_same_origin(link, "https://graph.example.com")
    else:
        with pytest.raises(errors.UntrustedLink):
            addresses.ensure_same_origin(link, "https://graph.example.com")


def test_queries_are_written_as_graph_documents_them() -> None:
    params = {"$select": "id,mail", "$filter": "mail eq 'a&b+c#d@e'", "$top": 5, "$count": True}
    assert addresses.query_string(params) == (
        "$select=id,mail&$filter=mail%20eq%20'a%26b%2Bc%23d@e'&$top=5&$count=true"
    )


def test_names_in_addresses_are_quoted() -> None:
    assert addresses.literal("O'Neil") == "'O''Neil'"
    assert addresses.segment("a_b.com#EXT#@c.com") == "a_b.com%23EXT%23@c.com"
    assert addresses.segment("a/b?c") == "a%2Fb%3Fc"


# --- pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b'{"value": [{"id": "a", "name": "\\u00e9"}, {"id": "b"}], "@odata.nextLink": "n"}',
        b'{"@odata.context": "c", "@odata.deltaLink": "d", "value": []}',
        b'{"value": [{"id": "a"}], "@odata.count": 7, "@odata.nextLink": null}',
        b'{"value": [{"id": "a"}], "@odata.count": "7"}',
    ],
)
def test_a_page_parsed_entry_by_entry_holds_what_it_holds_parsed_at_once(text: bytes) -> None:
    page = odata.page_from_body(odata.parsed_page(text), PATH)
    whole = odata.page_from_body(orjson.loads(text), PATH)
    assert (list(page.items), page.next_link, page.delta_link, page.count) == (
        whole.items,
        whole.next_link,
        whole.delta_link,
        whole.count,
    )
    assert list(page.items) == whole.items, "it can be walked through again"


@pytest.mark.parametrize("text", [b'{"value": [{"id": "a"}', b'{"value": [{"id": "a}]}', b"", b"{"])
def test_a_torn_page_is_never_taken_for_one(text: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        odata.parsed_page(text)


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b'{"value": {}}', b'{"value": null}', b'{"value": ["a"]}',
             b'{"value": [{"id": "a"}, 1]}', b'{"value": [{"id": "\xff"}]}']
)  # fmt: skip
def test_what_is_no_page_of_objects_is_refused_and_never_empty(text: bytes) -> None:
    with pytest.raises((errors.Unavailable, orjson.JSONDecodeError)):
        list(odata.page_from_body(odata.parsed_page(text), PATH).items)


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize(
    "code",
    [
        "AadPremiumLicenseRequired",
        "MissingLicenseForGovernance",
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
    ],
)
def test_a_missing_licence_is_told_as_one_whatever_the_status(status: int, code: str) -> None:
    error = refused("The tenant needs more.", status=status, code=code)
    assert error.hint == odata.NO_LICENCE
    assert odata.lacks_licence(error)
