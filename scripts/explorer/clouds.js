// Clouds, linked: the true beliefs and what networks decode from their sites, side by side.

const TRUE_BELIEFS = "true";
const SLIDER = "slider";

const MOST_ERROR = 100; // units of the stored numbers, a fifth of the range, at which the scale of errors ends

const COLORS = {
  belief: "true belief (mix of the states' colours)",
  error: "error of the decoded belief",
  length: "length of the word",
  next: "optimal next-token prediction (mix of the tokens' colours)",
};

/** What an experiment's clouds need, computed once: true beliefs, words and their places. */
async function prepareClouds(experiment) {
  const { shape, values } = await unpack(experiment.words), [n, longest] = shape, width = experiment.states.length;
  experiment.word = (i) => Array.from(values.subarray(i * longest, (i + 1) * longest)).filter((token) => token !== 255);
  experiment.n = n;
  experiment.beliefs = new Float64Array(n * width);
  experiment.places = new Map();
  for (let i = 0; i < n; i++) {
    const word = experiment.word(i);
    let belief = experiment.initial;
    for (const token of word) belief = observe(experiment, belief, token);
    experiment.beliefs.set(belief, i * width);
    experiment.places.set(word.join(), i);
  }
  experiment.belief = (i) => Array.from(experiment.beliefs.subarray(i * width, (i + 1) * width));
  experiment.ranges = experiment.states.map((_, j) => {
    let [least, most] = [Infinity, -Infinity];
    for (let i = j; i < n * width; i += width) [least, most] = [Math.min(least, experiment.beliefs[i]), Math.max(most, experiment.beliefs[i])];
    return [least, most];
  });
  experiment.views = viewsOf(experiment, experiment.beliefs);
  experiment.decoded = new Map();
}

/** The decoded beliefs of a cloud, with as many points as it has: true beliefs plus the stored differences. */
async function decodedOf(experiment, cloud) {
  if (experiment.decoded.has(cloud)) return experiment.decoded.get(cloud);
  const { shape, values } = await unpack(cloud.points), [n, stored] = shape, width = experiment.states.length;
  const beliefs = new Float64Array(n * width);
  for (let i = 0; i < n; i++) {
    let left = 1;
    for (let j = 0; j < width; j++) {
      const place = i * width + j;
      beliefs[place] = j < stored ? experiment.beliefs[place] + values[i * stored + j] * experiment.unit : left;
      left -= beliefs[place];
    }
  }
  experiment.decoded.set(cloud, beliefs);
  return beliefs;
}

class Clouds {
  constructor(app) {
    this.app = app;
    this.camera = new Camera();
    this.panels = [];
    this.view = 0;
    this.corners = [0, 1, 2];
    this.color = "belief";
    this.progress = 1; // of the training, on the slider: 0 to 1
    this.hovered = -1;
    this.controls = element("div", { class: "controls" });
    this.legend = element("ul", { class: "legend key", "aria-label": "Colours" });
    this.grid = element("div", { class: "grid" });
    this.card = element("div", { class: "card", role: "status", "aria-live": "polite", id: "reading" });
    this.root = element("section", { id: "clouds", "aria-labelledby": "clouds-title" },
      element("h2", { id: "clouds-title" }, "Clouds of beliefs"),
      element("p", {}, "Each point is a word that the network has read. Its place is the belief of an optimal observer (true) or what a linear probe decodes from the network (decoded). The same word has the same colour everywhere: point at it, or click it, to see it in all panels."),
      this.controls, this.legend, this.grid, this.card);
  }

  get experiment() {
    return this.app.experiment;
  }

  /** The selection of an experiment's first panels: truth, trained, at initialisation, random. */
  async open() {
    const { networks, sites } = this.experiment, last = this.lastLayer();
    const random_ = networks.findIndex((network) => network.run === "random_init");
    this.view = 0;
    this.spinning = null;
    this.camera.reset();
    const chosen = [{ network: TRUE_BELIEFS }, { network: 0, snapshot: SLIDER, site: last }, { network: 0, snapshot: 0, site: last }];
    if (random_ >= 0) chosen.push({ network: random_, snapshot: 0, site: last });
    if (sites.length === 0) chosen.splice(1);
    await this.arrange(chosen);
  }

