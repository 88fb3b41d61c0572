"""What is no config is refused, with all that is wrong and what is allowed."""

import pytest
from dpodl.experiments.config.loading import load_config, parse_config
from dpodl.experiments.config.section import ConfigError

from .test_experiment import BASE, refusal, written

# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("change", "told"),
    [
        # Unknown settings: the known ones are told.
        ("training.steps=3", "training.steps: no such setting; there are runs, "),
        ("training.steps=3", "horizon_steps"),
        ("scheme.p=3", "p_1, p_2"),
        ("trainin.runs=3", "trainin: no such setting; there are name, "),
        ("menu.weights.rates=[1]", "menu.weights.rates: no such setting"),
        ("menu.weights.rates=[1]", "there are architectures, batch_sizes, init_scales"),
        (
            "comparisons=[{label='x', beta=1}]",
            "comparisons.0.beta: no such setting; there are t_acc",
        ),
        (
            "menu.optimizers=[{name='sgd', learning_rates=[1], rate=1}]",
            "menu.optimizers.0.rate: no such setting; there are name, learning_rates",
        ),
        # Wrong types.
        ("training.runs='24'", "training.runs: Input should be a valid integer"),
        ("training.runs=24.0", "got 24.0"),
        ("training.runs=true", "got True"),
        ("scheme.t_acc='0.9'", "scheme.t_acc: Input should be a valid number"),
        ("scheme.t_acc=true", "got True"),
        ("description=3", "description: Input should be a valid string (got 3)"),
        ("training=3", "training: Input should be a valid dictionary"),
        ("data.path=3", "data.path: "),
        ("menu.architectures='softmax'", "menu.architectures: "),
        ("seed=1979-05-27", "seed: Input should be a valid integer"),
        # Out of range.
        ("scheme.t_acc=0", "scheme.t_acc: Input should be greater than 0 (got 0)"),
        ("scheme.t_acc=1.01", "less than or equal to 1 (got 1.01)"),
        ("scheme.t_acc=-0.5", "greater than 0 (got -0.5)"),
        ("scheme.t_acc=nan", "finite number (got nan)"),
        ("scheme.t_1=2^257", "scheme.t_1: a target lies in [0, 2^256], got 2^257"),
        ("scheme.t_2=-1", "scheme.t_2: a target lies in [0, 2^256], got -1"),
        ("scheme.t_2=1.5", 'scheme.t_2: a target is "2^k"'),
        ("scheme.p_1=0", "scheme: p_1: a probability lies in [2^-256, 1], got 0"),
        ("scheme.p_1='x'", "scheme: p_1 must be a number, got 'x'"),
        ("network.beta=1", "network.beta: Input should be less than 1 (got 1)"),
        ("network.beta=-0.1", "network.beta: Input should be greater than or equal"),
        ("network.beta=nan", "network.beta: Input should be a finite number"),
        ("network.beta=0.3", "nearest betas are 0.25 and 0.5, got 0.3"),
        ("network.delay_steps=inf", "network.delay_steps: "),
        ("training.runs=9", "training.runs: Input should be greater than or equal"),
        ("training.lanes=0", "training.lanes: "),
        ("training.eval_samples=some", "Input should be 'all' (got 'some')"),
        ("training.horizon_steps=11", "at least check_every = 12 (one look), got 11"),
        ("training.check_every=241", "at least check_every = 241 (one look), got 240"),
        ("training.horizon_steps=60000", "at most 4096 looks, got 5000"),
        ("protocol.retry=x", "protocol.retry: Input should be 'continue' or 'restart'"),
        ("protocol.abandon_steps=soon", "'horizon' or 'never' (got 'soon')"),
        ("protocol.abandon_steps=11", "protocol.abandon_steps must be a multiple of"),
        ("protocol.abandon_steps=252", "training.horizon_steps = 240, got 252"),
        ("protocol.abandon_steps=18", "training.check_every = 12 up to"),
        ("clock.unit=hours", "'steps', 'operations' or 'seconds' (got 'hours')"),
        ("clock.unit=seconds", "missing: softmax/32, mlp-8/32"),
        ("clock.step_seconds={x=0}", "clock.step_seconds.x: "),
        ("clock.hashes_per_step=0", "clock.hashes_per_step: "),
        ("security.depths=25", "security.depths must be at most half of security.lev"),
        ("security.confirmations=13", "security.confirmations must be at most ¼"),
        ("security.windows=[]", "security.windows: "),
        ("security.windows=[0]", "security.windows.0: "),
        ("security.epsilon=1", "security.epsilon: Input should be less than 1"),
        ("menu.architectures=[]", "menu: an axis of the menu needs at least one"),
        ("menu.architectures=['mlp']", "'softmax', 'mlp-W' or 'cnn-C'"),
        ("menu.batch_sizes=[0]", "menu.batch_sizes.0: "),
        ("menu.weights.batch_sizes=[1, 2]", "weights must be 1 whole numbers"),
        (
            "menu.optimizers=[{name='lion', learning_rates=[1]}]",
            "menu.optimizers.0.name: Input should be 'sgd', 'momentum' or 'adam'",
        ),
        (
            "menu.optimizers=[{name='sgd', learning_rates={low=1, high=2}}]",
            "menu.optimizers.0.learning_rates.count: Field required",
        ),
        (
            "menu.optimizers=[{name='sgd', learning_rates=[0.1], momenta=[0.5]}]",
            "momenta belong to the optimizer 'momentum'; 'sgd' got (0.5,)",
        ),
        ("comparisons=[{kind='pow'}]", "comparisons.0.label: Field required"),
        ("comparisons=[{label='a'}, {label='a'}]", "comparisons.label must differ"),
        ("name=a/b", "name: String should match pattern"),
        ("name=..", "name: "),
        ("seed=-1", "seed: Input should be greater than or equal to 0 (got -1)"),
    ],
)
def test_bad_settings_are_named_with_what_is_allowed_and_what_was_given(change, told):
    message = refusal(*BASE, change)
    assert message.startswith("smoke cannot be used:\n  ")
    assert told in message


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        (
            ("training.runs=1", "scheme.t_acc=3", "foo=1", "network.beta=2"),
            ("training.runs", "scheme.t_acc", "foo", "network.beta"),
        ),
        (
            ("security.depths=100", "protocol.abandon_steps=1", "clock.unit=seconds"),
            ("security.depths", "protocol.abandon_steps", "clock.step_seconds"),
        ),
    ],
)
def test_all_problems_are_told_at_once(changes, fields):
    message = refusal(*BASE, *changes)
    assert all(field in message for field in fields)


