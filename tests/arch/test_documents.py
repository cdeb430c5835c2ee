"""Documents and the Makefile name only what exists: targets, modules, files, settings."""

from __future__ import annotations

import re

import pytest

from tests.arch.source import ROOT, texts

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
DOCUMENTS = [(name, text) for name, text in texts() if name.endswith(".md")]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
MAKE_COMMAND = re.compile(r"(?:^|[`\s(])make ([a-z][a-z-]*)(?=[`\s,;.:)])", re.MULTILINE)


def targets() -> set[str]:
    """List the targets of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def code_of(text: str) -> list[str]:
    """Give what stands in backticks or is indented as code, in fences too: prose may say "make sure"."""
    found = re.findall(r"`([^`\n]+)`", text)
    found += [line.strip() for line in text.splitlines() if line.startswith("    ")]
    for fence in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        found += fence.splitlines()
    return found


def test_target_of_the_makefile_runs_a_module_that_exists() -> None:
    named = set(re.findall(r"-m ((?:module|tests|bench)[\w.]*)", MAKEFILE))

    missing = {
        name
        for name in named
        if not (ROOT / f"{name.replace('.', '/')}.py").is_file()
        and not (ROOT / name.replace(".", "/") / "__main__.py").is_file()
    }

    assert set() == missing


def test_makefile_explains_each_target_that_a_person_calls() -> None:
    explained = set(re.findall(r"^#   make ([a-z]+)", MAKEFILE, re.MULTILINE))

    assert targets() - {"install", "install-dev", "programs", "check-static", "check-tests"} == explained


@pytest.mark.parametrize(("name", "text"), DOCUMENTS, ids=[name for name, _ in DOCUMENTS])
def test_document_names_targets_and_files_that_exist(name: str, text: str) -> None:
    folder = (ROOT / name).parent
    called = {target for line in code_of(text) for target in MAKE_COMMAND.findall(f"{line} ")}

    assert set() == called - targets()
    assert [] == [link for link in LINK.findall(text) if not (folder / link).exists()]
