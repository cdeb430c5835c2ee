"""Redaction by value: texts known to be secret are cut out of everything that leaves through a sink."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

MASK = "***"
# A shorter text would cut holes into ordinary words, and is no secret worth the name.
SECRET_CHARACTERS_MIN = 6
# Each sink looks for all of them in each line; beyond this the pattern would cost more than the line.
SECRETS_COUNT_MAX = 10_000
DEPTH_MAX = 64  # deeper values are cut: a log line is no store


class Redactor:
    """Knows secrets and masks them in values, plain and in the encodings in which they usually leak."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know these from the start."""
        self._forms: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.register(secret)

    def register(self, secret: str) -> None:
        """Mask this text from now on; one that is too short is left out.

        Raises:
            OverflowError: SECRETS_COUNT_MAX are known already.
        """
        if len(secret) < SECRET_CHARACTERS_MIN:
            return
        if len(self._forms) >= SECRETS_COUNT_MAX:
            raise OverflowError(f"more than {SECRETS_COUNT_MAX} secrets")
        for form in _forms(secret):
            self._forms[form] = None
        # Longest first, so that a secret that begins with another one is cut out whole.
        self._pattern = re.compile("|".join(re.escape(form) for form in sorted(self._forms, key=len, reverse=True)))

    def text(self, text: str) -> str:
        """Give the text with every known secret masked."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Give a value of plain types with every text in it masked, keys included; other objects by their `repr`."""
        if self._pattern is None or value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth >= DEPTH_MAX:
            return MASK
        if isinstance(value, dict):
            return {self.value(key, depth + 1): self.value(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(inner, depth + 1) for inner in value]
        return self.text(repr(value))


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), raw.hex()}
    for phase in range(3):
        # A secret inside a longer text that is base 64 stands at one of three phases; its first and last group mix
        # with the neighbours, so only the groups between are certain.
        encoded = base64.b64encode(b"\0" * phase + raw).decode()
        inner = encoded[4 if phase else 0 : len(encoded) - 4 if (phase + len(raw)) % 3 else len(encoded)]
        forms.add(inner)
        forms.add(inner.translate(str.maketrans("+/", "-_")))
    return {form for form in forms if len(form) >= SECRET_CHARACTERS_MIN}
