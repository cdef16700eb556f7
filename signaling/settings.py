"""Settings: one typed table, from defaults, then `consilium.toml`, then `CONSILIUM_*`; a bad value stops the start.

`docs/configuration.md` is generated from these structs (``python -m signaling.schema``).
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field
from msgspec import inspect as shapes

Port = Annotated[int, Meta(ge=0, le=65535)]
PREFIX = "CONSILIUM_"
FILE = "consilium.toml"


def _text(description: str, **bounds: Any) -> Meta:
    return Meta(description=description, **bounds)


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the settings tables."""


class Tls(Table, frozen=True, kw_only=True):
    """HTTPS. Browsers give camera and microphone only to HTTPS pages and to localhost."""

    mode: Annotated[
        Literal["off", "self-signed", "files"],
        _text("`self-signed` makes a certificate in the data folder once; `files` uses `cert` and `key`."),
    ] = "off"
    cert: Annotated[str, _text("Certificate chain, PEM (`mode = files`).")] = ""
    key: Annotated[str, _text("Private key, PEM (`mode = files`).")] = ""


class Media(Table, frozen=True, kw_only=True):
    """Audio and video: one UDP port, and the same TCP port for networks that block UDP."""

    # Not loopback, even where the pages are: Firefox does not connect to a loopback address from its other ones.
    host: Annotated[
        str, _text("Address to bind. `0.0.0.0`: every address of this machine. Only invited browsers get an answer.")
    ] = "0.0.0.0"
    port: Annotated[Port, _text("UDP and TCP port. 0 picks a free one.")] = 8081
    public_addresses: Annotated[
        list[str], _text("IP addresses to tell browsers, if not the ones of this machine (behind NAT, in a container).")
    ] = []
    plane: Annotated[
        Literal["auto", "python", "native"], _text("What forwards packets; `auto` takes `native` where it is built.")
    ] = "auto"
    threads: Annotated[
        int, _text("Threads of the native plane, each for whole rooms: cores to give to many rooms.", ge=1, le=64)
    ] = 1
    max_bitrate: Annotated[int, _text("The most one publisher may send, bits/s.", ge=100_000, le=50_000_000)] = (
        2_500_000
    )
    video_codec: Annotated[
        Literal["vp9", "h264"],
        _text(
            "What pictures are sent in by whoever can: `vp9` needs fewer bits, `h264` less of a processor, and it is "
            "what other platforms take (RTMP)."
        ),
    ] = "vp9"
    redundancy: Annotated[
        Literal["auto", "always", "off"],
        _text("Sound sent twice (Opus RED), about 35 kbit/s more a voice: `auto` to those who lose packets."),
    ] = "auto"


class Turn(Table, frozen=True, kw_only=True):
    """An optional TURN server of yours, for networks where even TCP to the media port is blocked."""

    urls: Annotated[list[str], _text("For example `turns:turn.example.org:443`. Empty: none.")] = []
    secret: Annotated[str, _text("The server's shared secret (coturn: `static-auth-secret`).")] = ""
    ttl: Annotated[int, _text("Seconds that credentials given to a browser last.", ge=60, le=86400)] = 3600


class Captions(Table, frozen=True, kw_only=True):
    """Live captions and translation, made on this machine."""

    enabled: Annotated[bool, _text("Whether words are recognised at all.")] = True
    model: Annotated[str, _text("Speech model; see `consilium models list`.")] = "whisper-base"
    workers: Annotated[int, _text("Caption worker processes.", ge=1, le=64)] = 1
    threads: Annotated[int, _text("Threads per worker process.", ge=1, le=64)] = 1
    device: Annotated[Literal["auto", "cpu", "cuda"], _text("Where the speech model runs.")] = "auto"
    compute: Annotated[
        Literal["auto", "int8", "int8_float32", "int8_float16", "float16", "float32"],
        _text("Numbers that the model computes with. `auto`: `int8` on a CPU, `float16` on a GPU."),
    ] = "auto"
    redis_url: Annotated[
        str,
        _text(
            "Leave the work to `consilium caption-worker` processes on any machines, by this Redis: "
            "`rediss://user:password@host:6379/0`. Empty: workers of our own."
        ),
    ] = ""
    spoken: Annotated[
        list[str],
        _text(
            "Only these are detected in whoever does not say what they speak, where their room says nothing: `en, pt`. "
            "Empty: all the model hears."
        ),
    ] = []
    translators: Annotated[
        list[str],
        _text(
            "Folders of NLLB, M2M-100, MADLAD or Opus-MT models for CTranslate2 (docs/translation.md), those of one "
            "pair as `en-de=FOLDER`. They translate where no Firefox model does."
        ),
    ] = []
    translators_first: Annotated[
        bool, _text("They come before the Firefox models: for a large model on a GPU, for example.")
    ] = False
    beam: Annotated[int, _text("Width of their search: 1 is the quickest.", ge=1, le=8)] = 2
    languages: Annotated[
        list[str],
        _text("Only these are offered for reading, for example `en, pt`. Empty: all that the installed models give."),
    ] = []


