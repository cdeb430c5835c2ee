"""Waiting outlives a server that is away for a while, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from driver_adapters.cli.api_client import ApiClient, ServerEvent
from driver_adapters.cli.exits import DENIED, INSTANCE_FAILED, OK, UNREACHABLE, CommandFailed
from driver_adapters.cli.waiting import ABSENCES_MAX, ended_instance, exit_of_instance, followed_events

RUNNING = {"id": "I", "status": "running", "ended_at": None}
ENDED = {"id": "I", "status": "succeeded", "ended_at": "then"}
AWAY = CommandFailed(UNREACHABLE, "nobody answers")


class _Streams(ApiClient):
    """Gives these streams one after another; a problem in one cuts it. The instance ends with the last."""

    def __init__(self, *streams: list[Any]) -> None:
        super().__init__("http://127.0.0.1", "", "k")
        self._streams = list(streams)
        self.last_ids: list[str] = []

    def events(self, path: str, query: Any, last_id: str = "") -> Iterator[ServerEvent]:
        del path, query
        self.last_ids.append(last_id)
        for event in self._streams.pop(0):
            if isinstance(event, CommandFailed):
                raise event
            yield event

    def get(self, path: str, query: Any = None) -> Any:
        del path, query
        return RUNNING if self._streams else ENDED


def event(number: int) -> ServerEvent:
    return ServerEvent(str(number), "e", number)


class _Answers(ApiClient):
    """Gives these answers one after another, and keeps what was asked."""

    def __init__(self, *answers: Any) -> None:
        super().__init__("http://127.0.0.1", "", "k")
        self._answers: Iterator[Any] = iter(answers)
        self.asked: list[tuple[str, Any]] = []

    def get(self, path: str, query: Any = None) -> Any:
        self.asked.append((path, query))
        answer = next(self._answers)
        if isinstance(answer, CommandFailed):
            raise answer
        return answer


def test_it_asks_until_the_instance_has_ended() -> None:
    client = _Answers(RUNNING, RUNNING, ENDED)
    looks: list[Any] = []
    assert ENDED == ended_instance(client, "I", looks.append, every_s=2)
    assert [RUNNING, RUNNING, ENDED] == looks
    assert [("/instances/I", {"wait": wait_s}) for wait_s in (0, 2, 2)] == client.asked


def test_server_that_comes_back_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    pauses: list[float] = []
    assert ENDED == ended_instance(_Answers(RUNNING, AWAY, AWAY, RUNNING, AWAY, ENDED), "I", pause=pauses.append)
    assert 3 == len(pauses)
    assert ["nobody answers", "the instance is durable; asking again"] * 2 == capsys.readouterr().err.splitlines()


def test_server_that_stays_away_ends_the_wait() -> None:
    pauses: list[float] = []
    with pytest.raises(CommandFailed) as caught:
        ended_instance(_Answers(*[AWAY] * ABSENCES_MAX), "I", pause=pauses.append)
    assert UNREACHABLE == caught.value.status
    assert ABSENCES_MAX - 1 == len(pauses)


def test_denial_is_no_absence() -> None:
    pauses: list[float] = []
    with pytest.raises(CommandFailed) as caught:
        ended_instance(_Answers(CommandFailed(DENIED, "no")), "I", pause=pauses.append)
    assert (DENIED, []) == (caught.value.status, pauses)


@pytest.mark.parametrize(
    ("status", "exit_status"), [("succeeded", OK), ("failed", INSTANCE_FAILED), ("cancelled", INSTANCE_FAILED)]
)
def test_outcome_has_its_exit_status(status: str, exit_status: int) -> None:
    assert exit_status == exit_of_instance({"status": status})


def test_cut_stream_is_taken_up_behind_its_last_event(capsys: pytest.CaptureFixture[str]) -> None:
    client = _Streams([event(1), event(2), AWAY], [AWAY], [event(3)], [], [event(4)])
    pauses: list[float] = []
    followed = [one.value for one in followed_events(client, "I", "/p", {}, pause=pauses.append)]
    assert [1, 2, 3, 4] == followed
    assert ["", "2", "2", "3", "3"] == client.last_ids
    assert 4 == len(pauses)
    assert ["nobody answers", "going on behind the last event"] == capsys.readouterr().err.splitlines()


def test_stream_that_stays_away_ends_the_command() -> None:
    with pytest.raises(CommandFailed) as caught:
        list(followed_events(_Streams(*[[AWAY]] * ABSENCES_MAX), "I", "/p", {}, pause=lambda _: None))
    assert UNREACHABLE == caught.value.status


def test_denied_stream_is_not_asked_for_again() -> None:
    client = _Streams([CommandFailed(DENIED, "no")], [])
    with pytest.raises(CommandFailed) as caught:
        list(followed_events(client, "I", "/p", {}, pause=lambda _: None))
    assert (DENIED, [""]) == (caught.value.status, client.last_ids)
