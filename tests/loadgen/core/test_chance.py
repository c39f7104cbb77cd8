from statistics import fmean, pvariance

from loadgen.core.chance import bits, exponential, shuffled, uniform

COUNT = 20_000


def test_the_numbers_are_those_of_the_paper() -> None:
    """SplitMix64 with seed 1234567, as published with the algorithm and used by other implementations' tests."""
    assert [bits(1234567, index) for index in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_draws_are_uniform_and_below_one() -> None:
    drawn = [uniform(3, index) for index in range(COUNT)]
    assert all(0 <= value < 1 for value in drawn)
    assert abs(fmean(drawn) - 0.5) < 0.01
    assert abs(pvariance(drawn) - 1 / 12) < 0.003


def test_exponential_draws_have_mean_and_variance_one() -> None:
    drawn = [exponential(3, index) for index in range(COUNT)]
    assert abs(fmean(drawn) - 1) < 0.03
    assert abs(pvariance(drawn) - 1) < 0.1


def test_a_shuffle_is_a_permutation_and_every_first_place_is_as_likely() -> None:
    firsts = [0] * 5
    for seed in range(COUNT // 4):
        order = shuffled(5, seed * 7919)
        assert sorted(order) == [0, 1, 2, 3, 4]
        firsts[order[0]] += 1
    assert all(abs(count / (COUNT // 4) - 0.2) < 0.03 for count in firsts)
