"""The one way in which a program of this project runs its main coroutine, and learns that it is to stop."""

import asyncio
import gc
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_main(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and leave in good order.

    Temporal's SDK aborts some processes at exit when Python finalises before its objects are collected
    (temporalio/sdk-python#300): 5 to 28 % of short runs, none with a collection first.
    """
    try:
        return asyncio.run(main)
    finally:
        gc.collect()


async def until_signalled() -> None:
    """Wait for SIGTERM or SIGINT."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    try:
        await signalled.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
