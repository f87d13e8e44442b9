"""What Graph owes the client and the client its callers, on whatever answers as Graph.

The sandbox always, over http and over TLS; a real tenant, reading only, when
``REENTRA_TEST_CONNECTION`` names a JSON file with a ``TenantConnection`` whose credential file
exists.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reentra import errors
from reentra.directory import canonical, kinds, relationships, state
from reentra.graph import auth, throttle, writer
from reentra.graph.client import GraphClient, connect
from reentra.graph.object_reads import as_object
from reentra.graph.reader import LiveTenant
from reentra.sandbox import seed
from reentra.sandbox.app import Sandbox, SandboxServer
from reentra.sandbox.world import Options

QUICK = throttle.Limits().scaled(1_000)
REAL = os.environ.get("REENTRA_TEST_CONNECTION", "")
NOBODY = "00000000-0000-4000-8000-00000000abcd"


@dataclass
class Tenant:
    """A tenant to test with; ``sandbox`` is there when it may be written to."""

    live: LiveTenant
    sandbox: Sandbox | None = None

    @property
    def client(self) -> GraphClient:
        return self.live.client


def connection_to(
    server: SandboxServer, client_id: str = seed.BOTH_CLIENT_ID
) -> auth.TenantConnection:
    return auth.TenantConnection(
        "sandbox",
        seed.TENANT_ID,
        client_id,
        cloud=auth.Cloud.CUSTOM,
        graph_endpoint=server.base_url,
        authority=server.base_url,
        ca_file=str(server.ca_file or ""),
    )


@pytest.fixture(scope="module", params=["http", "tls", *(["real"] if REAL else [])])
def tenant(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    """A tenant that is only read from."""
    if request.param == "real":
        connection = auth.TenantConnection.from_json(json.loads(Path(REAL).read_text()))
        secret = Path(connection.credential_file)
        with connect(connection, lambda: secret.read_text().strip()) as client:
            yield Tenant(LiveTenant(client))
        return
    folder = tmp_path_factory.mktemp("tls") if request.param == "tls" else None
    is_tls = request.param == "tls"
    options = Options(page_size=20, delta_page_size=5, delta_member_slice=3, gzip=is_tls)
    with (
        SandboxServer(seed_name="small", tls_folder=folder, options=options) as server,
        connect(connection_to(server), lambda: seed.SANDBOX_SECRET, limits=QUICK) as client,
    ):
        yield Tenant(LiveTenant(client), server.sandbox)


@pytest.fixture
def world() -> Iterator[Tenant]:
    """A tenant of one's own, to write to; every scripted fault must strike."""
    with (
        SandboxServer(seed_name="small") as server,
        connect(connection_to(server), lambda: seed.SANDBOX_SECRET, limits=QUICK) as client,
    ):
        yield Tenant(LiveTenant(client), server.sandbox)
        server.sandbox.faults.assert_all_used()


def some(tenant: Tenant, kind: str, count: int = 25) -> list[str]:
    return [item.id for item in itertools.islice(tenant.live.list_objects(kind), count)]


# --- reading ------------------------------------------------------------------------------------


def test_a_live_tenant_is_a_live_state(tenant: Tenant) -> None:
    answering: state.LiveState = tenant.live
    assert answering.tenant_id == tenant.client.tenant_id
    assert answering.label == "live"


@pytest.mark.parametrize("kind", list(kinds.KINDS))
def test_an_object_is_the_same_in_a_list_and_by_id(tenant: Tenant, kind: str) -> None:
    listed = {item.id: item for item in itertools.islice(tenant.live.list_objects(kind), 25)}
    loaded = tenant.live.load_objects(kind, [*listed, NOBODY])
    assert set(loaded) == set(listed)
    for object_id, item in listed.items():
        assert canonical.canonical_properties(
            kind, item.properties
        ) == canonical.canonical_properties(kind, loaded[object_id].properties)
        assert not [name for name in item.properties if "@odata." in name and name != "@odata.type"]


@pytest.mark.parametrize("kind", [name for name, row in kinds.KINDS.items() if row.delta_path])
def test_a_first_delta_round_holds_what_the_list_holds(tenant: Tenant, kind: str) -> None:
    listed = {item.id for item in tenant.live.list_objects(kind)}
    pages = list(tenant.live.delta_pages(kind))
    seen = {item["id"] for page in pages for item in page.items if "@removed" not in item}
    assert seen == listed
    again = list(tenant.live.delta_pages(kind, pages[-1].delta_link))
    assert not [item for page in again for item in page.items]


