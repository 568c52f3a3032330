"""The probe: it finds what is planted, not what is not, and agrees with a direct solver."""

import numpy as np
import pytest

from geometry.probing.cross_validation import by_prefix, split_by
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import STRENGTHS, Fold, decode, ridge, score, total


def data(n_rows=600, n_features=12, n_components=3, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, n_features)) * rng.uniform(0.1, 10, n_features) + rng.normal(size=n_features) * 5
    y = x @ rng.normal(size=(n_features, n_components)) + noise * rng.normal(size=(n_rows, n_components)) + 3
    return x.astype(np.float32), y, rng.uniform(0, 1, n_rows), by_prefix(n_rows, 5, 1, rng)[0]


def moments_of(x, y, weight, cell):
    return cell_gram_matrices(x, y, weight[None], cell)[0]


def score_in_sample(moments):
    affine, scores = score(Fold(moments.total(), moments.total()))
    return affine, scores[""]


def score_held_out(moments, fold_of_cell):
    maps, scores = zip(*(score(Fold(*sets)) for sets in moments.splits(fold_of_cell)), strict=True)
    return list(maps), total(scores)[""]


def direct(x, y, weight):
    """Weighted least squares with an intercept column, by LAPACK."""
    design = np.hstack([x.astype(np.float64), np.ones((len(x), 1))])
    root = np.sqrt(weight)[:, None]
    return np.linalg.lstsq(design * root, y * root, rcond=None)[0]


def test_fit_equals_a_direct_solver():
    x, y, weight, fold = data()
    affine, solution = score_in_sample(moments_of(x, y, weight, fold))[0], direct(x, y, weight)
    np.testing.assert_allclose(affine.matrix, solution[:-1], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(affine.offset, solution[-1], rtol=1e-8)


def test_in_sample_score_equals_a_direct_computation():
    x, y, weight, fold = data(noise=2.0)
    solution = direct(x, y, weight)
    error = weight @ (y - x.astype(np.float64) @ solution[:-1] - solution[-1]) ** 2
    spread = weight @ (y - weight @ y / weight.sum()) ** 2
    found = score_in_sample(moments_of(x, y, weight, fold))[1]
    assert found.r2() == pytest.approx(1 - error.sum() / spread.sum(), abs=1e-10)
    assert found.mse() == pytest.approx(error.mean() / weight.sum(), rel=1e-8)
    assert found.r2(slice(1)) == pytest.approx(1 - error[0] / spread[0], abs=1e-10)


def test_held_out_score_equals_refitting_on_each_fold():
    x, y, weight, fold = data(noise=2.0)
    error = spread = 0.0
    for k in range(5):
        test, train = fold == k, fold != k
        solution = direct(x[train], y[train], weight[train])
        error += (weight[test] @ (y[test] - x[test].astype(np.float64) @ solution[:-1] - solution[-1]) ** 2).sum()
        mean = weight[train] @ y[train] / weight[train].sum()
        spread += (weight[test] @ (y[test] - mean) ** 2).sum()
    maps, found = score_held_out(moments_of(x, y, weight, fold), np.arange(5))
    assert found.r2() == pytest.approx(1 - error / spread, abs=1e-9)
    residual = weight @ (y - decode(x, maps, fold[None])[0]) ** 2
    assert residual.sum() == pytest.approx(error, rel=1e-8)


def test_planted_belief_is_found_and_shuffled_belief_is_not():
    x, y, weight, fold = data(noise=0)
    moments = moments_of(x, y, weight, fold)
    assert score_held_out(moments, np.arange(5))[1].r2() > 1 - 1e-9
    shuffled = moments_of(x, np.random.default_rng(1).permutation(y), weight, fold)
    assert score_held_out(shuffled, np.arange(5))[1].r2() < 0.05


def test_memory_of_each_row_scores_only_in_sample():
    rng = np.random.default_rng(0)
    x, y, fold = np.eye(60, dtype=np.float32), rng.normal(size=(60, 2)), by_prefix(60, 5, 1, rng)[0]
    moments = moments_of(x, y, np.ones(60), fold)
    assert score_in_sample(moments)[1].r2() > 1 - 1e-9
    assert score_held_out(moments, np.arange(5))[1].r2() < 0.05


def test_rounding_noise_is_no_feature():
    x, y, weight, fold = data(n_features=4)
    doubled = np.hstack([x, x[:, :2] + x[:, 2:] * np.float32(0.5), np.full((len(x), 1), 7, np.float32)])
    plain, redundant = (score_in_sample(moments_of(f, y, weight, fold)) for f in (x, doubled))
    assert redundant[0].effective_rank == plain[0].effective_rank == 4
    assert redundant[1].r2() == pytest.approx(plain[1].r2(), abs=1e-7)


def test_constant_features_decode_nothing():
    _, y, weight, fold = data()
    affine, found = score_in_sample(moments_of(np.ones((len(y), 3), np.float32), y, weight, fold))
    assert affine.effective_rank == 0 and found.r2() == pytest.approx(0, abs=1e-12)


def test_repeats_share_cells_and_score_as_if_each_were_alone():
    x, y, weight, _ = data(noise=2.0)
    folds = split_by("held_out_prefix", by_prefix(len(x), 4, 3, np.random.default_rng(2)))
    shared = moments_of(x, y, weight, folds.cell)
    for fold, fold_of_cell in zip(folds.fold, folds.fold_of_cell, strict=True):
        assert np.bincount(fold).tolist() == [150] * 4
        alone = moments_of(x, y, weight, fold)
        expected = score_held_out(alone, np.arange(4))[1].r2()
        found = score_held_out(shared, fold_of_cell)[1].r2()
        assert found == pytest.approx(expected, abs=1e-10)


def test_moments_of_many_features_and_weightings_hold_those_of_some():
    x, y, weight, fold = data(noise=2.0)
    both = cell_gram_matrices(x, y, np.stack([weight, np.ones(len(x))]), fold)
    for part in (slice(3, 8), slice(None)):
        for moments, alone in zip(both, (weight, np.ones(len(x))), strict=True):
            expected, found = moments_of(x[:, part], y, alone, fold), moments.of_features(part)
            np.testing.assert_allclose(found.gram, expected.gram, rtol=1e-12, atol=1e-9)
            np.testing.assert_array_equal(found.shift, expected.shift)


@pytest.mark.parametrize(("ratio", "tolerance"), [(1e-3, 1e-10), (1e-4, 1e-7)])
def test_target_along_a_faint_direction_is_scored_as_stated(ratio, tolerance):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(500, 6)) * [ratio, 1, 1, 1, 1, 1]).astype(np.float32)
    y, weight = x[:, :1].astype(np.float64) / ratio + 0.5 * rng.normal(size=(500, 1)), np.ones(500)
    solution = direct(x, y, weight)
    residual = y - x.astype(np.float64) @ solution[:-1] - solution[-1]
    expected = 1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum()
    _, found = score_in_sample(moments_of(x, y, weight, np.zeros(500, dtype=int)))
    assert found.r2() == pytest.approx(expected, abs=tolerance)


