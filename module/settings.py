"""Settings: `.env` < `.env.local` < environment; every fault is reported at once, with the name it may have meant.

`NAME_FILE` gives the path of a file that holds the value of NAME, for mounted secrets.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from dotenv import dotenv_values

from core.access.request_rates import (
    DENIED_PER_MINUTE_DEFAULT,
    DOMAIN_PER_MINUTE_DEFAULT,
    KEY_PER_MINUTE_DEFAULT,
)
from core.errors import ErrorKind, FlowError
from core.executor.retry_budget import RETRY_RESERVE_PER_S_DEFAULT, RETRY_SHARE_DEFAULT
from core.file.files import FILE_BYTES_MAX_DEFAULT

PORT_MAX = 65_535
VALUE_BYTES_MAX = 65_536  # of a mounted file; a setting is a line
MASK = "***"
_FILES = (".env", ".env.local")
_LIKENESS_MIN = 0.6  # difflib's own default; below it a proposal confuses

Port = Annotated[int, msgspec.Meta(ge=0, le=PORT_MAX)]
Rate = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]  # a thousand times what a node can serve in a minute


class SettingsInvalid(FlowError):
    """The process cannot start with these settings; `faults` lists every one with its name."""

    kind, slug, title = ErrorKind.INVALID, "settings-invalid", "Settings are not valid"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told from outside. Port 0 takes a free one (tests).

    Attributes:
        env: `production` refuses values that are fit for development only.
        public_url: how callers outside reach the public server, for the URLs of callbacks; empty = its address here.
        bind_host: address that both servers listen on.
        store: which journal store. data_dir: its folder. shard_count: fixed when the store is made.
        egress_allow: host:port pairs on private addresses that operators may call.
        file_bytes_max: of one file that is uploaded or written by a step.
        rate_key_per_minute: requests of one API key. rate_domain_per_minute: of one business domain.
        rate_denied_per_minute: requests of one address without a valid key. 0 = no limit, of all three.
        retry_reserve_per_s: retries of one business domain that begin in a second. retry_share: and per first call.
        grace_s: how long attempts may go on after the process was told to stop.
        otlp_endpoint: where traces go, base address of an OTLP receiver over HTTP; empty = no traces.
        otlp_headers: `name=value` pairs for that receiver. trace_share: part of new traces that is kept, 0..1.
        crash_at: `name:n`, ends the process like a power cut when store or node reaches that point the n-th time.
    """

    env: Literal["development", "production"] = "production"
    http_port: Port = 8082
    http_private_port: Port = 8083
    http_prefix: Annotated[str, msgspec.Meta(pattern=r"^(/[A-Za-z0-9_-]+)+$", max_length=128)] = "/api/automation/v1"
    public_url: Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s@?#]+[^\s@?#/])?$", max_length=2048)] = ""
    bind_host: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z.:-]+$", max_length=255)] = "127.0.0.1"
    store: Literal["sqlite"] = "sqlite"
    data_dir: Path = Path("./data")
    shard_count: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64
    attempts_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 512
    file_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=1024**4)] = FILE_BYTES_MAX_DEFAULT
    rate_key_per_minute: Rate = KEY_PER_MINUTE_DEFAULT
    rate_domain_per_minute: Rate = DOMAIN_PER_MINUTE_DEFAULT
    rate_denied_per_minute: Rate = DENIED_PER_MINUTE_DEFAULT
    retry_reserve_per_s: Annotated[float, msgspec.Meta(ge=0.1, le=1_000_000)] = RETRY_RESERVE_PER_S_DEFAULT
    retry_share: Annotated[float, msgspec.Meta(ge=0, le=1000)] = RETRY_SHARE_DEFAULT
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 25.0
    egress_allow: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s@]+)?$", max_length=2048)] = ""
    otlp_headers: Annotated[str, msgspec.Meta(pattern=r"^([!-~]+=[ -~]*)?$", max_length=8192)] = ""
    trace_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://", max_length=2048)] = "http://127.0.0.1:8082"
    api_key: str = ""
    crash_at: Annotated[str, msgspec.Meta(pattern=r"^([a-z_]+:[1-9][0-9]{0,8})?$")] = ""

    @property
    def callback_url(self) -> str:
        """Give what the token of a callback is put behind."""
        host = f"[{self.bind_host}]" if ":" in self.bind_host else self.bind_host
        return f"{self.public_url or f'http://{host}:{self.http_port}'}{self.http_prefix}/callbacks/"