class Recordings(Table, frozen=True, kw_only=True):
    """Where replays are kept and who may open them."""

    dir: Annotated[str, _text("Folder. Empty: `recordings` in the data folder.")] = ""
    link_days: Annotated[
        int, _text("Days that the replay link given to the people in the room works.", ge=1, le=3650)
    ] = 30
    keep_days: Annotated[
        int,
        _text(
            "Days to keep a recording, unless its starter says otherwise. 0: until somebody deletes it.",
            ge=0,
            le=36500,
        ),
    ] = 0
    consent: Annotated[
        Literal["tell", "ask"],
        _text(
            "`tell`: everybody is told of a recording and may refuse to be in it. `ask`: nothing of anybody is written "
            "before they agree."
        ),
    ] = "tell"
    encrypt: Annotated[
        bool,
        _text("Whether new recordings are encrypted where they are stored: AES-256-GCM, a key for each."),
    ] = False
    key: Annotated[
        str,
        _text(
            "Wraps the recordings' keys: 32 bytes in base64 (`openssl rand -base64 32`). Empty: `key_file`. Keep a "
            "copy elsewhere: without it no encrypted recording can be read."
        ),
    ] = ""
    key_file: Annotated[
        str,
        _text(
            "File of such keys, one a line; the first wraps, all unwrap, so that a new one can be put before the old. "
            "Empty: `recordings.keys` in the data folder, made once."
        ),
    ] = ""
    min_free_mb: Annotated[int, _text("No recording starts with less free disk, MB.", ge=0, le=1_000_000)] = 500


class Storage(Table, frozen=True, kw_only=True):
    """Where recordings go from this machine's disk, which always comes first: nowhere, or an S3 bucket."""

    kind: Annotated[
        Literal["local", "s3"],
        _text("`s3`: uploaded while they are recorded. Needs the extra: `pip install 'consilium[s3]'`."),
    ] = "local"
    bucket: Annotated[str, _text("The bucket's name; it must be there.")] = ""
    prefix: Annotated[str, _text("Before every key, for example `consilium/`.", max_length=200)] = ""
    endpoint: Annotated[
        str, _text("`https://s3.example.org`. Empty: Amazon's.", pattern=r"^$|^https?://[^/\s]+/?$")
    ] = ""
    region: Annotated[str, _text("For example `eu-central-1`.")] = ""
    access_key: Annotated[str, _text("Empty: from where boto3 looks (`AWS_*`, a role of the machine).")] = ""
    secret_key: Annotated[str, _text("The access key's secret.")] = ""
    playback: Annotated[
        Literal["app", "signed"],
        _text(
            "`app`: media goes through this server. `signed`: browsers are sent to the bucket with an address that "
            "works five minutes, for what may be seen whole and is not encrypted; the bucket must allow this site."
        ),
    ] = "app"
    keep_hours: Annotated[
        float, _text("Hours that media stays on this disk too after the bucket has it.", ge=0, le=87_600)
    ] = 24.0


class Database(Table, frozen=True, kw_only=True):
    """Members, links, rooms and the audit log."""

    url: Annotated[str, _text("`postgresql://user:password@host/name`. Empty: SQLite in the data folder.")] = ""


