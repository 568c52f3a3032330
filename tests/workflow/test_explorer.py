"""The explorer in a real browser: what it shows, computes and lets one do, offline and under its policy."""

import json
import re

import numpy as np
import pytest
import torch
import xarray as xr
from test_addition import sums  # noqa: F401

from chromium import CHROMIUM, Browser
from geometry.explorer.live_network import network_content
from geometry.explorer.packing import as_json, pack
from geometry.interventions.steering import draw_pairs, kl_nats
from geometry.networks.build import build_network, initial_parameters
from geometry.networks.input_layout import DenseSequences
from geometry.storage import open_dataset
from geometry.tables import read_table, select

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: chromium")

READY = "document.body && document.body.dataset.ready"
NEXT_FRAME = "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
MODEL = {"n_layers": 2, "n_heads": 2, "d_model": 8, "d_head": 4, "d_mlp": 12, "normalization": "LN", "bos": True}
MODEL |= {"output": "softmax"}
PLAIN = {"bos": False, "output": "softmax"}
OSCILLATORS = {"oscillator_dim": 4, "kuramoto_steps": 2, "coupled": True}
ARCHITECTURES = [
    *({"architecture": "transformer", "activation": name} | MODEL for name in ("relu", "gelu", "gelu_new")),
    {"architecture": "transformer", "activation": "relu"} | MODEL | {"normalization": "none", "bos": False},
    {"architecture": "transformer", "activation": "relu"} | MODEL | {"output": "stablemax"},
    *({"architecture": name, "n_layers": 2, "d_model": 8} | PLAIN for name in ("rnn", "gru", "lstm")),
    {"architecture": "kuramoto", "n_layers": 1, "d_model": 8} | PLAIN | OSCILLATORS,
    {"architecture": "selective_ssm", "n_layers": 2, "d_model": 8, "d_state": 2} | PLAIN | {"bos": True},
]


@pytest.fixture(scope="module")
def page(finished):
    return finished.folder / "results/explorer.html"


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


@pytest.fixture
def opened(browser, page):
    """The browser with the page open on its first experiment; nothing that it logs or requests is tolerated."""
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page)
    browser.wait(READY)
    yield browser
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith(page.as_uri())] == []


def choose(browser, name):
    browser.js(
        f"(() => {{ const s = document.getElementById('experiments'); s.selectedIndex = "
        f"app.study.experiments.indexOf({name!r}); s.dispatchEvent(new Event('change')); }})()"
    )
    browser.wait(f"document.body.dataset.ready === {name!r}")


def place_of(browser, panel, point):
    """Where a point of a panel is in the window, in CSS pixels."""
    return browser.js(
        f"(() => {{ const p = {panel}; p.canvas.scrollIntoView({{block: 'center'}}); p.draw();"
        "const box = p.canvas.getBoundingClientRect(), ratio = box.width / p.canvas.width;"
        f"return [box.left + p.xs[{point}] * ratio, box.top + p.ys[{point}] * ratio]; }})()"
    )


ALONE = """(() => { const p = app.clouds.panels[1]; p.draw();
  for (let i = 0; i < p.shown; i++)
    if (p.nearestTo(p.xs[i], p.ys[i], 64, (j) => j !== i) < 0) return i; })()"""
"""A point of the second panel with no other within eight pixels."""


def test_pointing_at_a_point_names_its_word_and_a_click_selects_it_everywhere(opened):
    point = opened.js(ALONE)
    opened.mouse("mouseMoved", *place_of(opened, "app.clouds.panels[1]", point))
    word = opened.js(f"app.experiment.word({point}).map((t) => app.experiment.tokens[t]).join(' ')")
    assert opened.js("document.getElementById('hovered').textContent") == word
    opened.click(*place_of(opened, "app.clouds.panels[1]", point))
    assert opened.js("app.word.join(' ')") == word and opened.js("document.getElementById('typed').value") == word
    marked = opened.js("app.clouds.panels.map((p) => [...p.marked.keys()].includes(app.clouds.selected()))")
    assert len(marked) == 4 and all(marked)


