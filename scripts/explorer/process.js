// The hidden Markov model: belief states, optimal predictions, and views of beliefs as points.
// A belief is a row vector; observing token x maps it to belief T[x], divided by its probability belief T[x] readout.

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** vector * matrix, of nested rows. */
function times(vector, matrix) {
  const out = new Array(matrix[0].length).fill(0);
  for (let i = 0; i < vector.length; i++) for (let j = 0; j < out.length; j++) out[j] += vector[i] * matrix[i][j];
  return out;
}

/** The transition tensor of an experiment as nested arrays, and the probability of each token from each state. */
async function unpackProcess(experiment) {
  const {
      shape: [nTokens, n],
      values,
    } = await unpack(experiment.tensor),
    states = experiment.states.map((_, i) => i);
  experiment.tensor = Array.from({ length: nTokens }, (_, token) =>
    states.map((i) => Array.from(values.subarray((token * n + i) * n, (token * n + i + 1) * n))),
  );
  experiment.emission = states.map((i) => experiment.tensor.map((matrix) => dot(matrix[i], experiment.readout)));
  labelParts(experiment);
}

/** The parameters of a process that are numbers or names, as text. */
function settingsText(parameters = {}) {
  const plain = Object.entries(parameters).filter(([, value]) => typeof value !== "object");
  return plain.map(([key, value]) => `${key} = ${value}`).join(", ");
}

/** Each part of a composed process gets a label: its name in the tables of the study, with its parameters. */
function labelParts({ parameters, parts }) {
  let inner = parameters;
  while (inner.of) inner = inner.of.parameters; // noise on a process
  const members = inner.components ?? inner.factors ?? [];
  parts.forEach((part, i) => {
    const { parameters: own, by, depends_on: before } = members[i] ?? {},
      variants = by && `${by.map(settingsText).join(" or ")} by the ${before} of the factor before`,
      settings = [settingsText(own), variants].filter(Boolean).join("; ");
    part.label = settings ? `${part.name} (${settings})` : part.name;
  });
}

/** The optimal prediction: the probability of each token. */
function prediction(process, belief) {
  return times(belief, process.emission).map((probability) => Math.max(0, probability));
}

/** The belief after one more token; null after an impossible one. */
function observe(process, belief, token) {
  const image = times(belief, process.tensor[token]),
    probability = dot(image, process.readout);
  return probability > 1e-12 ? image.map((x) => x / probability) : null;
}

/** The beliefs before and after each token of a word. */
function beliefsOf(process, word) {
  const path = [process.initial];
  for (const token of word) path.push(observe(process, path.at(-1), token));
  return path;
}

function klNats(optimal, logProbability) {
  return optimal.reduce((sum, p, x) => (p > 0 ? sum + p * (Math.log(p) - logProbability[x]) : sum), 0);
}

// --- Views: affine maps from beliefs to space, with the frame that is drawn around them ----------------------------

const HEIGHT = Math.sqrt(3) / 2;

/** Corners of a regular simplex of n states as [x, y, z]: a line, a triangle, a tetrahedron; else null. */
function simplexCorners(n) {
  if (n === 2)
    return [
      [-1, -0.8, 0],
      [1, -0.8, 0],
    ];
  if (n === 3)
    return [
      [-1, (-HEIGHT * 2) / 3, 0],
      [1, (-HEIGHT * 2) / 3, 0],
      [0, (HEIGHT * 4) / 3, 0],
    ];
  if (n === 4)
    return [
      [0.94, -1 / 3, 0],
      [-0.47, -1 / 3, 0.82],
      [-0.47, -1 / 3, -0.82],
      [0, 1, 0],
    ].map((corner) => corner.map((x) => 1.15 * x));
  return null;
}

/** Eigenvectors of a symmetric matrix as rows, by Jacobi's rotations, largest eigenvalue first. */
function principalAxes(matrix) {
  const n = matrix.length,
    a = matrix.map((row) => [...row]);
  const v = a.map((_, i) => a.map((_, j) => Number(i === j)));
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        off += a[p][q] ** 2;
        if (Math.abs(a[p][q]) < 1e-15) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1),
          s = t * c;
        for (let k = 0; k < n; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
        for (let k = 0; k < n; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
        for (let k = 0; k < n; k++) [v[p][k], v[q][k]] = [c * v[p][k] - s * v[q][k], s * v[p][k] + c * v[q][k]];
      }
    if (off < 1e-20) break;
  }
  return v
    .map((row, i) => [a[i][i], row])
    .sort((x, y) => y[0] - x[0])
    .map(([, row]) => row);
}

/** The view on the leading principal components of some points (rows of `width` numbers), scaled to fill the frame. */
function principalView(name, points, width, labels) {
  const n = points.length / width,
    mean = new Array(width).fill(0);
  for (let i = 0; i < points.length; i++) mean[i % width] += points[i] / n;
  const covariance = mean.map(() => new Array(width).fill(0));
  for (let i = 0; i < n; i++)
    for (let j = 0; j < width; j++)
      for (let k = 0; k < width; k++)
        covariance[j][k] += ((points[i * width + j] - mean[j]) * (points[i * width + k] - mean[k])) / n;
  const axes = principalAxes(covariance).slice(0, 3);
  while (axes.length < 3) axes.push(new Array(width).fill(0));
  let reach = 1e-9;
  for (let i = 0; i < n; i++)
    for (const axis of axes) {
      let along = 0;
      for (let j = 0; j < width; j++) along += (points[i * width + j] - mean[j]) * axis[j];
      reach = Math.max(reach, Math.abs(along));
    }
  const matrix = mean.map((_, j) => axes.map((axis) => axis[j] / reach));
  const offset = times(mean, matrix).map((x) => -x);
  const corners = labels ? matrix.map((row) => row.map((x, i) => x + offset[i])) : [];
  return { name, matrix, offset, corners, labels: labels ?? [], turns: width > 3 };
}