@pytest.mark.parametrize("kind", ["user", "group", "device"])
def test_delta_and_list_tell_the_same_properties(tenant: Tenant, kind: str) -> None:
    row = kinds.KINDS[kind]
    listed = {
        item.id: canonical.canonical_properties(kind, item.properties)
        for item in tenant.live.list_objects(kind)
    }
    for page in tenant.live.delta_pages(kind):
        for item in page.items:
            found = canonical.canonical_properties(kind, as_object(kind, item).properties)
            for name in row.delta_properties:
                found.pop(name, None)
            assert found == listed[item["id"]]


@pytest.mark.parametrize("name", list(relationships.RELATIONSHIPS))
def test_links_are_the_same_whole_by_source_and_by_target(tenant: Tenant, name: str) -> None:
    row = relationships.RELATIONSHIPS[name]
    whole = {link.key for link in tenant.live.list_relationships(name)}
    sources = [item.id for item in tenant.live.list_objects(row.source_kind)]
    by_source = {link.key for link in tenant.live.load_relationships(name, sources)}
    targets = sorted({key[2] for key in whole})
    by_target = {link.key for link in tenant.live.load_relationships_to(name, targets)}
    assert whole == by_source == by_target
    if tenant.sandbox is not None:
        assert whole
    assert tenant.live.load_relationships(name, [NOBODY]) == []


def test_members_include_service_principals(tenant: Tenant) -> None:
    if tenant.sandbox is None:
        pytest.skip("only the sandbox is known to have such a group")
    members = list(tenant.live.list_relationships("group.members"))
    principals = {link.source_id for link in members if link.target_kind == "servicePrincipal"}
    assert principals
    loaded = tenant.live.load_relationships("group.members", sorted(principals))
    assert "servicePrincipal" in {link.target_kind for link in loaded}


@pytest.mark.parametrize(
    ("kind", "property_name"),
    [
        ("user", "userPrincipalName"),
        ("user", "displayName"),
        ("group", "displayName"),
        ("application", "appId"),
        ("servicePrincipal", "appId"),
        ("device", "deviceId"),
        ("unifiedRoleAssignment", "principalId"),
        ("oAuth2PermissionGrant", "clientId"),
        ("oAuth2PermissionGrant", "resourceId"),
        ("appRoleAssignment", "resourceId"),
        ("appRoleAssignment", "principalId"),
        ("groupSetting", "templateId"),
        ("conditionalAccessPolicy", "displayName"),
    ],
)
def test_objects_are_found_by_a_property(tenant: Tenant, kind: str, property_name: str) -> None:
    listed = list(itertools.islice(tenant.live.list_objects(kind), 18))
    values = {str(item.get(property_name)) for item in listed if item.get(property_name)}
    found = tenant.live.find_objects(kind, property_name, [*values, NOBODY])
    assert {str(item.get(property_name)) for item in found} == values
    assert {item.id for item in listed if item.get(property_name)} <= {item.id for item in found}


def test_a_user_is_found_by_name_in_any_letter_case(tenant: Tenant) -> None:
    user = next(iter(tenant.live.list_objects("user")))
    name = str(user.get("userPrincipalName"))
    (found,) = tenant.live.find_objects("user", "userPrincipalName", [name.upper()])
    assert found.id == user.id


def test_names_are_told_for_any_directory_object(tenant: Tenant) -> None:
    user, group, role = (some(tenant, k, 1)[0] for k in ("user", "group", "unifiedRoleDefinition"))
    names = tenant.live.load_names([user, group, role, NOBODY, "not-an-id"])
    assert [names[i][0] for i in (user, group, role)] == ["user", "group", "unifiedRoleDefinition"]
    assert NOBODY not in names
    assert all(name for _, name in names.values())


def test_loading_by_id_never_lists_a_big_kind(tenant: Tenant) -> None:
    users, groups = some(tenant, "user", 5), some(tenant, "group", 5)
    before = tenant.client.usage.snapshot().operations
    tenant.live.load_objects("user", users)
    tenant.live.load_objects("group", groups)
    tenant.live.load_relationships("group.members", groups)
    tenant.live.load_relationships_to("group.members", users)
    tenant.live.load_deleted("user", users)
    tenant.live.find_objects("user", "userPrincipalName", ["nobody@contoso.example"])
    after = tenant.client.usage.snapshot().operations
    sent = {name for name in after if after[name] != before.get(name, 0)}
    assert not sent & {"GET /users", "GET /groups", "GET /users/delta"}


