"""Claims on networks of modular arithmetic: each with its evidence by seed, and the baselines that it must beat.

An accuracy or an R2 is of pairs that the network was not trained on, unless a claim's measure states otherwise.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from geometry.claims.claim import Claim, best_random_init, for_each_seed, predicted
from geometry.modular_circuit.fourier import OF_LOGARITHM
from geometry.modular_circuit.shift_symmetry import DOUBLED, SHIFT, SHUFFLED
from geometry.networks.hook_points import OUTPUT
from geometry.probing.probe_table import BASELINES, circle_scores, last_layer_output
from geometry.tables import select

CIRCLES = 3
"""Circles that a network must hold, at least."""

EMBEDDING = "embed.W_E"


@dataclass(frozen=True)
class CircuitEvidence:
    """The tables of one experiment; those of random networks have the prefix ``random_init``."""

    probe: pd.DataFrame
    baselines: pd.DataFrame
    random_init: pd.DataFrame
    loss: pd.DataFrame
    circuit: pd.DataFrame
    random_init_circuit: pd.DataFrame
    bases: pd.DataFrame
    random_init_bases: pd.DataFrame
    shift_symmetry: pd.DataFrame
    random_init_shift_symmetry: pd.DataFrame
    surgery: pd.DataFrame
    analysis: Mapping[str, Mapping]

    def measure(self, name: str, **where) -> pd.Series:
        """A measure of the circuit by seed, at the last snapshot unless a step is given."""
        return of_seeds(select(self.circuit, measure=name, **({"step": self.circuit["step"].max()} | where)))


def of_seeds(rows: pd.DataFrame) -> pd.Series:
    return rows.set_index("seed")["value"]


def when_memorised(circuit: pd.DataFrame, accuracy: float) -> pd.Series:
    """By seed the accuracy on unseen pairs at the first snapshot with that accuracy on training pairs, or the last."""
    names = "train_accuracy", "held_out_accuracy"
    table = {name: select(circuit, measure=name).pivot_table("value", "step", "seed") for name in names}
    known = table["train_accuracy"] >= accuracy
    step = known.idxmax().where(known.any(), known.index[-1])
    return pd.Series({seed: table["held_out_accuracy"].loc[at, seed] for seed, at in step.items()})


def grokked(evidence: CircuitEvidence) -> Iterator[Claim]:
    """Held-out pairs are answered, and later than the training pairs were memorised."""
    estimate = evidence.measure("held_out_accuracy")
    if estimate.isna().any():  # every pair was trained on
        return
    measure = {"source": "circuit.csv", "measure": "accuracy, held-out pairs"}
    baselines = {"at initialisation": evidence.measure("held_out_accuracy", step=evidence.circuit["step"].min())}
    baselines |= best_random_init(estimate, of_seeds(select(evidence.random_init_circuit, measure="held_out_accuracy")))
    yield Claim("generalises to held-out pairs", OUTPUT, estimate, baselines, **measure)
    accuracy = evidence.analysis["circuit"]["memorised_accuracy"]
    memorised = {"at memorisation": when_memorised(evidence.circuit, accuracy)}
    yield Claim("groks: generalises after it has memorised", OUTPUT, estimate, memorised, **measure)


def third_best(r2: pd.Series) -> float:
    """The R2 of the circle that is decoded third best; nan of fewer than three."""
    return r2.nlargest(CIRCLES).iloc[-1] if len(r2) >= CIRCLES else math.nan


def third_circle(probe: pd.DataFrame, **where) -> pd.Series:
    """By seed the R2 of the circle that is decoded third best; nan where there are not so many."""
    of_seed = select(circle_scores(probe), **where).groupby("seed")["value"]
    return of_seed.agg(third_best).reindex(probe["seed"].unique())


def circles_held(evidence: CircuitEvidence) -> Iterator[Claim]:
    """The answer is linear on several circles; the best ones are chosen alike in the baselines."""
    probe = evidence.probe
    site, first, last = last_layer_output(probe), probe["step"].min(), probe["step"].max()
    estimate = third_circle(probe, step=last, site=site)
    baselines = {"at initialisation": third_circle(probe, step=first, site=site)}
    baselines |= best_random_init(estimate, third_circle(evidence.random_init, site=site))
    for name in ("last token", "all tokens, additive"):
        known = circle_scores(evidence.baselines, BASELINES[name][1])
        baselines[name] = for_each_seed(estimate, third_best(known["value"]))
    measure = f"R2 of the {CIRCLES}rd best circle, held-out pairs"
    yield Claim("holds the answer on circles", site, estimate, baselines, measure=measure)


def sparse(evidence: CircuitEvidence) -> Iterator[Claim]:
    """Few Fourier waves (of products, of the logarithm) make up the embedding, fewer than vectors of other bases."""
    where = {"matrix": "W_E", "measure": "share_of_largest", "index": 10}
    share = select(evidence.bases, **where)
    own = OF_LOGARITHM if OF_LOGARITHM in set(share["basis"]) else "fourier"
    never = select(evidence.random_init_bases, **where, basis=own)
    trained = {name: of_seeds(rows) for name, rows in select(share, step=share["step"].max()).groupby("basis")}
    measure = {"source": "bases.csv", "measure": "share of W_E's energy in ten vectors"}
    if not trained:  # of so few numbers, ten vectors are all
        return
    estimate = trained[own]
    baselines = {"at initialisation": of_seeds(select(share, step=share["step"].min(), basis=own))}
    baselines |= best_random_init(estimate, of_seeds(never))
    baselines |= {name.replace("_", " "): trained[name] for name in ("raw", "random", "fourier_of_shuffled_tokens")}
    if own == OF_LOGARITHM:
        baselines["fourier"] = trained["fourier"]
        yield Claim("Fourier-sparse in the logarithm", EMBEDDING, estimate, baselines, **measure)
        return
    yield Claim("Fourier-sparse", EMBEDDING, estimate, baselines, **measure)
    for name, family in {"wavelets": ("haar", "db4"), "wavelet packets": ("db4_packets", "db4_best_packets")}.items():
        baselines = {basis.replace("_", " "): trained[basis] for basis in family if basis in trained}
        if baselines:
            yield Claim(f"sparser in Fourier than in {name}", EMBEDDING, estimate, baselines, **measure)


def frequencies_causal(evidence: CircuitEvidence) -> Iterator[Claim]:
    """The network errs without its key frequencies, and not without others."""
    parts = "key", "others", "as many others"
    wrong = {part: 1 - evidence.measure("ablated_embedding_accuracy", part=part) for part in parts}
    if len(wrong["key"]):
        baselines = {f"without {part}": wrong[part] for part in ("others", "as many others")}
        measure = "errors without the key frequencies in W_E"
        yield Claim("frequencies causal", EMBEDDING, wrong["key"], baselines, "more", "circuit.csv", measure)


def symmetric(evidence: CircuitEvidence) -> Iterator[Claim]:
    """The shift of a number acts linearly on components that were chosen without it."""
    table, site = evidence.shift_symmetry, last_layer_output(evidence.probe)
    first, last = table["step"].min(), table["step"].max()

    def explained(table: pd.DataFrame, permutation: str = SHIFT, **where) -> pd.Series:
        return 1 - of_seeds(select(table, site=site, measure="error", permutation=permutation, **where))

    estimate = explained(table, step=last)
    baselines = {"at initialisation": explained(table, step=first)}
    baselines |= best_random_init(estimate, explained(evidence.random_init_shift_symmetry))
    others = {name: explained(table, name, step=last) for name in (DOUBLED, SHUFFLED)}
    baselines |= {name: values for name, values in others.items() if len(values)}  # of an even p, doubling is none
    measure = f"share of the variance, {SHIFT}, leading principal components"
    yield Claim("has the symmetry of its task", site, estimate, baselines, "more", "shift_symmetry.csv", measure)


def frequencies_detected(evidence: CircuitEvidence) -> Iterator[Claim]:
    """The angles of that shift are the frequencies of the waves in the logits, weighted by their power."""
    site, last = last_layer_output(evidence.probe), evidence.shift_symmetry["step"].max()
    detected = select(evidence.shift_symmetry, site=site, measure="detected_frequency", step=last)
    share = select(evidence.circuit, measure="explained_share", step=last).set_index(["seed", "frequency"])["value"]
    is_detected = pd.Series(share.index.isin(detected.set_index(["seed", "value"]).index), share.index)
    estimate = share.where(is_detected, 0).groupby("seed").sum() / share.groupby("seed").sum()
    baselines = {"as many frequencies by chance": is_detected.groupby("seed").mean()}
    name, measure = "its frequencies are the angles of that symmetry", "share of the waves in the logits"
    yield Claim(name, site, estimate, baselines, "more", "shift_symmetry.csv", measure)


def transferred(evidence: CircuitEvidence) -> Iterator[Claim]:
    """The network adds modulo other numbers after surgery, without training."""
    found = select(evidence.surgery, measure="accuracy", step=evidence.surgery["step"].max())
    whole = found[(found["network"] == "surgery") & (found["n_pairs"] == found["modulus"] ** 2)]
    found = found[found["modulus"].isin(whole["modulus"])]
    means = {name: rows.groupby("seed")["value"].mean() for name, rows in found.groupby("network")}
    if means:
        estimate = means.pop("surgery")
        baselines = {name.replace("_", " "): values for name, values in means.items()}
        name = "surgery transfers to other moduli"
        measure = f"accuracy, all pairs, mean over moduli {found['modulus'].min()} to {found['modulus'].max()}"
        yield Claim(name, "W_E, W_U", estimate, baselines, "more", "surgery.csv", measure)


def circuit_claims_of(evidence: CircuitEvidence) -> Iterator[Claim]:
    """Every claim that can be made of an experiment on modular arithmetic."""
    yield from predicted(evidence.loss)
    yield from grokked(evidence)
    yield from circles_held(evidence)
    yield from sparse(evidence)
    yield from frequencies_causal(evidence)
    if len(select(evidence.shift_symmetry, measure="prediction_change", permutation=SHIFT)):  # not of a polynomial
        yield from symmetric(evidence)
        yield from frequencies_detected(evidence)
    if len(evidence.surgery):  # of addition and subtraction
        yield from transferred(evidence)
