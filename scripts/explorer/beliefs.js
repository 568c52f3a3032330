// The words of an experiment's points, their true beliefs, and what is decoded of them.

/** What an experiment's clouds need, computed once: true beliefs, words and their places. */
async function prepareClouds(experiment) {
  const { shape, values } = await unpack(experiment.words),
    [n, longest] = shape,
    width = experiment.states.length;
  experiment.word = (i) => Array.from(values.subarray(i * longest, (i + 1) * longest)).filter((token) => token !== 255);
  experiment.n = n;
  experiment.beliefs = new Float64Array(n * width);
  experiment.places = new Map();
  for (let i = 0; i < n; i++) {
    const word = experiment.word(i);
    let belief = experiment.initial;
    for (const token of word) belief = observe(experiment, belief, token);
    experiment.beliefs.set(belief, i * width);
    experiment.places.set(word.join(), i);
  }
  experiment.belief = (i) => Array.from(experiment.beliefs.subarray(i * width, (i + 1) * width));
  experiment.ranges = experiment.states.map((_, j) => {
    let [least, most] = [Infinity, -Infinity];
    for (let i = j; i < n * width; i += width)
      [least, most] = [Math.min(least, experiment.beliefs[i]), Math.max(most, experiment.beliefs[i])];
    return [least, most];
  });
  experiment.views = viewsOf(experiment, experiment.beliefs);
  experiment.decoded = new Map();
}

/** The decoded beliefs of a cloud, with as many points as it has: true beliefs plus the stored differences. */
async function decodedOf(experiment, cloud) {
  if (experiment.decoded.has(cloud)) return experiment.decoded.get(cloud);
  const { shape, values } = await unpack(cloud.points),
    [n, stored] = shape,
    width = experiment.states.length;
  const beliefs = new Float64Array(n * width);
  for (let i = 0; i < n; i++) {
    let left = 1;
    for (let j = 0; j < width; j++) {
      const place = i * width + j;
      beliefs[place] = j < stored ? experiment.beliefs[place] + values[i * stored + j] * experiment.unit : left;
      left -= beliefs[place];
    }
  }
  experiment.decoded.set(cloud, beliefs);
  return beliefs;
}
