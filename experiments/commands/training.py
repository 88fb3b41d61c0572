"""Commands about trainings: train, calibrate."""

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, worker_options
from .terminal import BAD_INPUT, clear_errors, echo_json, fail, progress_bars


@click.command(cls=ConfigCommand)
@worker_options
def train(config, overrides, output, jobs, executor, scheduler, as_json, quiet) -> None:
    """Train the CONFIG's models, wherever there are workers, and keep their curves.

    The curves are those that `dpodl run` would train, bit by bit, in the same place: a
    run or a sweep with the same CONFIG and --output finds them there. Every shard of
    models is kept when it is done; after an interruption, a killed worker or with more
    training.runs the same command goes on from there. Workers need the same dpodl,
    libraries, data and processor; one that has not says so and trains nothing. States
    are kept with training.keep_states = true.

    \b
    Examples:
      dpodl train quickstart --set training.runs=100000 --executor dask
      dpodl train paper --executor dask --scheduler tcp://head:8786
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..workers import executors, trainings

        if scheduler is not None and executor != "dask":
            fail(f"--scheduler is for --executor dask, got {executor}", BAD_INPUT)
        with (
            executors.workers(executor, jobs=jobs, scheduler=scheduler) as pool,
            progress_bars(quiet or as_json) as progress,
        ):
            found = trainings.train_runs(settings, output, pool, progress)
        if as_json:
            echo_json(found)
            return
        there = found.runs - found.trained
        known = f", {there:,} were there" if there else ""
        pace = ""
        if found.trained:
            steps = found.trained * settings.training.horizon_steps / found.seconds
            pace = f" in {found.seconds:.0f} s, {steps:,.0f} model-steps a second"
        click.echo(f"trained {found.trained:,} models{pace}{known}")
        click.echo(f"curves: {found.folder}")


@click.command(cls=ConfigCommand, default="quickstart")
@click.option(
    "--lanes",
    metavar="N,N,…",
    help="Numbers to try.  [default: 1 to 8 on a CPU, 1 to 4096 on an accelerator]",
)
def calibrate(config, overrides, output, lanes, as_json, quiet) -> None:
    """Measure how many models to train side by side on this device.

    Times the CONFIG's menu, with its looks, at several numbers of lanes and prints the
    line to put into the config: the smallest number within 5 % of the fastest. A
    curve's bits depend on it, so nothing chooses it behind the config; without the line
    it is 1.
    """
    with clear_errors():
        from ..config.loading import load_config

        widths = _widths(lanes)
        settings = load_config(config, overrides)
        set_up_jax()
        import jax

        from ...models.learning.curves import training_set
        from ..pipeline.lanes import best_lanes, measure_lanes
        from ..pipeline.training import curve_settings
        from ..world.dataset import config_dataset

        dataset = config_dataset(settings)
        data = training_set(dataset.x_train, dataset.y_train)
        with progress_bars(quiet or as_json) as progress:
            rates = measure_lanes(
                settings,
                data,
                curve_settings(settings, dataset),
                progress,
                lanes=widths,
            )
        device, best = jax.devices()[0], best_lanes(rates)
        if as_json:
            echo_json({"device": device.device_kind, "lanes": best, "rates": rates})
            return
        click.echo(
            f"{device.platform}: {device.device_kind}, {len(jax.devices())} of it"
        )
        for each in rates:
            told = (
                f"{each.rate:12,.0f} model-steps a second" if each.rate else "no room"
            )
            click.echo(f"{each.lanes:6} lanes {told}")
        click.echo(f"[training]\nlanes = {best}")


def _widths(text: str | None) -> tuple[int, ...]:
    """The numbers of lanes that are to be tried, rising."""
    words = [] if text is None else text.split(",")
    if not all(word.strip().isdecimal() and int(word) for word in words):
        fail(f"--lanes takes whole numbers ≥ 1 and commas, got {text}", BAD_INPUT)
    return tuple(sorted({int(word) for word in words}))