# Name of each setting and the field it fills; `.env` explains them.
NAMES: dict[str, str] = {
    "FLOW_ENV": "env",
    "API_SERVER_PORT": "http_port",
    "API_SERVER_PRIVATE_PORT": "http_private_port",
    "API_PREFIX": "http_prefix",
    "FLOW_PUBLIC_URL": "public_url",
    "FLOW_BIND_HOST": "bind_host",
    "FLOW_STORE": "store",
    "FLOW_DATA_DIR": "data_dir",
    "FLOW_SHARD_COUNT": "shard_count",
    "FLOW_ATTEMPTS_MAX": "attempts_max",
    "FLOW_FILE_BYTES_MAX": "file_bytes_max",
    "FLOW_RATE_KEY_PER_MINUTE": "rate_key_per_minute",
    "FLOW_RATE_DOMAIN_PER_MINUTE": "rate_domain_per_minute",
    "FLOW_RATE_DENIED_PER_MINUTE": "rate_denied_per_minute",
    "FLOW_RETRY_RESERVE_PER_S": "retry_reserve_per_s",
    "FLOW_RETRY_SHARE": "retry_share",
    "FLOW_GRACE_S": "grace_s",
    "FLOW_EGRESS_ALLOW": "egress_allow",
    "FLOW_LOG_LEVEL": "log_level",
    "FLOW_OTLP_ENDPOINT": "otlp_endpoint",
    "FLOW_OTLP_HEADERS": "otlp_headers",
    "FLOW_TRACE_SHARE": "trace_share",
    "FLOW_URL": "url",
    "FLOW_API_KEY": "api_key",
    "FLOW_CRASH_AT": "crash_at",
}
# Of the client and of tests: set where they are used, so `.env` has no line for them.
NAMES_OF_CALLERS = frozenset({"FLOW_URL", "FLOW_API_KEY", "FLOW_CRASH_AT"})
_SECRETS = frozenset({"FLOW_API_KEY", "FLOW_OTLP_HEADERS"})
_OF_TOOLS = frozenset({"FLOW_FIGURES", "FLOW_PLANT"})  # read by the Makefile's programs, not by this process
_OF_LATER_RELEASES = frozenset({"FLOW_RELATIONAL", "FLOW_BUS", "FLOW_CACHE", "FLOW_RUNNER", "FLOW_SECRET_STORE"})
_EGRESS_ENTRY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}")
_HINTS = get_type_hints(Settings, include_extras=True)


def read_settings(environment: Mapping[str, str], folder: Path) -> Settings:
    """Read the two files of `folder` and the environment over them.

    Raises:
        SettingsInvalid: unknown names, wrong values, unreadable files, values unfit for production.
    """
    faults: list[dict[str, str]] = []
    texts: dict[str, str] = {}
    for source in (*(_file_values(folder / name) for name in _FILES), environment):
        _take_source(source, texts, faults)
    values: dict[str, Any] = {}
    for name, text in texts.items():
        _convert(name, text, values, faults)
    settings = Settings(**values)
    if settings.env == "production":
        faults += _unfit_for_production(settings)
    if faults:
        lines = "; ".join(f"{fault['name']}: {fault['message']}" for fault in faults)
        raise SettingsInvalid(lines, faults=faults)
    return settings


