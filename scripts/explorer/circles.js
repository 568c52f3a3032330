// Modular addition: the circles of the key frequencies, and the same network after surgery for another modulus p'.

/** Cosine and sine coefficients of each frequency of a table of p rows, as [re, im] with the multiplicity in them. */
function spectrumOf(table, p, width, frequencies) {
  return frequencies.map((k) => {
    const re = new Float64Array(width),
      im = new Float64Array(width),
      share = ((2 * k) % p === 0 ? 1 : 2) / p;
    for (let t = 0; t < p; t++) {
      const angle = (2 * Math.PI * ((k * t) % p)) / p,
        c = Math.cos(angle) * share,
        s = Math.sin(angle) * share;
      for (let j = 0; j < width; j++) {
        re[j] += c * table[t * width + j];
        im[j] -= s * table[t * width + j];
      }
    }
    return [re, im];
  });
}

/** A row for each number of another modulus, with key k of the torus replaced by its choice. */
function resynthesized(spectrum, windings, choice, modulus, width) {
  const turns = [0, ...windings.map(([, combination]) => dot(combination, choice))],
    out = new Float64Array(modulus * width);
  for (let t = 0; t < modulus; t++)
    spectrum.forEach(([re, im], place) => {
      const angle = (2 * Math.PI * ((((t * turns[place]) % modulus) + modulus) % modulus)) / modulus,
        c = Math.cos(angle),
        s = Math.sin(angle);
      for (let j = 0; j < width; j++) out[t * width + j] += c * re[j] - s * im[j];
    });
  return out;
}

/** Places of the numbers on the plane of one frequency, as the figure of circles draws them. */
function circleOf(table, n, width, frequency) {
  const waves = [Math.cos, Math.sin].map((wave) => {
    const row = new Float64Array(width);
    for (let t = 0; t < n; t++)
      for (let j = 0; j < width; j++) row[j] += wave((2 * Math.PI * ((frequency * t) % n)) / n) * table[t * width + j];
    return row;
  });
  const [a, b, c] = [dot(waves[0], waves[0]), dot(waves[0], waves[1]), dot(waves[1], waves[1])],
    s = Math.sqrt(Math.max(0, a * c - b * b)),
    t = Math.sqrt(a + c + 2 * s) || 1;
  const [p, q, r] = [(a + s) / t, b / t, (c + s) / t],
    whole = p * r - q * q || 1;
  const axes = [0, 1].map((row) =>
    waves[0].map((_, j) => (row ? p * waves[1][j] - q * waves[0][j] : r * waves[0][j] - q * waves[1][j]) / whole),
  );
  const mean = new Float64Array(width),
    points = new Float32Array(3 * n);
  for (let t2 = 0; t2 < n; t2++) for (let j = 0; j < width; j++) mean[j] += table[t2 * width + j] / n;
  let size = 0;
  for (let t2 = 0; t2 < n; t2++) {
    const row = mean.map((m, j) => table[t2 * width + j] - m);
    points.set([dot(row, axes[0]), dot(row, axes[1]), 0], 3 * t2);
    size += Math.hypot(points[3 * t2], points[3 * t2 + 1]) / n;
  }
  return points.map((x) => x / (size || 1));
}

/** The colour of a share of a turn: hues go round. */
function wheel(share) {
  return [0, 1, 2].map((i) => 128 + 110 * Math.cos(2 * Math.PI * (share - i / 3)));
}

const CIRCLE_VIEW = {
  name: "circle",
  matrix: [
    [1, 0, 0],
    [0, 1, 0],
  ],
  offset: [0, 0, 0],
  corners: [],
  labels: [],
  turns: false,
};

