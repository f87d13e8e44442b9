"""Microsoft's own SDK and credentials drive the sandbox over TLS, as they drive Graph."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from reentra.sandbox import seed
from reentra.sandbox.app import Sandbox, SandboxServer

pytestmark = pytest.mark.slow

httpx = pytest.importorskip("httpx")
pytest.importorskip("msgraph", reason="msgraph-sdk is installed by `make setup-all` only")

from azure.core.exceptions import ClientAuthenticationError  # noqa: E402
from azure.identity import CertificateCredential, ClientSecretCredential  # noqa: E402
from kiota_abstractions.api_error import APIError  # noqa: E402
from kiota_abstractions.base_request_configuration import RequestConfiguration  # noqa: E402
from kiota_abstractions.method import Method  # noqa: E402
from kiota_abstractions.request_information import RequestInformation  # noqa: E402
from kiota_authentication_azure.azure_identity_authentication_provider import (  # noqa: E402
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient  # noqa: E402
from msgraph.generated.models.group import Group  # noqa: E402
from msgraph.generated.models.password_profile import PasswordProfile  # noqa: E402
from msgraph.generated.models.reference_create import ReferenceCreate  # noqa: E402
from msgraph.generated.models.reference_update import ReferenceUpdate  # noqa: E402
from msgraph.generated.models.user import User  # noqa: E402
from msgraph.generated.users.delta.delta_request_builder import (  # noqa: E402
    DeltaRequestBuilder,
)
from msgraph.generated.users.users_request_builder import UsersRequestBuilder  # noqa: E402
from msgraph_core import GraphClientFactory, PageIterator  # noqa: E402


@dataclass
class Driven:
    """A sandbox and an SDK client factory for it."""

    server: SandboxServer

    @property
    def sandbox(self) -> Sandbox:
        return self.server.sandbox

    @asynccontextmanager
    async def client(self, secret: str = seed.SANDBOX_SECRET) -> AsyncIterator[GraphServiceClient]:
        assert self.server.ca_file is not None
        credential = ClientSecretCredential(
            seed.TENANT_ID,
            seed.BOTH_CLIENT_ID,
            secret,
            authority=self.server.base_url,
            disable_instance_discovery=True,
            connection_verify=str(self.server.ca_file),
        )
        host = self.server.base_url.removeprefix("https://")
        provider = AzureIdentityAuthenticationProvider(
            credential,
            scopes=["https://graph.microsoft.com/.default"],
            allowed_hosts=[host, host.partition(":")[0]],
        )
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        plain = httpx.AsyncClient(verify=context, base_url=self.server.graph_url)
        http = GraphClientFactory.create_with_default_middleware(
            client=plain, host=self.server.base_url
        )
        adapter = GraphRequestAdapter(provider, client=http)
        adapter.base_url = self.server.graph_url
        try:
            yield GraphServiceClient(request_adapter=adapter)
        finally:
            await http.aclose()

    def run(self, work: Callable[[GraphServiceClient], Awaitable[Any]]) -> Any:
        async def within() -> Any:
            async with self.client() as client:
                return await work(client)

        return asyncio.run(within())

    def reference(self, id_: str) -> str:
        return f"{self.server.graph_url}/directoryObjects/{id_}"


@pytest.fixture
def driven(tmp_path: Path) -> Iterator[Driven]:
    with SandboxServer(Sandbox("small"), tls_folder=tmp_path) as server:
        yield Driven(server)


def test_the_sdk_lists_users_over_all_pages(driven: Driven) -> None:
    async def work(client: GraphServiceClient) -> list[User]:
        query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
            select=["id", "displayName", "department", "createdDateTime"], top=5
        )
        config = RequestConfiguration(query_parameters=query)
        first = await client.users.get(request_configuration=config)
        found: list[User] = []
        iterator = PageIterator(first, client.request_adapter)
        await iterator.iterate(lambda user: found.append(user) or True)
        return found

    users = driven.run(work)
    assert len(users) == 19
    assert {"Ada Berg", "Pat Lee"} <= {user.display_name for user in users}
    assert all(user.created_date_time is not None for user in users)
    assert driven.sandbox.counters.by_operation["GET /users"] == 4


def test_the_sdk_gets_creates_patches_and_deletes(driven: Driven) -> None:
    async def work(client: GraphServiceClient) -> None:
        body = User(
            account_enabled=True,
            display_name="Sdk User",
            mail_nickname="sdk.user",
            user_principal_name="sdk.user@contoso.example",
            password_profile=PasswordProfile(password="Sandbox-2026-Sdk"),
        )
        created = await client.users.post(body)
        assert created is not None
        assert created.id is not None
        await client.users.by_user_id(created.id).patch(User(department="Sales"))
        got = await client.users.by_user_id("sdk.user@contoso.example").get()
        assert got is not None
        assert got.id == created.id
        await client.users.by_user_id(created.id).delete()
        with pytest.raises(APIError) as refused:
            await client.users.by_user_id(created.id).get()
        assert refused.value.response_status_code == 404
        assert refused.value.error.code == "Request_ResourceNotFound"  # type: ignore[attr-defined]
        restored = await client.directory.deleted_items.by_directory_object_id(
            created.id
        ).restore.post(None)  # type: ignore[arg-type]
        assert isinstance(restored, User)

    driven.run(work)
    assert driven.sandbox.counters.unknown == 0


def test_the_sdk_adds_and_removes_references(driven: Driven) -> None:
    tenant = driven.sandbox.tenant
    group = tenant.by("group", "mailNickname", "sales")[0].id
    user = tenant.user_by_upn("ada.berg@contoso.example")
    boss = tenant.user_by_upn("omar.haas@contoso.example")
    assert user is not None
    assert boss is not None

    async def work(client: GraphServiceClient) -> None:
        members = client.groups.by_group_id(group).members
        await members.ref.post(ReferenceCreate(odata_id=driven.reference(user.id)))
        assert tenant.linked("group.members", group, user.id)
        listed = await members.get()
        assert listed is not None
        assert user.id in {member.id for member in listed.value or []}
        assert {type(member) for member in listed.value or []} == {User}
        await members.by_directory_object_id(user.id).ref.delete()
        assert not tenant.linked("group.members", group, user.id)
        manager = client.users.by_user_id(user.id).manager
        await manager.ref.put(ReferenceUpdate(odata_id=driven.reference(boss.id)))
        found = await manager.get()
        assert isinstance(found, User)
        assert found.id == boss.id
        await manager.ref.delete()

    driven.run(work)
    assert driven.sandbox.counters.unknown == 0


def test_the_sdk_reads_every_kind(driven: Driven) -> None:
    async def work(client: GraphServiceClient) -> dict[str, int]:
        conditional = client.identity.conditional_access
        roles = client.role_management.directory
        pages = {
            "groups": await client.groups.get(),
            "applications": await client.applications.get(),
            "servicePrincipals": await client.service_principals.get(),
            "devices": await client.devices.get(),
            "administrativeUnits": await client.directory.administrative_units.get(),
            "policies": await conditional.policies.get(),
            "namedLocations": await conditional.named_locations.get(),
            "roleDefinitions": await roles.role_definitions.get(),
            "roleAssignments": await roles.role_assignments.get(),
            "grants": await client.oauth2_permission_grants.get(),
            "organization": await client.organization.get(),
            "domains": await client.domains.get(),
            "subscribedSkus": await client.subscribed_skus.get(),
            "groupSettings": await client.group_settings.get(),
            "deletedUsers": await client.directory.deleted_items.graph_user.get(),
        }
        policy = await client.policies.authorization_policy.get()
        assert policy is not None
        assert policy.guest_user_role_id is not None
        return {name: len(page.value or []) for name, page in pages.items() if page is not None}

    counts = driven.run(work)
    assert len(counts) == 15
    assert all(counts.values()), counts
    assert driven.sandbox.counters.unknown == 0


def test_the_sdk_follows_a_delta(driven: Driven) -> None:
    user = driven.sandbox.tenant.user_by_upn("ada.berg@contoso.example")
    assert user is not None

    async def work(client: GraphServiceClient) -> None:
        query = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
            select=["displayName", "manager"]
        )
        config = RequestConfiguration(query_parameters=query)
        first = await client.users.delta.get(request_configuration=config)
        assert first is not None
        assert len(first.value or []) == 19
        assert first.odata_delta_link is not None
        await client.users.by_user_id(user.id).patch(User(display_name="Ada B"))
        again = await client.users.delta.with_url(first.odata_delta_link).get()
        assert again is not None
        assert [(u.id, u.display_name) for u in again.value or []] == [(user.id, "Ada B")]

    driven.run(work)


def test_the_sdks_pipeline_sends_a_batch(driven: Driven) -> None:
    # The SDK's own batch content imports a package that it does not declare, so the body is ours.
    body = {
        "requests": [
            {"id": "good", "method": "GET", "url": "/users?$top=2"},
            {"id": "bad", "method": "GET", "url": "/users/nobody"},
        ]
    }

    async def work(client: GraphServiceClient) -> dict[str, int]:
        request = RequestInformation(Method.POST, "{+baseurl}/$batch", {})
        request.headers.add("Accept", "application/json")
        request.set_stream_content(json.dumps(body).encode(), "application/json")
        raw = await client.request_adapter.send_primitive_async(request, "bytes", {})
        return {part["id"]: part["status"] for part in json.loads(raw)["responses"]}

    assert driven.run(work) == {"good": 200, "bad": 404}


def test_the_sdk_creates_a_group_with_what_graph_fills_in(driven: Driven) -> None:
    async def work(client: GraphServiceClient) -> Group | None:
        return await client.groups.post(
            Group(
                display_name="Sdk Group",
                mail_enabled=True,
                mail_nickname="sdk-group",
                security_enabled=False,
                group_types=["Unified"],
            )
        )

    group = driven.run(work)
    assert group.mail == "sdk-group@contoso.example"
    assert group.created_date_time is not None


def test_a_wrong_secret_is_told_by_the_credential(driven: Driven) -> None:
    async def within() -> None:
        async with driven.client("wrong") as client:
            await client.users.get()

    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        asyncio.run(within())


def test_a_certificate_credential_gets_a_token(driven: Driven) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "restore client")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    client = driven.sandbox.tokens.client(seed.BOTH_CLIENT_ID)
    assert client is not None

    def token() -> str:
        credential = CertificateCredential(
            seed.TENANT_ID,
            seed.BOTH_CLIENT_ID,
            certificate_data=pem
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            authority=driven.server.base_url,
            disable_instance_discovery=True,
            connection_verify=str(driven.server.ca_file),
        )
        return credential.get_token("https://graph.microsoft.com/.default").token

    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        token()
    client.certificates_pem.append(pem)
    assert driven.sandbox.tokens.caller("Bearer " + token()).client is client
