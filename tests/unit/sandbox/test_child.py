"""The other side of a run, called in this process: values, lines, frames, and what is asked of the kernel."""

from __future__ import annotations

import io
import json
import os
import platform
import resource
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from driven_adapters.sandbox.child import confine, pure_program, python_program, start
from driven_adapters.sandbox.child.frames import BEGIN, FAILURE, HEAD, LINE, REQUEST, VALUE, FrameWriter, read_frame
from driven_adapters.sandbox.child.syscall_filter import ALLOWED, filter_program
from driven_adapters.sandbox.child.value import LINE_CHARS_MAX, LineStream, ProgramFailed, encode_value
from driven_adapters.sandbox.interpreter import pure_interpreter

ROOT = Path(__file__).parents[3]


def request_of(code: str, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "program": "python",
        "tier": 2,
        "code": code,
        "entry": "main",
        "inputs": {},
        "libraries": [],
        "memory_mib": 128,
        "output_bytes": 100,
        "interpreter": pure_interpreter(),
        "limits": {"cpu_s": 1},
    }
    return given | changed


def frames_of(request: dict[str, Any], confine_for: Any = lambda _: None) -> list[tuple[int, bytes]]:
    """Answer a request in this process and give the frames that were written."""
    read, write = os.pipe()
    kept = sys.stdout
    try:
        start.answer(request, FrameWriter(write), confine_for)
    finally:
        sys.stdout = kept
        os.close(write)
    with os.fdopen(read, "rb") as stream:
        found = []
        while stream.peek():
            found.append(read_frame(stream))
        return found


@pytest.mark.parametrize("tier", [1, 2])
def test_a_program_begins_writes_and_gives_its_value(tier: int) -> None:
    code = "def main(n):\n    print('a')\n    print('b', end='')\n    return [n]"
    found = frames_of(request_of(code, tier=tier, inputs={"n": 1}))
    assert [(BEGIN, b""), (LINE, b"a"), (LINE, b"b"), (VALUE, b"[1]")] == found


@pytest.mark.parametrize("tier", [1, 2])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def main():\n    raise ValueError('why')", "raised"),
        ("def main(", "invalid"),
        ("def main():\n    return {1}", "invalid"),
        ("def main():\n    return 'x' * 100", "output"),
        ("def main():\n    raise MemoryError('memory limit exceeded')", "memory"),
    ],
)
def test_a_program_without_a_value_says_why(tier: int, code: str, reason: str) -> None:
    kind, content = frames_of(request_of(code, tier=tier))[-1]
    assert FAILURE == kind
    assert reason == json.loads(content)["reason"], content


def test_pure_code_that_spins_is_ended_by_its_interpreter() -> None:
    kind, content = frames_of(request_of("def main():\n    while True:\n        pass", tier=1))[-1]
    assert FAILURE == kind
    assert ("cpu", 1) == (json.loads(content)["reason"], json.loads(content)["limit"])


def test_a_syntax_error_of_other_text_is_the_programs_own() -> None:
    kind, content = frames_of(request_of("def main():\n    eval('1 +')"))[-1]
    assert (FAILURE, "raised") == (kind, json.loads(content)["reason"])


def test_code_without_the_function_is_invalid() -> None:
    kind, content = frames_of(request_of("x = 1"))[-1]
    assert (FAILURE, "invalid") == (kind, json.loads(content)["reason"])


def test_an_error_whose_text_cannot_be_read_is_told_by_its_class() -> None:
    code = "class E(Exception):\n    def __str__(self):\n        raise SystemExit\ndef main():\n    raise E"
    kind, content = frames_of(request_of(code))[-1]
    assert (FAILURE, "E: (its text cannot be read)") == (kind, json.loads(content)["message"])


def test_a_confinement_that_fails_runs_nothing() -> None:
    def refuse(_: Any) -> None:
        raise confine.ConfinementFailed("no")

    found = frames_of(request_of("def main():\n    return 1"), refuse)
    assert 1 == len(found)
    assert "unavailable" == json.loads(found[0][1])["reason"]


def test_a_value_that_does_not_fit_into_memory_is_a_memory_failure() -> None:
    def exhausted(_: Any) -> None:
        raise MemoryError

    assert "memory" == json.loads(frames_of(request_of("def main():\n    return 1"), exhausted)[-1][1])["reason"]


