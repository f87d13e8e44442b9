"""One function decides, and it says no unless the table says yes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from reentra import errors
from reentra.access.roles import (
    EVERY_TENANT,
    LOWEST_ROLE,
    OF_THE_INSTALLATION,
    Permission,
    Role,
    is_allowed,
    narrowed,
    parse_role,
)

TENANTS = ("contoso", "fabrikam", EVERY_TENANT)


def every_grants() -> Iterator[dict[str, Role]]:
    """Yield every way to have roles for two tenants and for all."""
    for roles in itertools.product((None, *Role), repeat=len(TENANTS)):
        yield {t: r for t, r in zip(TENANTS, roles, strict=True) if r is not None}


TABLE = {
    Role.READER: {"browse"},
    Role.OPERATOR: {"browse", "back_up", "download"},
    Role.RESTORER: {"browse", "back_up", "download", "restore"},
    Role.ADMINISTRATOR: {permission.value for permission in Permission},
}


def test_every_permission_stands_in_the_table() -> None:
    assert set(LOWEST_ROLE) == set(Permission)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_the_documentation_says(role: Role) -> None:
    allowed = {p.value for p in Permission if is_allowed({EVERY_TENANT: role}, p, "contoso")}
    assert allowed == TABLE[role]


@pytest.mark.parametrize("permission", list(Permission))
def test_nobody_without_a_role_may_do_anything(permission: Permission) -> None:
    assert not is_allowed({}, permission, "contoso")
    assert not is_allowed({"fabrikam": Role.ADMINISTRATOR}, permission, "contoso")
    assert not is_allowed({EVERY_TENANT: Role.ADMINISTRATOR}, permission, "")


@pytest.mark.parametrize("permission", sorted(OF_THE_INSTALLATION))
def test_an_administrator_of_one_tenant_does_not_administer_the_installation(
    permission: Permission,
) -> None:
    assert not is_allowed({"contoso": Role.ADMINISTRATOR}, permission, "contoso")
    assert is_allowed({EVERY_TENANT: Role.ADMINISTRATOR}, permission, "contoso")


def test_a_token_may_do_what_both_its_owner_and_its_role_may_do_and_nothing_else() -> None:
    for held, of, role in itertools.product(every_grants(), TENANTS, Role):
        left = narrowed(held, of, role)
        for permission, tenant in itertools.product(Permission, ("contoso", "fabrikam")):
            both = is_allowed(held, permission, tenant) and is_allowed(
                {of: role}, permission, tenant
            )
            assert is_allowed(left, permission, tenant) == both, (held, of, role, permission)


def test_an_unknown_role_is_told_with_those_there_are() -> None:
    with pytest.raises(errors.UsageError, match="no role"):
        parse_role("root")
