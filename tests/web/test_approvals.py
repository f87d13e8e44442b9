"""A second person's word: asked for, given, denied; nobody decides for themselves."""

from __future__ import annotations

from reentra.access import Actor, Role, Via

from .conftest import Pages, Reader


def _asked(pages: Pages, subject: str) -> str:
    """Return a request of a restorer's."""
    asker = pages.person("asker", Role.RESTORER)
    made = pages.serving.access.approvals.ask(
        Actor(Via.SESSION, asker.name, id=asker.id), "restore", "contoso", subject, "d" * 64
    )
    return made.id


def test_a_request_waits_and_is_approved_by_another(pages: Pages) -> None:
    approval = _asked(pages, "a-plan")
    restorer = pages.reader(Role.RESTORER)
    text = restorer.page("/tenants/contoso/approvals")
    assert 'href="/tenants/contoso/plans/a-plan"' in text
    assert ">asker</span>" in text
    assert "d" * 64 in text
    path = f"/tenants/contoso/approvals/{approval}"
    assert f'action="{path}"' in text
    assert restorer.post(path, {"granted": "true"}).headers["location"] == (
        "/tenants/contoso/approvals"
    )
    text = restorer.page("/tenants/contoso/approvals")
    assert 'class="badge good">Approved' in text
    assert "restorer-of-all" in text.partition("Decided and expired")[2]
    assert restorer.post(path, {"granted": "false"}).status_code == 409


def test_a_request_is_denied(pages: Pages) -> None:
    approval = _asked(pages, "another-plan")
    restorer = pages.reader(Role.RESTORER)
    restorer.post(f"/tenants/contoso/approvals/{approval}", {"granted": "false"})
    assert 'class="badge bad">Denied' in restorer.page("/tenants/contoso/approvals")


def test_nobody_decides_what_they_asked_for_and_is_told_why(pages: Pages) -> None:
    approval = _asked(pages, "own-plan")
    secret = pages.serving.access.sessions.open(pages.people["asker"].id, "testclient")
    own = Reader(pages.client, secret)
    text = own.page("/tenants/contoso/approvals")
    assert "another person with the role must decide" in text
    assert f'action="/tenants/contoso/approvals/{approval}"' not in text
    assert (
        own.post(f"/tenants/contoso/approvals/{approval}", {"granted": "true"}).status_code == 409
    )


def test_who_may_not_restore_sees_no_approvals(pages: Pages) -> None:
    assert pages.reader(Role.OPERATOR).get("/tenants/contoso/approvals").status_code == 403
    assert "Nothing waits for a decision" in pages.admin_reader.page("/tenants/fabrikam/approvals")
