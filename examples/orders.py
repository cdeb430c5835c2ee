"""`orders.yaml` in Python: the same document. `python examples/orders.py` prints it as YAML."""

from __future__ import annotations

from flow_automation import (
    Dag,
    Step,
    StepList,
    bare,
    call,
    filtered,
    inputs,
    integer,
    item,
    mapped,
    number,
    record,
    size,
    text,
)


def build() -> Dag:
    """Give the DAG."""
    dag = Dag(
        "Orders by region",
        description="Fetches orders, keeps those that were paid, groups them by region and books each region's result.",
        tags=["orders", "example"],
        inputs=record(
            {
                "base_url": text(default="http://127.0.0.1:8084"),
                "busy_from": integer(minimum=0, default=2000),
                "large_from": number(minimum=0, default=200_000),
            },
            is_closed=True,
        ),
    )
    fetch = dag.step("fetch", "@http/request", {"url": f"{inputs.base_url}/orders"}, title="Fetch all orders")
    paid = dag.step(
        "paid",
        "@data/transform",
        {
            "items": fetch.output.body,
            "filter": bare((item.status == "paid") | (item.status == "shipped")),
            "pick": ["id", "region", "currency", "total"],
        },
        title="Keep what was paid",
    )
    by_region = dag.step(
        "by_region",
        "@data/transform",
        {"items": paid.output, "group_by": bare(item.region)},
        title="Group by region",
    )
    load = _tell_load(dag, paid)
    regions = dag.map(
        "regions",
        mapped(by_region.output, lambda region: {"region": region, "orders": by_region.output[region]}),
        max_concurrency=4,
        title="Book each region",
    )
    regions.outputs(_book(regions.steps()))
    dag.outputs(
        {
            "orders_count": size(fetch.output.body),
            "paid_count": size(paid.output),
            "load": load.output.value,
            "regions": regions.output,
            "large": mapped(
                filtered(regions.output, lambda region: region.is_large),
                lambda region: region.region,
            ),
        }
    )
    return dag


def _tell_load(dag: Dag, paid: Step) -> Step:
    load = dag.branch("load", mode="first", title="How busy was it?")
    count = size(paid.output)
    for name, steps in (
        ("busy", load.case("busy", count >= inputs.busy_from)),
        ("quiet", load.otherwise()),
    ):
        told = {"template": f"{name}: {{count}} paid orders", "values": {"count": count}}
        steps.step(f"tell_{name}", "@text/template", told)
    return load


def _book(region: StepList) -> dict[str, object]:
    """Add the steps of one region; gives what each of them hands on."""
    book = region.step(
        "book",
        "@http/request",
        {
            "method": "POST",
            "url": f"{inputs.base_url}/results/{call('url_encode', item.region)}",
            "json": {"region": item.region, "orders": item.orders},
        },
        title="Hand over the result",
        # The service refuses the first call of every result with 503: the second attempt, with the same key, is taken.
        retry={"max_attempts": 5, "delay_s": 0.2, "backoff": 2, "max_delay_s": 5, "jitter": "full"},
    )
    booked = book.output.body
    rate = region.branch("rate", mode="first", title="Is the total large?")
    with rate.case("large", booked.total >= inputs.large_from) as large:
        message = f"{item.region} sold for {booked.total} {item.orders[0].currency}"
        large.step("note_large", "@debug/log", {"message": message})
    return {
        "region": item.region,
        "status": book.output.status,
        "attempts": book.attempts,
        "orders": booked.orders_count,
        "total": booked.total,
        "currency": item.orders[0].currency,
        "is_large": rate.output.branch == "large",
    }


if __name__ == "__main__":
    print(build().to_yaml(), end="")
