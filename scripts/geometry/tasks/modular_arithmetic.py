"""Modular arithmetic: sequences ``a b = c`` in which c is the answer of an operation on a and b modulo p.

Its geometry is a circle for each frequency k: the answer c stands at the angle 2 pi k c / p (Nanda et al. 2023,
arXiv 2301.05217). Tokens 0 to p - 1 are the numbers, token p is the equals sign, and only what follows it is
scored. All pairs are in the order ``a * p + b``.
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


def component_names(modulus: int) -> list[str]:
    """The coordinates of `circles`; of frequency p / 2 there is only a cosine."""
    waves = [(wave, k) for k in frequencies(modulus) for wave in ("cos", "sin")]
    return [f"{wave} {k}" for wave, k in waves if not (wave == "sin" and 2 * k == modulus)]


def circles(residue: Integer[ndarray, " row"], modulus: int) -> Float[ndarray, "row component"]:
    """The place of each residue on the circle of every frequency: cos and sin of 2 pi k residue / p."""
    turns = residue[:, None] * frequencies(modulus) % modulus
    angle = 2 * np.pi * turns / modulus
    both = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(residue), -1)
    return both[:, : modulus - 1]
