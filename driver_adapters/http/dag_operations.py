"""Every route of DAGs, from the services that they need."""

from __future__ import annotations

import msgspec

from core.access.dag_access import DagAccess
from core.access.dag_batch import DagBatch
from core.access.version_access import VersionAccess
from core.engine.dag_cancel import DagInstances
from core.engine.dry_run.service import DryRuns
from core.engine.service import InstanceService
from driver_adapters.http.dag_catalog_routes import dag_catalog_operations
from driver_adapters.http.dag_change_routes import dag_change_operations
from driver_adapters.http.dag_draft_routes import dag_draft_operations
from driver_adapters.http.dag_instance_routes import dag_instance_operations
from driver_adapters.http.dag_plan_routes import dag_plan_operations
from driver_adapters.http.dag_routes import dag_operations
from driver_adapters.http.dag_version_routes import dag_version_operations
from driver_adapters.http.operation import Operation


class DagServices(msgspec.Struct, frozen=True):
    """What is done with DAGs beside `DagAccess`."""

    versions: VersionAccess
    batch: DagBatch
    of_dag: DagInstances
    dry_runs: DryRuns


def every_dag_operation(dags: DagAccess, services: DagServices, instances: InstanceService) -> list[Operation]:
    """Declare every route under `/dags`, and the catalog of operators."""
    return [
        *dag_operations(dags),
        *dag_change_operations(dags, services.versions, services.batch),
        *dag_version_operations(dags, services.versions),
        *dag_draft_operations(dags, services.versions),
        *dag_instance_operations(services.of_dag, instances),
        *dag_plan_operations(services.dry_runs),
        *dag_catalog_operations(services.versions),
    ]