  lastLayer() {
    const outputs = this.experiment.sites.map((site, i) => [site, i]).filter(([site]) => /hook_resid_post|hook_[hx]$/.test(site));
    return outputs.length ? outputs.at(-1)[1] : 0;
  }

  async arrange(chosen) {
    this.panels = chosen.map((one) => this.newPanel({ split: "held_out_prefix", ...one }));
    await this.refresh();
  }

  newPanel(choice) {
    const panel = new Panel(this, "cloud");
    panel.choice = choice;
    panel.head = element("div", { class: "panel-head" });
    panel.note = element("p", { class: "panel-note" });
    panel.root = element("figure", { class: "panel" }, panel.head, panel.canvas, panel.note);
    return panel;
  }

  /** The cloud that a panel's choice names; null of the true beliefs, undefined if it is not in the page. */
  cloudOf({ network, snapshot, site, split }) {
    if (network === TRUE_BELIEFS) return null;
    const { steps, clouds } = this.experiment.networks[network];
    const place = snapshot === SLIDER ? Math.round(this.progress * (steps.length - 1)) : Math.min(snapshot, steps.length - 1);
    const found = clouds.filter((cloud) => cloud.snapshot === place && cloud.site === site);
    return found.find((cloud) => cloud.split === split) ?? found[0];
  }

  /** The beliefs of a cloud; the true ones of null, and none of a cloud that is not in the page. */
  async beliefsIn(cloud) {
    if (cloud === null) return this.experiment.beliefs;
    return cloud ? decodedOf(this.experiment, cloud) : new Float64Array(0);
  }

  currentView() {
    const view = this.experiment.views[this.view];
    return view.chosen ? threeCorners(this.experiment, this.corners) : view;
  }

  /** Everything anew: controls, heads of the panels, points, colours. */
  async refresh() {
    const started = ++this.app.turn;
    this.buildControls();
    this.buildKey();
    const clouds = this.panels.map((panel) => this.cloudOf(panel.choice));
    const beliefs = [];
    for (const cloud of clouds) beliefs.push(await this.beliefsIn(cloud));
    if (started !== this.app.turn) return;
    this.grid.replaceChildren(...this.panels.map((panel) => panel.root));
    this.panels.forEach((panel, i) => this.fill(panel, clouds[i], beliefs[i]));
    this.mark();
  }

