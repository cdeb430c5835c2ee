"""HTTP to the outside, under the egress guard."""

from driven_adapters.http.addresses import EgressPolicy, parse_allow_list
from driven_adapters.http.egress import EgressClient

__all__ = ["EgressClient", "EgressPolicy", "parse_allow_list"]
