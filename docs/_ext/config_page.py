"""``dpodl-config::``: every setting of a config, from pydantic's JSON schema.

Of our own, since renderers of schemas (sphinx-jsonschema, autodoc-pydantic) show types
and bounds as a program writes them and no setting by the path it has in TOML.
"""

import re
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
}
_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
}


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
        path: As it is written in TOML; empty: the top; in brackets: a list of tables.
        about: What it is for.
        settings: Its rows, tables of their own left out.
    """

    path: str
    about: str
    settings: list[Setting]


def tables(schema: dict[str, Any]) -> list[Table]:
    """A schema's sections, depth first.

    Raises:
        ValueError: If a setting has no description.
    """
    return _tables(schema, schema.get("$defs", {}), "")


def _tables(section: dict[str, Any], known: dict[str, Any], path: str) -> list[Table]:
    mine, below = [], []
    for name, field in section["properties"].items():
        inner = f"{path}.{name}" if path else name
        parts = _sections(field, known)
        for part in parts:
            below += _tables(part, known, f"[{inner}]" if "items" in field else inner)
        if parts and "description" not in field:
            continue  # the section says itself what it is
        if "description" not in field:
            raise ValueError(f"{section['title']}.{name} has no description")
        required = name in section.get("required", ())
        default = "required" if required else _default(field, bool(parts))
        mine.append(Setting(name, allowed(field, known), default, field["description"]))
    return [Table(path, section.get("description", "").strip(), mine), *below]


def _sections(field: dict[str, Any], known: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in field:
        return [known[field["$ref"].rpartition("/")[2]]]
    parts = [*field.get("anyOf", ()), *([field["items"]] if "items" in field else [])]
    return [section for part in parts for section in _sections(part, known)]


def allowed(field: dict[str, Any], known: dict[str, Any]) -> str:
    """What a field takes, in words."""
    if "allowed" in field:
        return field["allowed"]
    if "anyOf" in field:
        parts = [part for part in field["anyOf"] if part.get("type") != "null"]
        return " or ".join(allowed(part, known) for part in parts)
    if "$ref" in field:
        return f"table ({', '.join(_sections(field, known)[0]['properties'])})"
    if "enum" in field or "const" in field:
        return ", ".join(_value(x) for x in field.get("enum", [field.get("const")]))
    least = field.get("minItems") or field.get("minLength")
    tail = f", at least {least}" if least else ""
    if "type" not in field:
        return "any value"
    if field["type"] == "array":
        return f"list of: {allowed(field['items'], known)}{tail}"
    if field["type"] == "object":
        values = field["additionalProperties"]
        return f"table of: {allowed({} if values is True else values, known)}"
    bounds = " and ".join(
        f"{sign} {_number(field[bound])}"
        for bound, sign in _BOUNDS.items()
        if bound in field
    )
    words = "path" if field.get("format") == "path" else _TYPES[field["type"]]
    pattern = f"matching {field['pattern']}" if "pattern" in field else ""
    return " ".join(filter(None, (words, bounds, pattern))) + tail


def _default(field: dict[str, Any], nested: bool) -> str:
    value = field["default"]
    if nested and value:
        return "below"
    # A target is written as it is in a config, in quotes.
    return f'"{_number(value)}"' if "allowed" in field else _value(value)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _number(value)


def _number(value: Any) -> str:
    if isinstance(value, int) and value > 10**6 and value.bit_count() == 1:
        return f"2^{value.bit_length() - 1}"
    return f"{value:g}" if isinstance(value, float) else f"{value}"


class Reference(SphinxDirective):
    """A section a table of the config."""

    def run(self) -> list[nodes.Node]:
        from dpodl.experiments.config.experiment import Config

        found: list[nodes.Node] = []
        for table in tables(Config.model_json_schema()):
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
    for setting in settings:
        body += _row(setting, (0, 2))
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