def test_word_stands_beside_its_ring(opened):
    word = "app.clouds.nameOf(app.clouds.selected())"
    assert opened.js(word).replace(" ", "") == "".join(map(str, opened.js("app.word")))
    point = opened.js(ALONE)
    opened.mouse("mouseMoved", *place_of(opened, "app.clouds.panels[1]", point))
    assert opened.js(word) == "" and opened.js(f"app.clouds.nameOf({point})") == opened.js(
        "document.getElementById('hovered').textContent"
    )


def test_words_are_marked_by_their_end_or_by_a_box_in_all_panels(opened):
    opened.js("(document.getElementById('more').open = true, document.getElementById('ending').focus())")
    opened.type("0 1")
    opened.key("Enter")
    opened.wait("app.clouds.marks && app.clouds.panels.every((panel) => panel.front)")
    marks = np.array(opened.js("Array.from(app.clouds.marks)"))
    words = opened.js("Array.from({length: app.experiment.n}, (_, i) => app.experiment.word(i))")
    assert marks.tolist() == [int(word[-2:] == [0, 1]) for word in words] and 0 < marks.sum() < len(words)
    for shown, note in opened.js("app.clouds.panels.map((panel) => [panel.shown, panel.note.textContent])"):
        assert note.endswith(f" Marked: {marks[:shown].sum()}.")
    opened.js("document.getElementById('ending').value = ''")
    opened.type("0 7")
    opened.key("Enter")
    opened.wait("document.getElementById('marked').textContent === '7 is no token; tokens are 0, 1, 2.'")
    point = opened.js(ALONE)
    x, y = place_of(opened, "app.clouds.panels[1]", point)
    opened.drag([x - 30, y - 20], [x + 30, y + 20])
    opened.wait("app.clouds.marks")
    x, y = opened.js(f"(() => {{ const p = app.clouds.panels[1]; return [p.xs[{point}], p.ys[{point}]]; }})()")
    ratio = opened.js("app.clouds.panels[1].canvas.width / app.clouds.panels[1].canvas.clientWidth")
    places = np.array(opened.js("[app.clouds.panels[1].xs, app.clouds.panels[1].ys].map((xs) => Array.from(xs))"))
    distance = np.abs(places - [[x], [y]]) / ratio
    marks = np.array(opened.js("Array.from(app.clouds.marks)"))[: places.shape[1]]
    assert marks[point] and marks[(distance < [[28], [18]]).all(axis=0)].all()
    assert not marks[(distance > [[32], [22]]).any(axis=0)].any()
    opened.js("app.clouds.panels[0].canvas.focus()")
    opened.key("Escape")
    assert opened.js("app.clouds.marks") is None


@pytest.mark.parametrize("experiment", ["mess3", "rrxor"])
def test_words_are_marked_by_a_box_of_a_finger_that_neither_scrolls_nor_turns(experiment, opened):
    choose(opened, experiment)
    opened.js("document.getElementById('box').click()")
    assert opened.js("document.getElementById('box').getAttribute('aria-pressed')") == "true"
    x, y = place_of(opened, "app.clouds.panels[1]", 0)
    before = opened.js("[scrollY, app.clouds.camera.yaw]")
    opened.touch([x - 15, y - 60], [x, y - 20], [x + 15, y + 20])
    opened.wait("app.clouds.marks")
    assert opened.js("app.clouds.marks[0]") == 1
    assert 0 < opened.js("app.clouds.marks.reduce((sum, mark) => sum + mark, 0)") < opened.js("app.experiment.n")
    assert opened.js("[scrollY, app.clouds.camera.yaw]") == before
    opened.js("document.getElementById('unmark').click()")
    assert opened.js("app.clouds.marks") is None and opened.js("document.getElementById('unmark').disabled")
    x, y = place_of(opened, "app.clouds.panels[1]", 0)
    opened.drag([x - 15, y - 60], [x + 15, y + 20])
    assert opened.js("app.clouds.marks[0]") == 1
    opened.js("document.getElementById('box').click()")
    opened.js("document.getElementById('unmark').click()")
    x, y = place_of(opened, "app.clouds.panels[1]", 0)
    opened.touch([x - 40, y], [x, y], [x + 40, y])
    assert opened.js("app.clouds.marks") is None
    assert (opened.js("app.clouds.camera.yaw") != before[1]) == (experiment == "rrxor")


