"""The command `consilium`. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from signaling import __version__
from signaling.cli_models import ConfigFile, fail, model_folder, models, settings_of
from signaling.settings import SettingsError

app = typer.Typer(
    name="consilium",
    help="Self-hosted video conferencing with live captions and translation. Nothing leaves the server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(models, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"consilium {__version__}")
        raise typer.Exit


@app.callback()
def command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version, and nothing else.")
    ] = False,
) -> None:
    """What every command has in common: see `app`."""


@app.command()
def serve(
    config: ConfigFile = None,
    json_links: Annotated[
        Path | None, typer.Option("--json-links", help="Also write the printed links to this file, as JSON.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Have a demo guest in the demo room, who speaks.")] = False,
) -> None:
    """Run the server and print the links of a demo room.

    Settings come from consilium.toml and CONSILIUM_* variables; docs/configuration.md has them all.
    """
    settings = settings_of(config)
    import uvloop

    from signaling import log, server

    log.configure(settings.log)
    try:
        uvloop.run(server.serve(settings, json_links, demo))
    except SettingsError as error:
        fail(str(error))
    except TimeoutError:
        fail("something did not stop in time", 1)
    except (OSError, ValueError) as error:
        fail(f"cannot start: {error}. `consilium doctor` says more.", 1)


@app.command()
def demo(
    url: Annotated[str, typer.Argument(help="The guest link of a room, as `consilium serve` prints it.")],
) -> None:
    """Join a room as a guest who speaks a short case discussion. Needs no camera and no microphone."""
    from signaling.demo import run

    run(url)


@app.command()
def doctor(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
    resolve: Annotated[bool, typer.Option("--resolve", help="Also ask your DNS for the name in public_url.")] = False,
) -> None:
    """Check what the server needs: ports, addresses, certificate, TURN, media, models, disk. Says what to do.

    Asks nobody outside but the TURN servers of the settings. The status is 1 when something fails.
    """
    import json
    from dataclasses import asdict

    from signaling.doctor import check_all

    settings = settings_of(config)
    lines = asyncio.run(check_all(settings, config, resolve))
    well = all(line.state != "fail" for line in lines)
    if as_json:
        typer.echo(json.dumps({"ok": well, "lines": [asdict(line) for line in lines]}))
    else:
        for line in lines:
            typer.echo(f"{line.state:<4}  {line.subject:<12} {line.text}")
            if line.advice:
                typer.echo(f"{'':<18} {line.advice}")
    if not well:
        raise typer.Exit(1)


@app.command("caption-worker")
def caption_worker(
    redis: Annotated[
        str,
        typer.Option("--redis", help="The servers' Redis.  [default: captions.redis_url]", show_default=False),
    ] = "",
    name: Annotated[str, typer.Option("--name", help="To tell it from others in logs.  [default: host name]")] = "",
    config: ConfigFile = None,
) -> None:
    """Recognise and translate for Consilium servers on any machine, by Redis, until it is ended.

    Models, device and threads come from the settings of this machine. Several may run; when one dies, others go on.
    A password is better kept in CONSILIUM_CAPTIONS_REDIS_URL than on the command line.
    """
    from captioning import worker

    settings = settings_of(config)
    words = settings.captions
    url = redis or words.redis_url
    if not url.startswith(("redis://", "rediss://", "unix://")):
        fail("--redis must be a URL that begins with redis://, rediss:// or unix://")
    folder = str(model_folder(config))
    place = worker.Settings(
        folder,
        words.model,
        words.device,
        words.compute,
        words.threads,
        spoken=words.spoken,
        translators=words.translators,
        translators_first=words.translators_first,
        beam=words.beam,
    )
    try:
        worker.leave(worker.listen(url, name, place))
    except ValueError as error:
        fail(f"--redis cannot be used: {error}")


@app.command()
def token(
    room: Annotated[str, typer.Argument(help="The room's id, as in /r/ID.")],
    role: Annotated[
        Literal["host", "moderator", "participant", "viewer"], typer.Option(help="What the bearer may do.")
    ] = "participant",
    name: Annotated[str | None, typer.Option(help="The bearer's name in the room; without it they choose one.")] = None,
    ttl: Annotated[int, typer.Option(help="Seconds in which it can be used to join.", min=1, max=30 * 86400)] = 600,
    config: ConfigFile = None,
) -> None:
    """Mint a grant to join a room. Open it as /r/ID#grant=TOKEN."""
    import time

    from signaling.grants import Grants, load_secret

    settings = settings_of(config)
    typer.echo(
        Grants(load_secret(settings.data, settings.secret)).mint(room, role, time.time(), name=name, lifetime=ttl)
    )


@app.command()
def export(
    recording: Annotated[str, typer.Argument(help="The recording's id, as in /replay/ID.")],
    format: Annotated[Literal["mkv", "mp4", "webm"], typer.Option("--format", help="Kind of file.")] = "mkv",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it.  [default: ID.FORMAT here]", show_default=False),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Write a recording as one file with every caption language inside. Video is not transcoded."""
    from recorder import service
    from signaling.shelves import shelf

    settings = settings_of(config)
    target = output or Path(f"{recording}.{format}")
    kept = shelf(settings)
    try:
        kept.words(recording)
        with kept.whole(recording):
            made = asyncio.run(service.export(settings.recordings_dir, recording, format, target, sealed=False))
        typer.echo(made)
    except service.RecordingNotFound:
        fail(f"there is no finished recording {recording} in {settings.recordings_dir}", 1)
    except (ValueError, OSError) as error:
        fail(f"cannot export: {error}", 1)


def main() -> None:
    """The entry point of the installed command."""
    app()


if __name__ == "__main__":
    main()