class Circles {
  constructor(app) {
    this.app = app;
    this.camera = new Camera();
    this.hovered = -1;
    this.controls = element("div", { class: "controls" });
    this.grid = element("div", { class: "grid" });
    this.answer = element("p", { class: "summary", role: "status", "aria-live": "polite", id: "answer" });
    this.note = element("p", {});
    this.root = section(
      "circles",
      "Circles of a network that adds",
      "The network represents a number t by its angle 2πkt/p at a few key frequencies k. Each panel is the " +
        "plane of one of them in the embedding. Surgery evaluates the same circles at the angles 2πk't/p' of " +
        "another modulus p', for the whole numbers k' that best separate the right answer from the others: the " +
        "network then adds modulo p', without training.",
      this.controls,
      this.answer,
      this.grid,
      this.note,
    );
  }

  open() {
    const { surgery } = this.app.experiment,
      { network } = this.app;
    this.root.hidden = !surgery || !network;
    if (this.root.hidden) return;
    const { modulus: p, windings, keys } = surgery,
      frequencies = [0, ...windings.map(([k]) => k)],
      width = network.model.d_model;
    this.p = p;
    this.wanted = [Math.round(0.6 * p), Math.round(0.7 * p)]; // whose sum is beyond the modulus, before and after
    network.nTokens = p + 1;
    const unembed = new Float32Array(network.w["unembed.W_U"].length),
      columns = p + 1;
    for (let j = 0; j < width; j++)
      for (let t = 0; t < columns; t++) unembed[t * width + j] = network.w["unembed.W_U"][j * columns + t];
    this.unembed = unembed;
    this.spectra = {
      embed: spectrumOf(network.w["embed.W_E"], p, width, frequencies),
      unembed: spectrumOf(unembed, p, width, frequencies),
      bias: spectrumOf(network.w["unembed.b_U"], p, 1, frequencies),
    };
    this.panels = keys.slice(0, 8).map(() => {
      const panel = new Panel(this, "circle"),
        note = element("p", { class: "panel-note" });
      const ring = Array.from({ length: 100 }, (_, i) => [
        Math.cos((i * Math.PI) / 50),
        Math.sin((i * Math.PI) / 50),
        0,
      ]);
      panel.path = [{ points: ring, color: "#888", closed: true, width: 0.5 }];
      return Object.assign(panel, {
        nameOf: String,
        note,
        root: element("figure", { class: "panel small" }, panel.canvas, note),
      });
    });
    this.grid.replaceChildren(...this.panels.map((panel) => panel.root));
    this.change(p);
  }

  /** The network for a modulus: as trained for its own, else after surgery. */
  operated(modulus) {
    const { surgery } = this.app.experiment,
      { network } = this.app,
      { p } = this,
      width = network.model.d_model;
    if (modulus === p) return { network, choice: surgery.keys, accuracy: null };
    const { choice, accuracy } = surgery.moduli.find((one) => one.modulus === modulus),
      none = choice.map(() => 0);
    const rows = (name, chosen, w) => resynthesized(this.spectra[name], surgery.windings, chosen, modulus, w);
    const withEquals = (numbers, table, w) => Float32Array.from([...numbers, ...table.subarray(p * w, (p + 1) * w)]);
    const embed = withEquals(rows("embed", choice, width), network.w["embed.W_E"], width),
      turned = withEquals(rows("unembed", choice, width), this.unembed, width);
    const unembed = new Float32Array(turned.length),
      columns = modulus + 1;
    for (let t = 0; t < columns; t++) for (let j = 0; j < width; j++) unembed[j * columns + t] = turned[t * width + j];
    const bias = withEquals(rows("bias", none, 1), network.w["unembed.b_U"], 1);
    return {
      network: new Network(
        network,
        { ...network.w, "embed.W_E": embed, "unembed.W_U": unembed, "unembed.b_U": bias },
        columns,
      ),
      choice,
      accuracy,
    };
  }

  change(modulus) {
    this.modulus = modulus;
    this.numbers = this.wanted.map((value) => Math.min(value, modulus - 1));
    this.now = this.operated(modulus);
    this.buildControls();
    this.draw();
    this.say();
  }

