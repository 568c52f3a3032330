"""The findings at a glance: the matrix of claims by experiments, the outcome for one network, and the counts."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from geometry.claims.findings import findings, overview
from geometry.claims.markup import Heading, Paragraph, Section, as_html, as_markdown
from geometry.claims.outcomes import OUTCOMES, counts_in_words, full_names, interval_over_draws, with_outcomes

VERDICTS = ("supported", "not supported", "undecided", "not testable")
RULE = {"margin": 0.1, "confidence": 0.95}
ROW = {
    "site": "blocks.1.hook_resid_post",
    "measure": "R2",
    "n_seeds": 5,
    "n_draws": 2,
    "estimate": 0.9,
    "ci_low": 0.85,
    "ci_high": 0.95,
    "baseline": 0.5,
    "baseline_name": "3-gram",
    "kind": "more",
    "gain": 0.8,
    "gain_ci_low": 0.7,
    "gain_ci_high": 0.9,
    "gain_over_draws_low": 0.79,
    "gain_over_draws_high": 0.81,
    "verdict": "supported",
    "p_value": 0.001,
    "p_holm": 0.002,
    "sd_over_draws": 0.01,
    "exact": np.nan,
    "caution": "",
}
ONE = {"n_seeds": 1, "verdict": "undecided", "gain_ci_low": -np.inf, "gain_ci_high": np.inf, "p_value": np.nan}
HOSTILE = '<b onclick="x">a|b</b> & co'


def claims(*rows):
    return with_outcomes(pd.DataFrame([ROW | row for row in rows]), RULE["margin"])


def document(*rows):
    """The findings on one experiment of a task that has no tables of its own."""
    table = pd.DataFrame([ROW | {"experiment": "e"} | row for row in rows])
    return as_markdown(findings(table, {}, {"e": "tabulated"}, RULE))


class Page(HTMLParser):
    """The elements of a page as (tag, attributes, text inside), and the rows of its tables."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.rows = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, **dict(attributes), "text": ""}
        self.elements.append(element)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append(element)
        if tag != "meta":
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data


@pytest.fixture
def page():
    table = claims(
        {"claim": "emerges", "experiment": "a"},
        {"claim": HOSTILE, "experiment": "a", "verdict": "not supported", "caution": "worse than <uniform>"},
        {"claim": "causal", "experiment": HOSTILE, "verdict": "not testable", "gain": np.nan},
        {"claim": "emerges", "experiment": HOSTILE, "baseline_name": "<script>", **ONE},
    )
    return overview(table, RULE)


def test_matrix_has_a_row_for_each_claim_and_a_cell_for_each_experiment(page):
    header, *rows = Page(as_html("Findings", [page])).rows
    assert [cell["text"] for cell in header] == ["Claim", "a", HOSTILE]
    assert [row[0]["text"] for row in rows] == ["emerges", HOSTILE, "causal"]
    shown = [[cell["text"].split("\n")[0][:8] for cell in row[1:]] for row in rows]
    symbols = [["✓support", "1✓as cla"], ["✗not sup", "·no such"], ["·no such", "○not tes"]]
    assert shown == symbols
    styles = [[cell.get("class") for cell in row[1:]] for row in rows]
    assert styles == [["supported", "supported one"], ["opposed", None], [None, "untestable"]]
    assert all(("tabindex" in cell) == ("class" in cell) for row in rows for cell in row[1:])


def test_note_of_a_cell_has_all_that_the_cell_leaves_out(page):
    first, second = (row[1]["text"] for row in Page(as_html("Findings", [page])).rows[1:3])
    assert "0.900 over 0.500" in first
    for part in ("0.9000 [0.8500, 0.9500]", "0.8000 [0.7000, 0.9000]", "3-gram", "R2", "5 networks", "margin 0.1"):
        assert part in first
    assert "Caution: worse than <uniform>" in second and "(caution)" in second


def test_page_needs_no_script_no_file_and_no_colour(page):
    found = Page(as_html("Findings", [page]))
    assert not {"script", "link", "img", "b onclick"} & {element["tag"] for element in found.elements}
    assert not any(key.startswith("on") or key in ("src", "href") for one in found.elements for key in one)
    assert found.open == []
    assert len({mark.symbol for mark in OUTCOMES.values()}) == len(OUTCOMES)


def test_every_outcome_has_a_colour_on_the_page_in_light_and_dark(page):
    text = as_html("Findings", [page])
    for style in {mark.style.split()[0] for mark in OUTCOMES.values()}:
        assert f".{style} {{background: var(--{style})}}" in text
        assert text.count(f"--{style}: #") == 2


def test_same_summary_in_markdown_is_a_plain_table(page):
    escaped = '&lt;b onclick="x">a\\|b&lt;/b> & co'
    assert as_markdown([page]).splitlines() == [
        f"| Claim | a | {escaped} |",
        "| --- | --- | --- |",
        "| emerges | supported: 0.900 over 0.500 | as claimed (one network): 0.900 over 0.500 |",
        f"| {escaped} | not supported: 0.900 over 0.500 (caution) |  |",
        "| causal |  | not testable: 0.900 over 0.500 |",
    ]


