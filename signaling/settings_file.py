"""Changing single settings in the text of `consilium.toml`, comments and order left as they are. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping


def with_settings(text: str, section: str, values: Mapping[str, str | int]) -> str:
    """The text with these settings in `[section]`. Raises ValueError where that cannot be done without harm."""
    lines = text.splitlines()
    header = next((at for at, line in enumerate(lines) if re.match(rf"\s*\[\s*{re.escape(section)}\s*\]", line)), None)
    if header is None:
        lines += ([""] if lines and lines[-1].strip() else []) + [f"[{section}]"]
        header = len(lines) - 1
    end = next((at for at in range(header + 1, len(lines)) if re.match(r"\s*\[", lines[at])), len(lines))
    for key, value in values.items():
        said = f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"'
        at = next((at for at in range(header + 1, end) if re.match(rf"\s*{re.escape(key)}\s*=", lines[at])), None)
        if at is None:
            lines.insert(header + 1, said)
            end += 1
        else:
            comment = re.search(r"\s+#[^\"']*$", lines[at])
            lines[at] = said + (comment.group() if comment else "")
    changed = "\n".join(lines) + "\n"
    before, after = tomllib.loads(text), tomllib.loads(changed)
    if after != {**before, section: {**before.get(section, {}), **values}}:
        raise ValueError(f"[{section}] is written in a way that cannot be changed here")
    return changed
