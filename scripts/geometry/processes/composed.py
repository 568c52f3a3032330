"""Processes made of processes: mixtures, products, chains of dependent factors, and noise on the tokens.

Factors and components are processes of any kind, composed ones too. `catalog` builds them from the config.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.composition import MIXTURE, PRODUCT, Composition, Part
from geometry.processes.process import TOLERANCE, ParameterError, Process, build_process, check_size

TOKEN, STATE = "token", "state"
"""What of the factor before a factor of a chain depends on."""


@dataclass(frozen=True, eq=False)
class Dependent:
    """A factor of a chain: one variant for each token or each state (`depends_on`) of the factor before."""

    variants: tuple[Process, ...]
    depends_on: str


def mixture(components: Sequence[Process], weights=None, tokens=None) -> Process:
    """One of several processes, drawn for a whole sequence with the probability that `weights` gives it.

    T[x] is the direct sum of the components' T_n[x], and beliefs start at (w_1 pi_1, ..., w_N pi_N), with the
    components' initial states pi_n. Without `weights`, all are equally likely. `tokens` has, for each component, the
    common token of each of its own; without it, tokens of the same name are the same. The common tokens are in
    ascending order if all are numbers, otherwise in the order in which they come first.
    """
    weight = _weights(weights, len(components))
    names = _common_names(components, tokens)
    vocabulary = list(dict.fromkeys(name for own in names for name in own))
    if all(name.isdecimal() for name in vocabulary):
        vocabulary.sort(key=int)
    check_size("mixture", sum(one.n_states for one in components), len(vocabulary))
    last = np.cumsum([one.n_states for one in components])
    states = [slice(end - one.n_states, end) for end, one in zip(last, components, strict=True)]
    tensor = np.zeros((len(vocabulary), last[-1], last[-1]))
    for one, own, place in zip(components, names, states, strict=True):
        tensor[[vocabulary.index(name) for name in own], place, place] = one.transition_tensor
    every = np.eye(last[-1])
    parts = [
        Part(name, every[:, place], None, one.readout, one.initial_state)
        for name, one, place in zip(_part_names(components), components, states, strict=True)
    ]
    initial, stationary = (
        np.concatenate([w * getattr(one, key) for w, one in zip(weight, components, strict=True)])
        for key in ("initial_state", "stationary_distribution")
    )
    return _built(
        MIXTURE,
        components,
        tensor,
        initial=initial,
        stationary=stationary,
        readout=np.concatenate([one.readout for one in components]),
        state_names=[f"{n}:{name}" for n, one in enumerate(components, 1) for name in one.state_names],
        token_names=vocabulary,
        composition=Composition(MIXTURE, tuple(parts), of_rate=tuple(zip(weight.tolist(), components, strict=True))),
    )


def product(factors: Sequence[Process]) -> Process:
    """Independent processes side by side, whose tokens at a step are one joint token.

    T[x_1 ... x_N] is the Kronecker product of the factors' T_n[x_n], the last factor's index changing fastest, and so
    are the initial state and the names.
    """
    _check_product("product", factors)
    initial, stationary, readout = (
        reduce(np.kron, [getattr(one, key) for one in factors])
        for key in ("initial_state", "stationary_distribution", "readout")
    )
    return _built(
        "product",
        factors,
        reduce(np.kron, [one.transition_tensor for one in factors]),
        initial=initial,
        stationary=stationary,
        readout=readout,
        state_names=joint_names([one.state_names for one in factors]),
        token_names=joint_names([one.token_names for one in factors]),
        composition=Composition(PRODUCT, _factor_parts(factors), True, tuple((1.0, one) for one in factors)),
    )


def chain(factors: Sequence[Process | Dependent]) -> Process:
    """Processes side by side of which each may depend on the one before it, at the same step.

    The factor's transition tensor at a step is that of the variant of the token which the factor before emits at this
    step (`depends_on` ``token``), or of the state which it has before this step (``state``); given these, factors
    move independently. Tokens, states and names are joint, as in `product`. Beliefs start at the stationary
    distribution: the long-run law from the product of the factors' initial states.
    """
    members = [one.variants[0] if isinstance(one, Dependent) else one for one in factors]
    _check_product("chain", members)
    _check_variants(factors, members)
    tensor = members[0].transition_tensor
    for factor, before, own in zip(factors[1:], members, members[1:], strict=False):
        variants = factor.variants if isinstance(factor, Dependent) else (own,)
        stack = np.stack([one.transition_tensor for one in variants])
        if isinstance(factor, Dependent) and factor.depends_on == STATE:
            of_state = np.arange(tensor.shape[1]) % before.n_states  # the last factor's index changes fastest
            joint = np.einsum("XST,Sxst->XxSsTt", tensor, stack[of_state])
        else:
            of_token = np.arange(len(tensor)) % before.n_tokens
            joint = np.einsum("XST,Xxst->XxSsTt", tensor, stack[of_token % len(stack)])
        n_states = tensor.shape[1] * own.n_states
        tensor = joint.reshape(-1, n_states, n_states)
    started = _built(
        "chain",
        members,
        tensor,
        initial=reduce(np.kron, [one.initial_state for one in members]),
        state_names=joint_names([one.state_names for one in members]),
        token_names=joint_names([one.token_names for one in members]),
    )
    start = started.stationary_distribution
    parts = [replace(part, initial_state=start @ part.marginal) for part in _factor_parts(members)]
    return replace(started, initial_state=start, composition=Composition(PRODUCT, tuple(parts)))


def noisy(of: Process, epsilon: float) -> Process:
    """A process each token of which is replaced, with probability `epsilon`, by one drawn uniformly from all tokens.

    The drawn token may be the same again, so that a token changes with probability epsilon (1 - 1 / n). The hidden
    states stay as they are: T'[x] = (1 - epsilon) T[x] + epsilon / n sum_y T[y], with n tokens.
    """
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon <= 1:
        raise ParameterError(f"epsilon is {epsilon!r}; it must be a probability, between 0 and 1")
    tensor = of.transition_tensor
    mixed = (1 - epsilon) * tensor + epsilon / len(tensor) * tensor.sum(axis=0)
    composition = of.composition
    if composition and epsilon > 0:
        composition = replace(composition, independent=False, of_rate=())
    return replace(of, name="noisy", transition_tensor=mixed, composition=composition)


def joint_names(names: Sequence[Sequence[str]]) -> list[str]:
    """A name for each combination, all different: the names run together, or separated by |, or else numbers."""
    numbers = [[str(n) for n in range(len(own))] for own in names]
    for separator, parts in (("", names), ("|", names), ("|", numbers)):
        joint = reduce(lambda left, right, by=separator: [f"{a}{by}{b}" for a in left for b in right], parts)
        if len(set(joint)) == len(joint):
            break
    return list(joint)


def _part_names(parts: Iterable[Process]) -> list[str]:
    return [f"{part.name}_{n}" for n, part in enumerate(parts, 1)]


def _built(name, parts, tensor, *, initial, stationary=None, readout=None, **options) -> Process:
    """The process, with the notes of its parts; a generalized one has the stationary state and readout of these."""
    generalized = any(part.generalized for part in parts)
    fixed = (stationary, readout) if generalized else None
    process = build_process(name, tensor, initial_state=initial, generalized=generalized, fixed=fixed, **options)
    notes = [f"{own}: {note}" for own, part in zip(_part_names(parts), parts, strict=True) for note in part.notes]
    return replace(process, notes=tuple(notes))


def _factor_parts(factors: Sequence[Process]) -> tuple[Part, ...]:
    """The factors as parts of their product."""
    tokens = np.indices([one.n_tokens for one in factors]).reshape(len(factors), -1)
    parts = []
    for k, (name, factor) in enumerate(zip(_part_names(factors), factors, strict=True)):
        columns = [np.eye(one.n_states) if n == k else one.readout[:, None] for n, one in enumerate(factors)]
        parts.append(Part(name, reduce(np.kron, columns), tokens[k], factor.readout, factor.initial_state))
    return tuple(parts)


def _weights(weights, n: int) -> Float[ndarray, " component"]:
    if weights is None:
        return np.full(n, 1 / n)
    try:
        weight = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"weights is {weights!r}; it must be a list of numbers") from None
    if weight.shape != (n,) or not weight.min() > 0 or not abs(weight.sum() - 1) <= TOLERANCE:
        raise ParameterError(
            f"weights is {weights!r}; it must have {n} positive numbers, one for each component, that sum to 1"
        )
    return weight / weight.sum()


def _common_names(components: Sequence[Process], tokens) -> list[list[str]]:
    """The common token of each token of each component."""
    if tokens is None:
        return [list(one.token_names) for one in components]
    if not isinstance(tokens, list | tuple) or len(tokens) != len(components):
        raise ParameterError(f"tokens is {tokens!r}; it must be a list of {len(components)} lists, one a component")
    for k, (own, one) in enumerate(zip(tokens, components, strict=True)):
        if not isinstance(own, list | tuple) or not len({str(name) for name in own}) == len(own) == one.n_tokens:
            raise ParameterError(
                f"tokens[{k}] is {own!r}; it must have {one.n_tokens} different names, one for each token of "
                f"components[{k}]: {', '.join(one.token_names)}"
            )
    return [[str(name) for name in own] for own in tokens]


def _check_product(name: str, factors: Sequence[Process]) -> None:
    check_size(name, math.prod(one.n_states for one in factors), math.prod(one.n_tokens for one in factors))


def _check_variants(factors: Sequence[Process | Dependent], members: Sequence[Process]) -> None:
    """Raise factors of a chain that depend on what is not there, in numbers that do not fit."""
    for k, factor in enumerate(factors):
        variants = factor.variants if isinstance(factor, Dependent) else (factor,)
        if any(one.generalized for one in variants):
            raise ParameterError(f"factors[{k}] is a generalized process; a chain is made of ordinary ones")
        if not isinstance(factor, Dependent):
            continue
        if k == 0:
            raise ParameterError("factors[0] depends on the factor before it; the first has none")
        if factor.depends_on not in (TOKEN, STATE):
            raise ParameterError(f"factors[{k}].depends_on is {factor.depends_on!r}; it must be {TOKEN} or {STATE}")
        before = members[k - 1]
        needed = before.n_tokens if factor.depends_on == TOKEN else before.n_states
        if len(variants) != needed:
            raise ParameterError(
                f"factors[{k}].by has length {len(variants)}; factors[{k - 1}] has {needed} {factor.depends_on}s, and "
                "each needs an entry"
            )
        shapes = [(one.n_states, one.n_tokens) for one in variants]
        for n, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise ParameterError(
                    f"factors[{k}].by[{n}] gives {shape[0]} states and {shape[1]} tokens; by[0] gives {shapes[0][0]} "
                    f"and {shapes[0][1]}, and all must give the same"
                )
