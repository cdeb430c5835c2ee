"""What users import changes only on purpose."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import subprocess
import sys

import flow_automation
import flow_automation.testing
from tests.arch.source import PRODUCT, texts
from tests.unit.sdk import api_page


def test_public_api_is_the_one_written_down() -> None:
    assert api_page.FILE.read_text("utf-8") == api_page.written(), "renew it: python -m tests.unit.sdk.api_page"


def test_every_public_name_exists_once_and_sorted() -> None:
    for module in (flow_automation, flow_automation.testing):
        names = list(module.__all__)
        assert sorted(names) == names
        assert [] == [name for name in names if not hasattr(module, name)]


def test_package_is_marked_as_typed() -> None:
    assert importlib.resources.files("flow_automation").joinpath("py.typed").is_file()


def test_builder_alone_brings_nothing_of_the_engine() -> None:
    program = (
        "import sys, flow_automation; print([name for name in sys.modules if name.split('.')[0] in {'core', 'module'}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_package_is_installed_with_the_project() -> None:
    assert "flow-automation" == importlib.metadata.metadata("flow-automation")["Name"]
    program = "import flow_automation.testing"
    assert 0 == subprocess.run([sys.executable, "-c", program], cwd="/", check=False).returncode


def test_product_does_not_lean_on_what_its_users_import() -> None:
    leaning = [
        f"{name}:{node.lineno}"
        for name, text in texts()
        if name.endswith(".py") and name.split("/")[0] in PRODUCT and not name.startswith("pkg/sdk/")
        if name != "module/simulating.py"  # `flow sim` is the kit on the command line (ADR 0039)
        if "flow_automation" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom) and "flow_automation" in ast.unparse(node)
    ]

    assert [] == leaning


def test_kit_reaches_no_library_that_talks_to_the_outside() -> None:
    program = (
        "import sys, flow_automation.testing; outside = {'apsw', 'litestar', 'uvicorn', 'cyclopts', 'dependency_injector'}; "
        "print(sorted(outside & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
