// Numbers as tables and bars.

const MOST_COLUMNS = 9;

/**
 * A table that scrolls by itself: names of its columns, and rows of cells, the first of which names the row.
 * Where it is narrow, each row is a list, with the column's name before each cell. Roles are named, since its style is
 * then not that of a table.
 */
function table(label, heads, rows) {
  const row = (cells) => element("tr", { role: "row" }, ...cells);
  const head = row(heads.map((name) => element("th", { scope: "col", role: "columnheader" }, name)));
  const body = rows.map(([name, ...cells]) =>
    row([
      element("th", { scope: "row", role: "rowheader" }, name),
      ...cells.map((cell, i) => element("td", { role: "cell", "data-head": heads[i + 1] }, cell)),
    ]),
  );
  const parts = [element("thead", { role: "rowgroup" }, head), element("tbody", { role: "rowgroup" }, ...body)];
  return scrolling(label, element("table", { class: "stacked", role: "table" }, ...parts));
}

/** A table of numbers by names of a kind: rows are [name, values, error]. */
function beliefTable(title, kind, names, rows) {
  const shown = names.slice(0, MOST_COLUMNS).map((name) => `${kind} ${name}`),
    hasError = rows.some(([, , error]) => error !== null);
  return table(
    title,
    [title, ...shown, ...(hasError ? ["error"] : [])],
    rows.map(([name, values, error]) => [
      name,
      ...shown.map((_, i) => number(values[i])),
      ...(hasError ? [error === null ? "" : number(error)] : []),
    ]),
  );
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