def test_sections_below_are_drawn_again_only_for_another_view(opened):
    """A change of colours, marks or panels leaves the path of the word and the written belief as they are."""
    choose(opened, "rrxor")
    opened.js(
        "(window.drawn = [], [app.follow, app.steer].forEach((part) => ['draw', 'refresh', 'update'].forEach((name) =>"
        "{ const own = part[name]; part[name] = () => { drawn.push(name); return own?.call(part); }; })))"
    )
    select = "((s) => {{ s.selectedIndex = {1}; s.dispatchEvent(new Event('change')); }})({0}.querySelector('select'))"
    views, colours = (f"app.clouds.controls.children[{place}]" for place in (0, 1))
    for change in (
        select.format(colours, 1),
        select.format("app.clouds.panels[0].head", 1),
        "app.clouds.markEnding('0')",
        "app.clouds.preset('sites')",
        "app.clouds.panelChoice.querySelector('button').click()",
    ):
        opened.js(change)
        opened.js("new Promise((go) => setTimeout(go, 100))")
        assert opened.js("drawn") == []
    opened.js(select.format(views, 1))
    opened.wait("drawn.length")
    assert opened.js("drawn") == ["draw", "draw"]


@pytest.mark.parametrize("experiment", ["mess3", "rrxor"])
def test_network_and_beliefs_of_the_page_are_those_of_the_study(experiment, opened, finished):
    choose(opened, experiment)
    results = finished.folder / "results"
    name = next(path.name for path in (results / "tasks").iterdir() if path.name.startswith(f"{experiment}_"))
    truth = open_dataset(results / f"tasks/{name}/ground_truth.zarr.zip")
    run = open_dataset(results / f"{experiment}/seed_1/activations.zarr.zip")
    decoded = open_dataset(results / f"{experiment}/seed_1/decoded.zarr.zip")["decoded_belief"][0, -1, -1].values
    found = opened.js(
        "(async () => { const e = app.experiment, network = e.networks[0];"
        "const cloud = network.clouds.find((c) => c.split === 'held_out_prefix' && c.site === e.sites.length - 1"
        " && c.snapshot === network.steps.length - 1);"
        "const beliefs = await decodedOf(e, cloud), width = e.states.length;"
        "return Array.from({length: e.n}, (_, i) => [e.word(i), e.belief(i), prediction(e, e.belief(i)),"
        "Array.from(beliefs.subarray(i * width, (i + 1) * width)),"
        "app.network.run(e.word(i)).logProbability.at(-1)]); })()"
    )
    assert len(found) == truth.sizes["prefix"]
    rows, rounding = rows_by_word(truth), opened.js("app.experiment.unit * app.experiment.states.length / 2")
    assert rounding < 0.01
    for word, belief, optimum, own, log_probability in found:
        row = rows[tuple(word)]
        np.testing.assert_allclose(belief, truth["target"].values[row], atol=1e-12)
        np.testing.assert_allclose(optimum, truth["next_token_probability"].values[row], atol=1e-12)
        np.testing.assert_allclose(own, decoded[row], atol=rounding + 1e-6)
        np.testing.assert_allclose(log_probability, run["log_probability"].values[-1, row], atol=1e-4)


def rows_by_word(truth: xr.Dataset) -> dict[tuple, int]:
    words: list[tuple] = []
    for parent, token in zip(truth["parent"].values, truth["last_token"].values, strict=True):
        words.append((*(words[parent] if parent >= 0 else ()), int(token)))
    return {word: row for row, word in enumerate(words)}


