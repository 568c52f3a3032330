// The claims of the study: a matrix of verdicts, and behind each cell its evidence.

class Claims {
  constructor(app) {
    this.app = app;
    const { cells, marks, counts, rule } = app.study.claims;
    const names = [...new Set(cells.map((cell) => cell.name))],
      experiments = [...new Set(cells.map((cell) => cell.experiment))];
    const head = element(
      "tr",
      {},
      element("th", { scope: "col" }, "Claim"),
      ...experiments.map((name) => element("th", { scope: "col" }, name)),
    );
    const rows = names.map((name) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, name),
        ...experiments.map((experiment) => {
          const cell = cells.find((one) => one.name === name && one.experiment === experiment);
          return element(
            "td",
            {},
            cell
              ? this.button(cell, marks[cell.outcome])
              : element("span", { class: "none", "aria-label": "no such claim" }, "·"),
          );
        }),
      ),
    );
    const legend = Object.entries(counts).map(([outcome, n]) =>
      element("li", { class: marks[outcome][1] }, `${marks[outcome][0]} ${n} ${outcome}`),
    );
    this.dialog = element("dialog", { "aria-labelledby": "evidence-title" });
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.root = section(
      "claims",
      "What may be claimed",
      `A claim is supported if its gain over the best baseline exceeds ${rule.margin} with ` +
        `${100 * rule.confidence} % confidence over networks. ` +
        "Each cell is the estimate over its best baseline; open it for its evidence.",
      element("ul", { class: "legend" }, ...legend),
      scrolling(
        "Verdicts",
        element("table", { class: "matrix" }, element("thead", {}, head), element("tbody", {}, ...rows)),
      ),
      this.dialog,
    );
  }

  button(cell, [symbol, style]) {
    const numbers = `${number(cell.estimate)} over ${number(cell.baseline)}${cell.caution ? " (caution)" : ""}`;
    const label = `${cell.name}, ${cell.experiment}: ${cell.outcome}, ${numbers}`,
      onclick = () => this.open(cell);
    const attributes = { type: "button", class: `cell ${style}`, onclick, "aria-label": label };
    return element("button", attributes, element("b", {}, symbol), ` ${numbers}`);
  }

  interval(low, high) {
    return low === null || high === null ? "" : ` [${number(low)}, ${number(high)}]`;
  }

  /** The gain with its interval over networks or, of one network, over draws of folds. */
  gain(cell) {
    if (cell.gain === null) return "none, as the baseline leaves nothing";
    const overDraws = this.interval(cell.gain_over_draws_low, cell.gain_over_draws_high);
    const overSeeds = this.interval(cell.gain_ci_low, cell.gain_ci_high);
    const range = overSeeds || (overDraws && `, over draws of folds${overDraws}`);
    return `${number(cell.gain, 4)}${range} (${cell.kind})`;
  }

  /** A link to a file of the study, beside which the page stands. */
  link(path) {
    return element(
      "a",
      {
        href:
          this.app.study.root +
          path
            .replace(/^results\//, "")
            .split("/")
            .map(encodeURIComponent)
            .join("/"),
      },
      path,
    );
  }

  open(cell) {
    const draws = `${cell.n_draws} draw${cell.n_draws === 1 ? "" : "s"} of folds`;
    const facts = [
      ["Verdict", `${cell.outcome}${cell.p_holm === null ? "" : `, p = ${number(cell.p_holm, 4)} (Holm)`}`],
      [
        "Estimate",
        `${cell.measure}: ${number(cell.estimate, 4)}${this.interval(cell.ci_low, cell.ci_high)} at ${cell.site}`,
      ],
      ["Best baseline", `${cell.baseline_name}: ${number(cell.baseline, 4)}`],
      ["Exact predictions", cell.exact === null ? null : number(cell.exact, 4)],
      ["Gain", this.gain(cell)],
      [cell.unit === "network" ? "Networks" : "Samples of words, one network", `${cell.n_seeds}, ${draws}`],
      ["Caution", cell.caution || null],
      ["Figure", cell.figure && this.link(cell.figure)],
      ["Table", element("span", {}, ...cell.tables.flatMap((path) => [this.link(path), " "]))],
      ["Provenance", element("span", {}, ...cell.records.flatMap((path) => [this.link(path), " "]))],
      ["Made by", element("code", {}, `.venv/bin/snakemake ${cell.tables.join(" ")}`)],
    ].filter(([, value]) => value !== null);
    const list = element(
      "dl",
      {},
      ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    );
    this.dialog.replaceChildren(
      element("h3", { id: "evidence-title" }, `${cell.experiment}: ${cell.name}`),
      list,
      element("button", { type: "button", onclick: () => this.dialog.close() }, "close"),
    );
    this.dialog.showModal();
  }
}
