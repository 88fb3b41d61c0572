"""``dpodl-config::`` — every setting of a config: allowed, default, description.

Made from the pydantic sections themselves; a setting without a description fails.
"""

import re
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
from docutils import nodes
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Setting(NamedTuple):
    """A row of the table.

    Attributes:
        name: In its section.
        allowed: What may be given.
        default: What is taken otherwise; "required" if nothing is.
        description: What it means.
    """

    name: str
    allowed: str
    default: str
    description: str


class Table(NamedTuple):
    """A section of the config.

    Attributes:
        path: As it is written in TOML; empty: the top.
        about: What it is for.
        settings: Its rows, tables of their own left out.
    """

    path: str
    about: str
    settings: list[Setting]


def tables(section: type[BaseModel], path: str = "") -> list[Table]:
    """The section and, depth first, all sections below it."""
    mine, below = [], []
    for name, field in section.model_fields.items():
        inner = f"{path}.{name}" if path else name
        parts = _sections(field.annotation)
        many = get_origin(field.annotation) is tuple
        for part in parts:
            below += tables(part, f"[{inner}]" if many else inner)
        if parts and not field.description:
            continue  # the section says itself what it is
        if not field.description:
            raise ValueError(f"{section.__name__}.{name} has no description")
        mine.append(
            Setting(
                name, allowed(field), _default(field, bool(parts)), field.description
            )
        )
    about = (section.__doc__ or "").strip()
    return [Table(path, about, mine), *below]


def allowed(field: FieldInfo) -> str:
    """What a field takes, in words."""
    return _words(field.annotation, list(field.metadata))


def _words(kind: Any, rules: list[Any]) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(inner[0], [*inner[1:], *rules])
    if origin is Literal:
        return ", ".join(f'"{x}"' if isinstance(x, str) else str(x) for x in inner)
    if origin in (Union, UnionType):
        parts = [part for part in inner if part is not NoneType]
        return " or ".join(_words(part, rules) for part in parts)
    validators = [r.func.__name__ for r in rules if isinstance(r, BeforeValidator)]
    if "parse_target" in validators:
        return '"2^k", a whole number in [0, 2^256], or its digits'
    if origin is tuple:
        return f"list of: {_words(inner[0], [])}{_length(rules)}"
    if origin is dict:
        return f"table of: {_words(inner[1], [])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"table ({', '.join(kind.model_fields)})"
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    name = "path" if kind is Path else names.get(kind, "any value")
    return name + _bounds(rules)


def _bounds(rules: list[Any]) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found, pattern = [], ""
    for rule in _flat(rules):
        for attribute, sign in signs.items():
            value = getattr(rule, attribute, None)
            if value is not None:
                found.append(f"{sign} {_number(value)}")
        pattern = getattr(rule, "pattern", None) or pattern
    text = (" " + " and ".join(dict.fromkeys(found))) if found else ""
    return text + (f" matching {pattern}" if pattern else "") + _length(rules)


def _length(rules: list[Any]) -> str:
    for rule in _flat(rules):
        if isinstance(rule, annotated_types.MinLen) and rule.min_length:
            return f", at least {rule.min_length}"
    return ""


def _flat(rules: list[Any]) -> list[Any]:
    found = []
    for rule in rules:
        found += _flat(rule.metadata) if isinstance(rule, FieldInfo) else [rule]
    return found


def _number(value: float) -> str:
    if isinstance(value, int) and value > 10**6 and value.bit_count() == 1:
        return f"2^{value.bit_length() - 1}"
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _default(field: FieldInfo, nested: bool) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    if nested and value:
        return "below"
    return _shown(value, field)


def _shown(value: Any, field: FieldInfo) -> str:
    if isinstance(value, Enum):
        return f'"{value.value}"'
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_shown(x, field) for x in value) + "]"
    if isinstance(value, dict):
        return "{}" if not value else str(value)
    if isinstance(value, BaseModel):
        return "below"
    if "parse_target" in _names(field):
        return f'"2^{value.bit_length() - 1}"' if value.bit_count() == 1 else str(value)
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _names(field: FieldInfo) -> list[str]:
    rules = _flat(list(field.metadata))
    return [r.func.__name__ for r in rules if isinstance(r, BeforeValidator)]


def _sections(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [found for part in get_args(kind) for found in _sections(part)]


class Reference(SphinxDirective):
    """A section a table of the config."""

    def run(self) -> list[nodes.Node]:
        from dpodl.experiments.config.experiment import Config

        found: list[nodes.Node] = []
        for table in tables(Config):
            title = _title(table.path)
            section = nodes.section("", nodes.title(title, title))
            section["ids"].append(nodes.make_id(f"config-{table.path or 'top'}"))
            section["names"].append(f"config {table.path or 'top'}")
            self.state.document.note_explicit_target(section)
            section += nodes.paragraph("", "", *_inline(table.about))
            if table.settings:
                section += _grid(table.settings)
            found.append(section)
        return found


def _title(path: str) -> str:
    if not path:
        return "At the top"
    # A list of tables has brackets around its own path: [[comparisons]].
    name = path.replace("[", "").replace("]", "")
    return f"[[{name}]]" if path.startswith("[") and path.endswith("]") else f"[{name}]"


def _grid(settings: list[Setting]) -> nodes.table:
    group = nodes.tgroup(cols=4)
    group += [nodes.colspec(colwidth=width) for width in (18, 28, 18, 36)]
    head, body = nodes.thead(), nodes.tbody()
    head += _row(("setting", "allowed", "default", "meaning"), ())
    for each in settings:
        body += _row(each, (0, 2))
    group += [head, body]
    table = nodes.table("", group)
    table["classes"].append("colwidths-given")
    return table


def _inline(text: str) -> list[nodes.Node]:
    """Text in which backticks, one or two, mean code."""
    parts = re.split(r"``(.+?)``|`(.+?)`", text)
    found: list[nodes.Node] = []
    for i in range(0, len(parts), 3):
        found.append(nodes.Text(parts[i]))
        for code in parts[i + 1 : i + 3]:
            if code is not None:
                found.append(nodes.literal(code, code))
    return found


def _row(cells: tuple[str, ...], codes: tuple[int, ...]) -> nodes.row:
    row = nodes.row()
    for i, text in enumerate(cells):
        paragraph = nodes.paragraph()
        paragraph += [nodes.literal(text, text)] if i in codes else _inline(text)
        row += nodes.entry("", paragraph)
    return row


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("dpodl-config", Reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