@pytest.mark.parametrize(
    "override", ["x", "", "=3", "a..b=3", ".a=3", "a.=3", "scheme.t_acc"]
)
def test_overrides_of_another_form(override):
    told = refusal(override)
    assert told == f"--set takes a.b=value, got {override!r}"


@pytest.mark.parametrize(
    ("override", "key"),
    [("training.runs.x=3", "runs"), ("comparisons.0.label=x", "comparisons")],
)
def test_overrides_below_what_is_no_table(override, key):
    told = refusal(override)
    assert f"--set {override}: {key!r} is not a table" in told


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("scheme.t_acc=0.9", ("scheme", "t_acc"), 0.9),
        ("scheme.t_acc = 0.9", ("scheme", "t_acc"), 0.9),
        ("protocol.retry=restart", ("protocol", "retry"), "restart"),
        ("protocol.retry='restart'", ("protocol", "retry"), "restart"),
        ("scheme.t_2=2^250", ("scheme", "t_2"), 1 << 250),
        ("security.windows=[3, 4.5]", ("security", "windows"), (3, 4.5)),
        ("description=a = b", ("description",), "a = b"),
        ("clock.step_seconds.x/3=2", ("clock", "step_seconds"), {"x/3": 2}),
    ],
)
def test_overrides_are_toml_and_bare_words_are_text(override, path, value):
    found = load_config("smoke", [override])
    for name in path:
        found = getattr(found, name)
    assert found == value


def test_numbers_of_thousands_of_digits_are_refused_like_others(tmp_path):
    digits = "9" * 5000
    assert "training.runs" in refusal(f"training.runs={digits}")
    source = written(tmp_path, f'name = "x"\nseed = {digits}')
    assert "not valid TOML" in refusal(source=source)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ", "not valid TOML: Invalid value (at end of document)"),
        ("name = 'a'\nname = 'b'", "not valid TOML: Cannot overwrite a value"),
        (b"name = '\xff'", "cannot read the config"),
        (b"name = '\xff'", "not UTF-8 text"),
        ("", "name: Field required"),
    ],
)
def test_unreadable_text(text, told, tmp_path):
    source = written(tmp_path, text)
    message = refusal(source=source)
    assert told in message
    assert source in message


def test_missing_files_and_unknown_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "No such file" in refusal(source="nothing.toml")
    for name in ("quickstar", "", "a/b"):
        told = refusal(source=name)
        assert f"no config is called {name!r}" in told
        assert "paper, quickstart, reality, retarget, smoke" in told


def test_a_folder_does_not_hide_the_shipped_config_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke").mkdir()
    assert load_config("smoke").name == "smoke"
    (tmp_path / "mine").write_text('name = "of-mine"')
    assert load_config("mine").name == "of-mine"
    (tmp_path / "folder.toml").mkdir()
    assert "Is a directory" in refusal(source="folder.toml")


# ------------------------------------------------------------------ bounds

DEEP = 20_000


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * DEEP) + " = 1",
        " . ".join(['"a"'] * DEEP) + " = 1",
        "[" + ".".join("a" * DEEP) + "]",
        "a = " + "[" * DEEP + "]" * DEEP,
        "a = " + "{b = " * DEEP + "1" + "}" * DEEP,
        "a = " + "[{b = " * 9 + "1" + "}]" * 9,
    ],
    ids=["dotted", "quoted", "table", "lists", "tables", "mixed"],
)
def test_what_is_nested_too_deep_is_refused_before_it_is_parsed(text, tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text(f'name = "deep"\n{text}\n')
    with pytest.raises(ConfigError, match="nested deeper than 16"):
        load_config(str(path))


@pytest.mark.parametrize(
    "override", ["a=" + "[" * DEEP + "]" * DEEP, ".".join("a" * DEEP) + "=1"]
)
def test_an_override_is_bounded_too(override):
    with pytest.raises(ConfigError, match="--set is nested deeper"):
        load_config("smoke", [override])


def test_a_config_s_size_is_bounded(tmp_path):
    path = tmp_path / "endless.toml"
    path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="more than 1,048,576 characters"):
        load_config(str(path))


@pytest.mark.parametrize(
    "text",
    [
        'description = "' + "a.b[{" * 100 + '"',
        "# " + "[" * 100 + "a." * 100,
        "description = '" + "[" * 100 + "'",
        'description = """\n' + "[\n" * 100 + '"""',
        "description = '''\n" + "a." * 100 + "'''",
        'description = "\\"' + "[" * 100 + '"',
    ],
)
def test_what_a_text_or_a_comment_holds_is_not_nested(text):
    assert parse_config(f'name = "x"\n{text}\n', "x").name == "x"


def test_a_value_of_a_message_is_brief():
    with pytest.raises(ConfigError) as caught:
        load_config("smoke", ["seed=[" + "1," * 100_000 + "]"])
    assert len(str(caught.value)) < 1000
