"""``python -m benchmarks NAME [--json]``: run one benchmark; the last line of standard output is one JSON object.

Without a name it lists them. Notes on what is measured go to standard error, so that the last line stays clean.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

HIDDEN = {"__main__", "figures"}


def names() -> list[str]:
    """The benchmarks there are: every module of this package that can be run, with dashes for its underscores."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if not module.ispkg)
    return sorted(name.replace("_", "-") for name in found if name not in HIDDEN and not name.startswith("_"))


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name.replace('-', '_')}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=names(), help="which benchmark to run")
    parser.add_argument("--json", action="store_true", help="print only the JSON object, on one line")
    arguments, rest = parser.parse_known_args()
    if arguments.name is None:
        for name in names():
            summary = (module_of(name).__doc__ or "").strip().splitlines()
            print(f"{name:14} {summary[0] if summary else ''}")
        return 0
    module = module_of(arguments.name)
    own = argparse.ArgumentParser(prog=f"python -m benchmarks {arguments.name}", description=module.__doc__)
    if hasattr(module, "options"):
        module.options(own)
    figures = module.run(**vars(own.parse_args(rest)))
    if not arguments.json:
        print(json.dumps(figures, indent=2))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
