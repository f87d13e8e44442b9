"""The law of delta: a client that merges every round knows the tenant, whatever happened to it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from .caller import Caller, Start


class Merged:
    """What a client knows that only ever reads deltas."""

    def __init__(self, path: str) -> None:
        self.link = path
        self.props: dict[str, dict[str, Any]] = {}
        self.links: dict[tuple[str, str], set[str]] = {}
        self.in_bin: set[str] = set()

    def read(self, graph: Caller) -> None:
        pages = graph.pages(self.link)
        self.link = pages[-1]["@odata.deltaLink"]
        for page in pages:
            for item in page["value"]:
                self._merge(item)

    def _merge(self, item: dict[str, Any]) -> None:
        id_ = item["id"]
        if "@removed" in item:
            self.props.pop(id_, None)
            if item["@removed"]["reason"] == "changed":
                self.in_bin.add(id_)
            else:
                self.in_bin.discard(id_)
                for key in [key for key in self.links if key[0] == id_]:
                    del self.links[key]
            return
        self.in_bin.discard(id_)
        known = self.props.setdefault(id_, {})
        for name, value in item.items():
            if name.endswith("@delta"):
                targets = self.links.setdefault((id_, name.removesuffix("@delta")), set())
                for link in value:
                    if "@removed" in link:
                        targets.discard(link["id"])
                    else:
                        targets.add(link["id"])
            elif name != "id":
                known[name] = value


def _mutate(graph: Caller, draw: random.Random, number: int) -> None:
    tenant = graph.sandbox.tenant
    users = [
        u for u in tenant.collection("user").values() if not u.props.get("onPremisesSyncEnabled")
    ]
    groups = [tenant.by("group", "mailNickname", n)[0] for n in ("sales", "exempt", "licence-suite")
              if tenant.by("group", "mailNickname", n)]  # fmt: skip
    user = draw.choice(users).id
    other = draw.choice(users).id
    deleted = [record.id for record in tenant.deleted("user")]
    match draw.randrange(9):
        case 0:
            graph.send("POST", "/users", json={
                "accountEnabled": True, "displayName": f"N{number}", "mailNickname": f"n{number}",
                "userPrincipalName": f"n{number}@contoso.example",
                "passwordProfile": {"password": "Sandbox-2026-Law"}})  # fmt: skip
        case 1:
            body = {"department": draw.choice([None, "A", "B"]), "jobTitle": f"T{number}"}
            graph.send("PATCH", f"/users/{user}", json=body)
        case 2:
            graph.send("DELETE", f"/users/{user}")
        case 3 if deleted:
            graph.send("POST", f"/directory/deletedItems/{draw.choice(deleted)}/restore")
        case 4 if deleted:
            graph.send("DELETE", f"/directory/deletedItems/{draw.choice(deleted)}")
        case 5:
            graph.send("PUT", f"/users/{user}/manager/$ref", json=graph.reference(other))
        case 6:
            graph.send("DELETE", f"/users/{user}/manager/$ref")
        case 7 if groups:
            path = f"/groups/{draw.choice(groups).id}/members/$ref"
            graph.send("POST", path, json=graph.reference(user))
        case 8 if groups:
            graph.send("DELETE", f"/groups/{draw.choice(groups).id}/members/{user}/$ref")


def _check(graph: Caller, merged: Merged, type_: str, names: list[str], navs: list[str]) -> None:
    tenant = graph.sandbox.tenant
    live = tenant.collection(type_)
    assert set(merged.props) == set(live)
    for id_, record in live.items():
        for name in names:
            assert merged.props[id_].get(name) == record.props.get(name), (id_, name)
        for nav in navs:
            known = merged.links.get((id_, nav), set())
            assert known == set(tenant.all_targets(f"{type_}.{nav}", id_)), (id_, nav)


@pytest.mark.parametrize("seed", range(6))
def test_merging_every_round_gives_the_tenant(start: Start, seed: int) -> None:
    graph = start(
        delta_page_size=1 + seed * 3,
        delta_member_slice=1 + seed,
        empty_pages=seed % 2 == 1,
        delta_replay=(0, 0, 7)[seed % 3],
    )
    draw = random.Random(seed)
    users = Merged("/users/delta?$select=displayName,department,manager")
    groups = Merged("/groups/delta?$select=displayName,members,owners")
    for number in range(60):
        _mutate(graph, draw, number)
        if number % 12 == 5:
            for merged in (users, groups):
                merged.read(graph)
            _check(graph, users, "user", ["displayName", "department"], ["manager"])
            _check(graph, groups, "group", ["displayName"], ["members", "owners"])
    assert graph.sandbox.counters.crashes == []
