"""The machinery itself, on a tree of three files: it must tell a seen bug from an unseen one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.planted import planting

PRODUCT = "def double(number: int) -> int:\n    return number * 2\n"
TESTS = """from product import double


def test_double_of_three_is_six() -> None:
    assert 6 == double(3)


def test_double_of_nothing_is_nothing() -> None:
    assert 0 == double(0)
"""
CONFIGURATION = '[tool.pytest.ini_options]\npythonpath = ["."]\n'
DIFF = """diff --git a/product.py b/product.py
--- a/product.py
+++ b/product.py
@@ -1,2 +1,2 @@
 def double(number: int) -> int:
-    return number * 2
+    return number * 3
"""
SEEN = "test_product.py::test_double_of_three_is_six"
UNSEEN = "test_product.py::test_double_of_nothing_is_nothing"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with a product, its tests, an ignored folder and a file that is not committed."""
    root = tmp_path / "with a blank"
    root.mkdir()
    files = {"product.py": PRODUCT, "test_product.py": TESTS, "pyproject.toml": CONFIGURATION, ".gitignore": "data/\n"}
    for name, text in files.items():
        (root / name).write_text(text, "utf-8")
    (root / "data").mkdir()
    (root / "data" / "large").write_text("not copied", "utf-8")
    subprocess.run(["git", "-C", str(root), "init", "--quiet"], check=True)
    return root


def patch(folder: Path, *fails: str, name: str = "01-triple.patch", diff: str = DIFF) -> planting.Planted:
    head = "".join(f"# fails: {node_id}\n" for node_id in fails)
    (folder / name).write_text(head + diff, "utf-8")
    return planting.read_patches(folder)[0]


def planted(tree: Path, tmp_path: Path, *fails: str) -> list[str]:
    copy = planting.copy_tree(tree, tmp_path / "copy")
    bug = patch(tmp_path, *fails)
    planting.plant(bug, copy)
    return planting.meet(bug, copy).missed


def test_copy_of_a_tree_leaves_out_what_git_ignores(tree: Path, tmp_path: Path) -> None:
    copy = planting.copy_tree(tree, tmp_path / "copy")

    assert PRODUCT == (copy / "product.py").read_text("utf-8")
    assert not (copy / "data").exists()


def test_bug_that_its_test_sees_leaves_no_survivor(tree: Path, tmp_path: Path) -> None:
    assert [] == planted(tree, tmp_path, SEEN)
    assert PRODUCT == (tree / "product.py").read_text("utf-8")


def test_bug_that_its_test_does_not_see_survives(tree: Path, tmp_path: Path) -> None:
    [survivor] = planted(tree, tmp_path, SEEN, UNSEEN)

    assert f"01-triple.patch: {UNSEEN} gave status 0" == survivor.splitlines()[0]


def test_named_test_that_does_not_exist_counts_as_survivor(tree: Path, tmp_path: Path) -> None:
    [survivor] = planted(tree, tmp_path, "test_product.py::test_no_such_thing")

    assert "gave status 4" in survivor


def test_patch_for_other_text_is_refused_by_name(tree: Path, tmp_path: Path) -> None:
    bug = patch(tmp_path, SEEN, diff=DIFF.replace("number * 2", "number + number"))

    with pytest.raises(planting.PatchUnusable, match=r"01-triple\.patch does not apply"):
        planting.check_applies(bug, tree)


def test_patch_without_a_named_test_is_refused(tmp_path: Path) -> None:
    with pytest.raises(planting.PatchUnusable, match="does not begin with `# fails:"):
        patch(tmp_path)


def test_patch_without_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(planting.PatchUnusable, match=r"is not called NN-name\.patch"):
        patch(tmp_path, SEEN, name="triple.patch")


def test_unknown_name_of_a_bug_lists_the_known_ones(tmp_path: Path) -> None:
    patch(tmp_path, SEEN)

    with pytest.raises(planting.PatchUnusable, match="there are: triple"):
        planting.find("quadruple", tmp_path)
