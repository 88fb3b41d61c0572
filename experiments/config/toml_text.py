"""TOML of a stranger: bounded before it is parsed, told apart where it is wrong."""

import re
import tomllib
from typing import Any

from .section import ConfigError

# Beyond all that a config needs: a parser must not fall over what it is given.
MOST_TEXT, _MOST_DEEP = 1 << 20, 16


_STRINGS = re.compile(
    r"#[^\n]*"
    r'|"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


_BRACKETS = re.compile(r"[\[\]{}]")


_DOTTED = re.compile(rf"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){{{_MOST_DEEP}}}")


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """TOML's tables, within bounds.

    Raises:
        ConfigError: If it is no TOML, or larger or deeper than any config.
    """
    bound_text(text, source)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise ConfigError(f"{source} is not valid TOML: {error}") from None


def bound_text(text: str, source: str) -> None:
    """Refuse what would take a parser's memory or stack, before it is parsed.

    Raises:
        ConfigError: If it is larger or deeper than any config.
    """
    if len(text) > MOST_TEXT:
        raise ConfigError(
            f"{source} is no config: it has more than {MOST_TEXT:,} characters"
        )
    bare = _STRINGS.sub(lambda found: "" if found[0][0] == "#" else "s", text)
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > _MOST_DEEP or _DOTTED.search(bare):
        raise ConfigError(
            f"{source} is nested deeper than {_MOST_DEEP} levels; no setting is"
        )
