"""The live view: lines elsewhere, one picture on a terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.live import Live

from driver_adapters.cli.watch import NOTE_CHARACTERS_MAX, LineScreen, LiveScreen, step_rows

INSTANCE = {"id": "I", "status": "running"}


def task(path: str, status: str, attempts: int = 1, **more: Any) -> dict[str, Any]:
    return {"path": path, "step": path, "status": status, "attempts": attempts, "reason": None, "error": None} | more


def test_only_what_changed_is_told() -> None:
    said: list[str] = []
    screen = LineScreen(said.append)
    screen.show(INSTANCE, [task("a", "running"), task("b", "pending", 0)], is_more=False)
    screen.show(INSTANCE, [task("a", "running"), task("b", "pending", 0)], is_more=False)
    screen.show(INSTANCE, [task("a", "retrying", error={"kind": "timeout", "message": "too  late"})], is_more=False)
    screen.show(INSTANCE, [task("a", "running", 2)], is_more=False)
    screen.show(
        {"id": "I", "status": "failed"},
        [task("a", "running", 2), task("b", "skipped", 0, reason="when")],
        is_more=False,
    )
    assert [
        "a running", "instance I running", "a retrying: timeout too late", "a running (attempt 2)", "b skipped: when",
        "instance I failed",
    ] == said  # fmt: skip


def test_iterations_hooks_and_waits_are_told_by_their_paths() -> None:
    said: list[str] = []
    screen = LineScreen(said.append)
    screen.show(INSTANCE, [task("turn", "running", 0), task("turn.0.work", "running")], is_more=False)
    later = [task("turn", "running", 0), task("turn.0.work", "succeeded"), task("turn.1.work", "running")]
    screen.show(INSTANCE, later, is_more=False)
    rest = [task("turn", "succeeded", 0), task("rest", "waiting", 0), *later[1:2], task("turn.1.work", "succeeded")]
    screen.show({"id": "I", "status": "waiting"}, rest, is_more=False)
    assert [
        "turn running", "turn.0.work running", "instance I running", "turn.0.work succeeded", "turn.1.work running",
        "turn succeeded", "rest waiting", "turn.1.work succeeded", "instance I waiting",
    ] == said  # fmt: skip


def test_long_error_is_cut_beside_its_step() -> None:
    row = step_rows([task("a", "failed", error={"kind": "failed", "message": "x" * 500 + "\x1b[2J"})])[0]
    assert NOTE_CHARACTERS_MAX == len(row["note"])


def drawn(height: int, steps_count: int, *, is_more: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=60, height=height, force_terminal=True, no_color=True)
    with Live(console=console, auto_refresh=False) as live:
        screen = LiveScreen(live)
        screen.show(INSTANCE, [task(f"step_{number}", "running") for number in range(steps_count)], is_more=is_more)
        shown = console.render_lines(live.get_renderable(), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in shown]


def test_terminal_shows_all_steps_at_once() -> None:
    assert [
        "instance I running",
        "step    status   attempts  note",
        "step_0  running  1",
        "step_1  running  1",
    ] == drawn(20, 2)


def test_steps_beyond_the_height_are_told_of() -> None:
    lines = drawn(10, 50)
    assert 8 == len(lines)
    assert "more: flow instances tasks I" == lines[-1]
    assert "more: flow instances tasks I" == drawn(20, 2, is_more=True)[-1]
