// The page: one experiment at a time, one word, and the sections that show them.

class App {
  constructor() {
    this.study = block("study");
    this.turn = 0;
    this.word = [];
    this.loaded = new Map();
    this.clouds = new Clouds(this);
    this.follow = new Word(this);
    this.steer = new Steer(this);
    this.circles = new Circles(this);
    this.claims = new Claims(this);
    this.about = element("p", { id: "about" });
    const choice = chooser("Experiment", [...this.study.experiments.entries()], 0, (value) => this.open(Number(value)));
    choice.querySelector("select").id = "experiments";
    const theme = button("◐", () => this.setTheme(isDark() ? "light" : "dark"), {
      id: "theme",
      "aria-label": "light or dark",
      title: "light or dark",
    });
    document.getElementById("controls").append(choice, theme);
    document
      .querySelector("main")
      .append(this.about, this.clouds.root, this.follow.root, this.steer.root, this.circles.root, this.claims.root);
    new ResizeObserver(() => this.redraw()).observe(document.querySelector("main"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  setTheme(name) {
    document.documentElement.dataset.theme = name;
    this.recolour();
  }

  isMarkov() {
    return Boolean(this.experiment?.views);
  }

  recolour() {
    if (!this.isOpen) return;
    if (this.isMarkov()) {
      this.clouds.paint();
      this.follow.refresh();
      this.steer.refresh();
    } else if (!this.circles.root.hidden) this.circles.draw();
  }

  redraw() {
    if (!this.isOpen) return;
    if (this.isMarkov()) for (const part of [this.clouds, this.follow, this.steer]) part.redraw();
    else if (this.experiment && !this.circles.root.hidden) this.circles.redraw();
  }

  /** The content of an experiment, unpacked at its first use. */
  async load(index) {
    if (this.loaded.has(index)) return this.loaded.get(index);
    const experiment = block(`experiment-${index}`),
      nTokens = experiment.tokens?.length ?? 0;
    if (experiment.tensor) {
      await unpackProcess(experiment);
      await prepareClouds(experiment);
    }
    for (const maps of Object.values(experiment.maps ?? {}))
      for (const name of ["matrix", "pattern", "filter"])
        if (maps[name]) maps[name] = (await unpack(maps[name])).values;
    const network = experiment.network ? await Network.load(experiment.network, nTokens) : null;
    this.loaded.set(index, { experiment, network });
    return this.loaded.get(index);
  }

  async open(index) {
    document.body.classList.add("busy");
    this.isOpen = false;
    const { experiment, network } = await this.load(index);
    Object.assign(this, { experiment, network });
    const tooLarge =
      "The page would be too large with the network of this experiment; a study of this experiment alone has it.";
    this.absent = network
      ? ""
      : experiment.n_weights
        ? tooLarge
        : "Of this experiment there are activations and no network.";
    const isMarkov = Boolean(experiment.views);
    for (const part of [this.clouds, this.follow, this.steer]) part.root.hidden = !isMarkov;
    this.circles.root.hidden = true;
    this.about.textContent = this.describe(experiment);
    if (isMarkov) {
      this.word = this.firstWord(experiment);
      await this.clouds.open();
      this.follow.open();
      this.steer.open();
    } else this.circles.open();
    this.claims.showColumn(experiment.name);
    this.isOpen = true;
    this.redraw();
    document.body.classList.remove("busy");
    document.body.dataset.ready = experiment.name;
  }

  /** Three tokens to begin with, as different as there are among the first words. */
  firstWord(experiment) {
    const words = Array.from({ length: Math.min(200, experiment.n) }, (_, i) => experiment.word(i).slice(0, 3));
    return words.reduce((best, word) => (new Set(word).size > new Set(best).size ? word : best));
  }

  /** The network that runs in the page, named as its clouds are. */
  networkName() {
    return this.experiment.networks?.[0]?.label ?? this.network.label;
  }

  describe({ process, parameters, context, network, tensor, surgery }) {
    const settings = settingsText(parameters),
      model = network?.model;
    const parts = [`Process ${process}${settings && ` (${settings})`}, words of up to ${context} tokens.`];
    if (model) {
      const layers = `${model.n_layers} layer${model.n_layers === 1 ? "" : "s"}`;
      const kind = `${model.architecture}, ${layers}, width ${model.d_model}`;
      parts.push(`Networks: ${kind}. Running in this page: ${this.networkName()}.`);
    }
    const { composed, parts: members, states } = this.experiment;
    if (composed) {
      const names = members.map(({ label }, i) => (composed === "mixture" ? `${i + 1} is ${label}` : label)).join(", ");
      parts.push(
        composed === "mixture"
          ? `Of its components, ${names}; state ${states[0]} is of the first.`
          : `Its factors: ${names}.`,
      );
    }
    if (!tensor && !surgery)
      parts.push("Of this kind of task there are no clouds or circles in this page; its claims are below.");
    return parts.join(" ");
  }

  setWord(word) {
    this.word = word;
    this.clouds.mark();
    this.follow.refresh();
    this.steer.refresh();
  }
}

const app = new App();
app.open(0).catch((error) => {
  const needed = "DecompressionStream" in window ? "" : " It needs a browser of 2023 or later.";
  app.about.textContent = `This page could not be shown: ${error.message}.${needed}`;
});
