// Follow a word: the chaos game, the maps of the tokens, and the belief and prediction step by step.

const CHAOS_POINTS = 20000;

class Word {
  constructor(app) {
    this.app = app;
    this.camera = new Camera();
    this.site = 0;
    this.chaos = 0; // points of the chaos game that are shown
    this.showsMaps = true;
    this.controls = element("div", { class: "controls" });
    this.panel = new Panel(this, "path of the belief");
    this.steps = element("div", { class: "steps" });
    this.caption = element("p", { class: "panel-note" });
    this.legend = element("p", { class: "panel-note" });
    this.root = section(
      "word",
      "Follow a word",
      "Each token moves the belief by a map of its own. Type a word, or click tokens, and follow the belief " +
        "of the optimal observer and what is decoded from the network at each step. Applying the maps at " +
        "random, again and again, is the chaos game: it draws the set of all beliefs.",
      this.controls,
      element(
        "div",
        { class: "pair" },
        element("figure", { class: "panel large" }, this.panel.canvas, this.legend),
        element("div", {}, this.caption, this.steps),
      ),
    );
  }

  get experiment() {
    return this.app.experiment;
  }

  open() {
    this.camera.reset();
    this.chaos = 0;
    this.site = Math.max(0, this.siteNames().indexOf(this.experiment.sites[this.app.clouds.lastLayer()]));
    this.game = null;
    this.refresh();
  }

  siteNames() {
    return Object.keys(this.experiment.maps ?? {});
  }

  buildControls() {
    const { experiment, app } = this,
      full = app.word.length >= experiment.context,
      disabled = !app.word.length;
    this.input = element("input", {
      type: "text",
      id: "typed",
      value: app.word.map((token) => experiment.tokens[token]).join(" "),
      autocomplete: "off",
      spellcheck: "false",
      onchange: (event) => this.typed(event.target.value),
    });
    const belief = beliefsOf(experiment, app.word).at(-1),
      next = prediction(experiment, belief);
    const buttons = experiment.tokens.map((name, token) =>
      button(name, () => app.setWord([...app.word, token]), {
        class: "token",
        disabled: full || next[token] <= 1e-12,
        "aria-label": `append token ${name}`,
      }),
    );
    this.message = element(
      "span",
      { role: "alert", class: "message" },
      full ? `A word has at most ${experiment.context} tokens.` : "",
    );
    const parts = [
      element("label", { class: "field" }, element("span", {}, "Word"), this.input),
      ...buttons,
      button("remove the last token", () => app.setWord(app.word.slice(0, -1)), { id: "back", disabled }),
      button("clear", () => app.setWord([]), { disabled }),
    ];
    if (app.network)
      parts.push(
        chooser("Decoded from", [...this.siteNames().entries()], this.site, (value) => {
          this.site = Number(value);
          this.refresh();
        }),
      );
    parts.push(button("▶ chaos game", () => this.play(), { id: "chaos" }));
    const box = element("input", {
      type: "checkbox",
      checked: this.showsMaps,
      onchange: () => {
        this.showsMaps = box.checked;
        this.draw();
      },
    });
    this.mapsChoice = element("label", { class: "field" }, box, element("span", {}, "maps of the tokens"));
    parts.push(this.mapsChoice, this.message);
    const focused = document.activeElement,
      label = this.controls.contains(focused) ? (focused.getAttribute("aria-label") ?? focused.id) : null;
    this.controls.replaceChildren(...parts);
    if (label)
      parts
        .flatMap((part) => [part, ...part.querySelectorAll("*")])
        .find((part) => (part.getAttribute("aria-label") ?? part.id) === label)
        ?.focus();
  }

  /** Read a typed word: names of tokens between spaces or, of one character each, without. */
  typed(text) {
    const { experiment } = this,
      names = experiment.tokens,
      { word, refusal } = tokensOf(experiment, text);
    if (refusal) return this.refuse(refusal);
    if (word.length > experiment.context)
      return this.refuse(`The word has ${word.length} tokens; the network reads at most ${experiment.context}.`);
    const path = [experiment.initial];
    for (const token of word) {
      const next = observe(experiment, path.at(-1), token);
      if (!next)
        return this.refuse(
          `The process never emits ${names[token]} after ${wordText(experiment, word.slice(0, path.length - 1))}.`,
        );
      path.push(next);
    }
    this.app.setWord(word);
  }

  refuse(sentence) {
    this.message.textContent = sentence;
  }

  refresh() {
    const { experiment, app } = this;
    this.buildControls();
    this.path = beliefsOf(experiment, app.word);
    const ran = app.network ? app.network.run(app.word) : null,
      site = this.siteNames()[this.site];
    this.decoded =
      ran && experiment.maps ? app.word.map((_, position) => decodedAt(experiment, ran.sites, site, position)) : [];
    this.buildSteps(ran);
    this.draw();
  }

