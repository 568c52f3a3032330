// Data blocks of the page: JSON in elements, arrays packed as `geometry/explorer/packing.py` writes them.

const ARRAYS = { u1: Uint8Array, i2: Int16Array, f4: Float32Array, f8: Float64Array };

function block(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

/** A packed array as {shape, values}. */
async function unpack({ type, shape, data }) {
  const packed = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = ARRAYS[type].BYTES_PER_ELEMENT,
    n = planes.length / size,
    bytes = new Uint8Array(planes.length);
  for (let place = 0; place < size; place++)
    for (let i = 0; i < n; i++) bytes[i * size + place] = planes[place * n + i];
  return { shape, values: new ARRAYS[type](bytes.buffer) };
}

// --- Elements -----------------------------------------------------------------------------------------------------

/** A new element: attributes by name, `on...` as listeners, and children, of which text is never markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

/** A labelled select; options are [value, text]. */
function chooser(label, options, chosen, onchange) {
  const select = element("select", { onchange: () => onchange(select.value) });
  for (const [value, text] of options)
    select.append(element("option", { value, selected: String(value) === String(chosen) }, text));
  return element("label", { class: "field" }, element("span", {}, label), select);
}

/** A section of the page: its title, a sentence on what it shows, and its parts. */
function section(id, title, text, ...parts) {
  const heading = element("h2", { id: `${id}-title` }, title);
  return element("section", { id, "aria-labelledby": heading.id }, heading, element("p", {}, text), ...parts);
}

/** A part that scrolls by itself where it is too wide, for the keyboard too. */
function scrolling(label, ...parts) {
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, ...parts);
}

/** A number to some digits, with a minus sign unless it is 0 to these; a dash where there is none. */
function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value
    .toFixed(digits)
    .replace(/^-(?=[0.]+$)/, "")
    .replace("-", "−");
}

/** A random generator with a seed (mulberry32), so that what is drawn is the same each time. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
