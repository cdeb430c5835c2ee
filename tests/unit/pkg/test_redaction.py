"""Secrets are masked by value, in the encodings in which they usually leak."""

from __future__ import annotations

import base64
import html
import json
import traceback
from urllib.parse import quote, quote_plus

import pytest

from pkg import redaction
from pkg.redaction import DEPTH_MAX, MASK, Redactor

CANARY = 'S3cr.t+"/x\n*ü?>~>?'


@pytest.mark.parametrize(
    "leak",
    [
        CANARY, json.dumps(CANARY), quote(CANARY, safe=""), CANARY.encode().hex(),
        base64.b64encode(CANARY.encode()).decode(), base64.urlsafe_b64encode(CANARY.encode()).decode(),
        base64.b64encode(b"a" + CANARY.encode() + b"z").decode(), base64.b64encode(b"ab" + CANARY.encode()).decode(),
        json.dumps(CANARY, ensure_ascii=False), repr(CANARY), repr(CANARY.encode()), quote_plus(f"{CANARY} x"),
        html.escape(CANARY), CANARY.encode().hex().upper(), CANARY.encode("unicode_escape").decode(),
    ],
)  # fmt: skip
def test_every_usual_form_of_a_secret_is_masked(leak: str) -> None:
    masked = Redactor([CANARY]).text(f"before {leak} after")
    assert MASK in masked
    assert leak not in masked
    assert masked.startswith("before ")


def test_values_are_masked_at_every_depth_and_keys_too() -> None:
    class Odd:
        def __repr__(self) -> str:
            return f"Odd({CANARY})"

    masked = Redactor([CANARY]).value({CANARY: [CANARY, (1, None, True, 2.5), {"x": Odd()}]})
    assert {MASK: [MASK, [1, None, True, 2.5], {"x": f"Odd({MASK})"}]} == masked


def test_deeper_values_are_cut() -> None:
    deep: object = "leaf"
    for _ in range(DEPTH_MAX + 1):
        deep = [deep]
    assert "leaf" not in repr(Redactor([CANARY]).value(deep))


def test_longer_secret_is_cut_out_whole() -> None:
    assert f"<{MASK}>" == Redactor(["abcdef", "abcdefgh"]).text("<abcdefgh>")


def test_short_texts_are_no_secrets() -> None:
    assert "abc" == Redactor(["abc"]).text("abc")
    assert ["abc"] == Redactor([]).value(["abc"])


def test_count_of_secrets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "SECRETS_COUNT_MAX", 1)
    redactor = Redactor(["abcdef"])
    with pytest.raises(OverflowError):
        redactor.register("ghijkl")


def test_lines_of_a_secret_are_masked_where_a_trace_indents_them() -> None:
    key = "-----BEGIN KEY-----\nMIIEabcdef0123\nMIIEghijkl4567"
    group = ExceptionGroup("several", [ValueError(key)])
    shown = "".join(traceback.format_exception(group))
    assert "  | MIIEabcdef0123" in shown
    masked = Redactor([key]).text(shown)
    assert "MIIE" not in masked
    assert "BEGIN KEY" not in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"key flow_{'a' * 8}_{'B1' * 16}.", "key ***."),
        ("authorization: Bearer eyJhbGciOi.x-y_z==", "authorization: Bearer ***"),
        ("Basic  dXNlcjpwYXNz", "Basic  ***"),
        ("dial postgres://app:hunter2@db:5432/x", "dial postgres://***@db:5432/x"),
        ("http://h:8080/a@b and Bearer of news", "http://h:8080/a@b and Bearer of news"),
    ],
)
def test_credentials_are_known_by_their_shape(text: str, masked: str) -> None:
    assert masked == Redactor().text(text)


def test_object_whose_repr_raises_is_named_by_its_class() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise KeyError("no")

    assert "<Odd whose repr raised KeyError>" == Redactor().value(Odd())


def test_thousands_of_secrets_are_masked_at_once() -> None:
    secrets = [f"secret-number-{number:05}-x" for number in range(2_000)]
    redactor = Redactor(secrets)
    assert " ".join(["***"] * 2_000) == redactor.text(" ".join(secrets))


def test_secret_given_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "SECRETS_COUNT_MAX", 1)
    assert "***" == Redactor(["abcdef", "abcdef"]).text("abcdef")
