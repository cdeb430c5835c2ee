"""Ten thousand broken DAGs: a typed error for each, pointing where the mutation was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from core.dag.parse import parse_dag
from core.errors import DagInvalid, DagUndecodable
from tests.dags.catalog import catalog
from tests.dags.corpus import valid_values
from tests.figures import figure
from tests.mutation_corpus import mutations
from tests.mutation_corpus.mutate import KINDS, Mutant, encoded, mutants

SEED = 20_260_131
COUNT = 10_000
POINTED_SHARE_MIN = 0.99
VALID_SHARE_MAX = 0.20
CATALOG = catalog()


def found_in(number: int, mutant: Mutant) -> list[Mapping[str, Any]]:
    """Give the faults of a mutant, none when it is valid."""
    try:
        parse_dag(encoded(number, mutant)[0], catalog=CATALOG)
    except (DagInvalid, DagUndecodable) as error:
        return list(error.faults)
    return []


def test_ten_thousand_mutants_give_typed_faults_that_point_at_the_mutation() -> None:
    pointed, valid, faults_count, missed = 0, 0, 0, Counter[str]()
    for number, mutant in enumerate(mutants(SEED, COUNT, valid_values())):
        faults = found_in(number, mutant)
        assert all(fault["line"] >= 1 and fault["column"] >= 1 for fault in faults), mutant
        places = {(fault["code"], fault["pointer"]) for fault in faults}
        faults_count += len(places)
        if not places:
            valid += 1
        elif (mutant.code, mutant.pointer) in places:
            pointed += 1
        else:
            missed[f"{mutant.kind} of {mutant.origin}: {mutant.code} {mutant.pointer} not in {sorted(places)}"] += 1
    broken = COUNT - valid
    ok = pointed >= POINTED_SHARE_MIN * broken and valid <= VALID_SHARE_MAX * COUNT
    figure(
        "bad_input_pointed",
        round(pointed / broken, 4),
        ">= 0.99",
        ok,
        n=COUNT,
        valid=valid,
        kinds=len(KINDS),
        faults_per_mutant=round(faults_count / broken, 2),
        seed=SEED,
    )
    assert ok, missed.most_common(20)


def test_mutator_breaks_dags_in_at_least_twenty_five_ways() -> None:
    assert 25 <= len(KINDS)
    assert mutations.__name__ in {mutation.__module__ for mutation in KINDS.values()}
