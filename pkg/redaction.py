"""Redaction by value: texts known to be secret are cut out of everything that leaves through a sink.

Beside them, what is a credential by its shape alone is cut out: keys of this product, `Authorization` values and
passwords in addresses.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
# A shorter text would cut holes into ordinary words, and is no secret worth the name.
SECRET_CHARACTERS_MIN = 6
# Some 20 forms of each are kept; 10 000 of them are 60 MB.
SECRETS_COUNT_MAX = 10_000
# Of different beginnings that one pattern looks for: some hundred secrets have as many. A pattern of more takes long to
# compile; texts are then looked at character by character, which takes longer.
BEGINNINGS_MAX = 2_000
DEPTH_MAX = 64  # deeper values are cut: a log line is no store

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"flow_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}"), MASK),
    (re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1\2{MASK}"),
    (re.compile(r"(?<=://)[^/\s:@\"']{0,255}:[^/\s@\"']{1,255}(?=@)"), MASK),
)


class Redactor:
    """Knows secrets and masks them in values, plain and in the encodings in which they usually leak."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know these from the start."""
        # By their first SECRET_CHARACTERS_MIN characters, longest first: looking for 10 000 takes as long as for one.
        self._forms: dict[str, list[str]] = {}
        self._known: set[str] = set()
        # What looks for them, and of how many it was made: threads log while others register.
        self._search = (0, re.compile("(?!)"))
        for secret in secrets:
            self.register(secret)

    def register(self, secret: str) -> None:
        """Mask this text from now on, and each of its lines; one that is too short is left out.

        Raises:
            OverflowError: SECRETS_COUNT_MAX are known already.
        """
        if len(secret) < SECRET_CHARACTERS_MIN or secret in self._known:
            return
        if len(self._known) >= SECRETS_COUNT_MAX:
            raise OverflowError(f"more than {SECRETS_COUNT_MAX} secrets")
        self._known.add(secret)
        # A trace of nested exceptions indents every line of a message, and cuts a secret of several lines into these.
        for text in {secret, *secret.splitlines()}:
            for form in _forms(text):
                forms = self._forms.setdefault(form[:SECRET_CHARACTERS_MIN], [])
                if form not in forms:
                    forms.append(form)
                    forms.sort(key=len, reverse=True)

    def text(self, text: str) -> str:
        """Give the text with every known secret, and every credential by its shape, masked."""
        masked = "".join(self._parts(text)) if self._forms else text
        for shape, replacement in _SHAPES:
            masked = shape.sub(replacement, masked)
        return masked

    def _parts(self, text: str) -> Iterator[str]:
        at = kept_to = 0
        while (at := self._next(text, at)) <= len(text) - SECRET_CHARACTERS_MIN:
            forms = self._forms.get(text[at : at + SECRET_CHARACTERS_MIN], ())
            found = next((form for form in forms if text.startswith(form, at)), None)
            if found is None:
                at += 1
                continue
            yield text[kept_to:at]
            yield MASK
            at = kept_to = at + len(found)
        yield text[kept_to:]

    def _next(self, text: str, at: int) -> int:
        """Give the first place from `at` on where a secret may begin; the end of the text when there is none."""
        if len(self._forms) > BEGINNINGS_MAX:
            return at
        count, pattern = self._search
        if count != len(self._forms):
            beginnings = list(self._forms)
            pattern = re.compile(_pattern_of(beginnings))
            self._search = (len(beginnings), pattern)
        found = pattern.search(text, at)
        return len(text) if found is None else found.start()

    def value(self, value: Any, depth: int = 0) -> Any:
        """Give a value of plain types with every text in it masked, keys included; other objects by their `repr`."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth >= DEPTH_MAX:
            return MASK
        if isinstance(value, dict):
            return {self.value(key, depth + 1): self.value(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(inner, depth + 1) for inner in value]
        return self.text(_shown(value))


def _pattern_of(beginnings: Iterable[str]) -> str:
    """Give a pattern that looks for all of them at once: of those that begin alike, the beginning stands in it once.

    All are as long as each other.
    """
    following: dict[str, list[str]] = {}
    for beginning in beginnings:
        following.setdefault(beginning[:1], []).append(beginning[1:])
    parts = [re.escape(first) + (_pattern_of(rest) if rest[0] else "") for first, rest in following.items()]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as fault:  # noqa: BLE001 - a foreign object's `repr` may raise anything, and the line must be written
        return f"<{type(value).__name__} whose repr raised {type(fault).__name__}>"


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret)}
    forms |= {repr(secret)[1:-1], repr(raw)[2:-1], secret.encode("unicode_escape").decode("ascii")}
    forms |= {quote(raw, safe=""), quote(raw), quote_plus(raw), quote(raw, safe="").lower()}
    forms |= {raw.hex(), raw.hex().upper()}
    for phase in range(3):
        # A secret inside a longer text that is base 64 stands at one of three phases; its first and last group mix
        # with the neighbours, so only the groups between are certain.
        encoded = base64.b64encode(b"\0" * phase + raw).decode()
        inner = encoded[4 if phase else 0 : len(encoded) - 4 if (phase + len(raw)) % 3 else len(encoded)]
        forms.add(inner)
        forms.add(inner.translate(str.maketrans("+/", "-_")))
    return {form for form in forms if len(form) >= SECRET_CHARACTERS_MIN}