@pytest.mark.parametrize("model", ARCHITECTURES, ids=lambda model: f"{model['architecture']} {model.get('activation')}")
def test_forward_pass_of_the_page_is_that_of_every_architecture(model, opened):
    network = build_network(3, 5, model)
    weights = initial_parameters(network, seed=3)
    rng = np.random.default_rng(0)
    weights = {
        name: array + rng.normal(scale=0.1, size=array.shape).astype(np.float32) for name, array in weights.items()
    }
    network.set_parameters(weights)
    word = [0, 2, 1, 1, 0]
    tokens = torch.tensor([3] * model["bos"] + word)
    with torch.no_grad():
        logits = network(tokens, DenseSequences(1, len(tokens), torch.device("cpu")))
    expected = network.log_probability(logits.double())[int(model["bos"]) :, :3].numpy()
    content = as_json(network_content(weights, model, "a network"))
    code = f"Network.load({content}, 3).then((one) => one.run({json.dumps(word)}).logProbability)"
    np.testing.assert_allclose(opened.js(code), expected, atol=1e-5)


def test_written_belief_moves_the_prediction_as_the_table_of_steering_has_it(opened, finished):
    results = finished.folder / "results"
    (task,) = (results / "tasks").glob("mess3_*")
    truth = open_dataset(task / "ground_truth.zarr.zip")
    belief, length = truth["target"].values, truth["length"].values.astype(float)
    pairs = draw_pairs(belief, length[:, None], truth["weight"].values, 1000, np.random.default_rng(0))
    words = {row: list(word) for word, row in rows_by_word(truth).items()}
    asked = [[words[a], belief[b].tolist()] for a, b in zip(pairs.prefix.tolist(), pairs.partner, strict=True)]
    table = select(read_table(results / "mess3/seed_1/steering.csv"), partner="any", tokens_later=0, dose=1.0)
    for site in ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post"):
        for way in ("pattern", "filter"):
            code = f"{json.dumps(asked)}.map(([w, b]) => steered(app.experiment, app.network, w, {site!r}, b, {way!r}))"
            value = kl_nats(truth["next_token_probability"].values[pairs.partner], np.array(opened.js(code))).mean()
            row = select(table, site=site, intervention=way, metric="kl_to_counterfactual_nats")
            np.testing.assert_allclose(value, row["value"].item(), rtol=1e-4, atol=1e-6)


def test_dragging_the_ring_writes_the_belief_under_it(opened):
    before = opened.js("document.getElementById('summary').textContent")
    start = opened.js(
        "(() => { const s = app.steer, p = s.panel; p.canvas.scrollIntoView({block: 'center'}); p.draw();"
        "const box = p.canvas.getBoundingClientRect(), ratio = box.width / p.canvas.width;"
        "return [s.handle, s.view().corners[1]].map(p.at)"
        ".map(([x, y]) => [box.left + x * ratio, box.top + y * ratio]); })()"
    )
    opened.drag(*start)
    np.testing.assert_allclose(opened.js("app.steer.target"), [0, 1, 0], atol=0.02)
    assert opened.js("document.getElementById('summary').textContent") != before
    share = r"\u2212?\d+ %"
    said = f"closes {share} of .*; along the probe's weights {share}; along this random direction {share}( .negative)?"
    for _ in range(5):
        opened.js("(app.steer.seed++, app.steer.update())")
        found = re.search(said, opened.js("document.getElementById('summary').textContent"))
        assert ("\N{MINUS SIGN}" in found[0]) == bool(found[1])
    opened.js("app.steer.panel.canvas.focus()")
    opened.key("ArrowLeft")
    assert opened.js("app.steer.target[1]") < 0.98
    ring = (
        "(() => { const { canvas, at } = app.steer.panel, box = canvas.getBoundingClientRect();"
        "const ratio = box.width / canvas.width, [x, y] = at(app.steer.handle);"
        "return [box.left + x * ratio, box.top + y * ratio]; })()"
    )
    opened.js(NEXT_FRAME)
    (x, y), scrolled = opened.js(ring), opened.js("scrollY")
    opened.touch([x, y], [x, y - 30], [x, y - 60])
    np.testing.assert_allclose(opened.js(ring), [x, y - 60], atol=25)  # it stays within the triangle
    assert opened.js("scrollY") == scrolled and abs(opened.js(ring)[1] - y) > 30


