"""What reads instances and versions knows iterations, the lists of a try, waits and hooks."""

from __future__ import annotations

from typing import Any

from tests.http.test_instance_reading import get
from tests.http.world import World


def _document(rest_s: float = 0.01, message: str = "sold out") -> dict[str, Any]:
    return {
        "title": f"Lists and a rest of {rest_s} s",
        "settings": {
            "on_failure": [{"id": "mourn", "operator": "@debug/noop"}],
            "on_finish": [
                {"id": "tell", "operator": "@debug/noop", "parameters": {"as": "{{ instance.outcome }}"}},
                {"id": "rest", "operator": "@control/wait", "parameters": {"seconds": rest_s}},
            ],
        },
        "steps": [
            {
                "id": "turn",
                "operator": "@control/loop",
                "parameters": {
                    "mode": "count",
                    "limit": 12,
                    "steps": [
                        {"id": "work", "operator": "@debug/noop", "parameters": {"at": "{{ index }}"}},
                        {"id": "name", "operator": "@text/join", "parameters": {"items": ["{{ string(index) }}"]}},
                    ],
                },
            },
            {
                "id": "seat",
                "operator": "@control/try",
                "parameters": {
                    "steps": [{"id": "order", "operator": "@debug/fail", "parameters": {"message": message}}],
                    "catch": [{"id": "mend", "operator": "@debug/noop", "parameters": {"why": "{{ error.message }}"}}],
                    "finally": [{"id": "close", "operator": "@debug/noop"}],
                },
            },
        ],
    }


PATHS = [
    "seat", "turn", "rest", "tell", "close", "mend", "order",
    *(f"turn.{number}.{step}" for number in range(12) for step in ("work", "name")),
]  # fmt: skip


async def _waiting(world: World) -> str:
    """Start an instance and wait until its last hook waits; gives its id."""
    dag_id = await world.create(_document(3_600))
    instance_id: str = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    while "waiting" != (await get(world, f"/instances/{instance_id}?wait=0.01"))["status"]:
        pass
    return instance_id


async def _paged(world: World, path: str, limit: int) -> list[Any]:
    found: list[Any] = []
    cursor = ""
    while True:
        page = await get(world, f"{path}?limit={limit}{cursor}")
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


async def test_tasks_of_iterations_and_hooks_are_paged_without_loss(world: World) -> None:
    for instance_id, rest in ((await world.run(_document()), "succeeded"), (await _waiting(world), "waiting")):
        whole = await _paged(world, f"/instances/{instance_id}/tasks", 200)
        assert sorted(PATHS) == sorted(task["path"] for task in whole)
        assert rest == next(task["status"] for task in whole if task["path"] == "rest")
        for limit in (1, 2, 5):
            assert whole == await _paged(world, f"/instances/{instance_id}/tasks", limit)
        state = await get(world, f"/instances/{instance_id}/state?limit=200")
        assert whole == state["items"]
        assert whole == await _paged(world, f"/instances/{instance_id}/state", 3)


async def test_timeline_and_each_task_are_found_by_path(world: World) -> None:
    for instance_id in (await world.run(_document()), await _waiting(world)):
        spans = await _paged(world, f"/instances/{instance_id}/timeline", 7)
        assert sorted(PATHS) == sorted(span["path"] for span in spans)
        assert all(span["started_at"] is not None for span in spans if span["step"] != "name")
        for path in PATHS:
            assert path == (await get(world, f"/instances/{instance_id}/tasks/{path}"))["path"]
        shown = [
            (await get(world, f"/instances/{instance_id}/tasks/{path}"))["inputs"]
            for path in ("turn.11.work", "mend", "tell")
        ]
        assert [{"at": 11}, {"why": "sold out"}, {"as": "succeeded"}] == shown
        for path in ("mourn", "turn.12.work", "turn.work", "on_finish/tell"):
            assert 404 == (await world.ask("GET", f"/instances/{instance_id}/tasks/{path}")).status


async def test_states_of_all_rows_lead_through_iterations_and_hooks(world: World) -> None:
    instance_id = await world.run(_document())
    newest = await get(world, f"/instances/{instance_id}/state?limit=200")
    states = [
        await get(world, f"/instances/{instance_id}/state?limit=200&seq={seq}") for seq in range(newest["seq"] + 1)
    ]
    assert newest == states[-1]
    counts = [len(state["items"]) for state in states]
    assert (counts, 0, len(PATHS)) == (sorted(counts), counts[0], counts[-1])
    assert {"queued", "running", "waiting", "succeeded"} == {state["status"] for state in states}


async def test_journal_tells_iterations_tries_waits_and_hooks_by_name(world: World) -> None:
    instance_id = await world.run(_document())
    rows = await _paged(world, f"/instances/{instance_id}/journal", 3)
    events = [event for row in rows for event in row["events"]]
    names = [event["event"] for event in events]
    assert (12, 12, 2, 1, 1) == tuple(
        names.count(name)
        for name in ("iteration_begun", "iteration_ended", "try_advanced", "wait_begun", "hook_entered")
    )
    concluded = next(event for event in events if event["event"] == "instance_concluded")
    assert "succeeded" == concluded["outcome"]["status"]


async def test_drawing_and_difference_know_every_list(world: World) -> None:
    dag_id = await world.create(_document())
    graph = await get(world, f"/dags/{dag_id}/graph")
    assert [
        ("steps", None), ("turn/steps", "turn"), ("seat/steps", "seat"), ("seat/catch", "seat"), ("seat/finally", "seat"),
        ("on_failure", None), ("on_finish", None),
    ] == [(group["id"], group["owner"]) for group in graph["groups"]]  # fmt: skip
    groups = {node["id"]: node["group"] for node in graph["nodes"]}
    assert ("turn/steps", "seat/catch", "on_finish") == (groups["work"], groups["mend"], groups["rest"])
    changed = _document(message="gone")
    moved = changed["settings"]["on_finish"].pop(0)
    changed["steps"][1]["parameters"]["finally"].append({**moved, "parameters": {}})
    changed["steps"][0]["parameters"]["limit"] = 3
    del changed["settings"]["on_failure"]
    assert 200 == (await world.ask("PUT", f"/dags/{dag_id}", changed, headers={"if-match": "*"})).status
    told = await get(world, f"/dags/{dag_id}/versions/v1.0.0/diff/v1.0.1")
    assert ["mourn"] == [one["id"] for one in told["removed"]]
    assert [("turn", ["parameters"]), ("order", ["parameters"]), ("tell", ["parameters"])] == [
        (one["id"], one["fields"]) for one in told["changed"]
    ]
    assert [("tell", "on_finish", "seat/finally"), ("rest", "on_finish", "on_finish")] == [
        (one["id"], one["group"], one["other_group"]) for one in told["rewired"]
    ]
