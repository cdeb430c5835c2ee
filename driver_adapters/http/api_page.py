"""The API as one HTML page, made of the OpenAPI document: to read without a script, to try with the one inside it.

The page asks nobody but the server that it came from, and only when a person presses Send.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import msgspec

_FOLDER = Path(__file__).parent
_METHODS = ("get", "post", "put", "delete")
_REF_PREFIX = "#/components/schemas/"
_MARKED = re.compile(r"`([^`]+)`")
# Bodies of other types are taken from a file.
_TYPED_TEXT = ("json", "yaml", "text/")


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def page_policy() -> bytes:
    """Give the page's content security policy: its own style and script by their hashes, requests to its own server."""
    return (
        f"default-src 'none'; style-src '{_hash('api_page.css')}'; script-src '{_hash('api_page.js')}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()


def _hash(name: str) -> str:
    digest = hashlib.sha256(_asset(name).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def render_page(openapi: bytes, prefix: str) -> bytes:
    """Render every operation and every shape of the document.

    An operation shows what it takes, what it answers, an example of each, and a form that sends it.
    """
    document = msgspec.json.decode(openapi)
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method in filter(methods.__contains__, _METHODS):
            by_tag.setdefault(methods[method]["tags"][0], []).append((method, path, methods[method]))
    schemas = document["components"]["schemas"]
    parts = [
        _head(document["info"], prefix),
        "<div class=layout>",
        _navigation(by_tag, schemas),
        "<main>",
        *(_group(tag, operations) for tag, operations in by_tag.items()),
        "<section><h2>Shapes</h2>",
        *(_schema(name, schemas[name]) for name in sorted(schemas)),
        f"</section></main></div><script>{_asset('api_page.js')}</script></body></html>",
    ]
    return "".join(parts).encode()


def _head(info: Mapping[str, Any], prefix: str) -> str:
    title = f"{escape(info['title'])} API {escape(info['version'])}"
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'><link rel=icon href='data:,'>"
        f"<title>{title}</title><style>{_asset('api_page.css')}</style></head><body>"
        f"<header><h1>{title}</h1><a href='{escape(prefix)}/schemas/openapi.json'>OpenAPI 3.1</a>"
        f"<a href='{escape(prefix)}/schemas/dag.json'>JSON Schema of a DAG</a>"
        "<label>API key <input id=key type=password autocomplete=off spellcheck=false "
        "placeholder='flow_…, kept in this page only'></label></header>"
    )


def _navigation(by_tag: Mapping[str, list[tuple[str, str, dict[str, Any]]]], schemas: Mapping[str, Any]) -> str:
    parts = [
        "<nav aria-label=Operations><input id=filter type=search aria-label='Filter operations' placeholder=Filter>"
    ]
    for tag, operations in by_tag.items():
        parts.append(f"<h2>{escape(tag)}</h2><ul>")
        for method, path, operation in operations:
            label = f"{_badge(method)}{escape(_short(path))}"
            title = escape(operation["summary"])
            parts.append(f"<li><a href='#{escape(operation['operationId'])}' title='{title}'>{label}</a></li>")
        parts.append("</ul>")
    parts.append("<h2>Shapes</h2><ul>")
    parts.extend(f"<li><a href='#schema-{escape(name)}'>{escape(name)}</a></li>" for name in sorted(schemas))
    return "".join([*parts, "</ul></nav>"])


def _short(path: str) -> str:
    """Cut what nearly all paths begin with, `/api/automation/v1`, for the narrow column."""
    parts = path.split("/")
    return "/" + "/".join(parts[4:]) if parts[1] == "api" and len(parts) > 4 else path


def _badge(method: str) -> str:
    return f"<span class='method {method}'>{method.upper()}</span>"


def _group(tag: str, operations: list[tuple[str, str, dict[str, Any]]]) -> str:
    return "".join([f"<section><h2>{escape(tag)}</h2>", *(_operation(*each) for each in operations), "</section>"])


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f"<article id='{escape(operation['operationId'])}'>",
        f"<h3>{_badge(method)} <span class=path>{escape(path)}</span></h3><p>{_told(operation['summary'])}. ",
        f"<span class=quiet>{_told(operation.get('description', 'Needs no key.'))}</span></p>",
        _parameters(operation.get("parameters", [])),
        _body(operation.get("requestBody", {})),
        "<h4>Answers</h4>",
        *(_answer(status, answer) for status, answer in operation["responses"].items()),
        f"<h4>Try it</h4>{_form(method, path, operation)}</article>",
    ]
    return "".join(parts)


