"""Tenant and principal of a request."""

from __future__ import annotations

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """Who acts: `kind` is `key`, `user`, `application` or `system`; `id` is unique within the business domain.

    `roles` are those in the scope's business domain; `core.access.permission` says what each may do.
    """

    id: str
    kind: str
    name: str
    roles: tuple[str, ...] = ()


class Scope(msgspec.Struct, frozen=True):
    """The business domain that a request may see and the principal that it acts for."""

    domain_id: str
    principal: Principal