def test_a_section_is_closed_on_the_page_and_open_in_markdown():
    parts = [Section(Heading("a < b"), [Paragraph("text")])]
    (details,) = [one for one in Page(as_html("t", parts)).elements if one["tag"] == "details"]
    assert "open" not in details and details["text"].split() == ["a", "<", "b", "text"]
    assert as_markdown(parts) == "## a &lt; b\n\ntext\n"


def test_findings_open_with_counts_and_the_matrix():
    text = document({"claim": "emerges"}, {"claim": "lasts", "verdict": "undecided"})
    assert text.startswith("# Findings\n\n1 supported, 1 undecided of 2 claims. ")
    assert text.index("| emerges | supported: ") < text.index("## How a verdict") < text.index("## All claims")
    assert "Holm" in text and "another seed" not in text


def test_findings_on_one_network_compare_it_in_words():
    text = document({"claim": "emerges", **ONE}, {"claim": "lasts", "gain_over_draws_low": -0.1, **ONE})
    assert "\n2 as claimed" not in text and "1 as claimed (one network), 1 open (one network) of 2 claims" in text
    above = (
        "0.9000, above its best baseline (3-gram, 0.5000): gain 0.8000, interval over draws of folds [0.7900, 0.8100]"
    )
    assert f"| emerges | as claimed (one network) | {above} |" in text
    assert "| lasts | open (one network) | 0.9000, level with its best baseline" in text
    assert "needs at least one more network" in text and "Holm" not in text and "inf" not in text


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, "as claimed"),
        ({"gain_over_draws_low": 0.05}, "open"),
        ({"gain_over_draws_low": -0.2, "gain_over_draws_high": 0.09}, "not as claimed"),
        ({"gain_over_draws_low": np.nan, "gain_over_draws_high": np.nan, "gain": 0.2}, "as claimed"),
        ({"gain_over_draws_low": np.nan, "gain_over_draws_high": np.nan, "gain": 0.05}, "not as claimed"),
        ({"kind": "no less", "gain_over_draws_low": -0.09, "gain_over_draws_high": -0.01}, "as claimed"),
        ({"kind": "no less", "gain_over_draws_low": -0.3, "gain_over_draws_high": -0.2}, "not as claimed"),
        ({"kind": "no more", "gain_over_draws_low": -0.3, "gain_over_draws_high": 0.09}, "as claimed"),
        ({"kind": "no more"}, "not as claimed"),
    ],
)
def test_one_network_is_compared_within_itself(row, expected):
    table = claims({"claim": "c", "experiment": "e", **ONE, **row})
    assert list(table["outcome"]) == [f"{expected} (one network)"]


def test_verdicts_over_seeds_stay_and_one_network_has_none():
    several = claims({"claim": "c", "experiment": "e", **ONE, "n_seeds": 2})
    assert list(several["outcome"]) == ["undecided"]
    one = claims({"claim": "c", "experiment": "e", **ONE, "verdict": "not testable"})
    assert list(one["outcome"]) == ["not testable"]


def test_interval_over_draws_is_students_t_of_the_mean_over_the_networks():
    values = np.array([[0.5, 0.7, 0.9], [0.7, 0.9, 0.7]])
    draws = np.array([0.6, 0.8, 0.8])
    half = student_t.ppf(0.975, 2) * draws.std(ddof=1) / np.sqrt(3)
    assert interval_over_draws(values, 0.95) == pytest.approx((draws.mean() - half, draws.mean() + half))
    assert np.isnan(interval_over_draws(values[:, :1], 0.95)).all()


def test_counts_are_in_words_in_a_fixed_order():
    rows = [{"claim": str(n), "experiment": "e", "verdict": verdict} for n, verdict in enumerate(VERDICTS)]
    table = claims(*reversed(rows), {"claim": "x", "experiment": "e"})
    assert counts_in_words(table) == "2 supported, 1 not supported, 1 undecided, 1 not testable of 5 claims"
    assert counts_in_words(table[-1:]) == "1 supported of 1 claim"


def test_claims_of_one_name_at_several_sites_of_an_experiment_have_the_site_in_theirs():
    rows = [("a", "linear", "concatenated"), ("a", "causal", "blocks.0.hook_resid_post"), ("b", "linear", "ln_final")]
    claims = pd.DataFrame(rows, columns=["experiment", "claim", "site"])
    assert full_names(claims) == ["linear", "causal", "linear"]
    claims.loc[3] = "b", "causal", "blocks.0.hook_resid_post"
    claims.loc[4] = "b", "causal", "blocks.1.hook_resid_post"
    first, second = (f"causal at {k} resid_post" for k in (0, 1))
    assert full_names(claims) == ["linear", first, "linear", first, second]


def test_samples_of_words_are_not_told_as_networks():
    own = document({"claim": "c", "unit": "sample of words"})
    assert "\n5 samples of words, one network. Supported: c." in own and "5 networks" not in own
    assert "They say nothing of other networks, however they are trained." in " ".join(own.split())
    older = document({"claim": "c"})
    assert "\n5 networks. Supported: c." in older and "samples of words" not in older
    cell = overview(claims({"claim": "c", "experiment": "e", "unit": "sample of words"}), RULE).rows["c"][0]
    assert "5 samples of words, one network, 95% intervals" in cell.note