def test_the_count_of_users_is_their_number(tenant: Tenant) -> None:
    assert tenant.client.count("users") == sum(1 for _ in tenant.live.list_objects("user"))


# --- permissions --------------------------------------------------------------------------------


def test_everything_is_covered_with_the_permissions_of_the_table(world: Tenant) -> None:
    coverage = world.live.coverage()
    assert set(coverage) == {*kinds.KINDS, *relationships.RELATIONSHIPS}
    assert {name for name, found in coverage.items() if not found.is_complete} == set()


def test_a_missing_permission_is_named_and_stops_nothing_else(world: Tenant) -> None:
    assert world.sandbox is not None
    world.sandbox.withdraw("Policy.Read.All")  # the token goes on claiming it
    application = world.sandbox.tokens.client(seed.BOTH_CLIENT_ID)
    assert application is not None
    application.roles.remove("Member.Read.Hidden")
    world.live.forget_coverage()
    coverage = world.live.coverage()
    policy = coverage["conditionalAccessPolicy"]
    assert policy.status is state.CoverageStatus.REFUSED
    assert "Policy.Read.All" in policy.permissions
    assert coverage["group.members"].status is state.CoverageStatus.PARTIAL
    assert coverage["group.members"].permissions == ("Member.Read.Hidden",)
    assert coverage["user"].is_complete
    assert list(world.live.list_objects("user"))


def test_granted_roles_are_those_of_the_client(world: Tenant) -> None:
    assert world.client.granted_roles() == seed.BACKUP_ROLES | seed.RESTORE_ROLES


# --- the recycle bin ----------------------------------------------------------------------------


def test_what_is_deleted_is_found_in_the_bin_and_nowhere_else(world: Tenant) -> None:
    writes = writer.TenantWriter(world.client)
    user = world.live.find_objects("user", "userPrincipalName", ["ben.rossi@contoso.example"])[0]
    members = world.live.load_relationships_to("group.members", [user.id])
    assert members
    assert writes.send(writer.delete("user", user.id)).kind is writer.OutcomeKind.DONE
    assert world.live.load_objects("user", [user.id]) == {}
    assert set(world.live.load_deleted("user", [user.id, NOBODY])) == {user.id}
    assert world.live.load_deleted("group", [user.id]) == {}
    (found,) = world.live.find_deleted("user", "userPrincipalName", ["BEN.ROSSI@contoso.example"])
    assert found.id == user.id
    groups = sorted({link.source_id for link in members})
    for links in (
        world.live.load_relationships("group.members", groups),
        list(world.live.list_relationships("group.members")),
    ):
        assert user.id not in {link.target_id for link in links}
    assert writes.send(writer.restore_deleted(user.id)).object_id == user.id
    back = world.live.load_relationships_to("group.members", [user.id])
    assert {link.key for link in back} == {link.key for link in members}


# --- faults of reads, on the sandbox ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "skip", "seconds"),
    [
        ("throttled", 0, 0.01),
        ("throttled", 1, None),
        ("throttled_date", 0, 0.5),
        (503, 1, None),
        (504, 0, None),
        ("reset", 1, None),
        ("truncated", 1, None),
        ("token_expired", 1, None),
        ("empty_page", 0, None),
        ("duplicate", 0, None),
    ],
)
def test_a_fault_while_listing_loses_nothing(
    world: Tenant, fault: str | int, skip: int, seconds: float | None
) -> None:
    assert world.sandbox is not None
    world.sandbox.options.page_size = 5
    everybody = set(world.sandbox.tenant.collection("user"))
    world.sandbox.faults.script("GET ^/users", fault, skip=skip, seconds=seconds)
    found = [item["id"] for item in world.client.items("users", {"$select": "id", "$top": 5})]
    assert set(found) == everybody


def test_an_object_on_two_pages_is_listed_once(world: Tenant) -> None:
    assert world.sandbox is not None
    world.sandbox.options.page_size = 10
    world.sandbox.faults.script("GET ^/directory/administrativeUnits|^/groupSettings", "duplicate")
    world.sandbox.faults.script("GET ^/users", "duplicate")
    for kind in ("administrativeUnit", "user"):
        ids = [item.id for item in world.live.list_objects(kind)]
        assert len(ids) == len(set(ids)) == len(world.sandbox.tenant.collection(kind))


