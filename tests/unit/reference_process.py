"""Slow, literal reference for hidden Markov processes, ordinary and generalized, word by word."""

import itertools

import numpy as np
from scipy.special import entr


def all_words(n_tokens, length):
    """Every word of the given length as a tuple of tokens, in lexicographic order."""
    return list(itertools.product(range(n_tokens), repeat=length))


def row_after_word(tensor, initial, word):
    """The initial row vector times the matrices of the word's tokens in order, unnormalized."""
    row = np.asarray(initial, dtype=float)
    for token in word:
        row = row @ tensor[token]
    return row


def word_probability(tensor, initial, readout, word):
    """Probability that the process emits the word from the initial row vector."""
    return row_after_word(tensor, initial, word) @ readout


def belief_state(tensor, initial, readout, word):
    """Row vector after the word, scaled so that its dot product with the readout is one."""
    row = row_after_word(tensor, initial, word)
    return row / (row @ readout)


def ground_truth(tensor, initial, readout, context):
    """One record per possible word of length 1 to context, breadth first, lexicographic within a length."""
    records, index_of_word = [], {(): -1}
    for word in itertools.chain.from_iterable(all_words(len(tensor), length) for length in range(1, context + 1)):
        probability = word_probability(tensor, initial, readout, word)
        if not probability > 1e-12:
            continue
        longer = [word_probability(tensor, initial, readout, (*word, token)) for token in range(len(tensor))]
        index_of_word[word] = len(records)
        record = {"length": len(word), "last_token": word[-1], "parent": index_of_word[word[:-1]]}
        record |= {"probability": probability, "belief": belief_state(tensor, initial, readout, word)}
        records.append(record | {"next_token_probability": np.array(longer) / probability})
    return records


def block_entropy_nats(tensor, initial, readout, length):
    """Entropy in nats of the distribution over all words of the given length."""
    words = all_words(len(tensor), length)
    probability = np.array([word_probability(tensor, initial, readout, word) for word in words])
    return entr(probability.clip(min=0)).sum()


def optimal_loss_nats(tensor, initial, readout, context):
    """Entropy of the next token after 0 to context observed tokens, as differences of block entropies."""
    return np.diff([block_entropy_nats(tensor, initial, readout, length) for length in range(context + 2)])
