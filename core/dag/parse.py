"""Document -> `Dag`, with all faults at once (semantics.md S54)."""

from __future__ import annotations

from core.dag.availability import check_availability
from core.dag.builder import build_dag
from core.dag.catalog import Catalog
from core.dag.document import Document, Format, read_document
from core.dag.fault import Faults, as_document
from core.dag.lists import Orders, check_order
from core.dag.model import Dag
from core.dag.policy import check_ids, check_policies
from core.dag.reference import References
from core.dag.trigger import check_triggers
from core.dag.variable import check_variables
from core.dag.walk import Walk
from core.errors import DagInvalid


def parse_dag(data: bytes, *, format: Format | None = None, catalog: Catalog) -> Dag:  # noqa: A002 - the API's word
    """Read and check a document.

    Args:
        data: YAML of at most 256 KiB or JSON of at most 1 MiB, UTF-8.
        format: None = JSON when the first character is `{`, else YAML.
        catalog: every operator by name, as `language_catalog` gives it.

    Raises:
        DagUndecodable: not YAML or JSON as S54 wants it: one fault `dag.syntax`.
        DagInvalid: every fault, in the order of the text: {code, pointer, message, hint?, allowed?, line, column}.
    """
    return parse_document(read_document(data, format), catalog=catalog)


def parse_document(document: Document, *, catalog: Catalog) -> Dag:
    """Check a document that was read.

    Raises:
        DagInvalid: every fault found, in the order of the text.
    """
    faults = Faults()
    walk = Walk(catalog, faults)
    walk.check_document(document.value)
    if isinstance(document.value, dict) and not walk.is_too_large:
        orders = Orders()
        dag = build_dag(document.value, faults)
        check_ids(dag, faults)
        check_order(dag, orders, faults)
        check_policies(dag, faults)
        check_variables(dag, orders, faults)
        check_triggers(dag, walk)
        references = References(dag, catalog, orders, faults)
        references.check()
        check_availability(dag, catalog, references.sealed, faults)
        if not faults:
            return dag
    shown = as_document(document.placed(faults.found))
    raise DagInvalid(f"the DAG has {len(shown)} fault{'s' if len(shown) > 1 else ''}", faults=shown)