/** The view of a simplex of states at given corners. */
function cornersView(name, corners, labels, context = 1) {
  return {
    name,
    matrix: corners,
    offset: [0, 0, 0],
    corners,
    labels,
    turns: corners.length > 3,
    lift: corners.length === 2 ? 1.5 / context : 0,
  };
}

/** The view of a part of a process: its marginal belief, of a mixture scaled by the posterior about the centre. */
function partView(process, part) {
  const scaled = process.composed === "mixture",
    n = part.readout.length,
    corners =
      n === 2
        ? [
            [-1, 0, 0],
            [1, 0, 0],
          ]
        : simplexCorners(n);
  const name = scaled ? `component ${part.label}, scaled by its posterior` : `factor ${part.label}`;
  if (!corners) return null;
  const labels = part.readout.map((_, state) => String(state));
  return {
    ...cornersView(name, corners, labels),
    matrix: part.marginal.map((row) => times(row, corners)),
    lift: 0,
    part,
  };
}

/** All views of an experiment, the first of which is shown; `beliefs` are those of its points. */
function viewsOf(process, beliefs) {
  const n = process.states.length,
    views = [];
  if (!process.generalized && simplexCorners(n))
    views.push(cornersView("simplex of the states", simplexCorners(n), process.states, process.context));
  const parts = process.parts.map((part) => partView(process, part)).filter(Boolean);
  if (process.composed === "mixture") views.push(...parts);
  if (views.length === 0 || n > 3)
    views.push(
      principalView("principal components", beliefs, n, n <= 8 && !process.generalized ? process.states : null),
    );
  if (process.composed && process.composed !== "mixture") views.unshift(...parts);
  if (!process.generalized && n > 3) views.push({ name: "three corners", chosen: [0, 1, 2], turns: false });
  return views;
}

/** The view of three chosen states; what is on the other states stands at the centre. */
function threeCorners(process, chosen) {
  const triangle = simplexCorners(3),
    matrix = process.states.map(() => [0, 0, 0]);
  chosen.forEach((state, place) => {
    matrix[state] = triangle[place];
  });
  return {
    name: "three corners",
    chosen,
    matrix,
    offset: [0, 0, 0],
    corners: triangle,
    labels: chosen.map((s) => process.states[s]),
    turns: false,
  };
}

/** The place of one belief in a view; a belief over two states is lifted by the length of its word. */
function placed(view, belief, length) {
  const point = times(belief, view.matrix).map((x, i) => x + view.offset[i]);
  point[1] += view.lift ? view.lift * length : 0;
  return point;
}

// --- Colours ------------------------------------------------------------------------------------------------------

const ANCHORS = [
  [0xe6, 0x9f, 0x00],
  [0x56, 0xb4, 0xe9],
  [0, 0, 0],
  [0, 0x9e, 0x73],
  [0xcc, 0x79, 0xa7],
  [0xd5, 0x5e, 0],
  [0xf0, 0xe4, 0x42],
  [0, 0x72, 0xb2],
];

/** Okabe and Ito's palette; black is white on a dark page. */
function anchor(place) {
  return place % ANCHORS.length === 2 && isDark() ? [0xf4, 0xf4, 0xf4] : ANCHORS[place % ANCHORS.length];
}

/** The colour of a true belief: the mix of its states' colours; in the view of a part, of the part's own states. */
function beliefColor(experiment, belief, part) {
  if (!part) return mixed(experiment.generalized ? rescaled(experiment, belief) : belief);
  const own = times(belief, part.marginal),
    posterior = dot(own, part.readout);
  return posterior > 0 ? mixed(own.map((x) => x / posterior)) : mixed([1]);
}

/** The coordinates of a generalized process as shares: each that varies within its range, of their sum. */
function rescaled({ ranges }, belief) {
  const parts = ranges
    .map(([least, most], i) => [most - least, belief[i] - least])
    .filter(([spread]) => spread > 1e-9)
    .map(([spread, above]) => above / spread);
  const total = parts.reduce((sum, x) => sum + x, 0) || 1;
  return parts.map((x) => x / total);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The mix of the anchors' colours by shares that sum to 1. */
function mixed(shares) {
  const color = [0, 0, 0];
  shares.forEach((share, place) =>
    anchor(place).forEach((value, i) => {
      color[i] += share * value;
    }),
  );
  return color.map((value) => Math.max(0, Math.min(255, value)));
}

/** A scale from light blue through yellow to dark red, or its reverse in lightness on a dark page, for 0 to 1. */
function graded(value) {
  const stops = isDark()
    ? [
        [40, 60, 120],
        [60, 150, 160],
        [250, 230, 120],
      ]
    : [
        [170, 210, 235],
        [90, 120, 190],
        [60, 10, 80],
      ];
  const x = 2 * Math.max(0, Math.min(1, value)),
    low = Math.min(1, Math.floor(x));
  return stops[low].map((start, i) => start + (x - low) * (stops[low + 1][i] - start));
}

/** A colour nearly that of the paper, for points behind others. */
function faint(color, share) {
  const paper = isDark() ? 22 : 255;
  return color.map((x) => share * x + (1 - share) * paper);
}

function rgb(color) {
  return `rgb(${color.map(Math.round).join(" ")})`;
}
