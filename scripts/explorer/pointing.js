// A group of linked clouds: one camera, one point that is hovered over, one selected word, and what is read of them.

const MOST_LETTERS = 21; // of a word beside its ring
const MOST_ENTRIES = 24; // of the legend

/** What a control is called; nothing of a canvas, of which a panel has one. */
function controlName(control) {
  if (control.tagName === "CANVAS") return "";
  const label = control.labels?.[0]?.firstElementChild.textContent;
  return label ?? control.getAttribute("aria-label") ?? control.textContent;
}

class CloudGroup {
  constructor(app) {
    this.app = app;
    this.camera = new Camera();
    this.panels = [];
    this.hovered = -1;
    this.card = element("div", { class: "card", role: "status", "aria-live": "polite", id: "reading" });
    this.markedNote = element("span", { role: "status", id: "marked" });
    this.unmark = button("unmark", () => this.markEnding(""), { id: "unmark" });
  }

  get experiment() {
    return this.app.experiment;
  }

  /** What the colours mean: [what they are of, [colour, name] of each], with a scale as its two ends. */
  key() {
    const { experiment } = this,
      { part } = this.currentView(),
      own = (title, names, from = 0) => [title, names.map((name, i) => [anchor(from + i), `state ${name}`])],
      scale = (...ends) => [["", ends]];
    if (this.color === "error")
      return scale([graded(0), "error 0"], [graded(1), `${number(this.mostError, 2)} or more`]);
    if (this.color === "length")
      return scale([graded(1 / experiment.context), "1 token"], [graded(1), `${experiment.context} tokens`]);
    if (this.color === "next") return [["", experiment.tokens.map((name, i) => [anchor(i), `token ${name}`])]];
    if (part) return [own(part.label, [...part.readout.keys()])];
    if (experiment.generalized) return [];
    if (experiment.composed !== "mixture") return [own("", experiment.states)];
    let from = 0;
    return experiment.parts.map(({ label, readout }) => {
      const names = experiment.states.slice(from, from + readout.length);
      return own(label, names, (from += names.length) - names.length);
    });
  }

  buildKey() {
    const entries = this.key().flatMap(([title, names]) => [
      ...(title ? [element("li", {}, `${title}:`)] : []),
      ...names.map(([color, name]) => {
        const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
        swatch.style.backgroundColor = rgb(color);
        return element("li", {}, swatch, name);
      }),
    ]);
    const left = entries.length - MOST_ENTRIES;
    if (left > 0) entries.splice(MOST_ENTRIES, left, element("li", {}, `and ${left} more`));
    if (this.currentView().lift) entries.push(element("li", {}, "Height: length of the word."));
    this.legend.replaceChildren(...entries);
    this.markedNote.textContent = this.markedText;
    this.unmark.disabled = !this.marks;
  }

