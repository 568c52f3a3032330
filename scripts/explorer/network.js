// The forward pass of a network, position by position, with the names of parameters and hook points of the study.
// Weights are float32 and sums are float64, so that results agree with PyTorch's to about 1e-6.

const EPSILON = 1e-5;

/** Error function (W. J. Cody's accuracy is not needed: this one is exact to 1e-12 by its series or its fraction). */
function erf(x) {
  const a = Math.abs(x);
  if (a > 5.5) return Math.sign(x);
  if (a < 3) {
    let term = a,
      sum = a;
    for (let n = 1; Math.abs(term) > 1e-16; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return ((Math.sign(x) * 2) / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = a;
  for (let n = 60; n > 0; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / fraction);
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

const ACTIVATIONS = {
  relu: (x) => (x > 0 ? x : 0),
  silu: (x) => x * sigmoid(x),
  solu: (x, i, all) => x * Math.exp(logSoftmax(all)[i]),
  gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  gelu_new: (x) => (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2,
};

/** x W + b, W with shape (in, out) from `start`. */
function affine(x, W, nOut, b, start = 0, biasStart = 0) {
  const out = new Float64Array(nOut);
  if (b) for (let j = 0; j < nOut; j++) out[j] = b[biasStart + j];
  for (let i = 0; i < x.length; i++) {
    const value = x[i],
      row = start + i * nOut;
    if (value !== 0) for (let j = 0; j < nOut; j++) out[j] += value * W[row + j];
  }
  return out;
}

/** W x + b, W with shape (out, in), as PyTorch's cells and linear layers have it. */
function linear(x, W, b) {
  const out = Float64Array.from(b ?? new Float64Array(W.length / x.length));
  for (let j = 0; j < out.length; j++) for (let i = 0; i < x.length; i++) out[j] += W[j * x.length + i] * x[i];
  return out;
}

const plus = (a, b) => a.map((value, i) => value + b[i]);

const OUTPUTS = {
  softmax: logSoftmax,
  stablemax: (logits) => logSoftmax(Array.from(logits, (x) => Math.sign(x) * Math.log1p(Math.abs(x)))),
};

function logSoftmax(logits) {
  const most = Math.max(...logits),
    total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0)) + most;
  return Array.from(logits, (x) => x - total);
}

class Network {
  constructor({ model, label }, weights, nTokens) {
    this.model = model;
    this.label = label;
    this.w = weights;
    this.nTokens = nTokens;
  }

  static async load(content, nTokens) {
    const weights = {};
    for (const [name, packed] of Object.entries(content.weights)) weights[name] = (await unpack(packed)).values;
    return new Network(content, weights, nTokens);
  }

  /**
   * Activations by site and log-probabilities of the next token at each position of a word.
   * `change` {site, vector} is added at the last position alone, as `steer_network` does.
   */
  run(word, change = null) {
    const bos = this.model.bos ? 1 : 0,
      tokens = bos ? [this.nTokens, ...word] : [...word];
    const sites = {},
      last = tokens.length - 1;
    const hook = (name, position, x) => {
      const y = change && change.site === name && position === last ? plus(x, change.vector) : x;
      (sites[name] ??= []).push(y);
      return y;
    };
    const forward = this.model.architecture === "transformer" ? this.transformer : this.recurrent;
    const logits = forward.call(this, tokens, hook),
      logProbability = OUTPUTS[this.model.output];
    for (const name of Object.keys(sites)) sites[name] = sites[name].slice(bos);
    return { sites, logProbability: logits.slice(bos).map((row) => logProbability(row).slice(0, this.nTokens)) };
  }

  layerNorm(x, name, hook, position) {
    if (this.model.normalization !== "LN") return x;
    let mean = 0,
      variance = 0;
    for (const value of x) mean += value / x.length;
    for (const value of x) variance += (value - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + EPSILON),
      w = this.w[`${name}.w`],
      b = this.w[`${name}.b`];
    const normal = x.map((value, i) => (value - mean) * scale * w[i] + b[i]);
    return hook(`${name}.hook_normalized`, position, normal);
  }

  /** Queries, keys or values of all heads. */
  heads(x, block, letter) {
    const { n_heads: n, d_head: width } = this.model,
      W = this.w[`${block}.attn.W_${letter}`],
      b = this.w[`${block}.attn.b_${letter}`];
    const ofHead = (_, head) => affine(x, W, width, b, head * x.length * width, head * width);
    return Array.from({ length: n }, ofHead);
  }

  attention(x, block, cache) {
    const { n_heads: n, d_head: width, d_model } = this.model,
      q = this.heads(x, block, "Q"),
      z = new Float64Array(n * width);
    cache.push({ k: this.heads(x, block, "K"), v: this.heads(x, block, "V") });
    for (let head = 0; head < n; head++) {
      const weight = logSoftmax(cache.map(({ k }) => dot(q[head], k[head]) / Math.sqrt(width))).map(Math.exp);
      cache.forEach(({ v }, place) => {
        for (let i = 0; i < width; i++) z[head * width + i] += weight[place] * v[head][i];
      });
    }
    return affine(z, this.w[`${block}.attn.W_O`], d_model, this.w[`${block}.attn.b_O`]);
  }

  mlp(x, block) {
    const { d_mlp, d_model, activation } = this.model;
    const read = affine(x, this.w[`${block}.mlp.W_in`], d_mlp, this.w[`${block}.mlp.b_in`]),
      hidden = read.map(ACTIVATIONS[activation]);
    return affine(hidden, this.w[`${block}.mlp.W_out`], d_model, this.w[`${block}.mlp.b_out`]);
  }

  /** The embedding of a token or a position. */
  row(name, i) {
    const { d_model } = this.model;
    return Float64Array.from(this.w[name].subarray(i * d_model, (i + 1) * d_model));
  }

  transformer(tokens, hook) {
    const { n_layers } = this.model,
      nOut = this.w["unembed.b_U"].length;
    const caches = Array.from({ length: n_layers }, () => []);
    return tokens.map((token, position) => {
      let x = hook("hook_embed", position, this.row("embed.W_E", token));
      x = plus(x, hook("hook_pos_embed", position, this.row("pos_embed.W_pos", position)));
      for (let layer = 0; layer < n_layers; layer++) {
        const block = `blocks.${layer}`;
        x = hook(`${block}.hook_resid_pre`, position, x);
        const attended = this.attention(this.layerNorm(x, `${block}.ln1`, hook, position), block, caches[layer]);
        x = plus(x, hook(`${block}.hook_attn_out`, position, attended));
        if (this.model.d_mlp) {
          x = hook(`${block}.hook_resid_mid`, position, x);
          const written = this.mlp(this.layerNorm(x, `${block}.ln2`, hook, position), block);
          x = plus(x, hook(`${block}.hook_mlp_out`, position, written));
        }
        x = hook(`${block}.hook_resid_post`, position, x);
      }
      const normal = this.layerNorm(x, "ln_final", hook, position);
      return affine(normal, this.w["unembed.W_U"], nOut, this.w["unembed.b_U"]);
    });
  }

  recurrent(tokens, hook) {
    const { n_layers } = this.model,
      states = Array.from({ length: n_layers }, (_, layer) => this.initialState(layer));
    return tokens.map((token, position) => {
      let x = hook("hook_embed", position, this.row("embed.weight", token));
      for (let layer = 0; layer < n_layers; layer++) {
        states[layer] = this.step(layer, x, states[layer], (part, y) => hook(`layers.${layer}.${part}`, position, y));
        x = states[layer].out ?? states[layer].h;
      }
      return linear(x, this.w["unembed.weight"], this.w["unembed.bias"]);
    });
  }

  initialState(layer) {
    const { architecture, d_model } = this.model;
    if (architecture !== "kuramoto") return { h: new Float64Array(d_model), c: new Float64Array(d_model) };
    return { h: this.onSpheres(Float64Array.from(this.w[`layers.${layer}.x_0`])) };
  }

  step(layer, x, { h, c }, hook) {
    const { architecture, d_model: n } = this.model,
      cell = `layers.${layer}.cell`;
    if (architecture === "kuramoto") return { h: hook("hook_x", this.oscillate(layer, x, h)) };
    if (architecture === "selective_ssm") return this.selective(layer, x, h, hook);
    const ofInput = linear(x, this.w[`${cell}.weight_ih`], this.w[`${cell}.bias_ih`]);
    const ofState = linear(h, this.w[`${cell}.weight_hh`], this.w[`${cell}.bias_hh`]);
    const part = (i, f) => h.map((_, j) => f(ofInput[i * n + j] + ofState[i * n + j]));
    if (architecture === "rnn") return { h: hook("hook_h", part(0, Math.tanh)), c };
    if (architecture === "gru") {
      const reset = part(0, sigmoid),
        update = part(1, sigmoid);
      const fresh = h.map((_, j) => Math.tanh(ofInput[2 * n + j] + reset[j] * ofState[2 * n + j]));
      const mixed = h.map((old, j) => (1 - update[j]) * fresh[j] + update[j] * old);
      return { h: hook("hook_h", mixed), c };
    }
    const [input, forget, fresh, output] = [part(0, sigmoid), part(1, sigmoid), part(2, Math.tanh), part(3, sigmoid)];
    const kept = c.map((old, j) => forget[j] * old + input[j] * fresh[j]),
      memory = hook("hook_c", kept);
    const shown = memory.map((value, j) => output[j] * Math.tanh(value));
    return { h: hook("hook_h", shown), c: memory };
  }

  /** One step of a selective state space: its state and the residual stream behind it. */
  selective(layer, x, before, hook) {
    const { d_model, d_state } = this.model,
      n = d_model / d_state,
      of = (name) => this.w[`layers.${layer}.${name}`];
    const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0) / d_model + EPSILON);
    const input = x.map((value) => value * scale),
      projected = linear(input, of("in_proj.weight"), of("in_proj.bias"));
    const [u, z, raw] = [0, n, 2 * n].map((start) => projected.subarray(start, start + n)),
      [B, C] = [3 * n, 3 * n + d_state].map((start) => projected.subarray(start, start + d_state)),
      delta = raw.map((value) => Math.log1p(Math.exp(value)));
    const h = hook(
      "hook_h",
      before.map((old, i) => {
        const channel = Math.floor(i / d_state),
          decay = Math.exp(-delta[channel] * Math.exp(of("A_log")[i]));
        return decay * old + delta[channel] * u[channel] * B[i % d_state];
      }),
    );
    const y = u.map((value, channel) => of("D")[channel] * value);
    h.forEach((value, i) => {
      y[Math.floor(i / d_state)] += value * C[i % d_state];
    });
    const gated = y.map((value, channel) => value * ACTIVATIONS.silu(z[channel]));
    return { h, out: hook("hook_resid_post", plus(x, linear(gated, of("out_proj.weight"), of("out_proj.bias")))) };
  }

  /** Each oscillator scaled to length 1. */
  onSpheres(x) {
    const width = this.model.oscillator_dim;
    for (let start = 0; start < x.length; start += width) {
      const part = x.subarray(start, start + width),
        length = Math.hypot(...part) || 1;
      part.forEach((value, i) => {
        part[i] = value / length;
      });
    }
    return x;
  }

  oscillate(layer, stimulus, state) {
    const { oscillator_dim: d, kuramoto_steps, coupled } = this.model,
      name = `layers.${layer}`;
    const omega = this.w[`${name}.W_Omega`],
      gamma = this.w[`${name}.gamma`][0];
    let x = state;
    for (let step = 0; step < kuramoto_steps; step++) {
      const pull = coupled ? plus(linear(x, this.w[`${name}.J`]), stimulus) : Float64Array.from(stimulus);
      for (let i = 0; i < x.length; i++) {
        const start = i - (i % d),
          row = i % d;
        for (let j = 0; j < d; j++)
          pull[i] += (omega[start * d + row * d + j] - omega[start * d + j * d + row]) * x[start + j];
      }
      const next = Float64Array.from(x);
      for (let start = 0; start < x.length; start += d) {
        let along = 0;
        for (let j = 0; j < d; j++) along += pull[start + j] * x[start + j];
        for (let j = 0; j < d; j++) next[start + j] += gamma * (pull[start + j] - along * x[start + j]);
      }
      x = this.onSpheres(next);
    }
    return x;
  }
}

/** Belief that a site's probe decodes from the activations of one position. */
function decodedAt(experiment, sites, site, position) {
  const { matrix, offset } = experiment.maps[site];
  const names = site === "concatenated" ? experiment.concatenated : [site];
  const x = names.flatMap((name) => Array.from(sites[name][position]));
  return Array.from(affine(x, matrix, offset.length, offset));
}