  fill(panel, cloud, beliefs) {
    const { experiment } = this, width = experiment.states.length, n = beliefs.length / width, view = this.currentView();
    const points = new Float32Array(3 * n), row = new Array(width);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < width; j++) row[j] = beliefs[i * width + j];
      points.set(placed(view, row, view.lift ? experiment.word(i).length : 0), 3 * i);
    }
    panel.beliefs = beliefs;
    panel.cloud = cloud;
    panel.show(view, points, this.colorsOf(panel, n), n);
    this.buildHead(panel, cloud, n);
  }

  errorOf(panel, i) {
    const width = this.experiment.states.length;
    let square = 0;
    for (let j = 0; j < width; j++) square += (panel.beliefs[i * width + j] - this.experiment.beliefs[i * width + j]) ** 2;
    return Math.sqrt(square);
  }

  colorsOf(panel, n) {
    const { experiment } = this;
    if (this.color === "error") return pixelColors(n, (i) => graded(this.errorOf(panel, i) / (MOST_ERROR * experiment.unit)));
    if (this.color === "length") return pixelColors(n, (i) => graded(experiment.word(i).length / experiment.context));
    if (this.color === "next") return pixelColors(n, (i) => mixed(prediction(experiment, experiment.belief(i))));
    return pixelColors(n, (i) => beliefColor(experiment, experiment.belief(i), this.currentView().part));
  }

  /** What the colours mean: [colour, name], with a scale as its two ends. */
  key() {
    const { experiment } = this, { part } = this.currentView();
    if (this.color === "error") return [[graded(0), "error 0"], [graded(1), `${number(MOST_ERROR * experiment.unit, 2)} or more`]];
    if (this.color === "length") return [[graded(1 / experiment.context), "1 token"], [graded(1), `${experiment.context} tokens`]];
    if (this.color === "next") return experiment.tokens.map((name, i) => [anchor(i), `token ${name}`]);
    const names = part ? part.readout.map((_, i) => `state ${i} of ${part.name}`) : experiment.generalized ? [] : experiment.states.map((name) => `state ${name}`);
    return names.map((name, i) => [anchor(i), name]);
  }

  buildKey() {
    const entries = this.key().slice(0, 12).map(([color, name]) => {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.backgroundColor = rgb(color);
      return element("li", {}, swatch, name);
    });
    const lift = this.currentView().lift ? element("li", {}, "Height: length of the word.") : null;
    this.legend.replaceChildren(...entries, ...(lift ? [lift] : []));
  }

  buildHead(panel, cloud, n) {
    const { networks, sites } = this.experiment, choice = panel.choice, change = (key) => (value) => {
      choice[key] = key === "network" && value === TRUE_BELIEFS ? value : value === SLIDER || key === "split" ? value : Number(value);
      if (key === "network" && choice.network !== TRUE_BELIEFS) {
        choice.site ??= this.lastLayer();
        choice.snapshot ??= SLIDER;
      }
      this.refresh();
    };
    const fields = [chooser("What", [[TRUE_BELIEFS, "true beliefs"], ...networks.map((network, i) => [i, network.label])], choice.network, change("network"))];
    if (choice.network !== TRUE_BELIEFS) {
      const { steps } = networks[choice.network];
      fields.push(chooser("Site", sites.map((site, i) => [i, site]), choice.site, change("site")));
      if (steps.length > 1) fields.push(chooser("Step", [[SLIDER, "by the slider"], ...steps.map((step, i) => [i, this.nameOfStep(networks[choice.network], step)])], choice.snapshot, change("snapshot")));
      const splits = new Set(networks[choice.network].clouds.filter((one) => one.snapshot === cloud?.snapshot).map((one) => one.split));
      if (splits.size > 1) fields.push(chooser("Probe", [["held_out_prefix", "held-out prefixes"], ["in_sample", "in sample"]], cloud.split, change("split")));
    }
    panel.head.replaceChildren(...fields);
    panel.note.textContent = this.noteOn(panel, cloud, n);
    panel.canvas.setAttribute("aria-label", `${panel.note.textContent} Arrow keys select a neighbouring word.`);
  }

  stepOnSlider() {
    const network = this.experiment.networks[0];
    return this.nameOfStep(network, network.steps[Math.round(this.progress * (network.steps.length - 1))]);
  }

  /** The name of a network's snapshot. */
  nameOfStep({ run }, step) {
    return step === 0 ? "at initialisation" : run === "pretrained" ? "as imported" : `step ${step}`;
  }

  noteOn({ choice }, cloud, n) {
    if (!cloud) return cloud === null ? `True beliefs, ${n} words.` : "Not in this page.";
    const network = this.experiment.networks[choice.network], { label, steps } = network;
    const when = steps.length > 1 ? `, ${this.nameOfStep(network, steps[cloud.snapshot])}` : "";
    const how = cloud.split === "in_sample" ? "in sample" : "held out";
    return `${label}${when}, ${this.experiment.sites[cloud.site]}: R² ${number(cloud.r2)} (${how}), ${n} words.`;
  }

  buildControls() {
    const { experiment } = this, views = experiment.views.map((view, i) => [i, view.name]), { steps } = experiment.networks[0];
    const parts = [
      chooser("View", views, this.view, (value) => { this.view = Number(value); this.camera.reset(); this.refresh(); }),
      chooser("Colour", Object.entries(COLORS), this.color, (value) => { this.color = value; this.refresh(); }),
    ];
    if (experiment.views[this.view].chosen)
      this.corners.forEach((state, place) => parts.push(chooser(`Corner ${place + 1}`, experiment.states.map((name, i) => [i, name]), state, (value) => {
        this.corners[place] = Number(value);
        this.refresh();
      })));
    if (steps.length > 1) {
      this.slider = element("input", { type: "range", min: 0, max: steps.length - 1, step: 1, value: Math.round(this.progress * (steps.length - 1)), "aria-valuetext": this.stepOnSlider(), id: "training",
        oninput: (event) => { this.progress = event.target.value / (steps.length - 1); this.moved(); } });
      this.stepName = element("output", {}, this.stepOnSlider());
      parts.push(element("label", { class: "field" }, element("span", {}, "Training"), this.slider, this.stepName));
      parts.push(element("button", { type: "button", id: "play", onclick: () => this.play(steps) }, "▶ play training"));
    }
    const some = [["", "choose…"], ["networks", "trained, at initialisation, random"], ["sites", "every site of this network"], ["steps", "every step of the training"], ["seeds", "every trained network"]];
    parts.push(chooser("Panels", some, "", (value) => value && this.preset(value)));
    parts.push(element("button", { type: "button", onclick: () => { this.panels.push(this.newPanel({ network: 0, snapshot: SLIDER, site: this.lastLayer(), split: "held_out_prefix" })); this.refresh(); } }, "add a panel"));
    if (this.panels.length > 1) parts.push(element("button", { type: "button", onclick: () => { this.panels.pop(); this.refresh(); } }, "remove the last panel"));
    for (const [text, label, factor] of [["+", "zoom in", 1.5], ["−", "zoom out", 1 / 1.5]])
      parts.push(element("button", { type: "button", "aria-label": label, onclick: () => this.zoom(factor) }, text));
    if (this.currentView().turns) parts.push(element("button", { type: "button", id: "spin", "aria-pressed": String(Boolean(this.spinning)), onclick: () => this.spin() }, "⟳ turn"));
    else this.spinning = null;
    const focused = document.activeElement?.id;
    this.controls.replaceChildren(...parts);
    if (["training", "play", "spin"].includes(focused)) document.getElementById(focused)?.focus();
  }

  /** Turn the view slowly, or stop. */
  spin() {
    const own = (this.spinning = this.spinning ? null : {});
    document.getElementById("spin").setAttribute("aria-pressed", String(Boolean(own)));
    const turn = () => {
      if (!own || this.spinning !== own || !this.app.isOpen) return;
      this.camera.yaw += 0.006;
      this.panels.forEach((panel) => panel.draw());
      requestAnimationFrame(turn);
    };
    turn();
  }

  zoom(factor) {
    this.camera.zoom = Math.max(1, Math.min(12, this.camera.zoom * factor));
    if (this.camera.zoom === 1) this.camera.x = this.camera.y = 0;
    this.redraw();
  }

  async preset(name) {
    const { networks, sites } = this.experiment, last = this.lastLayer(), chosen = [{ network: TRUE_BELIEFS }];
    if (name === "networks") return this.open();
    if (name === "sites") sites.forEach((_, site) => chosen.push({ network: 0, snapshot: SLIDER, site }));
    if (name === "steps") networks[0].steps.forEach((_, snapshot) => chosen.push({ network: 0, snapshot, site: last }));
    if (name === "seeds") networks.forEach(({ run }, network) => run !== "random_init" && chosen.push({ network, snapshot: SLIDER, site: last }));
    await this.arrange(chosen);
  }

  /** The slider has moved: only panels that follow it change. */
  async moved() {
    const started = ++this.app.turn;
    this.stepName.textContent = this.stepOnSlider();
    this.slider.setAttribute("aria-valuetext", this.stepOnSlider());
    for (const panel of this.panels) {
      if (panel.choice.snapshot !== SLIDER || panel.choice.network === TRUE_BELIEFS) continue;
      const cloud = this.cloudOf(panel.choice), beliefs = await this.beliefsIn(cloud);
      if (started !== this.app.turn) return;
      this.fill(panel, cloud, beliefs);
    }
    this.mark();
  }

  async play(steps) {
    const own = (this.playing = {});
    for (let i = 0; i < steps.length && this.playing === own; i++) {
      this.progress = i / (steps.length - 1);
      this.slider.value = i;
      await this.moved();
      await new Promise((go) => setTimeout(go, 700));
    }
  }

  // --- Pointing and selecting --------------------------------------------------------------------------------------

  hover(point) {
    if (point === this.hovered) return;
    this.hovered = point;
    this.mark();
  }

  select(point) {
    if (point >= 0) this.app.setWord(this.experiment.word(point));
  }

  keydown(event, panel) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "+" || event.key === "-") this.zoom(event.key === "+" ? 1.5 : 1 / 1.5);
    if (!way) return;
    event.preventDefault();
    if (event.shiftKey && panel.view.turns) {
      this.camera.yaw += 0.1 * way[0];
      this.camera.pitch += 0.1 * way[1];
      return this.redraw();
    }
    const now = this.selected(), next = now >= 0 && now < panel.shown ? panel.neighbour(now, ...way) : 0;
    if (next >= 0) this.select(next);
  }

  selected() {
    return this.experiment.places.get(this.app.word.join()) ?? -1;
  }

  mark() {
    const selected = this.selected();
    for (const panel of this.panels) {
      panel.marked = new Map();
      if (selected >= 0) panel.marked.set(selected, true);
      if (this.hovered >= 0) panel.marked.set(this.hovered, false);
    }
    this.describe(this.hovered >= 0 ? this.hovered : selected);
    this.redraw();
  }

  /** All about one word, below the panels. */
  describe(point) {
    const { experiment, app } = this;
    if (point < 0) return this.card.replaceChildren(element("p", {}, "Point at a word to read its beliefs and predictions here."));
    const word = experiment.word(point), width = experiment.states.length;
    const rows = [["true belief", this.experiment.belief(point), null]];
    for (const panel of this.panels) {
      if (!panel.cloud || point >= panel.shown) continue;
      rows.push([`decoded: ${panel.note.textContent.split(": R²")[0]}`, Array.from(panel.beliefs.subarray(point * width, (point + 1) * width)), this.errorOf(panel, point)]);
    }
    const states = beliefTable("Belief", experiment.states, rows);
    const predicted = [["optimum", prediction(experiment, experiment.belief(point)), null]];
    if (app.network) predicted.push([`network (${app.network.label})`, app.network.run(word).logProbability.at(-1).map(Math.exp), null]);
    this.card.replaceChildren(
      element("p", { class: "word" }, "Word: ", element("strong", { id: "hovered" }, wordText(experiment, word)), ` (${word.length} tokens)`),
      element("div", { class: "tables" }, states, beliefTable("Next token", experiment.tokens, predicted)));
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.panels.forEach((panel) => panel.draw());
    });
  }
}

const MOST_COLUMNS = 9;

/** A table of numbers by names: rows are [name, values, error]. */
function beliefTable(title, names, rows) {
  const shown = names.slice(0, MOST_COLUMNS), hasError = rows.some(([, , error]) => error !== null);
  const head = element("tr", {}, element("th", { scope: "col" }, title), ...shown.map((name) => element("th", { scope: "col" }, name)), hasError ? element("th", { scope: "col" }, "error") : null);
  const body = rows.map(([name, values, error]) => element("tr", {}, element("th", { scope: "row" }, name),
    ...shown.map((_, i) => element("td", {}, number(values[i]))), hasError ? element("td", {}, error === null ? "" : number(error)) : null));
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

/** A word as its tokens' names. */
function wordText(experiment, word) {
  return word.length ? word.map((token) => experiment.tokens[token]).join(" ") : "(empty)";
}