  /** The word beside its ring: of the point that is hovered over or, where there is none, of the selected one. */
  nameOf(point) {
    if (this.hovered >= 0 && point !== this.hovered) return "";
    const name = wordText(this.experiment, this.experiment.word(point));
    return name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS)}…` : name;
  }

  /** The colour of a point where some are marked: the others are faint. */
  marked(colors, i) {
    const color = [colors[i] & 255, (colors[i] >> 8) & 255, (colors[i] >> 16) & 255];
    return this.marks[i] ? color : faint(color, 0.12);
  }

  /** Mark points in all panels, as 1 of each point of the experiment; null marks none. */
  markPoints(marks, text = "") {
    this.marks = marks;
    this.markedText = text;
    this.endingInput.value = this.ending;
    this.paint();
  }

  /** Mark the points of a panel within a box on its canvas. */
  pick(panel, [x, y], [x1, y1]) {
    const { experiment } = this,
      marks = new Uint8Array(experiment.n),
      isIn = (value, a, b) => value >= Math.min(a, b) && value <= Math.max(a, b);
    for (let i = 0; i < panel.shown; i++) marks[i] = Number(isIn(panel.xs[i], x, x1) && isIn(panel.ys[i], y, y1));
    const n = marks.reduce((sum, mark) => sum + mark, 0);
    this.ending = "";
    this.markPoints(n ? marks : null, n ? `${n} words marked, by a box.` : "No point is in the box.");
  }

  /** Mark the words that end in some tokens, as they are typed; none for an empty text. */
  markEnding(text) {
    const { experiment } = this,
      { word, refusal } = tokensOf(experiment, text);
    this.ending = text;
    if (refusal || !word.length) return this.markPoints(null, refusal);
    const marks = Uint8Array.from({ length: experiment.n }, (_, i) => {
      const own = experiment.word(i);
      return Number(own.length >= word.length && word.every((token, k) => own[own.length - word.length + k] === token));
    });
    const n = marks.reduce((sum, mark) => sum + mark, 0);
    this.markPoints(n ? marks : null, `${n} words end in ${wordText(experiment, word)}.`);
  }

  /** The field whose tokens mark the words that end in them. */
  endingField() {
    const field = element("input", {
      type: "text",
      id: "ending",
      value: this.ending ?? "",
      autocomplete: "off",
      spellcheck: "false",
      onchange: () => this.markEnding(field.value),
    });
    this.endingInput = field;
    return element("label", { class: "field" }, element("span", {}, "Mark words that end in"), field);
  }

  /** Whether dragging on a cloud makes a box, by any pointer, or turns and moves the view. */
  setBoxing(isOn) {
    this.boxing = isOn;
    this.grid.classList.toggle("boxing", isOn);
    document.getElementById("box").setAttribute("aria-pressed", String(isOn));
  }

  zoomButtons() {
    const buttons = [
      ["+", "zoom in", 1.5],
      ["−", "zoom out", 1 / 1.5],
    ].map(([text, label, factor]) => button(text, () => this.zoom(factor), { "aria-label": label }));
    return element("span", { class: "field zoom" }, element("span", {}, "Zoom"), ...buttons);
  }

  /** Which control or panel has the focus, to be found among those that replace it; null of those elsewhere. */
  focused() {
    const { activeElement: at } = document;
    if (!this.root.contains(at)) return null;
    return { panel: this.panels.findIndex((panel) => panel.root.contains(at)), tag: at.tagName, name: controlName(at) };
  }

  /** Give the focus back, where it was lost with an element that was replaced. */
  focus(place) {
    if (!place || document.activeElement !== document.body) return;
    const { panel, tag, name } = place,
      within = panel < 0 ? this.root : this.panels[panel]?.root;
    [...(within?.querySelectorAll(tag) ?? [])].find((one) => controlName(one) === name)?.focus({ preventScroll: true });
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
    if (event.key === "Escape" && this.marks) this.markEnding("");
    if (!way) return;
    event.preventDefault();
    if (event.shiftKey && panel.view.turns) {
      this.camera.yaw += 0.1 * way[0];
      this.camera.pitch += 0.1 * way[1];
      return this.redraw();
    }
    const now = this.selected(),
      next = now >= 0 && now < panel.shown ? panel.neighbour(now, ...way) : 0;
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

  /** All about one word, below the panels: a point's, or the selected one, which need not be a point. */
  describe(point) {
    const { experiment, app } = this,
      word = point >= 0 ? experiment.word(point) : app.word;
    const belief = beliefsOf(experiment, word).at(-1),
      width = belief.length,
      rows = [["true belief", belief, null]];
    const named = new Set(),
      without = new Set();
    for (const panel of this.panels) {
      const name = panel.note.textContent.split(": R²")[0];
      if (!panel.cloud || point < 0 || named.has(name)) continue;
      if (point >= panel.shown) {
        without.add(name);
        continue;
      }
      named.add(name);
      const decoded = Array.from(panel.beliefs.subarray(point * width, (point + 1) * width));
      rows.push([`decoded: ${name}`, decoded, this.errorOf(panel, point)]);
    }
    const predicted = [["optimum", prediction(experiment, belief), null]];
    if (app.network && word.length) {
      const log = app.network.run(word).logProbability.at(-1);
      predicted.push([`network (${app.networkName()})`, log.map(Math.exp), null]);
    }
    const absent = point < 0 ? "; it is not among the points, of which there are a sample" : "";
    this.card.replaceChildren(
      element(
        "p",
        { class: "word" },
        "Word: ",
        element("strong", { id: "hovered" }, wordText(experiment, word)),
        ` (${word.length} tokens${absent}). Point at a point to read its word here.`,
        without.size ? ` Panels of fewer words lack it: ${[...without].join("; ")}.` : "",
      ),
      element(
        "div",
        { class: "tables" },
        beliefTable("Belief", "state", experiment.states, rows),
        beliefTable("Next token", "token", experiment.tokens, predicted),
      ),
    );
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.panels.forEach((panel) => panel.draw());
    });
  }
}
