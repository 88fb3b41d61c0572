"""The JSON schema of a config, for editors: they complete settings and mark wrong ones.

Pydantic's own schema is of what a config becomes. This one is of what TOML may say,
which is more: probabilities for targets, dotted paths of a sweep. It says less than
``load_config`` checks: rules between settings stay there.
"""

import json
from collections.abc import Iterator
from typing import Any

from .experiment import Config
from .hash_targets import HASH_BITS, format_target
from .own_law import ROLES
from .sweep import NAMES

FILE = "dpodl.schema.json"
"""Its name beside the shipped configs, whose first line is ``#:schema ./`` and this."""

_TARGET = {
    "description": '"2^k", a whole number in [0, 2^256], or its digits',
    "anyOf": [
        {"type": "string", "pattern": r"^\s*(2\s*(\^|\*\*)\s*\d{1,3}|\d{1,99})\s*$"},
        {"type": "integer", "minimum": 0},
    ],
}
_PROBABILITY = {"type": "number", "minimum": 2.0**-HASH_BITS, "maximum": 1}
_ARCHITECTURE = {
    "type": "string",
    "anyOf": [{"const": "softmax"}, {"pattern": r"^(mlp|cnn)-[1-9][0-9]{0,3}$"}],
}
# An empty list is as good as none.
_FOLLOW = (("classes", "provers"), ("classes", "beta"), ("delays", "delay_steps"))
_OVER = {
    "anyOf": [
        {"type": "string"},
        {"type": "array"},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/Over"}},
    ]
}


def config_schema() -> dict[str, Any]:
    """The schema, of JSON Schema's draft 7, which editors of TOML know."""
    schema: dict[str, Any] = json.loads(json.dumps(Config.model_json_schema()))
    known = schema["$defs"]
    for section in (schema, *known.values()):
        for field in section["properties"].values():
            _for_toml(field)
    for name in ("SchemeConfig", "ComparisonConfig"):
        _add_probabilities(known[name])
    network = known["NetworkConfig"]
    network["allOf"] = [
        _not_both(one, other, properties={one: {"minItems": 1}})
        for one, other in _FOLLOW
    ]
    known["MenuConfig"]["properties"]["architectures"]["items"] = _ARCHITECTURE
    known["Over"] = _OVER
    sweep = known["SweepConfig"]["properties"]
    sweep["over"]["additionalProperties"] = {"$ref": "#/$defs/Over"}
    names = {"type": "array", "items": {"enum": list(NAMES)}, "minItems": 1}
    sweep["quantities"]["anyOf"] = [{"enum": ["all", "quick"]}, names]
    columns = known["LawConfig"]["properties"]["columns"]
    columns["properties"] = {role: {"type": "string"} for role in ROLES}
    columns["additionalProperties"] = False
    for each in _objects(schema):
        # A class's name tells a user nothing.
        if isinstance(each.get("title"), str):
            del each["title"]
    head = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A config of dpodl",
    }
    return head | schema


def schema_text() -> str:
    """The schema as the file has it: the same bytes for the same settings."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


def _for_toml(field: dict[str, Any]) -> None:
    """A setting as it is written: TOML has no null, and a target no digits."""
    parts = [part for part in field.get("anyOf", ()) if part.get("type") != "null"]
    if len(parts) == 1:
        del field["anyOf"]
        field |= {**parts[0], **field}
    elif parts:
        field["anyOf"] = parts
    if "allowed" in field:
        told = f"{field['description']}: {_TARGET['description']}"
        default = format_target(int(field["default"]))
        field.clear()
        field |= {**_TARGET, "description": told, "default": default}
    if "$ref" in field or field.get("default", 0) is None:
        field.pop("default", None)
    if field.get("format") == "path":
        del field["format"]  # none that a validator knows


def _add_probabilities(section: dict[str, Any]) -> None:
    section["allOf"] = []
    for stage, what in (("1", "pre-hash"), ("2", "post-hash")):
        section["properties"][f"p_{stage}"] = {
            **_PROBABILITY,
            "description": f"success probability of a {what}, instead of t_{stage}",
        }
        section["allOf"].append(_not_both(f"t_{stage}", f"p_{stage}"))


def _not_both(one: str, other: str, **also: Any) -> dict[str, Any]:
    return {"not": {"required": [one, other], **also}}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in a schema that is no table of names."""
    if isinstance(value, list):
        for each in value:
            yield from _objects(each)
    elif isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _objects(each)
