// Numbers as tables and bars.

const MOST_COLUMNS = 9;

/** A table of numbers by names: rows are [name, values, error]. */
function beliefTable(title, names, rows) {
  const shown = names.slice(0, MOST_COLUMNS),
    hasError = rows.some(([, , error]) => error !== null);
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, title),
    ...shown.map((name) => element("th", { scope: "col" }, name)),
    hasError ? element("th", { scope: "col" }, "error") : null,
  );
  const body = rows.map(([name, values, error]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      ...shown.map((_, i) => element("td", {}, number(values[i]))),
      hasError ? element("td", {}, error === null ? "" : number(error)) : null,
    ),
  );
  return scrolling(title, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

/** A word as its tokens' names. */
function wordText(experiment, word) {
  return word.length ? word.map((token) => experiment.tokens[token]).join(" ") : "(empty)";
}

/** A typed word: names of tokens between spaces or, of one character each, without; with a refusal if one is none. */
function tokensOf({ tokens }, text) {
  const one = tokens.every((name) => name.length === 1),
    parts = one ? [...text.replace(/[\s,]/g, "")] : text.split(/[\s,]+/).filter(Boolean),
    word = parts.map((part) => tokens.indexOf(part)),
    unknown = parts.find((_, i) => word[i] < 0);
  return { word, refusal: unknown === undefined ? "" : `${unknown} is no token; tokens are ${tokens.join(", ")}.` };
}

/** Shares as small bars with their numbers; of many, the three largest with their names. */
function bars(values, names, few) {
  const shown = values.map((value, i) => [value, i]);
  const chosen = few
    ? shown
    : shown
        .sort((a, b) => b[0] - a[0])
        .slice(0, 3)
        .sort((a, b) => a[1] - b[1]);
  const list = element("span", { class: "bars" });
  for (const [value, i] of chosen) {
    const bar = element(
      "span",
      { class: "bar", title: names[i] },
      few ? number(value) : `${names[i]} ${number(value)}`,
    );
    bar.style.setProperty("--share", `${100 * Math.max(0, Math.min(1, value))}%`);
    bar.style.setProperty("--color", rgb(anchor(i)));
    list.append(bar);
  }
  return list;
}
