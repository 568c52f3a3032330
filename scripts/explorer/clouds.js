// Clouds, linked: the true beliefs and what networks decode from their sites, side by side.

const TRUE_BELIEFS = "true";
const SLIDER = "slider";

const COLORS = {
  belief: "true belief (mix of the states' colours)",
  error: "error of the decoded belief",
  length: "length of the word",
  next: "optimal next-token prediction (mix of the tokens' colours)",
};

class Clouds extends CloudGroup {
  constructor(app) {
    super(app);
    this.view = 0;
    this.corners = [0, 1, 2];
    this.color = "belief";
    this.progress = 1; // of the training, on the slider: 0 to 1
    this.controls = element("div", { class: "controls" });
    this.legend = element("ul", { class: "legend key", "aria-label": "Colours" });
    this.grid = element("div", { class: "grid" });
    this.root = section(
      "clouds",
      "Clouds of beliefs",
      "Each point is a word, a prefix that the network has read. Its place is the belief of an optimal observer " +
        "(true) or what a linear probe decodes from a site of the network (decoded). Of a transformer, " +
        "blocks.0.hook_resid_post is the output of the first layer; concatenated stands for several sites side by " +
        "side. The same word has the same colour everywhere: point at it, or click it, to see it in all panels.",
      element(
        "details",
        {},
        element("summary", {}, "Marking many words, and keys"),
        "Drag a box about points (with shift where dragging turns or moves the view) to mark their words in all " +
          "panels, or name the tokens that they end in. Keys on a panel: arrows go to a neighbouring word and, with " +
          "shift, turn the view; + and − zoom; Esc unmarks.",
      ),
      this.controls,
      this.legend,
      this.grid,
      this.card,
    );
  }

  /** The selection of an experiment's first panels: truth, trained, at initialisation, random. */
  async open() {
    const { networks, sites } = this.experiment,
      last = this.lastLayer();
    const random_ = networks.findIndex((network) => network.run === "random_init");
    this.view = 0;
    this.spinning = null;
    this.camera.reset();
    this.hovered = -1;
    this.marks = null;
    this.ending = this.markedText = "";
    const chosen = [
      { network: TRUE_BELIEFS },
      { network: 0, snapshot: SLIDER, site: last },
      { network: 0, snapshot: 0, site: last },
    ];
    if (random_ >= 0) chosen.push({ network: random_, snapshot: 0, site: last });
    if (sites.length === 0) chosen.splice(1);
    await this.arrange(chosen);
  }

  lastLayer() {
    return Math.max(0, this.experiment.sites.indexOf(this.experiment.output));
  }

  async arrange(chosen) {
    this.panels = chosen.map((one) => this.newPanel({ split: "held_out_prefix", ...one }));
    await this.refresh();
  }

  newPanel(choice) {
    const panel = new Panel(this, "cloud");
    panel.choice = choice;
    panel.nameOf = (point) => this.nameOf(point);
    panel.head = element("div", { class: "panel-head" });
    panel.note = element("p", { class: "panel-note" });
    panel.root = element("figure", { class: "panel" }, panel.head, panel.canvas, panel.note);
    return panel;
  }

  /** The cloud that a panel's choice names; null of the true beliefs, undefined if it is not in the page. */
  cloudOf({ network, snapshot, site, split }) {
    if (network === TRUE_BELIEFS) return null;
    const { steps, clouds } = this.experiment.networks[network];
    const place =
      snapshot === SLIDER ? Math.round(this.progress * (steps.length - 1)) : Math.min(snapshot, steps.length - 1);
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
    if (!view.chosen) return view;
    const key = this.corners.join();
    if (this.three?.of !== view || this.three.key !== key)
      this.three = { of: view, key, view: threeCorners(this.experiment, this.corners) };
    return this.three.view;
  }

  /** Everything anew: controls, heads of the panels, points, colours. */
  async refresh() {
    const started = ++this.app.turn,
      focused = this.focused();
    this.buildControls();
    const clouds = this.panels.map((panel) => this.cloudOf(panel.choice));
    const beliefs = [];
    for (const cloud of clouds) beliefs.push(await this.beliefsIn(cloud));
    if (started !== this.app.turn) return;
    this.grid.replaceChildren(...this.panels.map((panel) => panel.root));
    this.panels.forEach((panel, i) => Object.assign(panel, { cloud: clouds[i], beliefs: beliefs[i] }));
    this.mostError = Math.max(this.experiment.unit, ...this.panels.map((panel) => this.largeError(panel)));
    this.buildKey();
    this.panels.forEach((panel) => this.fill(panel));
    this.focus(focused);
    this.mark();
    if (!this.app.isOpen) return;
    this.app.follow.refresh();
    this.app.steer.draw();
  }

