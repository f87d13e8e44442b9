"""Where a tenant's Graph and token authority are, and who we are there. Holds no secret.

Source: learn.microsoft.com/graph/deployments.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from reentra import errors

_ACCOUNT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class CloudEndpoints:
    """Where a cloud's Graph and its token authority live."""

    graph: str
    authority: str


class Cloud(enum.StrEnum):
    """The deployments of Microsoft Graph; ``CUSTOM`` is any other endpoint and authority."""

    GLOBAL = "global"
    USGOV = "usgov"  # GCC High, L4
    USGOVDOD = "usgovdod"  # DoD, L5
    CHINA = "china"  # operated by 21Vianet
    CUSTOM = "custom"


CLOUDS: dict[Cloud, CloudEndpoints] = {
    Cloud.GLOBAL: CloudEndpoints(
        "https://graph.microsoft.com", "https://login.microsoftonline.com"
    ),
    Cloud.USGOV: CloudEndpoints("https://graph.microsoft.us", "https://login.microsoftonline.us"),
    Cloud.USGOVDOD: CloudEndpoints(
        "https://dod-graph.microsoft.us", "https://login.microsoftonline.us"
    ),
    Cloud.CHINA: CloudEndpoints(
        "https://microsoftgraph.chinacloudapi.cn", "https://login.partner.microsoftonline.cn"
    ),
}


class CredentialKind(enum.StrEnum):
    """How the application proves who it is."""

    CLIENT_SECRET = "client_secret"
    CERTIFICATE = "certificate"
    MANAGED_IDENTITY = "managed_identity"
    WORKLOAD_IDENTITY = "workload_identity"


@dataclass(frozen=True, slots=True)
class TenantConnection:
    """How to reach one tenant. Holds no secret, only where secrets come from.

    ``credential_file`` is the secret's file, the certificate (PEM or PFX) or the workload
    identity's token file. ``graph_endpoint`` and ``authority`` belong to ``Cloud.CUSTOM``.
    ``break_glass`` are the tenant's accounts for emergencies, which no restore touches, each by id
    or userPrincipalName.

    Raises (when made): ``UsageError``, for example for plain http to anything but this machine.
    """

    name: str
    tenant_id: str
    client_id: str = ""
    credential: CredentialKind = CredentialKind.CLIENT_SECRET
    credential_file: str = ""
    cloud: Cloud = Cloud.GLOBAL
    graph_endpoint: str = ""
    authority: str = ""
    ca_file: str = ""
    break_glass: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.tenant_id:
            raise errors.UsageError(
                f"The connection {self.name!r} names no tenant.",
                hint="Give the tenant's GUID.",
                typed="--tenant-id GUID",
            )
        if not self.client_id and self.credential is not CredentialKind.MANAGED_IDENTITY:
            raise errors.UsageError(
                f"The connection {self.name!r} names no application.",
                hint="Give the application's GUID.",
                typed="--client-id GUID",
            )
        if self.cloud is Cloud.CUSTOM and not (self.graph_endpoint and self.authority):
            raise errors.UsageError(
                f"The connection {self.name!r} to a custom cloud lacks an address.",
                hint="Give both, that of Graph and that of the authority.",
                typed="--graph-endpoint URL --authority URL",
            )
        if self.cloud is not Cloud.CUSTOM and (self.graph_endpoint or self.authority):
            raise errors.UsageError(
                f"The cloud {self.cloud.value} has its own addresses; others cannot be given.",
                hint="Leave the addresses of Graph and of the authority out.",
                typed="--graph-endpoint, --authority",
            )
        ensure_transport_is_safe(self.endpoints.graph)
        ensure_transport_is_safe(self.endpoints.authority)
        for account in self.break_glass:
            if not _ACCOUNT.fullmatch(account):
                raise errors.UsageError(
                    f"{account!r} names no user.",
                    hint="Give a break-glass account by its id (a GUID) or its userPrincipalName.",
                )

    @property
    def endpoints(self) -> CloudEndpoints:
        if self.cloud is Cloud.CUSTOM:
            # People copy the address with its version; requests add the version themselves.
            graph = self.graph_endpoint.rstrip("/").removesuffix("/v1.0").rstrip("/")
            return CloudEndpoints(graph, self.authority.rstrip("/"))
        return CLOUDS[self.cloud]

    @property
    def scope(self) -> str:
        """The token's scope: everything that the application was granted on this Graph."""
        return f"{self.endpoints.graph}/.default"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "tenant_id": self.tenant_id,
            "client_id": self.client_id,
            "credential": self.credential.value,
            "credential_file": self.credential_file,
            "cloud": self.cloud.value,
            "graph_endpoint": self.graph_endpoint,
            "authority": self.authority,
            "ca_file": self.ca_file,
            "break_glass": list(self.break_glass),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TenantConnection:
        return cls(
            name=value["name"],
            tenant_id=value["tenant_id"],
            client_id=value.get("client_id", ""),
            credential=CredentialKind(value.get("credential", CredentialKind.CLIENT_SECRET)),
            credential_file=value.get("credential_file", ""),
            cloud=Cloud(value.get("cloud", Cloud.GLOBAL)),
            graph_endpoint=value.get("graph_endpoint", ""),
            authority=value.get("authority", ""),
            ca_file=value.get("ca_file", ""),
            break_glass=tuple(value.get("break_glass", ())),
        )


def ensure_transport_is_safe(url: str) -> None:
    """Let https pass, and http to this machine's own loopback.

    Raises: ``UsageError``.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise errors.UsageError(
            "An address must not hold a user name or password.",
            hint="Give the bare address; the credential is given on its own.",
        )
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise errors.UsageError(
            f"{url!r} is not an address of the form https://host.",
            hint="Give the full address, with https:// in front.",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise errors.UsageError(
            f"{url} would send tokens over the network in the clear.",
            hint="Use https; plain http is only for this machine (127.0.0.1, ::1, localhost).",
        )


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
