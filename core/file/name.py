"""What a file may be called, and what its media type may be."""

from __future__ import annotations

import re
import unicodedata

from core.errors import RequestInvalid

NAME_CHARACTERS_MAX = 255  # what every file system takes when the file is saved there
MEDIA_TYPE_CHARACTERS_MAX = 255
DEFAULT_MEDIA_TYPE = "application/octet-stream"
# Control, format (bidirectional overrides), surrogate and unassigned characters: they hide what a name really is.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|\"[ !#-\[\]-~]*\"))*")


def name_fault(name: str) -> str:
    """Say why a text is no name of a file; the empty string when it is one.

    Slashes part a name as folders would, for listing; it is never a path on a disk. Still `..` and the like are
    refused: whoever saves the file somewhere may take the name for a path.
    """
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        return f"a name has 1..{NAME_CHARACTERS_MAX} characters"
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in name):
        return "a name has no control or invisible characters"
    if "\\" in name:
        return "a name has no backslash"
    if any(part.strip() in {"", ".", ".."} for part in name.split("/")):
        return "the parts of a name between slashes are neither empty nor `.` nor `..`"
    return ""


def check_name(name: str, pointer: str) -> str:
    """Give the name back.

    Raises:
        RequestInvalid: it is none; the fault points at `pointer`.
    """
    if fault := name_fault(name):
        raise RequestInvalid(fault, faults=[{"code": "request.schema", "pointer": pointer, "message": fault}])
    return name


def check_media_type(text: str) -> str:
    """Give the media type back, DEFAULT_MEDIA_TYPE for none.

    Raises:
        RequestInvalid: it is none, RFC 9110 8.3.1; it is sent again in a header, so nothing else may pass.
    """
    if not text:
        return DEFAULT_MEDIA_TYPE
    if len(text) > MEDIA_TYPE_CHARACTERS_MAX or not _MEDIA_TYPE.fullmatch(text):
        message = "a media type is type/subtype with parameters, in ASCII"
        fault = {"code": "request.schema", "pointer": "Content-Type", "message": message}
        raise RequestInvalid(message, faults=[fault])
    return text
