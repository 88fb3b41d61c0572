import numpy as np
import pandas as pd
import pytest
from dpodl.figures import table_2

SUMMARY = pd.DataFrame(
    {
        "setting": ["PoW", "half", "refused"],
        "kind": ["pow", "dpodl", "dl"],
        "t_acc": [np.nan, 0.97, 0.99],
        "t_1": ["2^228", "2^244", ""],
        "t_2": ["", "2^255", ""],
        "mean": [4000.0, 2000.0, np.nan],
        "mean_low": [4000.0, 1900.0, np.nan],
        "mean_high": [4000.0, 2100.0, np.nan],
        "cv": [1.0, 0.35, np.nan],
        "cv_low": [1.0, 0.3, np.nan],
        "cv_high": [1.0, 0.4, np.nan],
        "mean_seconds": [400.0, 200.0, np.nan],
        "sd_seconds": [400.0, 70.0, np.nan],
        "runs": [0, 200, np.nan],
    }
)
PUBLISHED = SUMMARY.assign(
    published_mean_seconds=[433.37, 140.60, np.nan],
    published_sd_seconds=np.sqrt([122336.11, 648.97, np.nan]),
    published_cv=[0.807, 0.1812, np.nan],
)


def test_intervals_are_in_seconds():
    df = table_2.data({"law_summary": SUMMARY})
    half = df.loc[df["setting"] == "half"]
    np.testing.assert_allclose(
        half[["mean_seconds_low", "mean_seconds_high"]], [[190, 210]]
    )
    assert df["published_cv"].isna().to_numpy().all()
    assert not any(df["note"])


def test_the_impossible_row_is_marked_where_it_is_shown():
    df = table_2.data({"law_summary": PUBLISHED})
    assert list(df["note"] != "") == [False, True, False]
    text = table_2.latex(df)
    lines = text.splitlines()
    (row,) = [line for line in lines if "255" in line and "&" in line]
    assert row == (
        r"D-PoDL (0.97, $2^{244}$, $2^{255}$)$^{*}$ & 200 [190, 210] & 70.0 & "
        r"0.350 [0.300, 0.400] & 141 & 0.181 \\"
    )
    assert r"PoW ($2^{228}$) & 400 & 400 & 1.00 & 433 & 0.807 \\" in lines
    assert r"DL (0.99) & -- & -- & -- & -- & -- \\" in lines
    assert text.count("cannot come from") == 1
    assert text.count("{") == text.count("}")


def test_the_note_s_numbers_follow_from_the_published_rows():
    # Half of the runs in the time of the row without a lottery, the others in the rest.
    slow = 2 * 140.60 - 94.26
    between = ((slow - 94.26) / 2) ** 2
    assert f"{slow:.2f} s" in table_2.IMPOSSIBLE
    assert f"{between:.0f} s^2" in table_2.IMPOSSIBLE
    assert between > 648.97


def test_a_lacking_column_is_named():
    with pytest.raises(ValueError, match=r"lacks the column.*cv_low"):
        table_2.data({"law_summary": SUMMARY.drop(columns="cv_low")})
