"""The examples in virtual time: what they do when the other side refuses, is slow, or the engine dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flow_automation.testing import CallRecord, Faults, SimulatedInstance, Simulation, http_answer, survives_every_crash

EXAMPLES = Path(__file__).parents[3] / "examples"
FEED = [{"n": n, "id": f"article-{n}", "kind": "deleted" if n % 5 == 0 else "changed"} for n in range(1, 13)]


def page(call: CallRecord) -> dict[str, Any]:
    """Give the page of the feed that a call asks for."""
    query = dict(pair.split("=") for pair in call.parameters["url"].partition("?")[2].split("&"))
    since = int(query["since"])
    changes = FEED[since : since + int(query["limit"])]
    watermark = changes[-1]["n"] if changes else since
    return http_answer({"changes": changes, "watermark": watermark, "is_complete": watermark == len(FEED)})


def script_feed(simulation: Simulation) -> None:
    simulation.when("@http/request").at("fetch").fails("unavailable").returns_from(page)
    simulation.when("@http/request").at("book").fails("unavailable").returns(http_answer({"accepted": True}))


def sync_all(simulation: Simulation) -> list[SimulatedInstance]:
    """Start one instance after another, each from the watermark of the one before."""
    found: list[SimulatedInstance] = []
    while not found or not found[-1].outputs["is_complete"]:
        since = found[-1].outputs["watermark"] if found else 0
        found.append(simulation.run(EXAMPLES / "sync.yaml", {"since": since, "page_count_max": 5}).assert_succeeded())
    return found


def booked(instances: list[SimulatedInstance]) -> list[int]:
    calls = [instance.calls("book")[-1] for instance in instances]
    return [change["n"] for call in calls for change in call.parameters["json"]["changes"]]


def test_sync_takes_every_change_once_from_watermark_to_watermark() -> None:
    with Simulation() as simulation:
        script_feed(simulation)
        instances = sync_all(simulation)

        assert [5, 10, 12] == [instance.outputs["watermark"] for instance in instances]
        assert [change["n"] for change in FEED if change["kind"] != "deleted"] == booked(instances)
        assert [2, 2, 2] == [instance.tasks["fetch"]["attempts"] for instance in instances]
        simulation.assert_no_double_effects()


def test_sync_of_nothing_new_books_nothing_and_keeps_the_watermark() -> None:
    with Simulation() as simulation:
        script_feed(simulation)
        instance = simulation.run(EXAMPLES / "sync.yaml", {"since": 12}).assert_succeeded()

        assert {"watermark": 12, "is_complete": True, "fetched_count": 0, "booked_count": 0} == instance.outputs
        instance.assert_not_called("book")


def test_sync_that_failed_gives_no_watermark_and_its_changes_are_taken_again() -> None:
    with Simulation() as simulation:
        script_feed(simulation)
        refusing = simulation.when("@http/request").at("book").fails("forbidden", "not today")
        assert simulation.run(EXAMPLES / "sync.yaml").assert_failed("forbidden", step="book").outputs is None
        refusing.returns(http_answer({"accepted": True}))
        script_feed(simulation)

        assert [1, 2, 3, 4] == booked(sync_all(simulation))[:4]


def test_sync_waits_out_an_hour_without_the_other_side() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").at("fetch").fails("unavailable", times=5, retry_after_s=60).returns_from(page)
        simulation.when("@http/request").at("book").returns(http_answer({"accepted": True}))
        began_at = simulation.now
        simulation.run(EXAMPLES / "sync.yaml").assert_succeeded()

        assert (simulation.now - began_at).total_seconds() >= 5 * 60


def test_sync_survives_a_crash_around_every_commit() -> None:
    def scenario(simulation: Simulation) -> None:
        script_feed(simulation)
        assert 12 == sync_all(simulation)[-1].outputs["watermark"]

    assert 30 <= survives_every_crash(scenario)


def test_long_map_survives_kills_with_one_key_per_item() -> None:
    lost = 0
    for seed in range(5):
        with Simulation(seed=seed, faults=Faults(crash_share=0.1, duplicate_share=0.2)) as simulation:
            entries = [{"id": number, "text": "x"} for number in range(300)]
            simulation.when("@http/request").at("items").returns(http_answer(entries))
            work = simulation.when("@http/request").at("one").delays(seconds=0.04)
            work.returns_from(lambda call: http_answer({"worked_ms": 40, "key": call.key}))
            instance = simulation.run(EXAMPLES / "long_map.yaml", {"count": 300}).assert_succeeded()

            calls = instance.calls("one")
            assert 300 == instance.outputs["done_count"]
            assert 300 == len({call.key for call in calls})
            simulation.assert_no_double_effects()
            lost += len(calls) - 300

    assert 0 < lost  # else no kill met an item at work


def script_report(simulation: Simulation, rows: list[dict[str, Any]]) -> None:
    file = {"media_type": "text/csv", "bytes": 1, "sha256": "0", "created_at": "2026-03-01T00:00:00Z"}
    simulation.when("@http/request").at("fetch").returns(http_answer("id,region\n"))
    simulation.when("@file/write").at("kept").returns(
        {**file, "id": "01J0000000000000000000F1A3", "name": "orders.csv"}
    )
    answer = {"columns": [], "rows": rows, "row_count": len(rows), "file": None}
    simulation.when("@data/query").at("totals").fails("unavailable").returns(answer)
    simulation.when("@python/run").at("sentence").returns_from(lambda call: call.parameters["inputs"]["row"]["region"])
    saved = {**file, "id": "01J0000000000000000000F1A4", "name": "orders-report.json"}
    simulation.when("@file/write").at("saved").returns(saved)


def test_report_saves_a_sentence_per_region_and_survives_a_crash_around_every_commit() -> None:
    def scenario(simulation: Simulation) -> None:
        script_report(simulation, [{"region": "uk", "total": 2.0}, {"region": "na", "total": 1.0}])
        instance = simulation.run(EXAMPLES / "with_files" / "orders_report.yaml").assert_succeeded()

        assert {"file": "orders-report.json", "regions": ["uk", "na"]} == instance.outputs
        content = instance.calls("saved")[-1].parameters["content"]
        assert {"least": 50000, "regions": ["uk", "na"]} == content

    assert 10 <= survives_every_crash(scenario)


def test_report_on_nothing_saves_no_file() -> None:
    with Simulation() as simulation:
        script_report(simulation, [])
        instance = simulation.run(EXAMPLES / "with_files" / "orders_report.yaml").assert_succeeded()

        assert {"file": None, "regions": []} == instance.outputs
        instance.assert_not_called("saved")


def test_error_handling_reports_all_three_ways() -> None:
    with Simulation() as simulation:
        instance = simulation.run(EXAMPLES / "error_handling.yaml").assert_succeeded()

        wanted = {"value": 42, "attempts": 3, "newsletter": "no newsletter today", "price": 9.5}
        assert {"report": wanted} == instance.outputs


def test_loop_catches_cleans_up_and_tells_its_end_and_survives_a_crash_around_every_commit() -> None:
    def scenario(simulation: Simulation) -> None:
        instance = simulation.run(EXAMPLES / "loop.yaml", {"goal": 5}).assert_succeeded()

        assert {"numbers": [1, 2, 4, 8], "seat": {"place": 7, "because": "sold out"}} == instance.outputs
        turns = [f"double.{number}.next" for number in range(4)]
        assert sorted(["double", *turns, "seat", "order", "waiting_list", "hang_up", "tell"]) == sorted(instance.tasks)
        assert {"message": "ended as succeeded"} == instance.calls("tell")[-1].parameters

    assert 10 <= survives_every_crash(scenario)


def test_map_and_hello_give_what_their_pages_say() -> None:
    with Simulation() as simulation:
        assert {"squares": [9, 4], "even": [4]} == simulation.run(EXAMPLES / "map.yaml", {"numbers": [3, 2]}).outputs
        assert {"greeting": "Hello, world!"} == simulation.run(EXAMPLES / "hello.yaml").outputs
