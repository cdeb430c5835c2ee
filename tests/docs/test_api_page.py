"""The page of the API shows what the document says, and what the document says stays text."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import msgspec
import pytest

from driver_adapters.http.api_page import page_policy, render_page
from driver_adapters.http.app import openapi_document
from tests.http.world import PREFIX

DOCUMENT: Any = msgspec.json.decode(openapi_document(PREFIX))
PAGE = render_page(openapi_document(PREFIX), PREFIX).decode()
ATTACK = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"


def test_page_shows_every_operation_once_with_its_form() -> None:
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]

    assert len(operations) == PAGE.count("<form data-method=")
    assert [] == [
        each["operationId"] for each in operations if PAGE.count(f"<article id='{each['operationId']}'>") != 1
    ]


def test_page_shows_every_shape_and_its_links_lead_somewhere() -> None:
    assert [] == [name for name in DOCUMENT["components"]["schemas"] if f"id='schema-{name}'" not in PAGE]
    targets = set(re.findall(r"href='#([^']+)'", PAGE))
    assert set() == targets - set(re.findall(r"id='([^']+)'", PAGE))


def test_page_names_no_other_host() -> None:
    without_examples = re.sub(r"<pre>.*?</pre>|<textarea.*?</textarea>", "", PAGE, flags=re.DOTALL)

    assert [] == re.findall(r"(?:src|href)=['\"]?(?:https?:)?//[^\s'\">]+", without_examples)


def test_policy_allows_the_style_and_script_of_the_page_and_no_others() -> None:
    style, script = (
        re.findall(r"<style>(.*?)</style>", PAGE, re.DOTALL),
        re.findall(r"<script>(.*?)</script>", PAGE, re.DOTALL),
    )
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (*style, *script)
    ]

    assert hashes == re.findall(r"'sha256-[^']+'", page_policy().decode())
    assert [] == re.findall(r"\son\w+=|\sstyle=", re.sub(r"<script>.*?</script>", "", PAGE, flags=re.DOTALL))


@pytest.mark.parametrize("place", ["summary", "description", "parameter", "answer", "example", "tag", "shape"])
def test_text_of_the_document_never_becomes_a_part_of_the_page(place: str) -> None:
    document = msgspec.json.decode(openapi_document(PREFIX))
    operation = document["paths"][f"{PREFIX}/dags"]["post"]
    if place == "parameter":
        operation["parameters"][0]["description"] = ATTACK
    elif place == "answer":
        operation["responses"]["201"]["description"] = ATTACK
    elif place == "example":
        operation["requestBody"]["content"]["application/json"]["example"] = {"title": ATTACK}
    elif place == "tag":
        operation["tags"] = [ATTACK]
    elif place == "shape":
        document["components"]["schemas"]["DagBody"]["description"] = ATTACK
    else:
        operation[place] = ATTACK
    page = render_page(msgspec.json.encode(document), PREFIX).decode()

    assert PAGE != page
    assert PAGE.count("<script>") == page.count("<script>")
    assert "<img" not in page
