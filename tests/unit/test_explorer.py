"""The explorer's data: packed without loss, escaped, of the right size, with evidence for every claim."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geometry.explorer.clouds import (
    HELD_OUT,
    IN_SAMPLE,
    NO_TOKEN,
    Network,
    chosen_prefixes,
    cloud_content,
    n_points,
    words_of,
)
from geometry.explorer.evidence import MADE_BY, claims_content
from geometry.explorer.packing import as_json, pack, quantised
from geometry.explorer.page import SCRIPTS, assembled, digest
from geometry.processes.catalog import mess3
from geometry.tables import read_table
from geometry.tasks.ground_truth import markov_ground_truth

ROOT = Path(__file__).parents[2]
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "scripts/explorer").iterdir()}


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_packed_bytes_are_those_of_the_array_in_planes(kind):
    array = np.array([[1, 2, 3], [100, 5, 7]], kind)
    packed = pack(array)
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8)
    assert packed["shape"] == [2, 3]
    assert np.array_equal(planes.reshape(array.itemsize, -1).T.copy().view(kind).reshape(2, 3), array)


def test_differences_are_rounded_to_half_a_unit_and_cut_at_the_ends():
    assert quantised(np.array([0.014, -0.016, 1e9, -1e9]), 0.01).tolist() == [1, -2, 32767, -32767]


def test_json_has_no_markup_and_no_number_that_is_none():
    hostile = "</script><img onerror=1>&\u2028"
    text = as_json({hostile: [np.float64("nan"), np.int64(3), (np.inf, hostile)]})
    assert not set(text) & set("<>&") and text.isascii()
    assert json.loads(text) == {hostile: [None, 3, [None, hostile]]}


def test_page_has_every_source_once_and_its_policy_names_them():
    page = assembled(SOURCES, "a <title>", {"study": "{}"})
    assert {f"{name}.js" for name in SCRIPTS} | {"index.html", "style.css"} == SOURCES.keys()
    script = re.search(r"(?s)<script>(.*)</script>", page)[1]
    assert digest(script) in page and "a &lt;title&gt;" in page and "{{" not in page.replace(script, "")
    assert not re.search(r"""(?:src|href)=["']?http|@import|style=|\son\w+=["']""", page.replace(script, ""))


def test_no_source_loads_anything_or_makes_markup_of_text():
    text = "\n".join(SOURCES.values())
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://|import\(", text)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_sources_are_short(name):
    lines = SOURCES[name].splitlines()
    assert len(lines) <= 400 and (name == "style.css" or max(map(len, lines)) <= 120)


def test_words_are_read_up_the_tree():
    parent, token, length = [-1, -1, 0, 1, 2], [0, 1, 1, 0, 2], [1, 1, 2, 2, 3]
    columns = {"parent": parent, "last_token": token, "length": length}
    truth = xr.Dataset({name: ("prefix", np.array(values)) for name, values in columns.items()})
    assert words_of(truth, np.array([4, 3, 1])).tolist() == [[0, 1, 2], [1, 0, NO_TOKEN], [1, NO_TOKEN, NO_TOKEN]]


def test_points_are_a_sample_with_the_shortest_prefixes_at_its_end():
    some, every = (chosen_prefixes(100, most) for most in (40, 100))
    assert len(set(some.tolist())) == 40 and some[-2:].tolist() == [0, 1] and some[:20].max() > 50
    assert sorted(every.tolist()) == list(range(100))


def test_first_networks_have_most_points_and_alone_are_in_sample():
    steps, three = np.array([0, 5, 9]), np.arange(3)
    first, other = (Network("", "seeds_1-2", seed, three, steps, seed == 1) for seed in (1, 2))
    random = Network("", "random_init", 7, three[:1], steps[:1], True)
    sizes = {one: [n_points(one, at, HELD_OUT, 50_000, 2, 1.0) for at in (0, 1, 2)] for one in (first, other)}
    assert sizes == {first: [20_000, 10_000, 20_000], other: [400, 400, 2_000]}
    assert n_points(random, 0, HELD_OUT, 50_000, 2, 1.0) == 10_000
    assert [n_points(one, 2, IN_SAMPLE, 50_000, 2, 1.0) for one in (first, other)] == [10_000, 0]
    assert [n_points(one, 0, IN_SAMPLE, 50_000, 2, 1.0) for one in (first, random)] == [0, 0]
    assert n_points(first, 0, HELD_OUT, 300, 2, 1.0) == 300 and n_points(first, 0, HELD_OUT, 300, 2, 0.01) == 200


def power_of(claims, seeds=40.0):
    """What would decide some claims, in another order than theirs."""
    plan = claims[["claim", "experiment", "site"]].assign(expected_verdict="supported", seeds_to_decide=seeds)
    return plan.iloc[::-1]


def test_every_published_claim_has_its_evidence():
    claims = read_table(ROOT / "docs/claims.csv")
    experiments = list(claims["experiment"].unique())
    runs, figures = (
        {name: ["seeds_1-5"] for name in experiments},
        {name: [figure for _, figure in MADE_BY.values()] for name in experiments},
    )
    rule = {"margin": 0.1, "confidence": 0.95}
    content = claims_content(claims, power_of(claims), rule, runs, figures, "png")
    assert len(content["cells"]) == len(claims) and sum(content["counts"].values()) == len(claims)
    assert [cell["claim"] for cell in content["cells"]] == claims["claim"].tolist()
    for cell in content["cells"]:
        assert cell["seeds_to_decide"] == 40 and cell["expected_verdict"] == "supported"
        assert cell["figure"].startswith(f"results/figures/{cell['experiment']}/")
        assert all(path.startswith(f"results/{cell['experiment']}/seeds_1-5/") for path in cell["tables"])


def test_every_table_of_claims_is_made_by_its_rule():
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    for table, (rule, figure) in MADE_BY.items():
        block = re.search(rf"(?ms)^ *rule {rule}:.*?^    script:", rules)[0]
        assert f"/{table}" in block.split("output:")[1] and f"rule plot_{figure}:" in rules


def test_points_are_of_the_prefixes_that_are_scored():
    """Of a file whose first positions are only read, decoded beliefs have fewer prefixes than the ground truth."""
    process = mess3(0.05, 0.85)
    truth = markov_ground_truth(process, 3, 1000, 0)
    scored = np.flatnonzero(truth["length"].values == 3)
    belief = truth["target"].values[scored]
    coordinates = {"split": [HELD_OUT], "seed": ("snapshot", [1]), "step": ("snapshot", [1]), "site": ["layers.0"]}
    decoded = xr.Dataset(
        {"decoded_belief": (("split", "snapshot", "site", "prefix", "component"), belief[None, None, None])},
        coordinates | {"prefix": scored},
    )
    probe = pd.DataFrame(columns=["target", "metric", "features", "split", "estimator", "weighting"])
    content = cloud_content(process, truth, {"pretrained": (decoded, probe)}, 1.0)
    assert content["words"]["shape"] == [len(scored), 3]
    (cloud,) = content["networks"][0]["clouds"]
    assert cloud["points"]["shape"] == [len(scored), 2]
