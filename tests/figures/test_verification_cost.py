import numpy as np
from dpodl.figures import verification_cost

from .conftest import all_axes, rendered
from .test_more_figures import more_tables


def test_ratios_are_of_the_medians_and_all_segments_never_pass():
    df = verification_cost.data(more_tables())
    row = df.query("checkpoint_every == 25 and q == 2")
    np.testing.assert_allclose(row[["ratio", "low", "high"]], [[0.25, 0.2375, 0.275]])
    np.testing.assert_allclose(row["rerolls"], 4 / 3)
    assert np.isinf(df.loc[df["all"], "rerolls"]).all()
    figure = rendered(verification_cost.draw(df))
    ratio, tries, size = all_axes(figure)
    assert tries.get_ylim()[1] < 10
    assert "MB" in size.get_ylabel()
    assert len(ratio.containers) == 3
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:3] == ["drawn: q = 1", "drawn: q = 2", "drawn: all, none passes"]
