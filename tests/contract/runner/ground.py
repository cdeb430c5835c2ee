"""What attacks are aimed at: a secret, a folder, servers, this process. Each attack's evidence is gathered afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any, Self

CANARY = f"canary-{secrets.token_hex(8)}"
_KEPT = "kept"


class Ground:
    """A context: makes everything, open to every user of the host, so that only the sandbox stands in the way."""

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="flow-ground-", dir="/tmp"))
        self._root.chmod(0o755)
        self.secret_file = self._root / "secret"
        self.secret_file.write_text(CANARY)
        self.secret_file.chmod(0o644)
        self.folder = self._root / "open"
        os.environ["FLOW_CANARY"] = CANARY
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._unix.bind(str(self._root / "socket"))
        (self._root / "socket").chmod(0o777)
        self._abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._abstract.bind(f"\0{CANARY}-name")
        for server in (self._tcp, self._udp, self._unix, self._abstract):
            server.setblocking(False)
        self.reset()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._tcp, self._udp, self._unix, self._abstract):
            server.close()
        del os.environ["FLOW_CANARY"]
        shutil.rmtree(self._root)

    def reset(self) -> None:
        """Make the folder anew and forget what the servers got."""
        if self.folder.exists():
            self.folder.chmod(0o777)
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        (self.folder / _KEPT).write_text("as it was")
        (self.folder / "planted.py").write_text(f"VALUE = {CANARY!r}")
        for path in (self.folder / _KEPT, self.folder, self.folder / "planted.py"):
            path.chmod(0o777)
        self._received()

    def inputs(self) -> dict[str, Any]:
        """What an attack is told."""
        return {
            "secret_file": str(self.secret_file),
            "folder": str(self.folder),
            "port": self._tcp.getsockname()[1],
            "udp_port": self._udp.getsockname()[1],
            "unix_path": str(self._root / "socket"),
            "abstract": f"{CANARY}-name",
            "engine_pid": os.getpid(),
        }

    def evidence(self, told: str) -> list[str]:
        """Say how an attack got out; `told` = everything that it gave and wrote."""
        # The program is told the name of the abstract socket, which has the canary in it.
        found = ["it tells the canary"] if CANARY in told.replace(f"{CANARY}-name", "") else []
        found += [f"a canary server got something: {name}" for name in self._received()]
        names = {path.name for path in self.folder.iterdir()} - {_KEPT, "planted.py", "__pycache__"}
        found += [f"it made {name}" for name in sorted(names)]
        kept = self.folder / _KEPT
        if not kept.exists() or kept.read_text() != "as it was":
            found.append("it changed a file")
        if self.folder.stat().st_mode & 0o777 != 0o777:
            found.append("it changed a mode")
        return found

    def _received(self) -> list[str]:
        got = []
        with contextlib.suppress(BlockingIOError):
            self._tcp.accept()[0].close()
            got.append("tcp")
        for name, server in (("udp", self._udp), ("unix", self._unix), ("abstract", self._abstract)):
            with contextlib.suppress(BlockingIOError):
                server.recv(99)
                got.append(name)
        return got


def left_processes(known: set[int], engine: int | None = None) -> list[str]:
    """List living processes of runs of an engine, None = this process, which are none of the `known` groups."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if f"run of engine {engine or os.getpid()}" in command and state != "Z" and int(group) not in known:
            found.append(f"{folder.name} {command[-60:]!r}")
    return found


def unconfined(code: str, inputs: dict[str, Any]) -> str:
    """Give the program that runs an attack without any sandbox and tells what it gave."""
    return f"import json\n{code}\nprint(main(**json.loads({json.dumps(inputs)!r})))"
