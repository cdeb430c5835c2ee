"""Tokens of callbacks: whose wait is meant, and a proof that nobody makes without the instance's secret (ADR 0027).

`<instance id>~<task path>~<proof>`: the first two say where to look, the third is a keyed hash of the path.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import msgspec

SECRET_BYTES = 32
PROOF_BYTES = 24  # 192 bits: more than the seed of 128 that the secret comes from
_TOKEN = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})~([A-Za-z0-9_.]{1,1024})~([A-Za-z0-9_-]{32})", re.ASCII)


class CallbackToken(msgspec.Struct, frozen=True):
    """A text that has the form of a token; whether it is one, its instance says. Its `repr` does not show the proof."""

    instance_id: str
    path: str
    proof: bytes

    def __repr__(self) -> str:
        return f"CallbackToken({self.instance_id!r}, {self.path!r}, '***')"


def secret_of(seed: bytes, instance_id: str) -> bytes:
    """Draw an instance's secret: blake2b of the decision's seed (engine.md 2), recorded by its start."""
    return hashlib.blake2b(instance_id.encode(), digest_size=SECRET_BYTES, key=seed, person=b"callbacks").digest()


def token_of(instance_id: str, secret: bytes, path: str) -> str:
    """Make the token of the wait at a task path."""
    return f"{instance_id}~{path}~{base64.urlsafe_b64encode(_proof(secret, path)).decode()}"


def read_token(text: str) -> CallbackToken | None:
    """Take a token apart; None when it has not the form of one."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        return None
    return CallbackToken(found[1], found[2], base64.urlsafe_b64decode(found[3]))  # 32 symbols are always 24 bytes


def is_proven(secret: bytes, path: str, proof: bytes) -> bool:
    """Say whether the proof is that of this path; takes the same time for every wrong one."""
    return bool(secret) and hmac.compare_digest(_proof(secret, path), proof)


def _proof(secret: bytes, path: str) -> bytes:
    return hashlib.blake2b(path.encode(), digest_size=PROOF_BYTES, key=secret, person=b"proof").digest()
