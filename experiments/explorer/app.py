"""What ``dpodl explore`` shows: sliders, and the library's answers beside them.

marimo runs this file as a program of its own, so its imports are absolute.
"""

import marimo

app = marimo.App(app_title="dpodl explore", width="medium")


@app.cell
def _():
    from pathlib import Path

    import marimo as mo
    from dpodl.experiments.explorer import drawing, opened
    from dpodl.experiments.explorer.answers import Moves
    from dpodl.experiments.pipeline.machine import set_up_jax
    from dpodl.models.errors import UserError

    set_up_jax()
    folder = Path(str(mo.cli_args()["run"]))
    explorer = opened(folder)
    return Moves, UserError, drawing, explorer, folder, mo


@app.cell
def _(explorer, folder, mo):
    at, (low, high) = explorer.start, explorer.accuracies
    sliders = mo.ui.dictionary(
        {
            "t_acc": mo.ui.slider(
                round(low, 3),
                round(high, 3),
                0.001,
                value=min(max(round(at.t_acc, 3), round(low, 3)), round(high, 3)),
                label="T_acc",
                show_value=True,
            ),
            "log_t_1": mo.ui.slider(
                228, 256, 0.25, value=at.log_t_1, label="log₂ T_1", show_value=True
            ),
            "log_t_2": mo.ui.slider(
                240, 256, 0.25, value=at.log_t_2, label="log₂ T_2", show_value=True
            ),
            "provers": mo.ui.slider(
                2, max(200, at.provers), 1, value=at.provers, label="n", show_value=True
            ),
            "corrupted": mo.ui.slider(
                0,
                max(100, at.corrupted),
                1,
                value=at.corrupted,
                label="βn",
                show_value=True,
            ),
            "delay_steps": mo.ui.slider(
                0,
                max(500, at.delay_steps),
                1,
                value=at.delay_steps,
                label="Δ, steps",
                show_value=True,
            ),
            "log_target": mo.ui.slider(
                -12, -1, 0.5, value=at.log_target, label="log₁₀ target", show_value=True
            ),
        }
    )
    mo.vstack([mo.md(f"## {folder.name}"), *sliders.elements.values()])
    return (sliders,)


@app.cell
def _(Moves, UserError, drawing, explorer, mo, sliders):
    moves, seen, refusal = Moves(**sliders.value), None, ""
    try:
        seen = explorer.law(moves)
    except UserError as error:
        refusal = str(error)
    mo.callout(refusal, kind="warn") if seen is None else mo.Html(
        drawing.law(seen) + drawing.table(seen)
    )
    return moves, seen


@app.cell
def _(drawing, explorer, mo, moves, seen):
    mo.stop(seen is None)
    mo.vstack(
        [
            mo.Html(drawing.table(explorer.good_periods(moves))),
            mo.md(
                "Confirmations and risk are against a private chain; where messages "
                "take time they are upper bounds of its risk. Good periods are "
                "simulated anew at every move, with 256 replicas. What a value was "
                "found by is shown where the pointer rests on it. The first move to a "
                "much more forked chain compiles a program, which takes seconds."
            ),
        ]
    )
    return


@app.cell
def _(mo, seen):
    mo.stop(seen is None)
    mo.vstack(
        [
            mo.md("The config of what is seen, for `dpodl run`:"),
            mo.ui.code_editor(
                seen.config.to_toml(), language="toml", disabled=True, max_height=300
            ),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