def test_a_stale_replica_is_believed_for_that_read_only(world: Tenant) -> None:
    assert world.sandbox is not None
    user = some(world, "user", 1)[0]
    before = world.live.load_objects("user", [user])[user].get("city")
    writer.TenantWriter(world.client).send(writer.update("user", user, {"city": "Ulm"}))
    world.sandbox.faults.script(f"GET ^/users/{user}", "stale")
    assert world.live.load_objects("user", [user])[user].get("city") == before
    assert world.live.load_objects("user", [user])[user].get("city") == "Ulm"


def test_an_expired_next_link_asks_for_a_new_listing(world: Tenant) -> None:
    assert world.sandbox is not None
    world.sandbox.faults.script("GET ^/users", "page_token_expired", skip=1)
    with pytest.raises(errors.DeltaExpired):
        list(world.client.items("users", {"$select": "id", "$top": 5}))


def test_an_expired_delta_token_asks_for_a_full_read(world: Tenant) -> None:
    assert world.sandbox is not None
    link = list(world.live.delta_pages("group"))[-1].delta_link
    world.sandbox.faults.script("GET ^/groups/delta", "delta_expired")
    with pytest.raises(errors.DeltaExpired):
        list(world.live.delta_pages("group", link))


def test_an_object_that_goes_between_list_and_detail_is_absent(world: Tenant) -> None:
    users = some(world, "user")
    writer.TenantWriter(world.client).send(writer.delete("user", users[3]))
    assert set(world.live.load_objects("user", users)) == set(users) - {users[3]}


def test_parts_of_a_batch_that_fail_are_read_again(world: Tenant) -> None:
    assert world.sandbox is not None
    users = some(world, "user")
    world.sandbox.faults.script(f"GET ^/users/{users[0]}", "throttled", seconds=0.01)
    world.sandbox.faults.script(f"GET ^/users/{users[1]}", 503)
    assert set(world.live.load_objects("user", users)) == set(users)


def test_a_kind_that_is_refused_raises_and_is_not_empty(world: Tenant) -> None:
    assert world.sandbox is not None
    world.sandbox.faults.script("GET ^/groups", 403, code="Authorization_RequestDenied", times=2)
    with pytest.raises(errors.Forbidden):
        list(world.live.list_objects("group"))
    with pytest.raises(errors.Forbidden):
        world.live.load_objects("group", [NOBODY])


def test_a_property_that_this_graph_does_not_know_is_dropped_and_told(world: Tenant) -> None:
    assert world.sandbox is not None
    message = "Could not find a property named 'ageGroup' on type 'microsoft.graph.user'."
    world.sandbox.faults.script("GET ^/users.*ageGroup", 400, code="BadRequest", message=message)
    everybody = set(world.sandbox.tenant.collection("user"))
    assert {item.id for item in world.live.list_objects("user")} == everybody
    assert world.live.dropped_properties == {"user": ("ageGroup",)}
    users = some(world, "user", 3)
    assert "ageGroup" not in world.live.load_objects("user", users)[users[0]].properties


def test_a_property_is_dropped_in_batches_too(world: Tenant) -> None:
    assert world.sandbox is not None
    users = some(world, "user", 3)
    message = "Could not find a property named 'city' on type 'microsoft.graph.user'."
    world.sandbox.faults.script("GET ^/users.*city", 400, message=message, times=3)
    assert set(world.live.load_objects("user", users)) == set(users)
    assert world.live.dropped_properties == {"user": ("city",)}


def test_service_principals_among_members_are_found_without_a_filtered_delta(
    world: Tenant,
) -> None:
    assert world.sandbox is not None
    groups = some(world, "group")
    expected = {link.key for link in world.live.load_relationships("group.members", groups)}
    world.sandbox.faults.script("GET ^/groups/delta.*filter", 400, code="Request_UnsupportedQuery")
    found = {link.key for link in world.live.load_relationships("group.members", groups)}
    assert found == expected
    assert world.live.shortcomings == {}


@pytest.mark.parametrize("name", ["group.members", "user.manager", "administrativeUnit.members"])
def test_without_a_delta_links_are_read_by_source(world: Tenant, name: str) -> None:
    assert world.sandbox is not None
    expected = {link.key for link in world.live.list_relationships(name)}
    path = kinds.KINDS[relationships.RELATIONSHIPS[name].source_kind].delta_path
    world.sandbox.faults.script(f"GET ^{path}.*select=id,m", 400, code="Request_UnsupportedQuery")
    assert {link.key for link in world.live.list_relationships(name)} == expected


def test_without_get_by_ids_each_kind_is_asked_for_names(world: Tenant) -> None:
    assert world.sandbox is not None
    ids = [*some(world, "user", 3), *some(world, "group", 2), NOBODY]
    expected = world.live.load_names(ids)
    world.sandbox.faults.script("POST getByIds", 403, code="Authorization_RequestDenied")
    assert world.live.load_names(ids) == expected