def shown_settings(settings: Settings) -> dict[str, str]:
    """Give every setting as text by its name, secrets masked."""
    shown = {}
    for name, field in NAMES.items():
        value = getattr(settings, field)
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        shown[name] = MASK if name in _SECRETS and text else text
    return shown


def parse_headers(text: str) -> dict[str, str]:
    """Read `name=value` pairs, separated by commas."""
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def secrets_of(settings: Settings) -> list[str]:
    """Give every secret text in the settings: what no line of the log may hold."""
    headers = parse_headers(settings.otlp_headers).values()
    return [text for text in (settings.api_key, settings.otlp_headers, *headers) if text]


def _file_values(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}


def _take_source(source: Mapping[str, str], texts: dict[str, str], faults: list[dict[str, str]]) -> None:
    """Lay one source over the earlier ones; within one source NAME and NAME_FILE exclude each other."""
    for name, text in source.items():
        plain = name.removesuffix("_FILE")
        if name in NAMES:
            texts[name] = text
        elif plain in NAMES and name.endswith("_FILE"):
            if plain in source:
                faults.append({"name": name, "message": f"{plain} is set, too; which of the two counts?"})
            else:
                _take_file(plain, name, Path(text), texts, faults)
        elif name in _OF_LATER_RELEASES:
            faults.append({"name": name, "message": "belongs to another release; this one does not have it"})
        elif name.startswith("FLOW_") and name not in _OF_TOOLS:
            # Without the part that all names share: it would make every name alike.
            known = {one.removeprefix("FLOW_"): one for one in NAMES}
            close = difflib.get_close_matches(name.removeprefix("FLOW_"), known, 1, _LIKENESS_MIN)
            hint = f"; did you mean {known[close[0]]}?" if close else ""
            faults.append({"name": name, "message": f"no setting has this name{hint}"})


def _take_file(plain: str, name: str, path: Path, texts: dict[str, str], faults: list[dict[str, str]]) -> None:
    try:
        raw = path.read_bytes()[: VALUE_BYTES_MAX + 1]
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        faults.append({"name": name, "message": f"the file {path} cannot be read: {type(error).__name__}"})
        return
    if len(raw) > VALUE_BYTES_MAX:
        faults.append({"name": name, "message": f"the file {path} has more than {VALUE_BYTES_MAX} bytes"})
        return
    texts[plain] = text.rstrip("\r\n")


def _convert(name: str, text: str, values: dict[str, Any], faults: list[dict[str, str]]) -> None:
    field = NAMES[name]
    if field == "egress_allow":
        entries = tuple(part.strip() for part in text.split(",") if part.strip())
        wrong = [
            part for part in entries if not _EGRESS_ENTRY.fullmatch(part) or int(part.rpartition(":")[2]) > PORT_MAX
        ]
        if wrong:
            faults.append({"name": name, "message": f"{wrong[0]!r} is not host:port"})
        values[field] = entries
        return
    try:
        values[field] = Path(text) if field == "data_dir" else msgspec.convert(text, _HINTS[field], strict=False)
    except msgspec.ValidationError as error:
        given = "the value" if name in _SECRETS else repr(text)
        faults.append({"name": name, "message": f"{given} does not fit: {_plain(error, field)}"})


def _plain(error: msgspec.ValidationError, field: str) -> str:
    allowed = getattr(_HINTS[field], "__args__", ())
    if allowed and all(isinstance(value, str) for value in allowed):
        return f"allowed are {', '.join(allowed)}"
    return str(error)


def _unfit_for_production(settings: Settings) -> list[dict[str, str]]:
    faults = []
    if settings.egress_allow:
        faults.append(
            {"name": "FLOW_EGRESS_ALLOW", "message": "is a development value; FLOW_ENV=production refuses it"}
        )
    if settings.crash_at:
        faults.append({"name": "FLOW_CRASH_AT", "message": "is for tests; FLOW_ENV=production refuses it"})
    return faults
