"""Calls in the test kit: DAGs are found by their titles, and a crash at any moment makes no second child (S29)."""

from __future__ import annotations

from typing import Any

import pytest

from flow_automation.testing import Faults, Simulation

CHILD: dict[str, Any] = {
    "title": "Child",
    "version": "v2.0.0",
    "steps": [{"id": "a", "operator": "@http/request", "parameters": {"url": "http://h/{{ inputs.n }}"}}],
    "outputs": {"got": "{{ steps.a.output.body }}"},
}
PARENT: dict[str, Any] = {
    "title": "Parent",
    "steps": [
        {
            "id": "m",
            "operator": "@control/map",
            "parameters": {
                "items": [1, 2, 3],
                "steps": [
                    {
                        "id": "c",
                        "operator": "@control/call",
                        "parameters": {"dag": "Child", "inputs": {"n": "{{ item }}"}},
                    }
                ],
            },
        }
    ],
    "outputs": {"all": "{{ steps.m.output }}"},
}
ANSWER = {"status": 200, "headers": {}, "body": "yes"}


@pytest.mark.parametrize("seed", range(1, 9))
def test_s29_children_of_a_map_run_once_each_over_crashes(seed: int) -> None:
    with Simulation(seed=seed, faults=Faults(crash_share=0.2)) as simulation:
        simulation.offer(CHILD)
        simulation.when("@http/request").returns(ANSWER)
        instance = simulation.run(PARENT)
        assert {"all": [{"got": "yes"}] * 3} == instance.outputs
        assert 3 == len({call.key for call in simulation.calls})


@pytest.mark.parametrize(("version", "status"), [("v2.0.0", "succeeded"), ("v1.0.0", "failed")])
def test_s29_version_that_is_named_must_be_the_one_that_was_offered(version: str, status: str) -> None:
    document = {
        "title": "One",
        "steps": [
            {
                "id": "c",
                "operator": "@control/call",
                "parameters": {"dag": "Child", "version": version, "inputs": {"n": 1}},
            }
        ],
    }
    with Simulation() as simulation:
        simulation.offer(CHILD)
        simulation.when("@http/request").returns(ANSWER)
        assert status == simulation.run(document).status
