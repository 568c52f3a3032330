// What a reader chooses of the clouds: the view, the colours, the snapshot, and what each panel shows.

const TRUE_BELIEFS = "true";
const SLIDER = "slider";

const COLORS = {
  belief: "true belief",
  error: "error of the decoded belief",
  length: "length of the word",
  next: "optimal prediction",
};

const PRESETS = [
  ["", "choose…"],
  ["networks", "trained, at initialisation, random"],
  ["sites", "every site of this network"],
  ["steps", "every step of the training"],
  ["seeds", "every trained network"],
];

const SPLITS = [
  ["held_out_prefix", "held-out prefixes"],
  ["in_sample", "in sample"],
];

class CloudChoices extends CloudGroup {
  constructor(app) {
    super(app);
    this.view = 0;
    this.corners = [0, 1, 2];
    this.color = "belief";
    this.progress = 1; // of the training, on the slider: 0 to 1
    this.controls = element("div", { class: "controls" });
    this.panelChoice = element("div", { class: "controls" });
    this.more = element(
      "details",
      { id: "more" },
      element("summary", {}, "More panels, marking many words, keys"),
      this.panelChoice,
      element(
        "p",
        {},
        "The colour of a word mixes those of the legend by its probabilities, and is the same in all panels: " +
          "point at it, or click it, to find it there. To mark the words of some points, press “select by box” and " +
          "drag a box about them, by mouse, pen or finger; a mouse needs no button where dragging moves nothing, or " +
          "with shift. Keys on a panel: arrows go to a neighbouring word and, with shift, turn the view; + and − " +
          "zoom; Esc unmarks. Of a transformer, blocks.0.hook_resid_post is the output of the first layer; " +
          "concatenated stands for several sites side by side.",
      ),
    );
  }

  stepOnSlider() {
    const network = this.experiment.networks[0];
    return this.nameOfStep(network, network.steps[Math.round(this.progress * (network.steps.length - 1))]);
  }

  /** The name of a network's snapshot. */
  nameOfStep({ run }, step) {
    return step === 0 ? "at initialisation" : run === "pretrained" ? "as imported" : `step ${step}`;
  }

  /** The choices of a panel: what it shows, above its cloud, and of a network the rest, below it. */
  buildChoices(panel, cloud) {
    const { networks, sites } = this.experiment,
      choice = panel.choice,
      change = (key) => (value) => {
        choice[key] = value === TRUE_BELIEFS || value === SLIDER || key === "split" ? value : Number(value);
        if (key === "network" && choice.network !== TRUE_BELIEFS) {
          choice.site ??= this.lastLayer();
          choice.snapshot ??= SLIDER;
        }
        this.refresh();
      },
      field = (label, key, options, chosen = choice[key]) => chooser(label, options, chosen, change(key));
    const labels = networks.map((network, i) => [i, network.label]);
    panel.head.replaceChildren(field("What", "network", [[TRUE_BELIEFS, "true beliefs"], ...labels]));
    const network = networks[choice.network], // none of the true beliefs
      fields = [];
    if (network) {
      const names = network.steps.map((step, i) => [i, this.nameOfStep(network, step)]),
        own = network.clouds.filter((one) => one.snapshot === cloud?.snapshot);
      fields.push(field("Site", "site", [...sites.entries()]));
      if (names.length > 1) fields.push(field("Step", "snapshot", [[SLIDER, "by the slider"], ...names]));
      if (new Set(own.map((one) => one.split)).size > 1) fields.push(field("Probe", "split", SPLITS, cloud.split));
    }
    panel.foot.replaceChildren(panel.note, ...fields);
  }

  buildControls() {
    const { experiment } = this,
      { steps } = experiment.networks[0],
      views = experiment.views.map(({ name }) => name),
      focused = this.focused();
    const parts = [
      chooser("View", [...views.entries()], this.view, (value) => {
        this.view = Number(value);
        this.camera.reset();
        this.changeView();
      }),
      chooser("Colour", Object.entries(COLORS), this.color, (value) => {
        this.color = value;
        this.refresh();
      }),
    ];
    if (experiment.views[this.view].chosen)
      this.corners.forEach((state, place) =>
        parts.push(
          chooser(`Corner ${place + 1}`, [...experiment.states.entries()], state, (value) => {
            this.corners[place] = Number(value);
            this.changeView();
          }),
        ),
      );
    if (steps.length > 1) parts.push(this.trainingSlider(steps));
    parts.push(this.zoomButtons());
    if (this.currentView().turns) parts.push(button("⟳ turn", () => this.spin(), this.pressed("spin", this.spinning)));
    else this.spinning = null;
    parts.push(button("⬚ select by box", () => this.setBoxing(!this.boxing), this.pressed("box", this.boxing)));
    this.controls.replaceChildren(...parts, this.unmark);
    this.panelChoice.replaceChildren(
      chooser("Panels", PRESETS, "", (value) => value && this.preset(value)),
      button("add a panel", () => {
        this.panels.push(this.newPanel({ network: 0, snapshot: SLIDER, site: this.lastLayer() }));
        this.refresh();
      }),
      ...(this.panels.length > 1
        ? [
            button("remove the last panel", () => {
              this.panels.pop();
              this.refresh();
            }),
          ]
        : []),
      this.endingField(),
    );
    this.focus(focused);
  }

  /** The attributes of a button that stays pressed. */
  pressed(id, isOn) {
    return { id, "aria-pressed": String(Boolean(isOn)) };
  }

  trainingSlider(steps) {
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
    const label = element("label", { class: "field" }, element("span", {}, "Training"), this.slider, this.stepName);
    return element(
      "span",
      { class: "field" },
      label,
      button("▶ play", () => this.play(steps), { id: "play" }),
    );
  }

  /** The panels of an experiment at first: truth, trained, at initialisation, random. */
  firstPanels() {
    const { networks, sites } = this.experiment,
      site = this.lastLayer(),
      random_ = networks.findIndex((network) => network.run === "random_init");
    if (sites.length === 0) return [{ network: TRUE_BELIEFS }];
    const chosen = [
      { network: TRUE_BELIEFS },
      { network: 0, snapshot: SLIDER, site },
      { network: 0, snapshot: 0, site },
    ];
    return random_ < 0 ? chosen : [...chosen, { network: random_, snapshot: 0, site }];
  }

  async preset(name) {
    const { networks, sites } = this.experiment,
      site = this.lastLayer(),
      chosen = {
        networks: () => this.firstPanels().slice(1),
        sites: () => sites.map((_, at) => ({ network: 0, snapshot: SLIDER, site: at })),
        steps: () => networks[0].steps.map((_, snapshot) => ({ network: 0, snapshot, site })),
        seeds: () =>
          networks.flatMap(({ run }, network) => (run === "random_init" ? [] : [{ network, snapshot: SLIDER, site }])),
      };
    await this.arrange([{ network: TRUE_BELIEFS }, ...chosen[name]()]);
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