def test_keyboard_alone_reaches_and_moves_everything(opened):
    opened.js("app.clouds.panels[0].canvas.focus()")
    before = opened.js("app.word")
    opened.key("ArrowRight")
    assert opened.js("app.word") != before
    has_focus = "document.activeElement === app.clouds.{}"
    for place in ("controls.querySelector('select')", "panels[1].head.querySelector('select')", "panels[1].canvas"):
        opened.js(f"app.clouds.{place}.focus()")
        opened.js("app.clouds.refresh()")
        assert opened.js(has_focus.format(place))
    opened.js("document.getElementById('training').focus()")
    opened.key("ArrowLeft")
    opened.wait("!app.clouds.panels[1].note.textContent.includes('step 30,')")
    opened.js("document.getElementById('typed').select(), document.getElementById('typed').focus()")
    opened.type("0 1 2 0 1")
    opened.key("Enter")
    assert "has 5 tokens; the network reads at most 4" in opened.js("document.querySelector('.message').textContent")
    opened.js("document.getElementById('typed').value = ''")
    opened.type("0 1 2")
    opened.key("Enter")
    assert opened.js("app.word") == [0, 1, 2]
    opened.js("document.querySelector('.cell').focus()")
    opened.key("Enter")
    assert opened.js("document.querySelector('dialog').open") and "Made by" in opened.js(
        "document.querySelector('dialog').textContent"
    )
    opened.key("Escape")
    assert not opened.js("document.querySelector('dialog').open")


def test_choices_change_what_is_drawn(opened):
    choose(opened, "rrxor")
    n_sites = opened.js("app.experiment.sites.length")
    for preset, n_panels in {"sites": 1 + n_sites, "steps": 5, "seeds": 3, "networks": 4}.items():
        opened.js(f"app.clouds.preset({preset!r})")
        assert opened.js("app.clouds.grid.querySelectorAll('canvas').length") == n_panels
    colours = "Array.from(app.clouds.panels[1].colors.subarray(0, 50)).join()"
    seen = {opened.js(colours)}
    for name in ("error", "length", "next"):
        opened.js(f"(app.clouds.color = {name!r}, app.clouds.refresh())")
        seen.add(opened.js(colours))
    assert len(seen) == 4
    assert opened.js("app.experiment.views.map((view) => view.name)") == ["principal components", "three corners"]
    opened.js("document.getElementById('spin').click()")
    opened.wait("app.clouds.camera.yaw > 0.52")
    opened.js("document.getElementById('spin').click()")
    opened.js("(app.clouds.view = 1, app.clouds.corners = [4, 0, 2], app.clouds.refresh())")
    point = opened.js("placed(app.clouds.currentView(), [0.5, 0, 0, 0.25, 0.25], 1)")
    corners = np.array(opened.js("simplexCorners(3)"))
    np.testing.assert_allclose(point, 0.25 * corners[0] + 0.5 * corners[1], atol=1e-12)
    before = opened.js("(app.clouds.panels[0].draw(), Array.from(app.clouds.panels[0].xs))")
    opened.js("(app.clouds.zoom(2), app.clouds.panels[0].draw())")
    assert np.ptp(opened.js("Array.from(app.clouds.panels[0].xs)")) == pytest.approx(2 * np.ptp(before), rel=1e-5)


def test_chaos_game_has_the_beliefs_of_the_process(opened, finished):
    opened.js("document.getElementById('chaos').click()")
    opened.wait("app.follow.chaos === CHAOS_POINTS")
    points = np.array(opened.js("Array.from(app.follow.points().points)")).reshape(-1, 3)[:, :2]
    (task,) = (finished.folder / "results/tasks").glob("mess3_*")
    corners = np.array(opened.js("simplexCorners(3)"))[:, :2]
    true = open_dataset(task / "ground_truth.zarr.zip")["target"].values @ corners
    distance = np.linalg.norm(points[::100, None] - true, axis=2).min(axis=1)
    assert len(points) == 20_000 and distance.max() < 0.25
    assert (np.ptp(points, axis=0) > np.ptp(corners, axis=0) / 2).all()


