"""The schema for editors: what loads passes it, what it marks does not load."""

import json
import tomllib
from importlib import resources

import jsonschema
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.loading import load_config, shipped_configs
from dpodl.experiments.config.schema import FILE, config_schema, schema_text
from dpodl.experiments.config.section import ConfigError

SHIPPED = resources.files("dpodl.experiments.configs")


@pytest.fixture(scope="module")
def checker() -> jsonschema.Draft7Validator:
    schema = config_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def marks(checker, text: str) -> list[str]:
    """What an editor would mark."""
    return [each.message for each in checker.iter_errors(tomllib.loads(text))]


def loads(tmp_path, text: str) -> bool:
    path = tmp_path / "c.toml"
    path.write_text(text)
    try:
        load_config(str(path))
    except ConfigError:
        return False
    return True


def test_the_shipped_schema_is_that_of_today():
    kept = SHIPPED.joinpath(FILE).read_text("utf-8")
    assert kept == schema_text(), f"dpodl configs --schema > experiments/configs/{FILE}"
    printed = CliRunner().invoke(main, ["configs", "--schema"])
    assert (printed.exit_code, printed.stdout) == (0, kept)


@pytest.mark.parametrize("name", shipped_configs())
def test_a_shipped_config_names_its_schema_and_passes_it(checker, name):
    text = shipped_configs()[name]
    # Editors look for it from where the config lies.
    line = text.splitlines()[0]
    assert line.startswith("#:schema ./")
    assert SHIPPED.joinpath(line.removeprefix("#:schema ./")).is_file()
    assert marks(checker, text) == []
    # As a run folder keeps it, every default written out.
    assert marks(checker, load_config(name).to_toml()) == []


@pytest.mark.parametrize(
    "text",
    [
        "[scheme]\np_1 = 0.25\np_2 = 1",
        '[scheme]\nt_1 = 4096\nt_2 = "2 ** 255"',
        '[scheme]\nt_2 = "123456789"',
        "[sweep]\nover.scheme.t_acc = [0.9, 0.95]",
        '[sweep]\nover = { "scheme.t_acc" = "0.90:0.98:0.01" }',
        '[sweep]\nquantities = ["growth", "liveness"]',
        "[network]\nclasses = [{ count = 3 }, { count = 1, corrupted = true }]",
        "[network]\nclasses = []\nprovers = 8",
        "[network]\ndelays = [1, 2.5]",
        '[menu]\narchitectures = ["softmax", "mlp-9999", "cnn-8"]\nweights = {}',
        "[menu]\noptimizers = [{ name = 'sgd', learning_rates = [0.1] }]",
        '[law]\nsource = "times"\npath = "x.csv"\ncolumns = { time = "t" }',
        '[[comparisons]]\nlabel = "a"\np_2 = 0.5',
        "[protocol]\nabandon_steps = 400\nreference_window = 'off'",
        "[clock]\nstep_seconds = { 'mlp-8/32' = 1e-4 }",
    ],
)
def test_what_a_config_may_say_passes(checker, tmp_path, text):
    text = f'name = "x"\n{text}'
    assert loads(tmp_path, text)
    assert marks(checker, text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("description = 'no name'", "'name' is a required property"),
        ('name = "a b"', "does not match"),
        ('name = "x"\nseeed = 1', "'seeed' was unexpected"),
        ('name = "x"\nseed = -1', "less than the minimum"),
        ('name = "x"\n[scheme]\nt_acc = 1.5', "greater than the maximum"),
        ('name = "x"\n[scheme]\nt_acc = "0.9"', "is not of type 'number'"),
        ('name = "x"\n[scheme]\nt_1 = "3^9"', "is not valid under any"),
        ('name = "x"\n[scheme]\np_1 = 0', "less than the minimum"),
        ('name = "x"\n[scheme]\np_1 = 0.5\nt_1 = "2^255"', "should not be valid"),
        ('name = "x"\n[[comparisons]]\np_1 = 0.5', "'label' is a required property"),
        ('name = "x"\n[network]\nclasses = [{count=2}]\nbeta = 0', "should not be"),
        ('name = "x"\n[network]\ndelays = [1]\ndelay_steps = 1', "should not be"),
        ('name = "x"\n[menu]\narchitectures = ["mlp"]', "is not valid under any"),
        ('name = "x"\n[menu.weights]\nbatch_size = [1]', "was unexpected"),
        ('name = "x"\n[law]\nsource = "curve"', "is not one of"),
        ('name = "x"\n[law]\ncolumns = { acc = "a" }', "'acc' was unexpected"),
        ('name = "x"\n[sweep]\nquantities = ["decay"]', "is not valid under any"),
        ('name = "x"\n[security]\nwindows = []', "should be non-empty"),
        ('name = "x"\n[protocol.retarget]\nrule = "asert"', "'interval' is a required"),
    ],
)
def test_what_is_marked_does_not_load(checker, tmp_path, text, told):
    found = marks(checker, text)
    assert len(found) == 1, found
    assert told in found[0]
    assert not loads(tmp_path, text)


def test_every_setting_can_be_completed(checker):
    """Whatever has a default is a property with words beside it."""
    schema = checker.schema

    def settings(values: dict, section: dict, path: str = ""):
        for name, value in values.items():
            yield f"{path}{name}", section["properties"].get(name)
            if isinstance(value, dict) and value:
                inner = section["properties"][name]["$ref"].rpartition("/")[2]
                yield from settings(value, schema["$defs"][inner], f"{path}{name}.")

    found = dict(settings(Config(name="x").model_dump(), schema))
    assert len(found) > 90
    assert [path for path, each in found.items() if each is None] == []
    told = {path for path, each in found.items() if each and "description" in each}
    bare = [path for path in found.keys() - told if "$ref" not in found[path]]
    assert bare == []
    assert "null" not in json.dumps(schema)
