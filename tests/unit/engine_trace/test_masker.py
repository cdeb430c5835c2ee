"""No secret is in a trace file: canaries at every place where a value may stand."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from core.engine.journal import decode_events
from core.engine.state import Indirect, Joined, Reference
from core.engine.trace.file import read_trace, write_trace
from core.engine.trace.masker import Masker
from core.engine.trace.playback import Playback
from core.engine.values import encode_json, hash_of
from tests.unit.engine.plans import run_of
from tests.unit.engine_trace.traced import trace_of

CANARY = "canary-7f3a91"
LONG = CANARY + "x" * 9_000
SECRETIVE = f"""
vars: {{api_key: {CANARY}, plain: p}}
inputs:
  type: object
  properties:
    password: {{type: string, default: {CANARY}, enum: [{CANARY}], minLength: 1, items: {{properties: {{x: {{const: {CANARY}}}, y: true}}}}}}
    count: {{type: integer, default: 1}}
steps:
  - {{id: keep_token, operator: "@data/define", parameters: {{name: token, value: "{{{{ inputs.password }}}}"}}}}
  - {{id: call, operator: "@test/anything", parameters: {{headers: {{Authorization: {CANARY}}}, body: "{{{{ inputs }}}}"}}}}
  - {{id: again, operator: "@test/anything", parameters: {{secret: "{{{{ steps.call.output.long }}}}", list: ["{{{{ vars.api_key }}}}"]}}}}
outputs: {{cookie: "{{{{ steps.call.output.plain }}}}", n: "{{{{ inputs.count }}}}"}}
"""


def masking(text: str) -> str:
    return text.replace(CANARY, "***")


def test_canaries_under_secret_names_and_known_secrets_are_in_no_byte_of_a_file() -> None:
    run = run_of(SECRETIVE, {"password": CANARY})
    run.succeed("call", {"long": {"token": LONG, "ok": "seen"}, "plain": CANARY, "list": [CANARY]})
    run.succeed("again", {"text": f"said {CANARY}", CANARY: 1})
    assert "succeeded" == run.status
    document = msgspec.json.encode({"vars": {"api_key": CANARY}, "description": f"uses {CANARY}"})
    data = write_trace(trace_of(run, masking, document=document))

    body = zlib.decompress(data[60:])
    assert b"canary" not in body
    assert b"seen" in body
    for _, event in ((seq, event) for seq, raw in run.rows for event in decode_events(1, raw)):
        token = getattr(event, "token", None)
        assert token is None or token not in body


def test_masked_trace_still_folds_and_shows_what_is_no_secret() -> None:
    run = run_of(SECRETIVE, {"password": CANARY, "count": 4})
    run.succeed("call", {"long": {"token": LONG, "ok": "seen"}, "plain": "p", "list": []})
    run.succeed("again", {"x": 1})
    playback = Playback(read_trace(write_trace(trace_of(run))))
    stand = playback.stand(playback.seq)

    assert ("succeeded", {"cookie": "***", "n": 4}) == (stand.status, stand.outputs)
    shown = {task.path: task.output for task in stand.tasks}
    assert {"long": {"token": "***", "ok": "seen"}, "plain": "p", "list": []} == shown["call"]


def masked_document(value: Any) -> Any:
    return Masker({}, masking).document(value)


def test_document_keeps_its_form_and_loses_what_is_secret() -> None:
    schema = {
        "type": "string",
        "required": ["x"],
        "default": "d",
        "items": {"properties": {"x": {"const": 1, "type": "number"}, "y": True}},
    }
    document = {
        "inputs": {"properties": {"password": schema, "token": True, "plain": {"default": 1}}},
        "steps": [{"id": "s", "parameters": {"token": {"a": "b"}, "url": "u", "secret": None, "use_token": False}}],
        "vars": {"password": ["x"]},
    }

    assert {
        "inputs": {
            "properties": {
                "password": {
                    "type": "string",
                    "required": ["x"],
                    "items": {"properties": {"x": {"type": "number"}, "y": True}},
                },
                "token": True,
                "plain": {"default": 1},
            }
        },
        "steps": [{"id": "s", "parameters": {"token": "***", "url": "u", "secret": None, "use_token": False}}],
        "vars": {"password": "***"},
    } == masked_document(document)


def test_values_laid_together_are_masked_part_by_part() -> None:
    at = Reference(1, 0, 3, hash_of(b'"a"'))
    inner = Joined("object", (at, b'"b"'), ("password", "plain"))
    data = encode_json(Joined("list", (inner, Indirect(Reference(1, 50, 9, 0)))))
    there = Reference(1, 10, len(data), hash_of(data))
    masker = Masker({at: b'"a"', there: data}, masking)
    moved = masker._value(Indirect(there))
    again = masker._value(Joined("object", (Indirect(there), at), ("x", "token")))
    hidden = masker._value(Joined("object", (Joined("list", (at, at)), Indirect(there)), ("token", "x")))

    assert isinstance(moved, Indirect)
    assert isinstance(again, Joined)
    assert moved == again.parts[0]
    assert isinstance(hidden, Joined)
    shown = b"".join(masker.values.values())
    assert b'"a"' not in shown
    # What is not at hand is named by where it was, without a hash of what it was.
    absent = Reference(9, 9, 9, 9)
    assert Reference(9, 9, 9, 0) == masker._value(absent)
    assert Indirect(Reference(9, 9, 9, 0)) == masker._value(Indirect(absent))


def test_labels_are_masked_by_their_names_and_by_known_secrets() -> None:
    run = run_of(
        "settings: {labels: {session_token: abc, region: canary-7f3a91}}\nsteps: [{id: a, operator: '@debug/noop'}]"
    )
    started = decode_events(1, run.rows[0][1])[0]
    labelled = msgspec.structs.replace(started, labels={"session_token": "abc", "region": CANARY})
    masked = Masker({}, masking).event(labelled)

    assert {"session_token": "***", "region": "***"} == getattr(masked, "labels", None)
