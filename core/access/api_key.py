"""API keys: `flow_<prefix>_<secret>`; how they are made, taken apart and hashed.

The prefix is public and finds the row; the secret proves the key. Only a keyed hash of the whole key is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator

import msgspec

from core.ports.clock import Dice

PREFIX_LENGTH = 8  # 47 bits: two keys of one store share a prefix about never, and it is no harm when they do
SECRET_LENGTH = 32  # 190 bits: more than the hash resists
_SYMBOLS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Bytes from here on are drawn again: 256 is no multiple of 62, and taking them would make some symbols likelier.
_FAIR_BYTES = 256 - 256 % len(_SYMBOLS)
_FORM = re.compile(rf"flow_([0-9A-Za-z]{{{PREFIX_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}", re.ASCII)


class NewKey(msgspec.Struct, frozen=True):
    """A key as its owner gets it, once. Its `repr` shows the prefix only."""

    prefix: str
    text: str

    def __repr__(self) -> str:
        return f"NewKey(prefix={self.prefix!r}, text='***')"


def mint_key(dice: Dice) -> NewKey:
    """Make a key out of unpredictable bytes."""
    symbols = _symbols(dice)
    prefix = "".join(next(symbols) for _ in range(PREFIX_LENGTH))
    secret = "".join(next(symbols) for _ in range(SECRET_LENGTH))
    return NewKey(prefix, f"flow_{prefix}_{secret}")


def key_prefix(text: str) -> str | None:
    """Give the public prefix of a text that has the form of a key, else None."""
    found = _FORM.fullmatch(text)
    return found.group(1) if found else None


def hash_key(text: str, pepper: bytes) -> bytes:
    """Give the HMAC-SHA-256 of the whole key under the store's pepper; `text` is ASCII."""
    return hmac.digest(pepper, text.encode("ascii"), hashlib.sha256)


def _symbols(dice: Dice) -> Iterator[str]:
    while True:
        for byte in dice.seed():
            if byte < _FAIR_BYTES:
                yield _SYMBOLS[byte % len(_SYMBOLS)]
