"""What the owner of a shard finds in its inbox: starts and commands that others stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import StoreFull
from core.ports.instance_store import TERMINAL_STATUSES, Ingested, NewStart
from driven_adapters.sqlite.instance_rows import instance_values, label_values
from driven_adapters.sqlite.permits import GatePassing
from driven_adapters.sqlite.stamps import to_stamp
from driven_adapters.sqlite.statements import RowsStatement, load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import NewCommand
    from driven_adapters.sqlite.transaction import Transaction


class Ingest:
    """Starts and commands for the owners of their shards: rare on this store, so one statement per row will do."""

    def __init__(self) -> None:
        texts = load_statements("engine/commit.sql")
        self._sql = {name: RowsStatement(text) for name, text in texts.items()}
        self._gates = GatePassing()

    def run(self, tx: Transaction, items: Sequence[NewStart | NewCommand]) -> list[Ingested]:
        """Take the items in, in their order.

        Raises:
            StoreFull: the log is at its bound; nothing was taken in.
        """
        if tx.is_wal_full:
            raise StoreFull("the write-ahead log is at its bound: nothing is taken in until it was copied")
        return [self._take(tx, item) for item in items]

    def _take(self, tx: Transaction, item: NewStart | NewCommand) -> Ingested:
        if isinstance(item, NewStart):
            return self._take_start(tx, item)
        place = [item.domain_id, item.source, item.key]
        found = tx.rows_of(self._sql["find_seen"], place)
        if found and found[0][3] > to_stamp(item.at):
            return Ingested("duplicate", item.instance_id, found[0][4])
        tx.write_rows(self._sql["insert_seen"], [*place, to_stamp(item.seen_expires_at), item.req_hash])
        self._put_inbox(tx, item, item.instance_id, (item.domain_id, item.shard, item.key))
        return Ingested("accepted", item.instance_id)

    def _take_start(self, tx: Transaction, item: NewStart) -> Ingested:
        row, key = item.row, item.start_key
        if key is not None:
            place = [key.domain_id, key.trigger, key.key]
            found = tx.rows_of(self._sql["find_start_keys"], place)
            if found:
                return Ingested("duplicate", found[0][3], found[0][4])
        elif tx.rows_of(self._sql["find_instances"], [row.id]):
            return Ingested("duplicate", row.id)
        if item.seeks is not None and not self._gates.is_free(tx, item.seeks):
            return Ingested("full", row.id)
        if key is not None:
            named = [key.domain_id, key.trigger, key.key, key.instance_id, key.req_hash]
            tx.write_rows(self._sql["insert_start_keys"], named)
        [(_, n)] = tx.rows_of(self._sql["insert_instances"], list(instance_values(row)))
        tx.write_rows(self._sql["insert_labels"], label_values(row, n))
        for payload in item.payloads:
            values = [n, payload.seq, payload.part, row.domain_id, payload.body]
            tx.write_rows(self._sql["insert_payloads"], values)
        self._put_inbox(tx, item, row.id, (row.domain_id, row.shard, row.id if key is None else key.key))
        return Ingested("accepted", row.id)

    def pass_on(self, tx: Transaction, item: NewStart | NewCommand) -> None:
        """Take in what a commit starts, or tells an instance that is there and has not ended."""
        if isinstance(item, NewStart):
            self._take_start(tx, item)
            return
        found = tx.rows_of(self._sql["find_instances"], [item.instance_id])
        if found and found[0][3] not in TERMINAL_STATUSES:
            self._put_inbox(tx, item, item.instance_id, (item.domain_id, item.shard, item.key))

    def _put_inbox(
        self, tx: Transaction, item: NewStart | NewCommand, instance_id: str, place: tuple[str, int, str]
    ) -> None:
        domain_id, shard, key = place
        values = [shard, domain_id, item.source, key, instance_id, item.kind, item.body, to_stamp(item.at)]
        tx.write_rows(self._sql["insert_inbox"], values)