def test_values_are_compact_json_and_bounded() -> None:
    assert b'{"a":[1,"\xc3\xa9"]}' == encode_value({"a": [1, "é"]}, 100)
    for value, reason in ((float("inf"), "invalid"), ("\ud800", "invalid"), (b"", "invalid"), ("x" * 99, "output")):
        with pytest.raises(ProgramFailed) as failure:
            encode_value(value, 100)
        assert reason == failure.value.reason


def test_lines_are_cut_where_they_end_or_grow_too_long() -> None:
    lines: list[str] = []
    stream = LineStream(lines.append)
    assert stream.writable()
    stream.write("a\nb")
    stream.write("c\n\n")
    stream.write("x" * (LINE_CHARS_MAX + 1))
    stream.write("y" * (2 * LINE_CHARS_MAX + 1) + "\nend")
    stream.end()
    stream.end()
    lengths = [LINE_CHARS_MAX, 1, LINE_CHARS_MAX, LINE_CHARS_MAX, 1, 3]
    assert ["a", "bc", ""] == lines[:3]
    assert lengths == [len(line) for line in lines[3:]]


def test_frames_of_many_threads_stay_whole() -> None:
    read, write = os.pipe()
    writer = FrameWriter(write)
    threads = [threading.Thread(target=writer.write, args=(LINE, bytes([n]) * 1000)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        found = [read_frame(stream) for _ in range(20)]
        with pytest.raises(EOFError):
            read_frame(stream)
    assert [bytes([n]) * 1000 for n in range(20)] == sorted(content for _, content in found)
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(HEAD.pack(9, LINE) + b"short"))


def decide(program: bytes, number: int, arguments: tuple[int, ...] = (), arch: int = 0xC000003E) -> int:
    """Run a filter as the kernel does, and give what it returns."""
    packet = struct.pack("=iIQ6Q", number, arch, 0, *(*arguments, *(0,) * (6 - len(arguments))))
    at, register = 0, 0
    while True:
        code, then, otherwise, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            register = struct.unpack_from("=I", packet, value)[0]
        else:
            holds = {0x15: register == value, 0x35: register >= value, 0x45: bool(register & value)}[code]
            at += then if holds else otherwise


def test_the_filter_allows_its_list_and_nothing_else() -> None:
    program = filter_program(own_pid=77)
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000
    by_value = {16, 44, 53, 56, 72, 157, 234, 302}
    for number in range(500):
        expected = allow if number in ALLOWED.values() else 0x00050026 if number == 435 else refuse
        if number not in by_value:
            assert expected == decide(program, number), number
    for number, arguments in (
        (56, (0x3D0F00,)),
        (234, (77, 1, 6)),
        (44, (3, 1, 1, 0, 0)),
        (302, (0,)),
        (72, (3, 1)),
        (53, (1,)),
    ):
        assert allow == decide(program, number, arguments), (number, arguments)
    for number, arguments in (
        (56, (17,)),
        (234, (78, 1, 6)),
        (44, (3, 1, 1, 0, 1 << 40)),
        (44, (3, 1, 1, 0, 8)),
        (302, (5,)),
        (72, (3, 8)),
        (53, (2,)),
    ):
        assert refuse == decide(program, number, arguments), (number, arguments)
    assert kill == decide(program, 0, arch=0x40000003)
    assert kill == decide(program, 0x40000002)


class FakeKernel:
    """Keeps what it is asked; `refuses` = a call that fails."""

    def __init__(self, abi: int = 6, refuses: int | None = None) -> None:
        self.abi = abi
        self.refuses = refuses
        self.calls: list[tuple[Any, ...]] = []

    def syscall(self, *arguments: Any) -> int:
        self.calls.append(arguments)
        if arguments[0] == self.refuses:
            return -1
        if arguments[0] == 444:
            return self.abi if arguments[1] is None else os.open(os.devnull, os.O_RDONLY)
        return 0

    def prctl(self, *arguments: Any) -> int:
        self.calls.append(("prctl", *arguments))
        return -1 if self.refuses == -arguments[0] else 0


@pytest.mark.parametrize(("abi", "rights", "size"), [(3, 15, 8), (4, 15, 16), (5, 16, 16), (6, 16, 24), (9, 16, 24)])
def test_landlock_handles_every_right_that_the_kernel_knows(abi: int, rights: int, size: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kernel = FakeKernel(abi)
    confine.restrict_files(kernel, [str(tmp_path / "file"), str(tmp_path / "missing")], [str(tmp_path)], [])
    made, *rules, restricted = [call for call in kernel.calls if call[1] is not None]
    assert (rights, size) == (struct.unpack("=QQQ", made[1])[0].bit_count(), made[2])
    assert 2 == len(rules), "what is missing has no rule"
    assert 1 << 2 == struct.unpack("=Qi", rules[0][3])[0], "a file is read, not listed"
    assert 446 == restricted[0]


def test_confinement_that_the_kernel_refuses_is_an_error() -> None:
    with pytest.raises(confine.ConfinementFailed, match="version 2"):
        confine.restrict_files(FakeKernel(abi=2), [], [], [])
    with pytest.raises(confine.ConfinementFailed):
        confine.restrict_files(FakeKernel(refuses=446), [], [], [])
    with pytest.raises(confine.ConfinementFailed):
        confine.filter_calls(FakeKernel(refuses=317))
    with pytest.raises(confine.ConfinementFailed):
        confine.refuse_privileges(FakeKernel(refuses=-38))
    with pytest.raises(confine.ConfinementFailed, match="parent"):
        confine.die_with_parent(FakeKernel(), os.getpid())
    confine.die_with_parent(FakeKernel(), 0)


def test_a_process_with_threads_is_not_confined(tmp_path: Path) -> None:
    confine.must_be_alone(str(tmp_path / "nowhere"))
    (tmp_path / "1").mkdir()
    confine.must_be_alone(str(tmp_path))
    (tmp_path / "2").mkdir()
    with pytest.raises(confine.ConfinementFailed, match="threads"):
        confine.must_be_alone(str(tmp_path))


def test_a_filter_is_not_put_on_another_machine_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(confine.ConfinementFailed, match="riscv64"):
        confine.filter_calls(FakeKernel())


@pytest.mark.parametrize(("keeps", "kept"), [(False, 0), (True, 4)])
def test_dropping_the_user_drops_every_capability_but_reading(
    keeps: bool, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[Any, ...]] = []
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *a, name=name: done.append((name, *a)))
    kernel = FakeKernel()
    confine.drop_user(kernel, 7, keeps_reading=keeps)
    assert [("setgroups", []), ("setresgid", 7, 7, 7), ("setresuid", 7, 7, 7)] == done
    sets = next(call for call in kernel.calls if call[0] == 126)[2]
    assert (kept, kept, 0, 0, 0, 0) == struct.unpack("=IIIIII", sets)


@pytest.mark.parametrize("threads", [0, 5])
def test_limits_are_hard_and_threads_counted_where_they_can_be(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    done: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", done.__setitem__)
    limits = {"cpu_s": 2, "data_bytes": 10, "address_bytes": 20, "file_bytes": 30, "threads": threads}
    confine.limit_resources(limits)
    assert (2, 3) == done[resource.RLIMIT_CPU]
    assert (10, 10) == done[resource.RLIMIT_DATA]
    assert (20, 20) == done[resource.RLIMIT_AS]
    assert (0, 0) == done[resource.RLIMIT_CORE]
    assert ((5, 5) if threads else None) == done.get(resource.RLIMIT_NPROC)


@pytest.mark.parametrize("kind", [REQUEST, VALUE, None])
def test_a_process_serves_one_request_and_ends(kind: int | None) -> None:
    told = request_of("import os\ndef main():\n    os.write(1, b'below')\n    return 1", folder="/", uid=None)
    told |= {"restricts_files": False, "filters_calls": False, "keeps_reading": False}
    told["limits"] = {"cpu_s": 9, "data_bytes": 2**31, "address_bytes": 2**33, "file_bytes": 2**20, "threads": 0}
    content = json.dumps(told).encode()
    program = "from driven_adapters.sandbox.child.start import serve; serve(0)"
    given = b"" if kind is None else HEAD.pack(len(content), kind) + content
    done = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, cwd=ROOT, check=False)
    assert 0 == done.returncode, done.stderr
    expected = HEAD.pack(0, BEGIN) + HEAD.pack(1, VALUE) + b"1" if kind == REQUEST else b""
    assert expected == done.stdout
    assert (b"below" if kind == REQUEST else b"") == done.stderr


def test_the_pure_interpreters_client_can_be_imported_ahead() -> None:
    assert "Monty" in dir(pure_program.load())
    assert "<step>" == python_program.FILE_NAME
