"""Permissions: resource types, operations, and what each role may do (security.md 2).

Use cases ask here; drivers never decide.
"""

from __future__ import annotations

from typing import Literal

from core.errors import NotAllowed
from core.ports.scope import Scope

ResourceType = Literal["dag", "instance", "operator", "file", "audit", "approval"]
Operation = Literal["list", "view", "create", "run", "modify", "delete"]

ADMINISTRATOR = "administrator"
ROLE_COUNT_MAX = 16  # of one principal; every request looks at each

_ROLES: dict[str, frozenset[tuple[str, str]]] = {
    ADMINISTRATOR: frozenset(
        {
            ("dag", "list"), ("dag", "view"), ("dag", "create"), ("dag", "run"), ("dag", "modify"), ("dag", "delete"),
            ("operator", "list"),
            ("instance", "list"), ("instance", "view"), ("instance", "modify"),
            ("approval", "list"), ("approval", "modify"),
            ("file", "list"), ("file", "view"), ("file", "create"), ("file", "delete"),
            ("audit", "list"),
        }
    ),
    "viewer": frozenset(
        {
            ("dag", "list"), ("dag", "view"), ("instance", "list"), ("instance", "view"), ("operator", "list"),
            ("file", "list"), ("file", "view"),
        }
    ),
    "runner": frozenset(
        {
            ("dag", "list"), ("dag", "view"), ("dag", "run"), ("instance", "list"), ("instance", "view"),
            ("operator", "list"),
            ("file", "list"), ("file", "view"), ("file", "create"),
        }
    ),
    "approver": frozenset(
        {
            ("dag", "list"), ("dag", "view"), ("instance", "list"), ("instance", "view"),
            ("approval", "list"), ("approval", "modify"),
        }
    ),
}  # fmt: skip
ROLES = frozenset(_ROLES)


def require(scope: Scope, resource: ResourceType, operation: Operation) -> None:
    """Pass when one of the principal's roles holds the permission within the scope's business domain.

    Raises:
        NotAllowed: none does; the detail names the permission that is missing and the roles that were looked at.
    """
    for role in scope.principal.roles:
        if (resource, operation) in _ROLES.get(role, ()):
            return
    roles = ", ".join(scope.principal.roles) or "none"
    raise NotAllowed(
        f"the permission {resource}:{operation} is missing (roles: {roles})",
        permission=f"{resource}:{operation}",
    )
