"""The audit is proved by its seals: what was changed, removed, reordered or put in between is named (R35)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.access.permission import ADMINISTRATOR
from core.engine.audit_reading import Audit
from core.ports.audit_log import AuditRow, ChainEnd, SealedPage
from core.ports.scope import Principal, Scope
from tests.http.world import World

WAITING = {"title": "Waiting", "steps": [{"id": "w", "operator": "@control/wait", "parameters": {"seconds": 3600}}]}
Change = Callable[[dict[int, Any], dict[int, Any]], None]


async def acted(world: World, count: int = 4, title: str = "Waiting") -> str:
    """Pause and resume an instance, so that each is a row of the audit; gives the business domain's id."""
    dag_id = await world.create({**WAITING, "title": title})
    instance = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    for number in range(count):
        act = "resume" if number % 2 else "pause"
        assert 202 == (await world.ask("POST", f"/instances/{instance}/{act}", {"reason": str(number)})).status
    rows = world.store.copy().group("instance")
    domain_id: str = rows[instance].domain_id
    return domain_id


async def proof(world: World, query: str = "") -> Any:
    return (await world.ask("GET", f"/audit/verify{query}")).json


async def test_r35_sealed_acts_are_proved_and_the_rest_is_counted(world: World) -> None:
    assert {"items": [], "sealed": 0, "head": None, "unsealed": 0, "oldest_unsealed_s": None, "next": None} == (
        await proof(world)
    )
    await acted(world)
    before = await proof(world)
    assert (0, 4, True) == (before["sealed"], before["unsealed"], before["oldest_unsealed_s"] >= 0)
    await world.box.audit_sealer().seal()
    after = await proof(world)
    assert ([], 4, 0, 4) == (after["items"], after["sealed"], after["unsealed"], after["head"]["position"])
    pages = [await proof(world, "?limit=3")]
    pages.append(await proof(world, f"?limit=3&cursor={pages[0]['next']}"))
    assert [(3, []), (1, [])] == [(page["sealed"], page["items"]) for page in pages]
    assert pages[1]["next"] is None
    assert 0 == (await world.ask("GET", "/audit/verify", tenant="two")).json["sealed"]


def changed(acts: dict[int, Any], _seals: dict[int, Any]) -> None:
    acts[2] = msgspec.structs.replace(acts[2], body=acts[1].body)


def removed(acts: dict[int, Any], _seals: dict[int, Any]) -> None:
    acts[2] = None


def removed_with_its_seal(acts: dict[int, Any], seals: dict[int, Any]) -> None:
    acts[2] = seals[2] = None


def newest_removed(acts: dict[int, Any], seals: dict[int, Any]) -> None:
    acts[4] = seals[4] = None


def reordered(acts: dict[int, Any], _seals: dict[int, Any]) -> None:
    acts[2], acts[3] = (
        msgspec.structs.replace(acts[3], n=acts[2].n),
        msgspec.structs.replace(acts[2], n=acts[3].n),
    )


def inserted(_acts: dict[int, Any], seals: dict[int, Any]) -> None:
    seals[2] = None


def forged(_acts: dict[int, Any], seals: dict[int, Any]) -> None:
    seals[3] = msgspec.structs.replace(seals[3], hash=b"x" * 32)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (changed, ["changed"]),
        (removed, ["removed"]),
        (removed_with_its_seal, ["removed"]),
        (newest_removed, ["removed"]),
        (reordered, ["reordered", "reordered"]),
        (inserted, ["removed", "inserted"]),
        (forged, ["chain", "chain"]),
    ],
)
@pytest.mark.parametrize("limit", [2, 100])
async def test_r35_tampering_is_found_and_named(world: World, change: Change, kinds: list[str], limit: int) -> None:
    domain_id = await acted(world)
    await world.box.audit_sealer().seal()
    image = world.store.copy()
    rows: list[AuditRow] = sorted(image.group("audit", domain_id).values(), key=lambda row: row.n)
    acts: dict[int, Any] = dict(enumerate(rows, 1))
    seals: dict[int, Any] = dict(image.group("audit_seal", domain_id))
    numbers = {place: row.n for place, row in acts.items()}
    change(acts, seals)
    for place, row in acts.items():
        world.store._tables.land("audit", domain_id, numbers[place], row)
    for position, seal in seals.items():
        world.store._tables.land("audit_seal", domain_id, position, seal)
    found: list[str] = []
    cursor = ""
    while True:
        page = await proof(world, f"?limit={limit}{cursor}")
        found += [one["kind"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    if change is not reordered or limit == 100:
        assert kinds == found
    else:  # acts that stand on two pages are found, each as changed
        assert ["changed", "changed"] == found


async def test_r35_what_is_sealed_during_a_proof_is_no_fault(world: World) -> None:
    await acted(world, 2)
    log, sealer = world.box.audit_log(), world.box.audit_sealer()

    class Meanwhile:
        """Seals what waits just after the end of the chain was read."""

        async def chain_end(self, scope: Scope) -> ChainEnd:
            end: ChainEnd = await log.chain_end(scope)
            await sealer.seal()
            return end

        async def sealed(self, scope: Scope, *, after: int, limit: int) -> SealedPage:
            page: SealedPage = await log.sealed(scope, after=after, limit=limit)
            return page

    audit = Audit(Meanwhile(), world.box.clock())  # type: ignore[arg-type] # the verbs of a proof
    first = await audit.verify(scope_of(world), after=0, limit=1)
    assert ((), 0, 2, None) == (first.faults, first.sealed, first.unsealed, first.after)
    await acted(world, 2, "Another")
    second = await audit.verify(scope_of(world), after=2, limit=1)
    assert ((), 0, 2, None) == (second.faults, second.sealed, second.unsealed, second.after)


def scope_of(world: World) -> Scope:
    [domain_id] = {row.domain_id for row in world.store.copy().group("instance").values()}
    return Scope(domain_id, Principal("p-1", "key", "n", (ADMINISTRATOR,)))
