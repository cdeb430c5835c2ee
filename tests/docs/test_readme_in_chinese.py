"""README.zh.md says what README.md says, as far as a program can tell: headings, commands, code, links, tables."""

from __future__ import annotations

import re

import pytest

from tests.arch.source import ROOT

ENGLISH = (ROOT / "README.md").read_text("utf-8")
CHINESE = (ROOT / "README.zh.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[int]:
    """Give the level of each heading, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)]


def commands(text: str) -> list[str]:
    """Give each indented line, without what stands behind a #: that is for people."""
    lines = re.findall(r"^    (\S.*)$", FENCE.sub("", text), re.MULTILINE)
    return [line.split(" # ")[0].rstrip() for line in lines]


def codes(text: str) -> list[str]:
    """Give what stands in backticks; the order within a sentence is the language's."""
    return sorted(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))


def links(text: str) -> list[str]:
    """Give where links lead."""
    return sorted(re.findall(r"\]\(([^)]+)\)", text))


def first_cells(text: str) -> list[str]:
    """Give the first cell of each row of a table when it is code, as names of settings are."""
    return re.findall(r"^\| (`[^`]+`) \|", text, re.MULTILINE)


@pytest.mark.parametrize(
    "told", [headings, commands, FENCE.findall, links, first_cells], ids=["headings", "commands", "code", "links", "tables"]
)  # fmt: skip
def test_chinese_readme_has_what_the_english_one_has(told: object) -> None:
    assert callable(told)
    assert told(ENGLISH)
    assert told(ENGLISH) == told(CHINESE)


def test_chinese_readme_names_the_same_things_in_code() -> None:
    assert codes(ENGLISH) == codes(CHINESE)


def test_chinese_readme_is_in_chinese() -> None:
    prose = re.sub(r"`[^`]*`|\[[^\]]*\]\([^)]*\)", "", FENCE.sub("", CHINESE))
    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > len(re.findall(r"[A-Za-z]", prose))
