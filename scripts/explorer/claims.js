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
      ...experiments.map((name) => element("th", { scope: "col", "data-experiment": name }, name)),
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
            { "data-experiment": experiment },
            cell
              ? this.cellButton(cell, marks[cell.outcome])
              : element("span", { class: "none", "aria-label": "no such claim" }, "·"),
          );
        }),
      ),
    );
    const legend = Object.entries(counts).map(([outcome, n]) => {
      const [symbol, style] = marks[outcome];
      const attributes = { class: `filter ${style}`, "aria-pressed": "false", "data-outcome": outcome };
      return element(
        "li",
        {},
        button(`${symbol} ${n} ${outcome}`, () => this.showOnly(outcome), attributes),
      );
    });
    this.head = head;
    this.rows = rows;
    this.table = scrolling(
      "Verdicts",
      element("table", { class: "matrix" }, element("thead", {}, head), element("tbody", {}, ...rows)),
    );
    this.alone = element("p", { class: "alone" });
    this.dialog = element("dialog", { "aria-labelledby": "evidence-title" });
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.root = section(
      "claims",
      "What may be claimed",
      `A claim is supported if its gain over the best baseline exceeds ${rule.margin} with ` +
        `${100 * rule.confidence} % confidence over networks. The gain is the share of what the baseline leaves ` +
        `unexplained that the estimate explains: 0.998 over 0.996 is a gain of 0.5. Of claims of "no more" it must ` +
        `stay below ${rule.margin}, of "no less" above −${rule.margin}. Each cell is the estimate over its best ` +
        "baseline; open it for its evidence. Press a verdict to see only the claims that have it.",
      element("ul", { class: "legend" }, ...legend),
      this.alone,
      this.table,
      this.dialog,
    );
  }

  cellButton(cell, [symbol, style]) {
    const numbers = `${number(cell.estimate)} over ${number(cell.baseline)}${cell.caution ? " (caution)" : ""}`;
    const label = `${cell.name}, ${cell.experiment}: ${cell.outcome}, ${numbers}`;
    const attributes = { class: `cell ${style}`, "aria-label": label, "data-outcome": cell.outcome };
    const made = button(` ${numbers}`, () => this.open(cell), attributes);
    made.prepend(element("b", {}, symbol));
    return made;
  }

  /** Leave only the claims of an outcome; of all, if it was chosen already. */
  showOnly(outcome) {
    this.only = this.only === outcome ? null : outcome;
    const is = ({ dataset }) => this.only === null || dataset.outcome === this.only;
    for (const row of this.rows) {
      const cells = [...row.querySelectorAll(".cell")];
      cells.forEach((cell) => cell.classList.toggle("other", !is(cell)));
      row.hidden = !cells.some(is);
    }
    for (const button of this.root.querySelectorAll(".legend button"))
      button.setAttribute("aria-pressed", String(button.dataset.outcome === this.only));
  }

  /** Mark the column of the page's experiment, which a narrow page shows alone; elsewhere bring it into view. */
  showColumn(experiment) {
    for (const cell of this.table.querySelectorAll("[data-experiment]"))
      cell.classList.toggle("current", cell.dataset.experiment === experiment);
    this.alone.textContent = `Below are the claims of ${experiment} alone; choose another experiment at the top.`;
    const [first] = this.head.children,
      head = this.head.querySelector(".current");
    if (head) this.table.scrollLeft = head.offsetLeft - first.offsetWidth;
  }

  /** How the p-value is to be read beside the verdict. */
  corrected({ p_holm }) {
    if (p_holm === null) return "";
    const n = this.app.study.claims.cells.filter((cell) => cell.p_holm !== null).length;
    return `; by its interval, for this claim alone. Corrected for ${n} claims (Holm): p = ${number(p_holm, 4)}`;
  }

  /** What would decide an undecided claim: networks, if its gain and the scatter of it are as estimated. */
  decided({ verdict, n_seeds, seeds_to_decide, expected_verdict }) {
    if (verdict !== "undecided") return null;
    if (n_seeds === 1) return "More networks than one: the scatter over networks is not known.";
    if (seeds_to_decide === null)
      return (
        "Not 1,000 networks: the gain is at the margin, or scatters with the draws of folds by more than its " +
        "distance from the margin."
      );
    return (
      `${seeds_to_decide} networks in place of ${n_seeds} (probability 0.9; it is then "${expected_verdict}"), ` +
      "if the gain and its scatter are as estimated."
    );
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
    const names = path.replace(/^results\//, "").split("/");
    return element("a", { href: this.app.study.root + names.map(encodeURIComponent).join("/") }, path);
  }

  open(cell) {
    const draws = `${cell.n_draws} draw${cell.n_draws === 1 ? "" : "s"} of folds`;
    const facts = [
      ["Verdict", `${cell.outcome}${this.corrected(cell)}`],
      [
        "Estimate",
        `${cell.measure}: ${number(cell.estimate, 4)}${this.interval(cell.ci_low, cell.ci_high)} at ${cell.site}`,
      ],
      ["Best baseline", `${cell.baseline_name}: ${number(cell.baseline, 4)}`],
      ["Exact predictions", cell.exact === null ? null : number(cell.exact, 4)],
      ["Gain", this.gain(cell)],
      ["To be decided by", this.decided(cell)],
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
      button("close", () => this.dialog.close()),
    );
    this.dialog.showModal();
  }
}
