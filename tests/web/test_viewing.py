"""W-02 to W-05, W-19 to W-22, and W-25: the viewer, lists, objects, and comparisons."""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any
from urllib.parse import quote

import pytest

from reentra.access import Role
from reentra.sandbox.app import SandboxServer
from reentra.web import columns, values
from reentra.web.licences import licences_of

from .conftest import Pages

OF = "/tenants/contoso/snapshots"
HOSTILE = '<script>alert("x")</script>\u202egnp'


@dataclasses.dataclass(frozen=True)
class History:
    """Two snapshots between which a user and a group changed, with what they are."""

    before: str
    after: str
    user: Any
    group: Any
    former: Any


@pytest.fixture(scope="module")
def history(pages: Pages, sandbox: SandboxServer) -> History:
    """Change a user's job title to something hostile, and take a member out of a group."""
    tenant = sandbox.sandbox.tenant
    before = pages.admin.json("GET", f"{OF}/latest")["id"]
    user = next(
        one for one in tenant.collection("user").values()
        if not one.props.get("onPremisesSyncEnabled") and one.props.get("assignedLicenses")
    )  # fmt: skip
    tenant.update(user, {"jobTitle": HOSTILE, "officeLocation": "o" * 20_000})
    with pages.application.visiting() as visitor:
        graph = visitor.open_tenant("contoso").client
        group, former = next(
            (one, members[0])
            for one in graph.get("/groups")["value"]
            if "DynamicMembership" not in one["groupTypes"]
            and (members := graph.get(f"/groups/{one['id']}/members")["value"])
        )
        graph.remove_reference(f"/groups/{group['id']}/members/{former['id']}/$ref")
    job = pages.admin.json("POST", "/tenants/contoso/backups", {}, expect=202)
    assert pages.ended("contoso", job["id"])["status"] == "succeeded"
    after = pages.admin.json("GET", f"{OF}/latest")["id"]
    return History(before, after, user, group, former)


