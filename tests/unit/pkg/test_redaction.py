"""Secrets are masked by value, in the encodings in which they usually leak."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

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
