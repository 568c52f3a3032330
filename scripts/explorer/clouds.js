// Clouds, linked: the true beliefs and what networks decode from their sites, side by side.

class Clouds extends CloudChoices {
  constructor(app) {
    super(app);
    this.legend = element("ul", { class: "legend key", "aria-label": "Colours" });
    this.grid = element("div", { class: "grid" });
    this.root = section(
      "clouds",
      "Clouds of beliefs",
      "Each point is a word, a prefix that the network has read, at its belief: true, or decoded from the network by " +
        "a linear probe.",
      this.controls,
      this.more,
      element("div", { class: "controls" }, this.legend, this.markedNote),
      this.grid,
      this.card,
    );
  }

  /** The first view and panels of an experiment, nothing marked. */
  async open() {
    this.view = 0;
    this.spinning = null;
    this.camera.reset();
    this.hovered = -1;
    this.marks = null;
    this.ending = this.markedText = "";
    await this.arrange(this.firstPanels());
  }

  lastLayer() {
    return Math.max(0, this.experiment.sites.indexOf(this.experiment.output));
  }

  async arrange(chosen) {
    this.panels = chosen.map((one) => this.newPanel(one));
    await this.refresh();
  }

  newPanel(choice) {
    const panel = new Panel(this, "cloud");
    panel.choice = { split: "held_out_prefix", ...choice };
    panel.beliefs = new Float64Array(0); // until they are unpacked
    panel.nameOf = (point) => this.nameOf(point);
    panel.head = element("div", { class: "panel-head" });
    panel.note = element("p", { class: "panel-note" });
    panel.foot = element("div", { class: "panel-foot" });
    panel.root = element("figure", { class: "panel" }, panel.head, panel.canvas, panel.foot);
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

  /** The clouds and their choices anew. */
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
    this.panels.forEach((panel) => this.fill(panel));
    this.focus(focused);
    this.paint();
  }

  /** Another view, in which the paths of the other sections are drawn too. */
  async changeView() {
    await this.refresh();
    this.app.follow.draw();
    this.app.steer.draw();
  }

  /** The colours of all panels, where no point has moved. */
  paint() {
    this.buildKey();
    this.panels.forEach((panel) => this.fillColors(panel));
    this.mark();
  }

  /** Points and choices of a panel, from its beliefs. */
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
    panel.show(view, points, null, n);
    this.buildChoices(panel, cloud);
  }

  /** Colours and texts of a panel, the words that are marked in front. */
  fillColors(panel) {
    const n = panel.shown,
      colors = this.colorsOf(panel, n),
      nMarked = this.marks?.subarray(0, n).reduce((sum, mark) => sum + mark, 0);
    panel.colors = this.marks ? pixelColors(n, (i) => this.marked(colors, i)) : colors;
    panel.front = this.marks;
    panel.note.textContent = this.noteOn(panel, panel.cloud, n) + (this.marks ? ` Marked: ${nMarked}.` : "");
    panel.canvas.setAttribute("aria-label", `${panel.note.textContent} Arrow keys select a neighbouring word.`);
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

  noteOn({ choice }, cloud, n) {
    if (!cloud) return cloud === null ? `True beliefs, ${n} words.` : "Not in this page.";
    const network = this.experiment.networks[choice.network],
      { label, steps } = network;
    const when = steps.length > 1 ? `, ${this.nameOfStep(network, steps[cloud.snapshot])}` : "";
    const how = cloud.split === "in_sample" ? "in sample" : "held out";
    return `${label}${when}, ${this.experiment.sites[cloud.site]}: R² ${number(cloud.r2)} (${how}), ${n} words.`;
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
      this.fillColors(panel);
    }
    this.mark();
  }
}
