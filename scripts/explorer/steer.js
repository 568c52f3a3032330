// Drag the belief: write another belief into one site of the running network, and read its prediction.
// As in the study's steering: at the word's last position, activations change by dose * (new - true belief) times the
// pattern (how activations change with the belief), the filter (the probe's weights), or a random direction as long.

const WAYS = {
  pattern: "pattern: as activations change with the belief",
  filter: "filter: along the probe's weights",
  random: "random direction, as long as the pattern's",
};

/** A normal random vector. */
function gaussian(n, seed) {
  const draw = random(seed);
  return Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw()));
}

/** The change of activations at dose 1 that writes a change of belief, by one of the ways. */
function changeOf(maps, difference, way, seed) {
  const width = maps.pattern.length / difference.length,
    along = (map) => Array.from(affine(difference, map, width));
  if (way !== "random") return along(maps[way]);
  const direction = gaussian(width, seed),
    length = Math.hypot(...along(maps.pattern)) / Math.hypot(...direction);
  return direction.map((x) => x * length);
}

/** The log-probabilities of the next token after a word, with a belief written into a site. */
function steered(experiment, network, word, site, belief, way = "pattern", dose = 1, seed = 1) {
  const own = beliefsOf(experiment, word).at(-1),
    difference = belief.map((x, i) => x - own[i]);
  const vector = changeOf(experiment.maps[site], difference, way, seed).map((x) => dose * x);
  return network.run(word, { site, vector }).logProbability.at(-1);
}

class Steer {
  constructor(app) {
    this.app = app;
    this.camera = new Camera();
    this.seed = 1;
    this.dose = 1;
    this.site = 0;
    this.controls = element("div", { class: "controls" });
    this.panel = new Panel(this, "belief to be written");
    this.legend = element("p", { class: "panel-note" });
    this.result = element("div", { class: "steps" });
    this.summary = element("p", { class: "summary", role: "status", "aria-live": "polite", id: "summary" });
    this.root = section(
      "steer",
      "Drag the belief",
      "The network runs in this page. Drag the ring to another belief: it is written into the chosen site at " +
        "the last token of the word. If the network uses the belief it holds there, its prediction becomes the " +
        "optimal prediction of the belief that you wrote. A random change of the same size is the control.",
      this.controls,
      element(
        "div",
        { class: "pair" },
        element("figure", { class: "panel large" }, this.panel.canvas, this.legend),
        element("div", {}, this.summary, this.result),
      ),
    );
  }

  get experiment() {
    return this.app.experiment;
  }

  sites() {
    return Object.keys(this.experiment.maps ?? {}).filter((site) => this.experiment.maps[site].pattern);
  }

  open() {
    this.camera.reset();
    this.target = null;
    this.site = Math.max(0, this.sites().indexOf(this.experiment.sites[this.app.clouds.lastLayer()]));
    this.refresh();
  }

  refresh() {
    const { experiment, app } = this,
      absent = app.network ? "" : app.absent;
    this.controls.hidden = this.panel.canvas.hidden = Boolean(absent);
    if (absent) {
      this.summary.textContent = absent;
      this.result.replaceChildren();
      return;
    }
    if (!this.target) this.takeAnother(7);
    this.buildControls();
    this.update();
  }

  /** The belief of another word, of the same length as the study's steering takes it, if one predicts otherwise. */
  takeAnother(seed) {
    const { experiment, app } = this,
      draw = random(seed),
      length = Math.max(1, app.word.length);
    const own = prediction(experiment, beliefsOf(experiment, app.word).at(-1));
    for (let tries = 0; tries < 2000; tries++) {
      const point = Math.floor(draw() * experiment.n),
        belief = experiment.belief(point),
        wanted = prediction(experiment, belief);
      const differs = wanted.some((p, x) => Math.abs(p - own[x]) > 0.05);
      this.target = belief;
      if ((experiment.word(point).length === length && differs) || (tries > 1500 && differs)) return;
    }
  }

  buildControls() {
    const dose = element("input", {
      type: "range",
      min: 0,
      max: 1.5,
      step: 0.05,
      value: this.dose,
      id: "dose",
      oninput: () => {
        this.dose = Number(dose.value);
        shown.textContent = this.dose.toFixed(2);
        this.update();
      },
    });
    const shown = element("output", {}, this.dose.toFixed(2));
    this.controls.replaceChildren(
      chooser("Write into", [...this.sites().entries()], this.site, (value) => {
        this.site = Number(value);
        this.update();
      }),
      element("label", { class: "field" }, element("span", {}, "Dose"), dose, shown),
      button(
        "belief of another word",
        () => {
          this.takeAnother(++this.seed * 31);
          this.update();
        },
        { id: "another" },
      ),
      button("another random direction", () => {
        this.seed++;
        this.update();
      }),
    );
  }

