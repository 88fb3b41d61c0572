import numpy as np
import pytest
from dpodl.analysis.bounds.latency import guo_ren
from dpodl.analysis.bounds.races import nakamoto_approximation
from dpodl.figures import latency

from .conftest import everything_inside, rendered
from .sweeps import DEPTHS, interval, risk, sweep


def test_the_wait_is_the_depth_in_mean_intervals():
    df = latency.data({"points": sweep(betas=(0.2, 0.3))})
    chain = df.loc[(df["layer"] == "chain") & (df["series"] == 0.3)]
    np.testing.assert_allclose(
        chain["wait"], np.array(DEPTHS) * interval(0.95, 253, 25)
    )
    np.testing.assert_allclose(chain["value"], [risk(0.3, k) for k in DEPTHS])


def test_the_references_are_of_the_memoryless_chain_with_the_same_interval():
    df = latency.data({"points": sweep(betas=(0.2,))})
    rate = 1 / (interval(0.95, 253, 25) - 25) / 0.8
    bracket = df.loc[df["layer"] == "guo_ren"]
    expected = [guo_ren(0.2, k, x=rate * 25) for k in DEPTHS]
    np.testing.assert_allclose(bracket[["low", "high"]], expected)
    nakamoto = df.loc[df["layer"] == "nakamoto", "value"]
    np.testing.assert_allclose(nakamoto, nakamoto_approximation(0.2, np.array(DEPTHS)))


def test_shares_are_those_of_whole_provers():
    # 0.23 of 20 provers are 5 of them.
    df = latency.data({"points": sweep(betas=(0.23,))})
    nakamoto = df.loc[df["layer"] == "nakamoto", "value"]
    np.testing.assert_allclose(nakamoto, nakamoto_approximation(0.25, np.array(DEPTHS)))


@pytest.mark.parametrize("beta", [0.0, 0.6])
def test_without_a_race_there_is_no_reference(beta):
    df = latency.data({"points": sweep(betas=(beta,))})
    assert set(df["layer"]) == {"chain"}


def test_a_refused_curve_is_named_in_the_legend():
    df = latency.data({"points": sweep(betas=(0.1, 0.2, 0.3), failed=(2,))})
    figure = rendered(latency.draw(df))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert r"$\beta$ = 0.3: refused" in texts
    assert any("Guo–Ren" in text for text in texts)
    assert everything_inside(figure)


def test_of_unequal_provers_the_share_is_that_of_their_speed():
    points = sweep(betas=(0.25,)).assign(**{"network.beta_of_speed": 0.1})
    df = latency.data({"points": points})
    nakamoto = df.loc[df["layer"] == "nakamoto", "value"]
    np.testing.assert_allclose(nakamoto, nakamoto_approximation(0.1, np.array(DEPTHS)))
