"""The API as one HTML page, made of the OpenAPI document; needs no network and no script."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f3f3}pre{padding:.6rem;overflow:auto}"
    "h3 code{padding:.1rem .3rem}summary{cursor:pointer}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}code,pre{background:#222}a{color:#8bf}}"
)


def render_page(openapi: bytes, prefix: str) -> bytes:
    """Render every operation: method, path, what it takes, what it answers, an example of each."""
    document = msgspec.json.decode(openapi)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Flow Automation API</title><style>{_STYLE}</style>",
        f"<h1>Flow Automation API {escape(document['info']['version'])}</h1>",
        "<p>Every request carries <code>Authorization: Bearer flow_…</code>. ",
        f"Machine-readable: <a href='{escape(prefix)}/schemas/openapi.json'>OpenAPI 3.1</a>, ",
        f"<a href='{escape(prefix)}/schemas/dag.json'>JSON Schema of a DAG</a>.</p>",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.extend(_operation(path, method, operation))
    return "".join(parts).encode()


def _operation(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    parts = [
        f"<h3 id='{escape(operation['operationId'])}'><code>{method.upper()} {escape(path)}</code></h3>",
        f"<p>{escape(operation['summary'])}</p>",
    ]
    parts.extend(
        f"<p><code>{escape(each['name'])}</code> ({each['in']}) {escape(each.get('description', ''))}</p>"
        for each in operation.get("parameters", [])
    )
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<details><summary>Body ({escape(media_type)})</summary>{_example(content)}</details>")
    for status, answer in operation["responses"].items():
        content = next(iter(answer.get("content", {}).values()), {})
        shown = f"{status} {escape(answer['description'])}"
        parts.append(f"<details><summary>{shown}</summary>{_example(content)}</details>")
    return parts


def _example(content: dict[str, Any]) -> str:
    if "example" not in content:
        return ""
    text = msgspec.json.format(msgspec.json.encode(content["example"]), indent=2).decode()
    return f"<pre>{escape(text)}</pre>"