class Limits(Table, frozen=True, kw_only=True):
    """Bounds that keep one sender from being everybody's problem."""

    rooms: Annotated[int, _text("Rooms open at once.", ge=1, le=100_000)] = 200
    people: Annotated[int, _text("People in one room.", ge=1, le=10_000)] = 100
    waiting: Annotated[int, _text("People in one lobby.", ge=1, le=10_000)] = 100
    sockets_per_address: Annotated[int, _text("WebSockets from one address.", ge=1, le=100_000)] = 200
    message_bytes: Annotated[int, _text("Largest WebSocket message.", ge=16_384, le=4_194_304)] = 262_144
    message_rate: Annotated[float, _text("WebSocket messages per second, sustained.", ge=1, le=1000)] = 20.0
    message_burst: Annotated[int, _text("WebSocket messages at once.", ge=10, le=10_000)] = 100
    body_bytes: Annotated[int, _text("Largest HTTP request body.", ge=1024, le=16_777_216)] = 65_536
    resume_seconds: Annotated[float, _text("How long a participant without a socket is kept.", ge=0.05, le=3600)] = 60.0
    empty_room_seconds: Annotated[float, _text("How long an empty room stays open.", ge=0.05, le=86400)] = 60.0
    grant_seconds: Annotated[int, _text("Time to join with a grant.", ge=10, le=86400)] = 600


class Questions(Table, frozen=True, kw_only=True):
    """What is asked in meetings."""

    keep_days: Annotated[int, _text("How long questions are kept after they were asked.", ge=1, le=36_500)] = 90


class Broadcast(Table, frozen=True, kw_only=True):
    """Live broadcasts."""

    viewers: Annotated[int, _text("Pages that may follow one broadcast at a time.", ge=1, le=1_000_000)] = 5000
    sites: Annotated[
        list[str],
        _text("Sites whose pages may show a broadcast's player (docs/embedding.md): `https://example.org`."),
    ] = []
    aac: Annotated[
        bool,
        _text(
            "HLS with AAC too (`hls/master-aac.m3u8`), for players that take no Opus: one more encoder while "
            "a broadcast is live."
        ),
    ] = False
    push: Annotated[
        int, _text("Other platforms that a broadcast may be pushed to (RTMP) at a time. 0: none.", ge=0, le=8)
    ] = 0
    push_private: Annotated[
        bool, _text("Whether it may be pushed to this machine and private networks; else to public addresses alone.")
    ] = False
    realtime_viewers: Annotated[
        int,
        _text(
            "Viewers, of all broadcasts of this server together, that are sent WebRTC, within a third of a second; "
            "all others get HLS, a few seconds later. 0: nobody.",
            ge=0,
            le=100_000,
        ),
    ] = 150


class Log(Table, frozen=True, kw_only=True):
    """Logs go to standard error; no tokens, no chat, no captions, no names of people."""

    level: Annotated[Literal["debug", "info", "warning", "error"], _text("Least severe level that is written.")] = (
        "info"
    )
    format: Annotated[Literal["auto", "console", "json"], _text("`auto`: console on a terminal, JSON otherwise.")] = (
        "auto"
    )


class Metrics(Table, frozen=True, kw_only=True):
    """`GET /metrics`, in Prometheus' format."""

    enabled: Annotated[bool, _text("Whether it is served at all.")] = True
    token: Annotated[
        str, _text("`Authorization: Bearer` token for other machines. Empty: only this machine may read.")
    ] = ""