def told(text: str) -> str:
    """Return what a page says, without markup."""
    main = text.partition('id="main"')[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def test_w02_the_dropdown_offers_snapshots_by_day_and_leads_to_another_day(
    pages: Pages, history: History
) -> None:
    reader = pages.reader(Role.READER)
    text = reader.page(f"{OF}/latest")
    assert "<h1>Restore Data</h1>" in text
    assert text.count("<optgroup") >= 1
    offered = re.findall(r'<option value="([^"]+)"( selected)?', text)
    assert [one for one, chosen in offered if chosen] == [history.after]
    assert [one for one, _ in offered] == sorted((one for one, _ in offered), reverse=True)
    chosen = reader.get(f"{OF}/choose?snapshot={history.before}&kind=user&id=1&tab=compare")
    assert chosen.headers["location"] == f"{OF}/{history.before}/kinds/user/objects/1/compare"
    day = reader.get(f"{OF}/choose?day={history.after[:4]}-12-31")
    assert day.headers["location"] == f"{OF}/{history.after}"
    long_ago = reader.get(f"{OF}/choose?day=1999-01-01&kind=group")
    assert long_ago.headers["location"] == f"{OF}/{offered[-1][0]}/kinds/group"
    assert reader.get(f"{OF}/choose?day=nonsense").status_code == 400


def test_w03_the_viewer_lists_every_kind_with_counts_and_what_changed(
    pages: Pages, history: History
) -> None:
    text = pages.reader(Role.READER).page(f"{OF}/{history.after}")
    said = told(text)
    kinds = pages.admin.json("GET", f"{OF}/{history.after}")["kinds"]
    for kind in kinds:
        assert f'data-ref="{kind}"' in text
    assert "Users" in said
    assert "User settings" in said
    assert "~1 changed" in said
    assert f"/compare?before={history.before}" in html.unescape(text)


def test_w03_a_kind_lists_its_objects_in_pages_by_name_and_by_text(
    pages: Pages, history: History
) -> None:
    reader = pages.reader(Role.READER)
    users = f"{OF}/{history.after}/kinds/user"
    said = told(reader.page(users))
    for word in ("User principal name", "Department", "Enabled", history.user.props["displayName"]):
        assert word in said
    principal = history.user.props["userPrincipalName"]
    found = reader.page(f"{users}?text={quote(principal)}")
    assert found.count("data-ref=") == 1
    assert "1 to 1 of 1 users" in told(found)
    assert "Nothing is found" in told(reader.page(f"{users}?text=nobody-like-this"))
    up, down = (
        re.findall(r'data-name="([^"]+)"', reader.page(f"{users}{order}"))
        for order in ("", "?descending=true")
    )
    assert up == down[::-1]
    assert "The list ends before this page" in told(reader.page(f"{users}?number=99"))
    assert reader.get(f"{users}?number=nonsense").status_code == 400
    assert reader.get(f"{OF}/latest/kinds/nonsense").status_code == 404


def test_w03_settings_of_which_there_is_one_open_their_data(pages: Pages, history: History) -> None:
    reader = pages.reader(Role.READER)
    led = reader.get(f"{OF}/{history.after}/kinds/authorizationPolicy")
    assert led.status_code == 303
    assert "defaultUserRolePermissions" in told(reader.page(led.headers["location"]))


def test_w03_what_joins_others_goes_by_their_names(pages: Pages, history: History) -> None:
    said = told(pages.reader(Role.READER).page(f"{OF}/latest/kinds/unifiedRoleAssignment"))
    assert "Global Administrator →" in said


def test_w04_an_object_has_its_tabs_and_its_history(pages: Pages, history: History) -> None:
    reader = pages.reader(Role.READER)
    page = f"{OF}/{history.after}/kinds/user/objects/{history.user.id}"
    text = reader.page(page)
    name = history.user.props["displayName"]
    assert f"<h1>{html.escape(name)}</h1>" in text
    for tab in ("Overview", "Properties", "Relationships", "Compare"):
        assert re.search(rf'<a href="[^"]+"[^>]*>{tab}</a>', text)
    said = told(text)
    assert history.user.id in said
    assert "First seen" in said
    assert "What changed" in said  # the versions lead to what changed


def test_w04_properties_are_told_to_the_leaf_with_the_names_of_products(
    pages: Pages, history: History
) -> None:
    reader = pages.reader(Role.READER)
    page = f"{OF}/{history.after}/kinds/user/objects/{history.user.id}/properties"
    text = reader.page(page)
    skus = pages.admin.json("GET", f"{OF}/latest/kinds/subscribedSku/objects?property=skuId")
    own = history.user.props["assignedLicenses"][0]["skuId"]
    assert any(item["properties"]["skuId"] == own for item in skus["items"])
    licences = told(text).partition("Licences")[2].partition(own)[0]
    assert "Microsoft" in licences or "Office" in licences
    assert HOSTILE not in text  # it stands there, harmless
    assert html.escape(HOSTILE) in text.replace("&#34;", "&quot;")
    assert "20,000 characters" in told(text)
    assert "Raw JSON" in told(text)
    few = told(reader.page(f"{page}?text=officeLoc"))
    assert "officeLocation" in few
    assert "userPrincipalName" not in few.partition("Raw JSON")[0]


def test_w04_relationships_lead_to_the_other_end_in_the_same_snapshot(
    pages: Pages, history: History
) -> None:
    reader = pages.reader(Role.READER)
    page = f"{OF}/{history.before}/kinds/group/objects/{history.group['id']}/relationships"
    text = reader.page(page)
    assert "Members" in told(text)
    end = f"{OF}/{history.before}/kinds/user/objects/{history.former['id']}"
    kind = re.search(rf"/kinds/(\w+)/objects/{history.former['id']}", text)
    assert kind is not None
    assert end.replace("/kinds/user", f"/kinds/{kind[1]}") in text
    one = reader.page(f"{page}?relationship=group.members&direction=to")
    assert "All relationships" in told(one)
    back = reader.page(
        f"{OF}/{history.before}/kinds/{kind[1]}/objects/{history.former['id']}/relationships"
    )
    assert "Member of groups" in told(back)


def test_w05_restore_and_download_are_there_at_every_level_for_who_may(
    pages: Pages, history: History
) -> None:
    ref = f"user/{history.user.id}"
    places = {
        f"{OF}/{history.after}": "",
        f"{OF}/{history.after}/kinds/user": "&kind=user",
        f"{OF}/{history.after}/kinds/user/objects/{history.user.id}": f"&id={quote(ref, safe='')}",
    }
    restorer, reader = pages.reader(Role.RESTORER), pages.reader(Role.READER)
    for place, chosen in places.items():
        text = html.unescape(restorer.page(place))
        for deed in ("restore", "download"):
            assert f'href="/tenants/contoso/{deed}?snapshot={history.after}{chosen}"' in text
        refused = reader.page(place)
        assert "Your role may look at snapshots, not restore them." in refused
        assert "Your role may look at snapshots, not download them." in refused
        assert "/tenants/contoso/restore" not in refused


def test_w19_an_object_is_compared_with_snapshots_in_which_it_differs(
    pages: Pages, history: History
) -> None:
    reader = pages.reader(Role.READER)
    page = f"{OF}/{history.after}/kinds/user/objects/{history.user.id}/compare"
    text = reader.page(page)
    second = text.partition('id="other"')[2].partition("</select>")[0]
    offered = re.findall(r'<option value="([^"]+)"', second)
    assert offered[0] == "live"
    assert history.after not in offered
    assert history.before in offered
    said = told(text)
    assert "jobTitle" in said
    assert "displayName" not in said
    whole = told(reader.page(f"{page}?other={history.before}&asked=true"))  # W-21: everything
    assert "displayName" in whole
    again = reader.get(f"{page}?first={history.before}&other={history.after}")
    assert again.headers["location"].startswith(f"{OF}/{history.before}/")


def test_w20_relationships_are_compared_by_name(pages: Pages, history: History) -> None:
    page = f"{OF}/{history.before}/kinds/group/objects/{history.group['id']}/compare"
    said = told(pages.reader(Role.READER).page(f"{page}?other={history.after}"))
    assert f"Members Name Snapshot 1 Snapshot 2 {history.former['displayName']} Yes No" in said


def test_w22_an_object_is_compared_with_the_tenant_as_it_is_now(
    pages: Pages, history: History, sandbox: SandboxServer
) -> None:
    reader = pages.reader(Role.READER)
    page = f"{OF}/{history.after}/kinds/user/objects/{history.user.id}/compare?other=live"
    at_once = reader.page(page)
    assert 'hx-trigger="load"' in at_once
    assert "No difference" in told(reader.page(f"{page}&now=true"))
    sandbox.sandbox.tenant.update(history.user, {"city": "Oslo"})
    said = told(reader.page(f"{page}&now=true"))
    sandbox.sandbox.tenant.update(history.user, {"city": None})
    assert "city — Oslo" in said


def test_w22_the_tenant_is_compared_and_exactly_what_changed_can_be_restored(
    pages: Pages, history: History
) -> None:
    both = f"before={history.before}&after={history.after}"
    page = f"/tenants/contoso/compare?{both}"
    text = pages.reader(Role.RESTORER).page(page)
    said = told(text)
    assert "What differs, by kind" in said
    assert history.user.props["displayName"] in said
    assert history.former["displayName"] in said
    form = text.partition('action="/tenants/contoso/restore"')[2].partition("</form>")[0]
    refs = set(re.findall(r'name="id" value="([^"]+)"', form))
    assert {f"user/{history.user.id}", f"group/{history.group['id']}"} <= refs
    assert f'name="snapshot" value="{history.before}"' in form
    reader = pages.reader(Role.READER)
    assert "/tenants/contoso/restore" not in reader.page(page)
    users = told(reader.page(f"{page}&kind=user&change=modified"))
    assert "Groups" not in users.partition("What differs")[2]
    assert "No difference" in told(reader.page(f"{page}&kind=device"))
    same = f"/tenants/contoso/compare?before={history.after}&after={history.after}"
    assert "Choose two different snapshots" in told(reader.page(same))
    live = f"/tenants/contoso/compare?before={history.after}&after=live&kind=group"
    assert 'hx-trigger="load"' in reader.page(live)
    assert "No difference" in told(reader.page(f"{live}&now=true"))


def test_a_tenant_without_a_snapshot_says_what_to_do(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    assert "no snapshot yet" in told(reader.page("/tenants/fabrikam/snapshots/latest"))
    assert "nothing to compare yet" in told(reader.page("/tenants/fabrikam/compare"))


def test_an_object_that_a_snapshot_does_not_hold_is_shown_where_it_is(
    pages: Pages, history: History
) -> None:
    reader = pages.reader(Role.READER)
    nobody = f"{OF}/latest/kinds/user/objects/11111111-1111-4111-8111-111111111111"
    assert "No snapshot has a user" in told(reader.page(nobody, 404))


def test_w25_devices_say_that_they_cannot_be_created(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    assert "cannot create a device" in told(reader.page(f"{OF}/latest/kinds/device"))
    device = pages.admin.json("GET", f"{OF}/latest/kinds/device/objects?limit=1")["items"][0]
    page = told(reader.page(f"{OF}/latest/kinds/device/objects/{device['id']}"))
    assert "cannot create a device" in page
    assert "viewed, compared and downloaded" in page


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("displayName", ["displayName"]),
        ("a[b/c]/d", ["a", "b/c", "d"]),
        ("a[[x]/y]", ["a", "[x]/y"]),
        ("a[]", ["a"]),
    ],
)
def test_the_steps_of_a_path(path: str, steps: list[str]) -> None:
    assert values.steps_of(path) == steps


def test_licences_say_where_they_come_from() -> None:
    found = licences_of(
        {
            "assignedLicenses": [
                {"skuId": "a", "disabledPlans": ["p"]}, {"skuId": "b"}, {"skuId": "c"},
            ],
            "licenseAssignmentStates": [
                {"skuId": "a", "assignedByGroup": "g"}, {"skuId": "b", "assignedByGroup": None},
                {"skuId": "b", "assignedByGroup": "h"},
            ],
        }
    )  # fmt: skip
    assert [(one.is_direct, one.groups) for one in found] == [
        (False, ("g",)), (True, ("h",)), (True, ()),
    ]  # fmt: skip
    assert found[0].disabled_plans == ("p",)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"groupTypes": ["Unified"], "mailEnabled": True}, "Microsoft 365"),
        ({"groupTypes": [], "mailEnabled": False, "securityEnabled": True}, "Security"),
        ({"mailEnabled": True, "securityEnabled": True}, "Mail-enabled security"),
        ({"mailEnabled": True, "securityEnabled": False}, "Distribution"),
    ],
)
def test_groups_are_of_the_types_that_the_admin_centre_names(
    properties: dict[str, Any], said: str
) -> None:
    assert columns.group_type(properties) == said