def test_chaos_game_is_in_the_view_that_is_shown_and_of_a_mixture_begins_again(opened):
    choose(opened, "rrxor")
    points = "Array.from(app.follow.points().points.subarray(0, 600))"
    before = opened.js(points)
    opened.js("(app.clouds.view = 1, app.clouds.refresh())")
    after = opened.js(points)
    assert after != before and after == opened.js(f"(app.follow.game = null, {points})")
    first = "(app.experiment.composed = 'mixture', app.follow.game = null, app.follow.points().points)"
    places = np.array(opened.js(f"Array.from({first})")).reshape(-1, 3)[:: opened.js("app.experiment.context")]
    assert len(np.unique(places, axis=0)) <= opened.js("app.experiment.tokens.length")


SLOW, FAST = ({"process": "mess3", "parameters": {"x": x, "alpha": 0.95}} for x in (0.2, 0.4667))
FOLLOWING = {"process": "mess3", "parameters": {"alpha": 0.6}, "depends_on": "token", "by": [{"x": 0.05}, {"x": 0.4}]}
BY_TOKEN = "mess3_2 (alpha = 0.6; x = 0.05 or x = 0.4 by the token of the factor before)"


@pytest.mark.parametrize(
    ("parameters", "labels"),
    [
        ({"components": [SLOW, FAST]}, ["mess3_1 (x = 0.2, alpha = 0.95)", "mess3_2 (x = 0.4667, alpha = 0.95)"]),
        ({"factors": [SLOW, FOLLOWING]}, ["mess3_1 (x = 0.2, alpha = 0.95)", BY_TOKEN]),
        ({"epsilon": 0.1, "of": {"parameters": {"factors": [SLOW]}}}, ["mess3_1 (x = 0.2, alpha = 0.95)"]),
    ],
)
def test_parts_are_named_by_process_and_parameters(parameters, labels, opened):
    parts = [{"name": f"mess3_{n}", "readout": [1, 1, 1]} for n in range(1, len(labels) + 1)]
    states = [f"{part}:{state}" for part in range(1, len(labels) + 1) for state in "ABC"]
    content = {"parameters": parameters, "parts": parts, "states": states, "composed": "mixture"}
    key = "{experiment, color: 'belief', currentView: () => ({})}"
    found = opened.js(
        f"(() => {{ const experiment = {json.dumps(content)}; labelParts(experiment);"
        f"return [experiment.parts.map((one) => one.label), app.clouds.key.call({key})]; }})()"
    )
    assert found[0] == labels and [title for title, _ in found[1]] == labels
    assert [name for _, names in found[1] for _, name in names] == [f"state {name}" for name in states]
    assert len({str(color) for _, names in found[1] for color, _ in names}) == len(states)


def test_evidence_of_each_claim_is_there(opened, finished):
    cells = opened.js("app.study.claims.cells")
    assert len(cells) == len(read_table(finished.folder / "results/claims.csv"))
    for cell in cells:
        for path in [*cell["tables"], *cell["records"], *filter(None, [cell["figure"]])]:
            assert (finished.folder / path).is_file(), path
    assert sum(cell["figure"] is not None for cell in cells) > 0.8 * len(cells)