class Settings(Table, frozen=True, kw_only=True):
    """The server itself."""

    host: Annotated[str, _text("Address to serve pages on. `0.0.0.0` for every address of this machine.")] = "127.0.0.1"
    port: Annotated[Port, _text("TCP port of pages and WebSocket. 0 picks a free one.")] = 8080
    public_url: Annotated[
        str,
        _text(
            "What people type, for example `https://meet.example.org`; links are made with it. Empty: host and port.",
            pattern=r"^$|^https?://[^/\s]+/?$",
        ),
    ] = ""
    data_dir: Annotated[str, _text("Database, secret, certificate and recordings live here.", min_length=1)] = "data"
    secret: Annotated[
        str, _text("Signs grants; at least 32 characters. Empty: made once and kept in the data folder.")
    ] = ""
    trusted_proxies: Annotated[
        list[str],
        _text("Addresses or networks of your reverse proxy; only their `X-Forwarded-For/-Proto` are believed."),
    ] = []
    open_rooms: Annotated[
        Literal["loopback", "always", "never"],
        _text("Who may make rooms without an account: people on this machine, everybody, nobody."),
    ] = "loopback"
    models_mirror: Annotated[
        str,
        _text(
            "Where `consilium models pull` takes models from instead of their own addresses: an address or a folder "
            "that has `MODEL/FILE`, and `models/...` as mozilla/firefox-translations-models has it. Checked against "
            "the catalogue all the same; `consilium models pull --dry-run` says which files."
        ),
    ] = ""
    models: Annotated[str, _text("Folder of the models. Empty: `consilium/models` in the user's data folder.")] = ""
    demo_room: Annotated[bool, _text("Keep a demo room and print its links at start.")] = True
    tls: Tls = field(default_factory=Tls)
    media: Media = field(default_factory=Media)
    turn: Turn = field(default_factory=Turn)
    captions: Captions = field(default_factory=Captions)
    recordings: Recordings = field(default_factory=Recordings)
    storage: Storage = field(default_factory=Storage)
    database: Database = field(default_factory=Database)
    limits: Limits = field(default_factory=Limits)
    questions: Questions = field(default_factory=Questions)
    broadcast: Broadcast = field(default_factory=Broadcast)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def data(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data_dir).expanduser().resolve()

    @property
    def recordings_dir(self) -> Path:
        """The recordings' folder, absolute."""
        return Path(self.recordings.dir).expanduser().resolve() if self.recordings.dir else self.data / "recordings"

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in use."""
        return self.database.url or f"sqlite+aiosqlite:///{self.data / 'consilium.db'}"


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it, its value and what is allowed."""


class Setting(msgspec.Struct, frozen=True):
    """One row of the table: `name` as in the file (``media.port``), `env`, and its msgspec type."""

    name: str
    env: str
    type: shapes.Type
    description: str
    default: Any


def _rows(cls: type[msgspec.Struct], prefix: str = "") -> list[Setting]:
    info = shapes.type_info(cls)
    assert isinstance(info, shapes.StructType)
    rows = []
    for item in info.fields:
        if isinstance(item.type, shapes.StructType):
            rows += _rows(item.type.cls, f"{item.encode_name}.")
            continue
        name = prefix + item.encode_name
        default = item.default if item.default is not msgspec.NODEFAULT else item.default_factory()
        env = PREFIX + name.replace(".", "_").upper()
        rows.append(Setting(name, env, item.type, describe(item.type), default))
    return rows


def describe(kind: shapes.Type) -> str:
    """The description written beside a setting's type."""
    if isinstance(kind, shapes.Metadata):
        return str((kind.extra_json_schema or {}).get("description", ""))
    return ""


def allowed(kind: shapes.Type) -> str:
    """What a setting may be, in words."""
    match kind:
        case shapes.Metadata(type=inner):
            return allowed(inner)
        case shapes.LiteralType(values=values):
            return "one of " + ", ".join(sorted(str(value) for value in values))
        case shapes.IntType() | shapes.FloatType():
            word = "a whole number" if isinstance(kind, shapes.IntType) else "a number"
            return f"{word} from {kind.ge:g} to {kind.le:g}" if kind.ge is not None and kind.le is not None else word
        case shapes.BoolType():
            return "true or false"
        case shapes.ListType():
            return "a list (separated by commas in the environment)"
        case shapes.StrType(pattern=pattern, min_length=least):
            if pattern is not None:
                return f"a text that matches {pattern}"
            return "a text" if not least else "a text that is not empty"
    return str(kind)


def table() -> list[Setting]:
    """Every setting, in order."""
    return _rows(Settings)


def _parse(setting: Setting, value: str) -> Any:
    """A value from the environment, which is always text."""
    kind = setting.type.type if isinstance(setting.type, shapes.Metadata) else setting.type
    text = value.strip()
    if isinstance(kind, shapes.BoolType):
        words = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        return words.get(text.lower(), text)
    if isinstance(kind, shapes.IntType | shapes.FloatType):
        try:
            return int(text) if isinstance(kind, shapes.IntType) else float(text)
        except ValueError:
            return text
    if isinstance(kind, shapes.ListType):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _unknown(name: str, names: list[str], where: str) -> SettingsError:
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "see docs/configuration.md for all of them."
    return SettingsError(f"{where}: there is no setting {name}; {hint}")


