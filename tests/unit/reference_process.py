"""Slow, literal reference for hidden Markov processes, ordinary and generalized, in plain Python."""

import itertools
import math


def all_words(n_tokens, length):
    """Every word of the given length as a tuple of tokens, in lexicographic order."""
    return list(itertools.product(range(n_tokens), repeat=length))


def row_after_word(tensor, initial, word):
    """The initial row vector times the matrices of the word's tokens in order, unnormalized."""
    n_states = len(initial)
    row = [float(value) for value in initial]
    for token in word:
        after = [0.0] * n_states
        for to_state in range(n_states):
            for from_state in range(n_states):
                after[to_state] += row[from_state] * tensor[token][from_state][to_state]
        row = after
    return row


def dot(left, right):
    """Sum of the products of two equally long lists."""
    total = 0.0
    for index in range(len(left)):
        total += left[index] * right[index]
    return total


def word_probability(tensor, initial, readout, word):
    """Probability that the process emits the word from the initial row vector."""
    return dot(row_after_word(tensor, initial, word), readout)


def path_probability(tensor, initial, word):
    """Probability of the word in an ordinary HMM, summed over every hidden-state path."""
    n_states = len(initial)
    total = 0.0
    for path in itertools.product(range(n_states), repeat=len(word) + 1):
        probability = initial[path[0]]
        for step in range(len(word)):
            probability *= tensor[word[step]][path[step]][path[step + 1]]
        total += probability
    return total


def belief_state(tensor, initial, readout, word):
    """Row vector after the word, scaled so that its dot product with the readout is one."""
    row = row_after_word(tensor, initial, word)
    norm = dot(row, readout)
    return [value / norm for value in row]


def ground_truth(tensor, initial, readout, context):
    """One record per possible word of length 1 to context, breadth first, lexicographic within a length."""
    n_tokens = len(tensor)
    records = []
    index_of_word = {}
    for length in range(1, context + 1):
        for word in all_words(n_tokens, length):
            probability = word_probability(tensor, initial, readout, word)
            if not probability > 1e-12:
                continue
            next_token_probability = []
            for token in range(n_tokens):
                longer = word_probability(tensor, initial, readout, (*word, token))
                next_token_probability.append(longer / probability)
            index_of_word[word] = len(records)
            records.append(
                {
                    "word": word,
                    "length": length,
                    "last_token": word[-1],
                    "parent": -1 if length == 1 else index_of_word[word[:-1]],
                    "probability": probability,
                    "belief": belief_state(tensor, initial, readout, word),
                    "next_token_probability": next_token_probability,
                }
            )
    return records


def block_entropy_nats(tensor, initial, readout, length):
    """Entropy in nats of the distribution over all words of the given length."""
    entropy = 0.0
    for word in all_words(len(tensor), length):
        probability = word_probability(tensor, initial, readout, word)
        if probability > 0.0:
            entropy -= probability * math.log(probability)
    return entropy


def optimal_loss_nats(tensor, initial, readout, context):
    """Entropy of the next token after 0 to context observed tokens, as differences of block entropies."""
    losses = []
    for length in range(context + 1):
        longer = block_entropy_nats(tensor, initial, readout, length + 1)
        losses.append(longer - block_entropy_nats(tensor, initial, readout, length))
    return losses