  update() {
    const { experiment, app } = this,
      { network, word } = app;
    if (!network || !this.target) return;
    if (!word.length) {
      this.summary.textContent = "Choose a word of at least one token above.";
      return this.draw();
    }
    const site = this.sites()[this.site],
      own = beliefsOf(experiment, word).at(-1),
      wanted = prediction(experiment, this.target),
      optimum = prediction(experiment, own);
    const found = { none: network.run(word).logProbability.at(-1) };
    for (const way of Object.keys(WAYS))
      found[way] = steered(experiment, network, word, site, this.target, way, this.dose, this.seed);
    const few = experiment.tokens.length <= 6,
      row = (name, values, log, means) => [
        name,
        bars(values, experiment.tokens, few),
        ...[wanted, optimum].map((one) => (log ? number(klNats(one, log), 4) : "")),
        means,
      ];
    const body = [row("network, nothing written", found.none.map(Math.exp), found.none, this.mean(site, "pattern", 0))];
    for (const [way, name] of Object.entries(WAYS))
      body.push(row(`network, ${name}`, found[way].map(Math.exp), found[way], this.mean(site, way, 1)));
    body.push(row("optimum of the written belief", wanted, null, ""), row(`optimum of the word`, optimum, null, ""));
    const heads = [
      "prediction",
      `next token: ${experiment.tokens.join(", ")}`,
      "KL from the optimum of the written belief (nats)",
      "KL from the optimum of the word (nats)",
      "KL from the optimum of the written belief, mean over the study's pairs at dose 1 (nats)",
    ];
    this.result.replaceChildren(table("Predictions after writing a belief", heads, body));
    const before = klNats(wanted, found.none),
      share = (way) => `${Math.round(100 * (1 - klNats(wanted, found[way]) / before))} %`.replace("-", "−");
    const word_ = wordText(experiment, word);
    this.summary.textContent =
      before < 1e-3
        ? `After ${word_}, the written belief predicts almost what the network predicts anyway: drag it further.`
        : `After ${word_}, writing the belief into ${site} closes ${share("pattern")} of the divergence between the ` +
          `network's prediction and the optimum of the written belief, if it is written along the pattern; along the ` +
          `probe's weights ${share("filter")}; along this random direction ${share("random")}` +
          `${Object.keys(WAYS).some((way) => share(way).startsWith("−")) ? " (negative: further away)" : ""}.`;
    this.draw();
  }

  mean(site, way, dose) {
    const found = this.experiment.steering.find(
      (row) =>
        row.site === site &&
        row.intervention === way &&
        row.dose === dose &&
        row.metric === "kl_to_counterfactual_nats",
    );
    return found ? number(found.value, 4) : "";
  }

  view() {
    return this.app.clouds.currentView();
  }

  draw() {
    const { experiment } = this,
      view = this.view(),
      n = Math.min(experiment.n, 6000),
      length = this.app.word.length;
    if (!this.cloud || this.cloud.view !== view) {
      const points = new Float32Array(3 * n);
      for (let i = 0; i < n; i++) points.set(placed(view, experiment.belief(i), experiment.word(i).length), 3 * i);
      this.cloud = { view, points };
    }
    this.panel.show(
      view,
      this.cloud.points,
      pixelColors(n, (i) => faint(beliefColor(experiment, experiment.belief(i), view.part), isDark() ? 0.45 : 0.4)),
      n,
    );
    const style = getComputedStyle(document.documentElement),
      own = placed(view, beliefsOf(experiment, this.app.word).at(-1), length);
    this.panel.path = [{ points: [own], color: style.getPropertyValue("--ink"), dots: true }];
    if (this.target) {
      this.handle = placed(view, this.target, length);
      this.panel.path.unshift({ points: [own, this.handle], color: style.getPropertyValue("--accent"), dashed: true });
      this.panel.rings = [this.handle];
    }
    const named = this.target
      ? this.target
          .map((x, i) => `${experiment.states[i]} ${number(x, 2)}`)
          .slice(0, 8)
          .join(", ")
      : "";
    const written = `Ring: belief that is written (${named}). Drag it, or use the arrow keys.`;
    const among = this.isFree() ? "" : " It goes to the nearest of the beliefs that occur.";
    const shown = experiment.views.length > 1 ? `View: ${view.name}. ` : "";
    this.legend.textContent = `${shown}Dot: belief of the word. ${written}${among}`;
    this.panel.canvas.setAttribute("aria-label", this.legend.textContent);
    this.panel.draw();
  }

  /** True where the ring can be at any belief: in the triangle of three states. */
  isFree() {
    const view = this.view();
    return view.matrix === view.corners && this.experiment.states.length === 3;
  }

  /** True if a place on the canvas is at the ring: a touch there drags it, and scrolls nothing. */
  holds(place) {
    const [x, y] = this.panel.at(this.handle);
    return Math.hypot(x - place[0], y - place[1]) < 25 * devicePixelRatio;
  }

  /** True if dragging from a place on the canvas moves the ring; else it turns the view. */
  grabs(place) {
    return !this.view().turns || this.holds(place);
  }

  /** The ring is dragged to a place: any belief of three states; of others the nearest that occurs. */
  drag(place) {
    const view = this.view(),
      { experiment, panel } = this;
    if (this.isFree()) this.target = barycentric(view.corners.map(panel.at), place);
    else {
      const point = panel.nearestTo(...place);
      if (point >= 0) this.target = experiment.belief(point);
    }
    this.update();
  }

  keydown(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || !this.handle) return;
    event.preventDefault();
    if (event.shiftKey && this.view().turns) {
      this.camera.yaw += 0.1 * way[0];
      return this.draw();
    }
    const [x, y] = this.panel.at(this.handle),
      step = 0.03 * this.panel.canvas.width;
    if (this.isFree()) return this.drag([x + step * way[0], y + step * way[1]]);
    const now = this.panel.nearestTo(x, y),
      next = this.panel.neighbour(now, ...way);
    if (next >= 0) this.target = this.experiment.belief(next);
    this.update();
  }

  redraw() {
    this.panel.draw();
  }
}

/** Barycentric coordinates of a place in a triangle on the screen, of one outside those of a near place inside. */
function barycentric([[ax, ay], [bx, by], [cx, cy]], [x, y]) {
  const whole = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy);
  const a = ((by - cy) * (x - cx) + (cx - bx) * (y - cy)) / whole,
    b = ((cy - ay) * (x - cx) + (ax - cx) * (y - cy)) / whole;
  const shares = [a, b, 1 - a - b].map((share) => Math.max(0, share)),
    total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}