def test_what_no_graph_tells_is_a_shortcoming(world: Tenant) -> None:
    assert world.sandbox is not None
    groups = some(world, "group")
    world.sandbox.faults.script("GET ^/groups/delta.*filter", 400, code="Request_UnsupportedQuery")
    world.sandbox.faults.script("GET ^/groups/.*expand", 400, times=len(groups))
    links = world.live.load_relationships("group.members", groups)
    assert "servicePrincipal" not in {link.target_kind for link in links}
    assert "service principals" in world.live.shortcomings["group.members"]


# --- credentials --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small", tls_folder=tmp_path_factory.mktemp("ca")) as server:
        yield server


@pytest.mark.parametrize(
    ("changes", "secret", "code"),
    [
        ({}, "wrong-secret-canary", "AADSTS7000215"),
        ({}, seed.EXPIRED_SECRET, "AADSTS7000222"),
        ({"client_id": NOBODY}, seed.SANDBOX_SECRET, "AADSTS700016"),
        ({"tenant_id": NOBODY}, seed.SANDBOX_SECRET, "AADSTS90002"),
    ],
)
@pytest.mark.parametrize("is_tls", [True, False])
def test_refused_credentials_say_what_to_do(
    secure: SandboxServer, changes: dict[str, str], secret: str, code: str, is_tls: bool
) -> None:
    def check(server: SandboxServer) -> None:
        given = {**connection_to(server).to_json(), **changes}
        connection = auth.TenantConnection.from_json(given)
        with (
            connect(connection, lambda: secret, limits=QUICK) as client,
            pytest.raises(errors.Unauthenticated) as caught,
        ):
            client.get("organization")
        # azure-identity looks the tenant up before it asks, and hides the code of that refusal.
        is_hidden = is_tls and code == "AADSTS90002"
        assert caught.value.graph_code == ("" if is_hidden else code)
        assert not is_hidden or "tenant id" in caught.value.hint
        assert caught.value.hint
        assert secret not in str(caught.value)

    if is_tls:
        check(secure)
    else:
        with SandboxServer(secure.sandbox) as plain:
            check(plain)


def test_without_the_ca_file_the_certificate_is_not_trusted(secure: SandboxServer) -> None:
    given = {**connection_to(secure).to_json(), "ca_file": ""}
    connection = auth.TenantConnection.from_json(given)
    with (
        connect(connection, lambda: seed.SANDBOX_SECRET, limits=QUICK) as client,
        pytest.raises(errors.Error) as caught,
    ):
        client.get("organization")
    assert isinstance(caught.value, errors.Unavailable)
    assert "--ca-file" in caught.value.typed


def test_microsofts_own_credentials_log_no_secret_and_no_token(
    secure: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = []
    for secret in ("wrong-secret-canary", seed.SANDBOX_SECRET):
        with connect(connection_to(secure), lambda s=secret: s, limits=QUICK) as client:
            try:
                assert list(client.items("organization"))
                tokens.append(client._token().token)
            except errors.Unauthenticated as error:
                said = "".join(traceback.format_exception(error))
                assert secret not in said
    assert tokens
    everything = "\n".join(str(record.__dict__) for record in caplog.records)
    assert everything
    for canary in ("wrong-secret-canary", seed.SANDBOX_SECRET, *tokens):
        assert canary not in everything


def test_a_certificate_signs_in(secure: SandboxServer, tmp_path: Path) -> None:
    pem, public = certificate_files(tmp_path)
    client_of_sandbox = secure.sandbox.tokens.client(seed.BACKUP_CLIENT_ID)
    assert client_of_sandbox is not None
    client_of_sandbox.certificates_pem.append(public)
    given = {
        **connection_to(secure, seed.BACKUP_CLIENT_ID).to_json(),
        "credential": "certificate",
        "credential_file": str(pem),
    }
    connection = auth.TenantConnection.from_json(given)
    with connect(connection, limits=QUICK) as client:
        assert list(client.items("organization"))
        assert client.granted_roles() == seed.BACKUP_ROLES
    client_of_sandbox.certificates_pem.clear()
    with (
        connect(connection, limits=QUICK) as client,
        pytest.raises(errors.Unauthenticated) as caught,
    ):
        client.get("organization")
    assert caught.value.graph_code == "AADSTS700027"


def certificate_files(folder: Path) -> tuple[Path, bytes]:
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "reentra test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + public)
    return path, public
