"""The place in a trace, as header and back."""

from __future__ import annotations

import pytest

from pkg.traceparent import Traceparent, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_valid_header_comes_back_as_it_was() -> None:
    for flags in ("00", "01"):
        text = f"00-{TRACE}-{SPAN}-{flags}"
        place = parse_traceparent(text)
        assert Traceparent(int(TRACE, 16), int(SPAN, 16), flags == "01") == place
        assert place is not None
        assert text == place.text


def test_flags_of_later_versions_leave_only_what_is_known() -> None:
    assert Traceparent(int(TRACE, 16), int(SPAN, 16), is_sampled=True) == parse_traceparent(f"42-{TRACE}-{SPAN}-ff")


@pytest.mark.parametrize(
    "text",
    [
        "", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01 ", f"00-{TRACE}-{SPAN}-01\n", f"00-{TRACE}-{SPAN}-0g",
    ],
)  # fmt: skip
def test_header_that_is_not_valid_begins_a_new_trace(text: str) -> None:
    assert parse_traceparent(text) is None
