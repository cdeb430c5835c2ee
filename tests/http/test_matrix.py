"""S-04, S-05: the committed tables are what every route answers today, and no line of them says too much."""

from __future__ import annotations

import re

import pytest

from driver_adapters.http.app import PUBLIC_OPERATIONS
from tests.http.matrix import GOLDEN, MATRICES, NOBODY
from tests.http.world import World

HINT = "read the difference, then: python -m tests.http.matrix"
# Callers who must be refused by every route that is not open to everybody.
STRANGERS = ("no key", "a wrong key", "a revoked key", "an expired key", "a key in the query", "a key in a cookie")


@pytest.mark.parametrize("name", sorted(MATRICES))
async def test_committed_matrix_is_what_the_routes_answer(world: World, name: str) -> None:
    assert (GOLDEN / name).read_text("utf-8") == await MATRICES[name](world), HINT


def blocks() -> list[tuple[str, dict[str, str]]]:
    """Read the table of callers: per route its title, and the answer of each caller."""
    found = []
    for block in (GOLDEN / "auth_matrix.txt").read_text("utf-8").strip().split("\n\n"):
        title, *lines = block.splitlines()
        answers: dict[str, str] = {}
        for line in lines:
            matched = re.fullmatch(r" {4}(\S+(?: \S+)?) +(.*)", line)
            assert matched is not None, line
            answers |= dict.fromkeys(matched.group(2).split(", "), matched.group(1))
        found.append((title, answers))
    return found


def test_strangers_are_refused_by_every_route_that_is_not_open() -> None:
    closed = [(title, answers) for title, answers in blocks() if "open to everybody" not in title]
    assert closed
    for title, answers in closed:
        assert {"401 unauthenticated"} == {answers[name] for name in STRANGERS}, title
        assert "403 forbidden" == answers[NOBODY], title


def test_open_routes_are_as_many_as_their_list() -> None:
    opened = [title for title, _ in blocks() if "open to everybody" in title and "private server" not in title]
    assert len(PUBLIC_OPERATIONS) == len(opened)


def test_nothing_of_another_tenant_is_told_anywhere() -> None:
    text = (GOLDEN / "tenancy_matrix.txt").read_text("utf-8")
    assert "like a missing one" in text
    assert [] == re.findall(r"UNLIKE A MISSING ONE|THEIR OBJECT|THEIR ID", text)