  buildControls() {
    const { surgery } = this.app.experiment,
      known = [...new Set([...surgery.moduli.map((one) => one.modulus), this.p])].sort((a, b) => a - b);
    const place = known.indexOf(this.modulus),
      slider = element("input", {
        type: "range",
        min: 0,
        max: known.length - 1,
        value: place,
        id: "modulus",
        "aria-valuetext": `modulus ${this.modulus}`,
        oninput: () => this.change(known[slider.value]),
      });
    const numbers = this.numbers.map((value, i) => {
      const input = element("input", {
        type: "number",
        min: 0,
        max: this.modulus - 1,
        value,
        id: `number-${i}`,
        oninput: () => {
          this.numbers[i] = Math.max(0, Math.min(this.modulus - 1, Math.round(Number(input.value)) || 0));
          this.wanted[i] = this.numbers[i];
          this.draw();
          this.say();
        },
      });
      return element("label", { class: "field" }, element("span", {}, i ? "b" : "a"), input);
    });
    const focused = document.activeElement?.id;
    this.controls.replaceChildren(
      element(
        "label",
        { class: "field" },
        element("span", {}, "Modulus p'"),
        slider,
        element("output", {}, String(this.modulus)),
      ),
      ...numbers,
      button(`as trained, p = ${this.p}`, () => this.change(this.p)),
    );
    if (focused === "modulus") document.getElementById(focused)?.focus();
  }

  say() {
    const { sign } = this.app.experiment.surgery,
      [a, b] = this.numbers,
      n = this.modulus,
      right = (((a + sign * b) % n) + n) % n;
    const log = this.now.network.run([a, b, n]).logProbability.at(-1).slice(0, n),
      found = log.indexOf(Math.max(...log));
    const accuracy =
      this.now.accuracy === null
        ? ""
        : ` On the pairs that the study tried, its accuracy is ${number(this.now.accuracy, 4)}.`;
    const probability = number(Math.exp(log[found])),
      verdict = found === right ? "right" : "wrong";
    const judged = `${found}, which is ${verdict} (probability ${probability})`;
    const question = `${a} ${sign > 0 ? "+" : "−"} ${b} mod ${n} = ${right}`;
    this.answer.textContent = `${question}; the network answers ${judged}.${accuracy}`;
    this.result = { right, found };
  }

  draw() {
    const { surgery } = this.app.experiment,
      n = this.modulus,
      table = this.now.network.w["embed.W_E"],
      width = this.now.network.model.d_model;
    this.panels.forEach((panel, place) => {
      const k = this.now.choice[place];
      panel.show(
        CIRCLE_VIEW,
        circleOf(table, n, width, k),
        pixelColors(n, (t) => wheel((this.now.choice[0] * t) / n)),
        n,
      );
      panel.note.textContent =
        n === this.p ? `k = ${k}, p = ${n}` : `k = ${surgery.keys[place]} → k' = ${k}, p' = ${n}`;
      panel.canvas.setAttribute("aria-label", `Circle of the numbers, ${panel.note.textContent}`);
    });
    this.mark();
  }

  mark() {
    for (const panel of this.panels)
      panel.marked = new Map([
        ...this.numbers.map((t) => [t, true]),
        ...(this.hovered >= 0 ? [[this.hovered, false]] : []),
      ]);
    this.note.textContent =
      this.hovered >= 0
        ? `Number ${this.hovered}.`
        : "Colours go round the first circle. Point at one to see it on every circle; click it to make it a.";
    this.redraw();
  }

  hover(t) {
    if (t !== this.hovered) {
      this.hovered = t;
      this.mark();
    }
  }

  select(t) {
    if (t < 0) return;
    this.numbers[0] = this.wanted[0] = t;
    this.buildControls();
    this.mark();
    this.say();
  }

  redraw() {
    this.panels.forEach((panel) => panel.draw());
  }
}
