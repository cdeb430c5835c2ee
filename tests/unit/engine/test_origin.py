"""Where an instance comes from: the kind of its trigger, and its labels (ADR 0022)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from core.dag.label import LABEL_VALUE_CHARACTERS_MAX, LABELS_COUNT_MAX, label_value_fault
from core.engine.origin import MANUAL_TRIGGER, labels_of_start, trigger_kind
from core.errors import InputInvalid
from tests.unit.engine.plans import plan_of

NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
STEPS = 'steps: [{id: a, operator: "@debug/noop"}]'


def labels(
    declared: str, inputs: Any = None, given: Mapping[str, str] | None = None, trigger: bytes = MANUAL_TRIGGER
) -> dict[str, str] | None:
    plan = plan_of(f"vars: {{team: orders, size: 2}}\nsettings: {{labels: {{{declared}}}}}\n{STEPS}")
    return labels_of_start(plan, given or {}, inputs={} if inputs is None else inputs, trigger=trigger, now=NOW)


def refused(declared: str, inputs: Any = None, given: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    with pytest.raises(InputInvalid) as caught:
        labels(declared, inputs, given)
    assert {"input.label"} == {fault["code"] for fault in caught.value.faults}
    return [(str(fault["pointer"]), str(fault["message"])) for fault in caught.value.faults]


def test_start_without_labels_has_none() -> None:
    assert labels("") is None


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("x: constant", "constant"),
        ('x: "{{ inputs.order }}"', "n-1"),
        ('x: "{{ inputs.count }}"', "3"),
        ('x: "{{ inputs.price }}"', "1.5"),
        ('x: "{{ inputs.count > 2 }}"', "true"),
        ('x: "{{ inputs.order }} of {{ vars.team }}"', "n-1 of orders"),
        ('x: "{{ vars.size }}"', "2"),
        ('x: "{{ json(vars) }}"', '{"team":"orders","size":2}'),
        ('x: "{{ trigger.kind }}"', "manual"),
        ('x: "{{ now() }}"', "2026-01-31T08:30:00Z"),
        ('x: "{{ has(inputs.none) ? inputs.none : inputs.order }}"', "n-1"),
    ],
)
def test_label_is_the_text_of_what_its_template_gives(declared: str, expected: str) -> None:
    assert {"x": expected} == labels(declared, {"order": "n-1", "count": 3, "price": 1.5})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "gives null"),
        ([1], "gives a list"),
        ({"a": 1}, "gives an object"),
        ("", "empty"),
        ("x" * (LABEL_VALUE_CHARACTERS_MAX + 1), "257"),
        ("a\0b", "character"),
    ],
)
def test_value_that_is_no_label_is_refused_by_the_name_of_the_label(value: Any, said: str) -> None:
    [(pointer, message)] = refused('order: "{{ inputs.x }}"', {"x": value})

    assert "/settings/labels/order" == pointer
    assert said in message


def test_every_label_that_errs_is_named() -> None:
    found = refused('a: "{{ inputs.a }}", b: ok, c: "{{ inputs.x / 0 }}"', {"x": 1})

    assert ["/settings/labels/a", "/settings/labels/c"] == [pointer for pointer, _ in found]


def test_labels_of_one_start_share_the_fuel_of_one_evaluation() -> None:
    large = 'x%d: "{{ size(inputs.items.filter(i, i > 0)) }}"'
    declared = ", ".join(large % number for number in range(LABELS_COUNT_MAX))
    items = {"items": list(range(4_000))}

    assert {"x1": "3999"} == labels(large % 1, items)
    assert any("fuel" in message for _, message in refused(declared, items))


def test_given_label_goes_before_the_dags_which_is_not_rendered() -> None:
    given = {"order": "given", "more": "x"}

    assert {"order": "given", "more": "x", "team": "orders"} == labels(
        'order: "{{ inputs.none }}", team: "{{ vars.team }}"', given=given
    )
    assert given == labels("", given=given)


def test_more_labels_than_an_instance_may_have_are_refused() -> None:
    given = {f"g{number}": "x" for number in range(LABELS_COUNT_MAX)}

    assert given == labels("g0: own", given=given)
    [(pointer, message)] = refused("own: x", given=given)
    assert ("?label", True) == (pointer, str(LABELS_COUNT_MAX) in message)


def test_value_that_no_store_holds_is_no_label() -> None:
    assert "" == label_value_fault("größer")
    assert "character" in label_value_fault("\ud800")


@pytest.mark.parametrize(
    ("trigger", "kind"),
    [(MANUAL_TRIGGER, "manual"), (b"{}", "manual"), (b'{"kind":"cron","scheduled_at":"2026-01-31T08:30:00Z"}', "cron")],
)
def test_kind_of_a_trigger_is_read_from_what_started(trigger: bytes, kind: str) -> None:
    assert kind == trigger_kind(trigger)
