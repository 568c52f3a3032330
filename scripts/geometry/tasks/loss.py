"""The exact loss of a network at each position, beside those of simpler predictors; and cautions drawn from it."""

from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Integer
from numpy import ndarray


def loss_table(truth: xr.Dataset, activations: xr.Dataset) -> pd.DataFrame:
    """Loss, optimum and gap in nats, by snapshot and number of observed tokens, in expectation over the prefixes.

    A snapshot without predictions (nan) has none. Beside them the loss of the uniform distribution over the tokens that
    occur, and of their frequencies (unigram).
    """
    truth = truth.isel(prefix=activations["prefix"].values)
    optimal = truth["next_token_probability"].values
    weight, length = truth["weight"].values, truth["length"].values
    positions = np.unique(length)
    entropy = truth["optimal_loss_nats"].values[positions]
    frequency = weight @ optimal / weight.sum()

    def by_position(predicted: np.ndarray) -> np.ndarray:
        return np.bincount(length, weight * -(optimal * predicted).sum(axis=1))[positions]

    known = {"uniform_loss_nats": np.log((frequency > 0).sum()) * np.bincount(length, weight)[positions]}
    known["unigram_loss_nats"] = by_position(np.log(np.where(frequency > 0, frequency, 1))[None])
    tables = []
    for index in range(activations.sizes["snapshot"]):
        predicted = activations["log_probability"][index].values.astype(np.float64)
        if np.isnan(predicted).any():
            continue
        loss = by_position(predicted)
        network = {name: activations[name].values[index] for name in ("seed", "step", "origin")}
        columns = {**network, "position": positions, "loss_nats": loss}
        columns |= {"optimal_loss_nats": entropy, "gap_nats": loss - entropy}
        tables.append(pd.DataFrame(columns | known))
    return pd.concat(tables)


def cautions(loss: pd.DataFrame, is_pretrained: bool, limits: Mapping[str, float]) -> Iterator[str]:
    """Sentences on positions with a loss above that of simpler predictors, and on a network that has not converged.

    The `limits`: a difference in nats that is negligible; the share of the avoidable loss (from the unigram baseline to
    the optimum) from which on one position stands out, if most have less than a fifth of that; and the share of it that
    a network should have removed, of which a tenth may be missing, as in the margin of the claims.
    """
    negligible, apart_from, learnt = (limits[name] for name in ("negligible_nats", "position_share", "learnt_share"))
    for than in ("uniform", "unigram"):
        worse = loss[loss["loss_nats"] > loss[f"{than}_loss_nats"] + negligible]
        if len(worse):
            yield _sentence(worse, f"worse than {than}", worse[f"{than}_loss_nats"])
            break
    avoidable = (loss["unigram_loss_nats"] - loss["optimal_loss_nats"]).mean()
    if avoidable < negligible:
        return
    left = loss["gap_nats"] / avoidable
    apart = loss[(left > apart_from) & (left.median() < apart_from / 5)]
    if len(apart):
        text = _sentence(apart, "far worse than others", apart["optimal_loss_nats"], "against an optimum of")
        yield f"{text}, as where the loss of a position was never trained"
    if (reached := 1 - left.mean()) < learnt:
        hint = "; its model.activation, normalization or bos may be others, or its task" if is_pretrained else ""
        yield f"it has reached {max(reached, 0):.0%} of what can be predicted beyond token frequencies{hint}"


def _ranges(numbers: Integer[ndarray, " _"]) -> str:
    """Ascending numbers as text, three or more that follow one another as a range."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    parts = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run) for run in runs]
    return ", ".join(chain.from_iterable(parts))


def _sentence(rows: pd.DataFrame, how: str, reference: pd.Series, against: str = "against") -> str:
    """Positions, how they predict, and by which losses."""
    one, places = len(rows) == 1, _ranges(rows["position"].to_numpy())
    worst = (rows["loss_nats"] - reference).idxmax()
    losses = f"{rows.loc[worst, 'loss_nats']:.3f} nats {against} {reference[worst]:.3f}"
    return (
        f"position{'' if one else 's'} {places} predict{'s' if one else ''} {how} ({losses}{'' if one else ' at most'})"
    )


def network_cautions(loss: pd.DataFrame, is_pretrained: bool, limits: Mapping[str, float]) -> str:
    """The cautions on the networks of an experiment at their last step, as text; empty if there are none."""
    last = loss[loss["step"] == loss["step"].max()].reset_index(drop=True)
    found = {seed: "; ".join(cautions(rows, is_pretrained, limits)) for seed, rows in last.groupby("seed")}
    return ". ".join(f"seed {seed}: {text}" for seed, text in found.items() if text)