  /** Points, colours and texts of a panel, from its beliefs. */
  fill(panel) {
    const { experiment } = this,
      { beliefs, cloud } = panel,
      width = experiment.states.length;
    const n = beliefs.length / width,
      view = this.currentView();
    const points = new Float32Array(3 * n),
      row = new Array(width);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < width; j++) row[j] = beliefs[i * width + j];
      points.set(placed(view, row, view.lift ? experiment.word(i).length : 0), 3 * i);
    }
    const colors = this.colorsOf(panel, n);
    panel.show(view, points, this.marks ? pixelColors(n, (i) => this.marked(colors, i)) : colors, n, this.marks);
    this.buildHead(panel, cloud, n);
  }

  /** The distance of a decoded belief from the true one. */
  errorOf({ beliefs }, i) {
    const width = this.experiment.states.length;
    let square = 0;
    for (let j = i * width; j < (i + 1) * width; j++) square += (beliefs[j] - this.experiment.beliefs[j]) ** 2;
    return Math.sqrt(square);
  }

  /** An error that few points of a panel exceed, at which the scale of colours ends. */
  largeError(panel) {
    const n = panel.beliefs.length / this.experiment.states.length;
    const errors = Float64Array.from({ length: n }, (_, i) => this.errorOf(panel, i)).sort();
    return errors[Math.floor(0.95 * n)] ?? 0;
  }

  colorsOf(panel, n) {
    const { experiment } = this;
    if (this.color === "error") return pixelColors(n, (i) => graded(this.errorOf(panel, i) / this.mostError));
    if (this.color === "length") return pixelColors(n, (i) => graded(experiment.word(i).length / experiment.context));
    if (this.color === "next") return pixelColors(n, (i) => mixed(prediction(experiment, experiment.belief(i))));
    return pixelColors(n, (i) => beliefColor(experiment, experiment.belief(i), this.currentView().part));
  }

  buildHead(panel, cloud, n) {
    const { networks, sites } = this.experiment,
      choice = panel.choice,
      change = (key) => (value) => {
        choice[key] =
          key === "network" && value === TRUE_BELIEFS
            ? value
            : value === SLIDER || key === "split"
              ? value
              : Number(value);
        if (key === "network" && choice.network !== TRUE_BELIEFS) {
          choice.site ??= this.lastLayer();
          choice.snapshot ??= SLIDER;
        }
        this.refresh();
      };
    const fields = [
      chooser(
        "What",
        [[TRUE_BELIEFS, "true beliefs"], ...networks.map((network, i) => [i, network.label])],
        choice.network,
        change("network"),
      ),
    ];
    if (choice.network !== TRUE_BELIEFS) {
      const { steps } = networks[choice.network];
      fields.push(
        chooser(
          "Site",
          sites.map((site, i) => [i, site]),
          choice.site,
          change("site"),
        ),
      );
      if (steps.length > 1)
        fields.push(
          chooser(
            "Step",
            [
              [SLIDER, "by the slider"],
              ...steps.map((step, i) => [i, this.nameOfStep(networks[choice.network], step)]),
            ],
            choice.snapshot,
            change("snapshot"),
          ),
        );
      const splits = new Set(
        networks[choice.network].clouds.filter((one) => one.snapshot === cloud?.snapshot).map((one) => one.split),
      );
      if (splits.size > 1)
        fields.push(
          chooser(
            "Probe",
            [
              ["held_out_prefix", "held-out prefixes"],
              ["in_sample", "in sample"],
            ],
            cloud.split,
            change("split"),
          ),
        );
    }
    panel.head.replaceChildren(...fields);
    const n_ = this.marks?.subarray(0, n).reduce((sum, mark) => sum + mark, 0);
    panel.note.textContent = this.noteOn(panel, cloud, n) + (this.marks ? ` Marked: ${n_}.` : "");
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
    const network = this.experiment.networks[choice.network],
      { label, steps } = network;
    const when = steps.length > 1 ? `, ${this.nameOfStep(network, steps[cloud.snapshot])}` : "";
    const how = cloud.split === "in_sample" ? "in sample" : "held out";
    return `${label}${when}, ${this.experiment.sites[cloud.site]}: R² ${number(cloud.r2)} (${how}), ${n} words.`;
  }

  buildControls() {
    const { experiment } = this,
      views = experiment.views.map((view, i) => [i, view.name]),
      { steps } = experiment.networks[0];
    const parts = [
      chooser("View", views, this.view, (value) => {
        this.view = Number(value);
        this.camera.reset();
        this.refresh();
      }),
      chooser("Colour", Object.entries(COLORS), this.color, (value) => {
        this.color = value;
        this.refresh();
      }),
    ];
    if (experiment.views[this.view].chosen)
      this.corners.forEach((state, place) =>
        parts.push(
          chooser(
            `Corner ${place + 1}`,
            experiment.states.map((name, i) => [i, name]),
            state,
            (value) => {
              this.corners[place] = Number(value);
              this.refresh();
            },
          ),
        ),
      );
    if (steps.length > 1) {
      this.slider = element("input", {
        type: "range",
        min: 0,
        max: steps.length - 1,
        step: 1,
        value: Math.round(this.progress * (steps.length - 1)),
        "aria-valuetext": this.stepOnSlider(),
        id: "training",
        oninput: (event) => {
          this.progress = event.target.value / (steps.length - 1);
          this.moved();
        },
      });
      this.stepName = element("output", {}, this.stepOnSlider());
      parts.push(element("label", { class: "field" }, element("span", {}, "Training"), this.slider, this.stepName));
      parts.push(element("button", { type: "button", id: "play", onclick: () => this.play(steps) }, "▶ play"));
    }
    const some = [
      ["", "choose…"],
      ["networks", "trained, at initialisation, random"],
      ["sites", "every site of this network"],
      ["steps", "every step of the training"],
      ["seeds", "every trained network"],
    ];
    parts.push(chooser("Panels", some, "", (value) => value && this.preset(value)));
    parts.push(
      element(
        "button",
        {
          type: "button",
          onclick: () => {
            this.panels.push(
              this.newPanel({ network: 0, snapshot: SLIDER, site: this.lastLayer(), split: "held_out_prefix" }),
            );
            this.refresh();
          },
        },
        "add a panel",
      ),
    );
    if (this.panels.length > 1)
      parts.push(
        element(
          "button",
          {
            type: "button",
            onclick: () => {
              this.panels.pop();
              this.refresh();
            },
          },
          "remove the last panel",
        ),
      );
    parts.push(this.zoomButtons());
    if (this.currentView().turns)
      parts.push(
        element(
          "button",
          { type: "button", id: "spin", "aria-pressed": String(Boolean(this.spinning)), onclick: () => this.spin() },
          "⟳ turn",
        ),
      );
    else this.spinning = null;
    parts.push(...this.markers());
    const focused = this.focused();
    this.controls.replaceChildren(...parts);
    this.focus(focused);
  }

  async preset(name) {
    const { networks, sites } = this.experiment,
      last = this.lastLayer(),
      chosen = [{ network: TRUE_BELIEFS }];
    if (name === "networks") return this.open();
    if (name === "sites") sites.forEach((_, site) => chosen.push({ network: 0, snapshot: SLIDER, site }));
    if (name === "steps") networks[0].steps.forEach((_, snapshot) => chosen.push({ network: 0, snapshot, site: last }));
    if (name === "seeds")
      networks.forEach(
        ({ run }, network) => run !== "random_init" && chosen.push({ network, snapshot: SLIDER, site: last }),
      );
    await this.arrange(chosen);
  }

  /** The slider has moved: only panels that follow it change. */
  async moved() {
    const started = ++this.app.turn;
    this.stepName.textContent = this.stepOnSlider();
    this.slider.setAttribute("aria-valuetext", this.stepOnSlider());
    for (const panel of this.panels) {
      if (panel.choice.snapshot !== SLIDER || panel.choice.network === TRUE_BELIEFS) continue;
      const cloud = this.cloudOf(panel.choice),
        beliefs = await this.beliefsIn(cloud);
      if (started !== this.app.turn) return;
      this.fill(Object.assign(panel, { cloud, beliefs }));
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
}