def _parameters(parameters: list[dict[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = [
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}"
        f"{', required' if each.get('required') else ''}</td>"
        f"<td>{_type(each['schema'])}</td><td>{_told(each.get('description', ''))}</td></tr>"
        for each in parameters
    ]
    return f"<h4>Parameters</h4><table>{''.join(rows)}</table>"


def _body(body: Mapping[str, Any]) -> str:
    if not body:
        return ""
    parts = [f"<h4>Body</h4><p>{_told(body.get('description', ''))}</p>"]
    for media_type, content in body["content"].items():
        shown = f"{escape(media_type)}: {_type(content.get('schema', {}))}"
        parts.append(f"<details><summary>{shown}</summary>{_example(content)}</details>")
    return "".join(parts)


def _answer(status: str, answer: Mapping[str, Any]) -> str:
    content: Mapping[str, Any] = next(iter(answer.get("content", {}).values()), {})
    shape = f" <span class=quiet>{_type(content['schema'])}</span>" if content.get("schema") else ""
    headers = "".join(
        f"<p><code>{escape(name)}</code> {_told(header.get('description', ''))}</p>"
        for name, header in answer.get("headers", {}).items()
        if "$ref" not in header  # those that nearly every answer has would hide the others
    )
    summary = f"<summary><code>{status}</code> {_told(answer['description'])}{shape}</summary>"
    return f"<details>{summary}{headers}{_example(content)}</details>"


def _form(method: str, path: str, operation: Mapping[str, Any]) -> str:
    fields = [_field(each) for each in operation.get("parameters", [])]
    contents = operation.get("requestBody", {}).get("content", {})
    if contents:
        types = "".join(f"<option>{escape(name)}</option>" for name in contents)
        fields.append(f"<label><span>Content-Type</span><select data-role=type>{types}</select></label>")
        name, content = next(iter(contents.items()))
        if any(part in name for part in _TYPED_TEXT):
            example = _pretty(content["example"]) if "example" in content else ""
            fields.append(f"<label><span>Body</span><textarea spellcheck=false>{escape(example)}</textarea></label>")
        else:
            fields.append("<label><span>Body</span><input type=file></label>")
    return (
        f"<form data-method={method.upper()} data-path='{escape(path)}'>{''.join(fields)}"
        "<button>Send</button> <button type=button data-role=stop hidden>Stop</button>"
        "<div class=result aria-live=polite hidden><pre class=curl></pre><p class=status></p>"
        "<pre class=headers></pre><pre class=body></pre></div></form>"
    )


def _field(parameter: Mapping[str, Any]) -> str:
    schema, name = parameter["schema"], escape(parameter["name"])
    marks = f"name='{name}' data-in={escape(parameter['in'])}{' required' if parameter.get('required') else ''}"
    if "enum" in schema:
        choices = "".join(f"<option>{escape(str(value))}</option>" for value in schema["enum"])
        field = f"<select {marks}><option value=''></option>{choices}</select>"
    else:
        hint = escape(str(schema.get("default", "")))
        field = f"<input {marks} placeholder='{hint}' autocomplete=off spellcheck=false>"
    return f"<label><span>{name} ({escape(parameter['in'])})</span>{field}</label>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        f"<tr><td><code>{escape(field)}</code></td><td>{'always' if field in required else 'may be absent'}</td>"
        f"<td>{_type(shape)}</td><td>{_told(shape.get('description', ''))}</td></tr>"
        for field, shape in schema.get("properties", {}).items()
    ]
    table = f"<table>{''.join(rows)}</table>" if rows else f"<p>{_type(schema)}</p>"
    told = _told(schema.get("description", ""))
    return f"<article id='schema-{escape(name)}'><h3>{escape(name)}</h3><p>{told}</p>{table}</article>"


def _told(text: str) -> str:
    """Show a sentence; what stands in backticks is code."""
    return _MARKED.sub(r"<code>\1</code>", escape(text))


def _type(schema: Mapping[str, Any]) -> str:
    """Say in a few words what a value may be; other schemas are links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix(_REF_PREFIX))
        return f"<a href='#schema-{name}'>{name}</a>"
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_type(each) for each in schema[word])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("items")
        return f"list of {_type(items)}" if isinstance(items, dict) and items else "list"
    return escape(_words(schema)) if schema.get("type") else "any JSON"


def _words(schema: Mapping[str, Any]) -> str:
    words = [str(schema["type"])]
    if "minimum" in schema and "maximum" in schema:
        words.append(f"{schema['minimum']:g}..{schema['maximum']:g}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if "pattern" in schema:
        words.append(schema["pattern"])
    if "default" in schema:
        words.append(f"default {schema['default']}")
    return ", ".join(words)


def _example(content: Mapping[str, Any]) -> str:
    return f"<pre>{escape(_pretty(content['example']))}</pre>" if "example" in content else ""


def _pretty(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