def load(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. `file` must exist if given; without it `consilium.toml` is read where it is.

    Raises SettingsError naming the setting, the value and what is allowed.
    """
    rows = {row.name: row for row in table()}
    values: dict[str, tuple[Any, str]] = {}
    path = file if file is not None else Path(FILE)
    if file is not None or path.is_file():
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: not TOML: {error}") from None
        sections = {name.partition(".")[0] for name in rows if "." in name}
        for key, value in content.items():
            if key in sections and not isinstance(value, dict):
                raise SettingsError(f"{path}: {key} = {value!r} is not allowed: {key} is a section, write [{key}]")
            found = {f"{key}.{sub}": item for sub, item in value.items()} if key in sections else {key: value}
            for name, item in found.items():
                if name not in rows:
                    raise _unknown(name, list(rows), str(path))
                values[name] = (item, f"{path}: {name}")
    by_env = {row.env: row for row in rows.values()}
    source = os.environ if environment is None else environment
    for variable, text in source.items():
        if not variable.startswith(PREFIX) or variable == PREFIX + "CONFIG":
            continue
        if variable not in by_env:
            raise _unknown(variable, list(by_env), "environment")
        row = by_env[variable]
        values[row.name] = (_parse(row, text), f"environment: {variable}")
    nested: dict[str, Any] = {}
    for name, (value, where) in values.items():
        _check(rows[name], value, where)
        section, _, key = name.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[key] = value
    settings = msgspec.convert(nested, Settings)
    _together(settings)
    return settings


def _check(row: Setting, value: Any, where: str) -> None:
    owner, _, key = row.name.rpartition(".")
    try:
        msgspec.convert({key: value}, SECTIONS[owner] if owner else Settings)
    except msgspec.ValidationError:
        shown = (
            "(hidden)"
            if key in ("secret", "token", "url", "redis_url", "access_key", "secret_key", "key")
            else repr(value)
        )
        raise SettingsError(f"{where} = {shown} is not allowed: it must be {allowed(row.type)}") from None


SECTIONS: dict[str, type[Table]] = {
    "tls": Tls,
    "media": Media,
    "turn": Turn,
    "captions": Captions,
    "recordings": Recordings,
    "storage": Storage,
    "database": Database,
    "limits": Limits,
    "questions": Questions,
    "broadcast": Broadcast,
    "log": Log,
    "metrics": Metrics,
}


def _together(settings: Settings) -> None:
    """What only the whole can tell."""
    if settings.secret and len(settings.secret) < 32:
        raise SettingsError("secret = (hidden) is not allowed: it must have at least 32 characters")
    if settings.tls.mode == "files":
        for name, value in (("tls.cert", settings.tls.cert), ("tls.key", settings.tls.key)):
            if not value or not Path(value).is_file():
                raise SettingsError(f"{name} = {value!r} is not allowed: with tls.mode = files it must be a file")
    if settings.turn.urls and not settings.turn.secret:
        raise SettingsError("turn.secret = '' is not allowed: with turn.urls it must be the server's shared secret")
    redis_url = settings.captions.redis_url
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError(
            "captions.redis_url = (hidden) is not allowed: it must begin with redis://, rediss:// or unix://"
        )
    for url in settings.turn.urls:
        if not url.startswith(("turn:", "turns:", "stun:")):
            raise SettingsError(f"turn.urls = {url!r} is not allowed: it must begin with turn:, turns: or stun:")
    for name, entries in (
        ("trusted_proxies", settings.trusted_proxies),
        ("media.public_addresses", settings.media.public_addresses),
    ):
        for entry in entries:
            try:
                _ = ipaddress.ip_network(entry) if name == "trusted_proxies" else ipaddress.ip_address(entry)
            except ValueError:
                raise SettingsError(f"{name} = {entry!r} is not allowed: it must be an IP address") from None
