"""Modular arithmetic: sequences ``a b = c`` in which c is the answer of an operation on a and b modulo p.

Its geometry is a circle for each frequency k: the answer c stands at the angle 2 pi k c / p (Nanda et al. 2023,
arXiv 2301.05217). Products modulo a prime are sums of discrete logarithms modulo p - 1, whose circles are theirs.
Tokens 0 to p - 1 are the numbers, token p is the equals sign, and only what follows it is scored. All pairs are in the
order ``a * p + b``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

from geometry.processes.prefix_tree import PrefixTree, build_tree
from geometry.processes.process import ProcessError

CONTEXT = 3
"""The tokens of a question: a, b and the equals sign."""

OPERATIONS = {
    "addition": lambda a, b: a + b,
    "subtraction": lambda a, b: a - b,
    "multiplication": lambda a, b: a * b,
    "polynomial": lambda a, b: a**2 + a * b + b**2,
}


@dataclass(frozen=True)
class ModularArithmetic:
    """A task of modular arithmetic; raises `ProcessError`.

    `train_fraction` of all pairs, drawn by `split_seed`, are trained on; the others are held out.
    """

    modulus: int | float  # a config may say anything, which is checked below
    operation: str = "addition"
    train_fraction: int | float = 0.3
    split_seed: int | float = 0

    name = "modular_arithmetic"

    def __post_init__(self):
        whole = {"modulus": (2, 10_000), "split_seed": (0, 2**32 - 1)}
        for key, (least, most) in whole.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ProcessError(f"{self.name}: {key} is {value!r}; it must be a whole number from {least} to {most}")
        if self.operation not in OPERATIONS:
            raise ProcessError(f"{self.name}: operation is {self.operation!r}; allowed are {', '.join(OPERATIONS)}")
        fraction = self.train_fraction
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction <= 1:
            raise ProcessError(
                f"{self.name}: train_fraction is {fraction!r}; it must be a number greater than 0 and at most 1"
            )
        if not self.n_trained:
            raise ProcessError(
                f"{self.name}: train_fraction is {fraction}, which leaves none of {self.modulus**2} pairs to train on"
            )

    @property
    def n_tokens(self) -> int:
        return self.modulus + 1

    @property
    def equals(self) -> int:
        """The token of the equals sign."""
        return self.modulus

    @property
    def token_names(self) -> tuple[str, ...]:
        return (*map(str, range(self.modulus)), "=")

    @property
    def pairs(self) -> tuple[Integer[ndarray, " pair"], Integer[ndarray, " pair"]]:
        """The first and the second number of every pair."""
        return tuple(np.divmod(np.arange(self.modulus**2), self.modulus))

    @property
    def answer(self) -> Integer[ndarray, " pair"]:
        return OPERATIONS[self.operation](*self.pairs) % self.modulus

    @property
    def sign(self) -> int | None:
        """The sign of b in an answer that is a sum or a difference; or None."""
        return {"addition": 1, "subtraction": -1}.get(self.operation)

    @property
    def argument(self) -> Integer[ndarray, " pair"] | None:
        """The residue of which a network's waves are functions, where the answer is linear in a and b; or None."""
        return None if self.sign is None else self.answer

    @property
    def n_trained(self) -> int:
        return round(self.train_fraction * self.modulus**2)

    @cached_property
    def is_trained(self) -> Bool[ndarray, " pair"]:
        order = np.random.default_rng(self.split_seed).permutation(self.modulus**2)
        return order < self.n_trained

    @cached_property
    def powers(self) -> Integer[ndarray, " logarithm"] | None:
        """The residue of each logarithm, where products are sums of logarithms; or None."""
        return powers_of_primitive_root(self.modulus) if self.operation == "multiplication" else None

    @property
    def period(self) -> int:
        """The modulus of what stands on the circles: p, or p - 1 of logarithms."""
        return self.modulus if self.powers is None else self.modulus - 1

    def places(self, residue: Integer[ndarray, " row"]) -> Float[ndarray, "row component"]:
        """The place of each residue on the circle of every frequency, in p - 1 numbers.

        Of logarithms the last number is 1 for the residue 0, which has none and is at the centre of all circles.
        """
        if self.powers is None:
            return circles(residue, self.modulus)
        logarithm, is_zero = np.argsort(self.powers)[residue - 1], residue == 0
        return np.column_stack([np.where(is_zero[:, None], 0, circles(logarithm, self.period)), is_zero])

    @property
    def component_names(self) -> list[str]:
        """The coordinates of `places`; of the frequency of half the period there is only a cosine."""
        waves = [(wave, k) for k in frequencies(self.period) for wave in ("cos", "sin")]
        names = [f"{wave} {k}" for wave, k in waves if not (wave == "sin" and 2 * k == self.period)]
        return names if self.powers is None else [*names, "is 0"]

    @property
    def n_prefixes(self) -> int:
        return self.modulus + 2 * self.modulus**2

    @property
    def tree(self) -> PrefixTree:
        """All prefixes of the questions a b =; the last p^2 of them end with the equals sign."""
        numbers, (first, second) = np.arange(self.modulus), self.pairs
        equals = np.full(self.modulus**2, self.equals)
        return build_tree([(numbers, numbers), (second, first), (equals, np.arange(self.modulus**2))])


def frequencies(modulus: int) -> Integer[ndarray, " frequency"]:
    """All frequencies of functions of a residue, but that of the constant."""
    return np.arange(1, modulus // 2 + 1)


def circles(residue: Integer[ndarray, " row"], modulus: int) -> Float[ndarray, "row component"]:
    """The place of each residue on the circle of every frequency: cos and sin of 2 pi k residue / p."""
    turns = residue[:, None] * frequencies(modulus) % modulus
    angle = 2 * np.pi * turns / modulus
    both = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(residue), -1)
    return both[:, : modulus - 1]


def powers_of_primitive_root(modulus: int) -> Integer[ndarray, " logarithm"] | None:
    """The powers g^0, ..., g^(p - 2) modulo p of the least g of which they are all residues but 0; or None.

    The index of a residue is its discrete logarithm. There is such a g for every prime, and for no other modulus.
    """
    for root in range(1, modulus):
        powers = [1]
        while len(powers) < modulus - 1 and (power := powers[-1] * root % modulus) not in (0, 1):
            powers.append(power)
        if len(set(powers)) == modulus - 1:
            return np.array(powers)
    return None
