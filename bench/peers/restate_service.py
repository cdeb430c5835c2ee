"""The workloads as a service of Restate's Python SDK; runs in its own environment: `python restate_service.py PORT`.

Every no-op is a durable step (`run_typed`): recorded by the server before the handler goes on.
"""

import asyncio
import sys

import hypercorn.asyncio  # type: ignore[import-not-found] # installed in an environment of its own
import hypercorn.config  # type: ignore[import-not-found] # installed in an environment of its own
import restate  # type: ignore[import-not-found] # installed in an environment of its own


async def nop(number: int) -> int:
    """Do nothing."""
    return number


async def chain(ctx: restate.Context, steps: int) -> int:
    """W1: steps one after the other."""
    for number in range(steps):
        await ctx.run_typed(f"step {number}", nop, number=number)
    return steps


async def fan(ctx: restate.Context, steps: int) -> int:
    """W2: one, many at once, one."""
    await ctx.run_typed("first", nop, number=0)
    middle = [ctx.run_typed(f"middle {number}", nop, number=number) for number in range(steps)]
    await restate.gather(*middle)
    last: int = await ctx.run_typed("last", nop, number=steps)
    return last


async def single(ctx: restate.Context, number: int) -> int:
    """W3 and W4: one step."""
    only: int = await ctx.run_typed("only", nop, number=number)
    return only


def build_app() -> object:
    """Give the application with its three handlers."""
    service = restate.Service("Bench")
    for handler in (chain, fan, single):
        service.handler()(handler)
    return restate.app([service])


if __name__ == "__main__":
    settings = hypercorn.config.Config()
    settings.bind = [f"127.0.0.1:{sys.argv[1]}"]
    asyncio.run(hypercorn.asyncio.serve(build_app(), settings))