def test_verdict_leaves_its_claims_alone_and_undecided_ones_say_what_would_decide_them(opened, finished):
    claims, power = (read_table(finished.folder / f"results/{name}.csv") for name in ("claims", "power"))
    outcome, n = opened.js("Object.entries(app.study.claims.counts)[0]")
    opened.js("document.querySelector('.filter').click()")
    cells = "[...document.querySelectorAll('.matrix tbody tr:not([hidden]) .cell:not(.other)')]"
    shown = f"{cells}.map((cell) => cell.dataset.outcome)"
    assert opened.js(shown) == [outcome] * n
    opened.js("document.querySelector('.filter').click()")
    assert len(opened.js(shown)) == len(claims)
    choose(opened, "rrxor")
    assert opened.js("[...document.querySelectorAll('th.current')].map((c) => c.textContent)") == ["rrxor"]
    plan = power.set_index(["claim", "experiment", "site"])["seeds_to_decide"]
    for cell in opened.js("app.study.claims.cells"):
        expected = plan[cell["claim"], cell["experiment"], cell["site"]]
        assert cell["seeds_to_decide"] == (expected if np.isfinite(expected) else None)
    cell = '{verdict: "undecided", n_seeds: %d, seeds_to_decide: %s, expected_verdict: "supported"}'
    plans = [(1, "null", "not known"), (2, "null", "Not 1,000"), (2, "40", "40 networks in place of 2")]
    for n_seeds, seeds, said in plans:
        assert said in opened.js(f"app.claims.decided({cell % (n_seeds, seeds)})")


CONTROLS = {"button", "combobox", "slider", "textbox", "checkbox", "spinbutton", "image", "img", "link", "dialog"}