def test_gain_beyond_a_rival_is_that_of_regressing_on_both():
    x, y, weight, fold = data(noise=2.0)
    rng = np.random.default_rng(3)
    covariate = np.cbrt(y[:, :2] + rng.normal(size=(len(y), 2)))
    columns = np.hstack([y, covariate, covariate[:, :1] + 1])  # one column of the covariate says nothing new
    moments = moments_of(x, columns, weight, fold)
    folds = (Fold(*sets) for sets in moments.splits(np.arange(5)))
    scores = total(score(one, {"covariate": slice(3, 6)}, slice(3))[1] for one in folds)

    def error(features):
        solutions = [direct(features[fold != k], y[fold != k], weight[fold != k]) for k in range(5)]
        predicted = [features @ solution[:-1] + solution[-1] for solution in solutions]
        return weight @ (y - np.array(predicted)[fold, np.arange(len(y))]) ** 2

    np.testing.assert_allclose(scores["covariate"].error, error(np.hstack([x, covariate])), rtol=1e-6)
    np.testing.assert_allclose(scores["covariate"].reference, error(covariate), rtol=1e-6)


def test_nothing_is_gained_beyond_a_rival_that_explains_all():
    x, y, weight, fold = data(noise=2.0)
    moments = moments_of(x, np.hstack([y, y @ np.diag([1, 2, 3.0]) + 1]), weight, fold)
    _, scores = score(Fold(moments.total(), moments.total()), {"covariate": slice(3, 6)}, slice(3))
    assert np.isnan(scores["covariate"].r2())


def test_ridge_is_penalised_least_squares_with_a_strength_from_inner_folds():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 60)).astype(np.float32)
    y = np.hstack([x[:, :2] + 0.5 * rng.normal(size=(80, 2)), rng.normal(size=(80, 2))])
    weight, fold = rng.uniform(0.5, 1, 80), by_prefix(80, 4, 1, rng)[0]

    def predicted(train, test, strength):
        share = weight[train] / weight[train].sum()
        mean, offset = share @ x[train], share @ y[train]
        centred = x[train].astype(np.float64) - mean
        gram = (centred.T * share) @ centred
        penalty = strength * np.trace(gram) / 60 * np.eye(60)
        return (x[test] - mean) @ np.linalg.solve(gram + penalty, (centred.T * share) @ (y[train] - offset)) + offset

    def error(train, test, strength):
        return weight[test] @ (y[test] - predicted(train, test, strength)) ** 2

    targets, expected, total_error = {"signal": slice(0, 2), "noise": slice(2, 4)}, np.empty((4, 4)), np.zeros(4)
    for part in targets.values():
        for k in range(4):
            inner = [
                [error((fold != k) & (fold != j), fold == j, s)[part].sum() for j in range(4) if j != k]
                for s in STRENGTHS
            ]
            expected[k, part] = STRENGTHS[np.sum(inner, axis=1).argmin()]
            total_error[part] += error(fold != k, fold == k, expected[k, part.start])[part]
    moments = moments_of(x, y, weight, fold)
    found = ridge([Fold(*sets) for sets in moments.splits(np.arange(4))], targets)
    np.testing.assert_allclose(found.strength, expected)
    assert (expected[:, 0] < expected[:, 2]).all()  # noise is shrunk, and that is no matter of the signal's
    np.testing.assert_allclose(found.score.error, total_error, rtol=1e-6)
    assert found.score.r2() > score_held_out(moments, np.arange(4))[1].r2()
    test = fold == 2
    decoded = decode(x[test], found.maps, np.full((1, test.sum()), 2))[0]
    wanted = predicted(~test, test, expected[2, 0])
    np.testing.assert_allclose(decoded[:, :2], wanted[:, :2], atol=1e-6)
