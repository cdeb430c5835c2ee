"""Pages whose commands can be run: their blocks, and how what a command prints is compared with what the page says.

A block of `console` holds commands after `$ ` and what they print. `<name>` is a placeholder: the first text in its place is
kept, must come again wherever the name stands, and is put into commands. `<time>` may differ each time. A line `...` is any
number of lines, `...` within a line any text. Runs of blanks count as one.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Of one command; the longest waits for a retry of five seconds.
COMMAND_S_MAX = 90
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"`([\w.-]+\.(?:yaml|json))`:\s*$")
_PLACE = re.compile(r"<([a-z]+)>")
_VALUES = {"time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "key": r"flow_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}"}
_ID = r"[0-9A-HJKMNP-TV-Z]{26}"
# They are of no use to a later command, or differ each time.
_NOT_KEPT = frozenset({"time", "key"})


@dataclasses.dataclass(frozen=True)
class File:
    """A file that the page tells to save."""

    name: str
    text: str


@dataclasses.dataclass(frozen=True)
class Command:
    """A command and the lines that it prints."""

    text: str
    expected: tuple[str, ...]


def steps(page: str) -> list[File | Command]:
    """Give what a reader of the page does, in order."""
    found: list[File | Command] = []
    for block in _BLOCK.finditer(page):
        kind, text = block.groups()
        if kind == "console":
            found += _commands(text)
        elif named := _FILE_NAME.search(page[: block.start()]):
            found.append(File(named.group(1), text))
    return found


def _commands(text: str) -> list[Command]:
    found: list[Command] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        found.append(Command("\n".join(lines[:count]), tuple(lines[count:])))
    return found


class Shell:
    """One shell in which commands run one after another, as in a terminal; `address` maps the page's ports to real ones."""

    def __init__(self, folder: Path, environment: Mapping[str, str], address: Mapping[str, str]) -> None:
        self.values: dict[str, str] = {}
        self._address = address
        self._environment = dict(environment)
        self._folder = folder

    def run(self, command: Command) -> list[str]:
        """Run it with the values that are known; gives what it printed, in the page's words."""
        text = _PLACE.sub(lambda place: self.values[place.group(1)], command.text)
        for told, real in self._address.items():
            text = text.replace(told, real)
        # A file, no pipe: a server in the background keeps what it was started with open.
        printed, kept = self._folder / "printed.txt", self._folder / "environment.txt"
        script = f"{text}\nstatus=$?\nexport -p > {kept.name}\nexit $status\n"
        before = kept.read_text("utf-8") if kept.exists() else ""
        with printed.open("wb") as output:
            subprocess.run(
                ["sh", "-c", before + script],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
                timeout=COMMAND_S_MAX,
            )
        said = printed.read_text("utf-8")
        for told, real in self._address.items():
            said = said.replace(real, told)
        return [line for line in said.splitlines() if line.strip()]


def fits(expected: tuple[str, ...], printed: list[str], values: dict[str, str]) -> bool:
    """Tell whether the lines are those of the page; keeps what stands in the place of new placeholders."""
    pattern = "".join(_line(line, values) for line in expected)
    found = re.fullmatch(pattern, "".join(f"{_even(line)}\n" for line in printed), re.DOTALL)
    if found is None:
        return False
    values |= {name: value for name, value in found.groupdict().items() if value is not None}
    return True


def _line(line: str, values: dict[str, str]) -> str:
    if line.strip() == "...":
        return r"(?:[^\n]*\n)*?"
    parts = []
    seen: set[str] = set()
    for number, part in enumerate(re.split(r"(<[a-z]+>|\.\.\.)", _even(line))):
        if number % 2 == 0:
            parts.append(re.escape(part))
        elif part == "...":
            parts.append(r"[^\n]*?")
        else:
            parts.append(_place(part[1:-1], values, seen))
    return "".join(parts) + r"\n"


def _place(name: str, values: dict[str, str], seen: set[str]) -> str:
    if name in _NOT_KEPT:
        return _VALUES[name]
    if name in values:
        return re.escape(values[name])
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    return f"(?P<{name}>{_ID})"


def _even(line: str) -> str:
    return re.sub(r"\s+", " ", line.strip())