def test_w20_roles_and_app_roles_stand_among_the_relationships_by_their_names(
    pages: Pages,
) -> None:
    reader = pages.reader(Role.READER)
    api = pages.admin
    of = "/tenants/contoso/snapshots/latest"
    roles = api.json("GET", f"{of}/kinds/unifiedRoleAssignment/objects?limit=1")["items"]
    one = api.json("GET", f"{of}/kinds/unifiedRoleAssignment/objects/{roles[0]['id']}")
    principal = one["properties"]["principalId"]
    names = api.json("GET", f"{of}/names?id={principal}")["items"][principal]
    address = f"{of}/kinds/{names['kind']}/objects/{principal}/relationships"
    at_once = reader.page(address)
    assert f'hx-get="/tenants/contoso/snapshots/{one["snapshot"]}/kinds/' in at_once
    text = reader.page(f"{address}?assigned=true")
    role = one["properties"]["roleDefinitionId"]
    called = api.json("GET", f"{of}/names?id={role}")["items"][role]["display_name"]
    table = text.partition("Directory roles <span")[2].partition("</table>")[0]
    assert f">{called}</a>" in table
    assert f"kinds/unifiedRoleAssignment/objects/{one['id']}" in table
    other_way = reader.page(
        f"{of}/kinds/unifiedRoleDefinition/objects/{role}/relationships?assigned=true"
    )
    assert names["display_name"] in other_way.partition("Who has this role")[2]


def test_permissions_of_an_application_go_by_their_names(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    of = "/tenants/contoso/snapshots/latest/kinds"
    found = pages.admin.json("GET", f"{of}/application/objects?text=Expense%20Importer")["items"][0]
    access = pages.admin.json("GET", f"{of}/application/objects/{found['id']}")["properties"][
        "requiredResourceAccess"
    ][0]
    text = reader.page(f"{of}/application/objects/{found['id']}/properties")
    shown = text.partition("<dt>requiredResourceAccess</dt>")[2].partition("<dt>")[2]
    for one in access["resourceAccess"]:
        assert f": {one['id']}" in shown  # in the title of its name
        assert f"<code>{one['id']}</code>" not in shown