def test_each_control_and_picture_has_a_name_for_a_screen_reader(opened):
    nodes = [node for node in opened.accessibility() if node[0] in CONTROLS]
    assert len(nodes) > 30 and [node for node in nodes if not node[1].strip()] == []
    levels = opened.js("[...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels)) <= 1
    assert opened.js("document.documentElement.lang") == "en"


WINDOWS = [(1280, 900), (1366, 768), (1440, 900), (1920, 1080), (390, 844)]


@pytest.mark.parametrize("experiment", ["mess3", "rrxor"])
@pytest.mark.parametrize(("width", "height"), WINDOWS)
def test_clouds_are_whole_in_the_window_at_first(width, height, experiment, opened):
    """All four of a wide window, the first of a phone's."""
    choose(opened, experiment)
    opened.resize(width, height, phone=width < 500)
    opened.js(NEXT_FRAME)
    boxes = opened.js("app.clouds.panels.map((p) => p.canvas.getBoundingClientRect()).map((b) => [b.width, b.bottom])")
    opened.resize(1300, 1000)
    shown = boxes[:1] if width < 500 else boxes
    assert min(wide for wide, _ in shown) > 250 and max(bottom for _, bottom in shown) <= height


@pytest.mark.parametrize("experiment", ["mess3", "rrxor"])
def test_tables_are_read_on_a_phone_without_scrolling(experiment, opened):
    choose(opened, experiment)
    opened.resize(390, 844, 2, phone=True)
    opened.js(NEXT_FRAME)
    tables = opened.js("[...document.querySelectorAll('.scroll')].map((one) => [one.scrollWidth, one.clientWidth])")
    heads = "[...document.querySelectorAll('.stacked td')].map((td) => getComputedStyle(td, '::before').content)"
    heads = opened.js(heads)
    roles = [role for role, _ in opened.accessibility()]
    experiments = "[...document.querySelectorAll('.matrix td')].filter((td) => td.offsetWidth)"
    experiments += ".map((td) => td.dataset.experiment)"
    alone = opened.js(experiments)
    opened.resize(1300, 1000)
    assert len(tables) == 5 and [wide for wide, room in tables if wide > room] == []
    assert len(heads) > 20 and all(len(head.strip('"')) > 0 and head != "none" for head in heads)
    assert {"table", "row", "rowheader", "columnheader", "cell"} <= set(roles)
    assert set(alone) == {experiment} and {"mess3", "rrxor"} <= set(opened.js(experiments))


@pytest.mark.parametrize("width", [360, 1300])
def test_page_is_no_wider_than_the_screen(width, opened):
    opened.resize(width, 800, 2, phone=width < 500)
    opened.js(NEXT_FRAME)
    assert opened.js("document.documentElement.scrollWidth") <= width
    opened.resize(1300, 1000)


def test_dark_page_is_dark_and_what_is_black_is_light(opened):
    opened.dark(True)
    opened.js(NEXT_FRAME)
    assert opened.js("isDark()") and opened.js("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 26)"
    assert opened.js("anchor(2)") == [0xF4, 0xF4, 0xF4]
    opened.dark(False)


def test_name_that_is_markup_stays_a_name(browser, page, tmp_path):
    text = page.read_text(encoding="utf-8")
    start = text.index('id="experiment-0">') + len('id="experiment-0">')
    end = text.index("</script>", start)
    content = json.loads(text[start:end])
    hostile = "</script><img onerror=alert(1) src=x>"
    content["states"][0] = content["tokens"][0] = hostile
    other = tmp_path / "explorer.html"
    other.write_text(text[:start] + as_json(content) + text[end:], encoding="utf-8")
    browser.problems.clear()
    browser.open(other)
    browser.wait(f"{READY} && location.href.includes({tmp_path.name!r})")
    assert browser.js("document.images.length") == 0 and browser.problems == []
    assert browser.js(
        f"[...document.querySelectorAll('th')].some((th) => th.textContent === {json.dumps('state ' + hostile)})"
    )


def test_policy_lets_no_other_script_run_and_nothing_be_loaded(browser, page):
    browser.open(page)
    browser.wait(READY)
    browser.js("document.body.append(element('script', {}, 'window.ran = true'))")
    assert browser.js("window.ran === undefined")
    assert browser.js("fetch('https://example.org').then(() => 'loaded', () => 'refused')") == "refused"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.read_text(encoding="utf-8"))[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy


def test_packed_arrays_are_read_as_they_were(opened):
    arrays = [np.array([[1, 255], [0, 7]], np.uint8), np.array([-32767, 3, 300], np.int16)]
    for array in [*arrays, np.array([1e-9, -2.5], np.float32)]:
        code = f"unpack({json.dumps(pack(array))}).then(({{ shape, values }}) => [shape, Array.from(values)])"
        shape, values = opened.js(code)
        assert shape == list(array.shape) and np.array_equal(np.array(values, array.dtype), array.ravel())


def test_numbers_stand_on_circles_and_surgery_makes_the_network_of_the_study(browser, sums):  # noqa: F811
    study, _ = sums
    browser.problems.clear()
    browser.open(study.folder / "results/explorer.html")
    browser.wait(f"{READY} === 'sums'")
    circles = open_dataset(study.folder / "results/sums/seed_1/surgery.zarr.zip")
    for modulus in (11, 5, 11):
        a, b = browser.js(f"(app.circles.change({modulus}), app.circles.numbers)")
        assert modulus <= a + b and max(a, b) < modulus
    modulus, chosen = circles.sizes["token"], circles["chosen_frequency"].values.tolist()
    browser.js(f"app.circles.change({modulus})")
    assert browser.js("app.circles.now.choice") == chosen
    for place, k in enumerate(chosen):
        code = f"circleOf(app.circles.now.network.w['embed.W_E'], {modulus}, app.network.model.d_model, {k})"
        points = np.array(browser.js(f"Array.from({code})")).reshape(modulus, 3)
        np.testing.assert_allclose(points[:, :2], circles["embedding_circle"].values[place], atol=1e-4)
    table = select(read_table(study.folder / "results/sums/seed_1/surgery.csv"), network="surgery", measure="accuracy")
    table = table[table["step"] == table["step"].max()].set_index("modulus")["value"]
    for modulus in (5, 8, 11):
        right = browser.js(
            f"(() => {{ app.circles.change({modulus}); let right = 0;"
            f"for (let a = 0; a < {modulus}; a++) for (let b = 0; b < {modulus}; b++) {{"
            "app.circles.numbers = [a, b]; app.circles.say();"
            "right += app.circles.result.right === app.circles.result.found; } return right; })()"
        )
        if modulus != 11:  # as trained, not after surgery
            assert abs(right / modulus**2 - table[modulus]) < 1e-9
    assert right / modulus**2 > 0.5 and "mod 11" in browser.js("document.getElementById('answer').textContent")
    assert browser.problems == []