  buildSteps(ran) {
    const { experiment, app } = this,
      { states, tokens } = experiment,
      few = states.length <= 5,
      fewTokens = tokens.length <= 6;
    const heads = [
      "step",
      "token",
      "true belief",
      ran ? "decoded belief" : null,
      "optimal prediction",
      ran ? "network's prediction" : null,
      ran ? "KL (nats)" : null,
    ].filter((head) => head !== null);
    const rows = this.path.map((belief, i) => {
      const optimum = prediction(experiment, belief),
        found = ran && i > 0 ? ran.logProbability[i - 1] : null;
      const cells = [String(i), i ? tokens[app.word[i - 1]] : "start", bars(belief, states, few)];
      if (ran) cells.push(i ? bars(this.decoded[i - 1], states, few) : "");
      cells.push(bars(optimum, tokens, fewTokens));
      if (ran)
        cells.push(
          found ? bars(found.map(Math.exp), tokens, fewTokens) : "",
          found ? number(klNats(optimum, found), 5) : "",
        );
      return cells;
    });
    const caption =
      `States: ${states.join(", ")}${few ? "" : ", of which the three largest are shown"}. ` +
      `Tokens: ${tokens.join(", ")}${fewTokens ? "" : ", likewise"}.` +
      (ran
        ? ` Decoded by the least-squares probe of all prefixes at ${this.siteNames()[this.site]}.`
        : ` ${app.absent}`);
    this.caption.textContent = caption;
    this.steps.replaceChildren(table("Steps of the word", heads, rows));
  }

  /**
   * Points of the chaos game, always the same ones: tokens drawn by their probability, beliefs moved by their maps.
   * That of a mixture begins again after as many tokens as a word has: a longer one is of one component alone.
   */
  points() {
    const view = this.view();
    if (this.game?.view === view) return this.game;
    const { experiment } = this,
      draw = random(1),
      points = new Float32Array(3 * CHAOS_POINTS),
      last = new Uint8Array(CHAOS_POINTS);
    let belief = experiment.initial;
    for (let i = -10; i < CHAOS_POINTS; i++) {
      if (this.restarts() && i % experiment.context === 0) belief = experiment.initial;
      let left = draw(),
        token = 0;
      const probability = prediction(experiment, belief);
      while (token < probability.length - 1 && left >= probability[token]) left -= probability[token++];
      const next = observe(experiment, belief, token);
      if (next === null) {
        i--;
        continue;
      }
      belief = next;
      if (i >= 0) {
        points.set(placed(view, belief, 0), 3 * i);
        last[i] = token;
      }
    }
    return (this.game = { view, points, last });
  }

  restarts() {
    return this.experiment.composed === "mixture";
  }

  view() {
    return this.app.clouds.currentView();
  }

  async play() {
    const own = (this.playing = {}),
      smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (
      this.chaos = smooth ? 50 : CHAOS_POINTS;
      this.playing === own;
      this.chaos = Math.min(CHAOS_POINTS, Math.ceil(this.chaos * 1.06))
    ) {
      this.draw();
      if (this.chaos === CHAOS_POINTS) break;
      await new Promise((go) => requestAnimationFrame(go));
    }
  }

  draw() {
    if (!this.experiment?.views) return;
    const view = this.view(),
      { points, last } = this.points(),
      panel = this.panel,
      { experiment } = this;
    panel.show(
      view,
      points,
      pixelColors(this.chaos, (i) => anchor(last[i])),
      this.chaos,
    );
    const place = (belief, length) => placed(view, belief, length);
    const maps = this.maps(view);
    this.mapsChoice.hidden = !maps.length;
    panel.path = this.showsMaps ? maps : [];
    const ink = getComputedStyle(document.documentElement),
      color = (name) => ink.getPropertyValue(name);
    panel.path.push({ points: this.path.map(place), color: color("--ink"), dots: true, width: 2 });
    if (this.decoded.length)
      panel.path.push({
        points: this.decoded.map((belief, i) => place(belief, i + 1)),
        color: color("--accent"),
        dashed: true,
        dots: true,
        width: 2,
      });
    this.legend.textContent = [
      experiment.views.length > 1 && `View: ${view.name}.`,
      "Solid: true belief.",
      this.decoded.length && "Dashed: decoded belief.",
      this.showsMaps && panel.path.length > 2 && "Small outlines: where each token's map sends the whole simplex.",
      this.chaos && `Chaos game: ${this.chaos} points, coloured by their last token.`,
      this.chaos && this.restarts() && `It begins again after each ${experiment.context} tokens.`,
    ]
      .filter(Boolean)
      .join(" ");
    panel.canvas.setAttribute(
      "aria-label",
      `Path of the belief of the word ${wordText(experiment, this.app.word)}. ${this.legend.textContent}`,
    );
    panel.draw();
  }

  /** The images of the simplex under the map of each token, as outlines. */
  maps(view) {
    const { experiment } = this,
      n = experiment.states.length;
    if (n > 4 || n < 3 || experiment.generalized || view.chosen) return [];
    return experiment.tokens.flatMap((_, token) => {
      const corners = experiment.states.map((_, state) =>
        observe(
          experiment,
          experiment.states.map((_, i) => Number(i === state)),
          token,
        ),
      );
      if (corners.some((corner) => corner === null)) return [];
      const faces = [
        [0, 1, 2],
        [0, 1, 3],
        [0, 2, 3],
        [1, 2, 3],
      ].filter((face) => face.every((i) => i < n));
      return faces.map((face) => ({
        points: face.map((i) => placed(view, corners[i], 0)),
        color: rgb(anchor(token)),
        closed: true,
        width: 1.5,
      }));
    });
  }

  redraw() {
    this.panel.draw();
  }

  keydown(event) {
    const way = { ArrowLeft: -0.1, ArrowRight: 0.1 }[event.key];
    if (way && this.view().turns) {
      event.preventDefault();
      this.camera.yaw += way;
      this.redraw();
    }
  }
}
