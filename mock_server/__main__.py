"""`python -m mock_server --port 8084 --ledger FILE`: serve on the loopback address until told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

import uvicorn

from mock_server.app import ORDERS_FILE, build_app
from mock_server.ledger import Ledger

HOST = "127.0.0.1"  # a stand-in has no guard of its own: nobody else may reach it
PORT = 8084


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m mock_server", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"port on {HOST} (default {PORT})")
    parser.add_argument("--ledger", type=Path, default=None, help="file that gets one JSON line per call")
    parser.add_argument("--orders", type=Path, default=ORDERS_FILE, help="JSON file with the orders to serve")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end with the process that holds the other end of standard input",
    )
    arguments = parser.parse_args()
    if arguments.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    with Ledger(arguments.ledger) as ledger:
        uvicorn.run(
            build_app(ledger, arguments.orders), host=HOST, port=arguments.port, log_level="warning", access_log=False
        )


def _end_with_stdin() -> None:
    """Stop when standard input ends: also a killed parent, which can tell nobody, closes it."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
