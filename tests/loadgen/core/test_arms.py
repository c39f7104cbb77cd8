from collections import Counter

import pytest

from loadgen.core.arms import CYCLE, block_of, draw_arms, draw_noise, draw_orders, draw_targets
from loadgen.core.plan import Arm, Target


def arms(*shares: float) -> tuple[Arm, ...]:
    return tuple(Arm(name=f"arm-{place}", share=share) for place, share in enumerate(shares))


@pytest.mark.parametrize(
    ("shares", "block"),
    [((1.0,), 1), ((0.75, 0.25), 4), ((0.95, 0.05), 20), ((1.0, 1.0, 1.0), 3), ((2.0, 1.0), 3), ((0.999, 0.001), 1000)],
)
def test_the_block_holds_every_arm_by_its_share(shares: tuple[float, ...], block: int) -> None:
    counts = Counter(block_of(list(shares)))
    assert sum(counts.values()) == block
    assert [counts[place] / block for place in range(len(shares))] == pytest.approx(
        [share / sum(shares) for share in shares]
    )


def test_an_arm_of_nearly_no_share_is_still_drawn() -> None:
    assert Counter(block_of([1000.0, 0.001]))[1] >= 1


def test_every_block_of_draws_is_exact_and_none_is_predictable() -> None:
    drawn = draw_arms(arms(0.75, 0.25), seed=4)
    blocks = [tuple(drawn[at : at + 4]) for at in range(0, CYCLE, 4)]
    assert all(Counter(block) == {0: 3, 1: 1} for block in blocks)
    assert len(set(blocks)) == 4
    assert drawn == draw_arms(arms(0.75, 0.25), seed=4) != draw_arms(arms(0.75, 0.25), seed=5)


def test_the_order_of_a_pair_is_drawn_evenly() -> None:
    orders = Counter(draw_orders(2, seed=1))
    assert set(orders) == {(0, 1), (1, 0)}
    assert abs(orders[0, 1] / CYCLE - 0.5) < 0.05


def test_the_noise_share_is_the_share_of_pairs() -> None:
    assert abs(sum(draw_noise(0.2, seed=1)) / CYCLE - 0.2) < 0.03
    assert not any(draw_noise(0.0, seed=1))


def test_targets_are_drawn_by_weight() -> None:
    targets = (Target(url="http://a/"), Target(url="http://b/", weight=3))
    counts = Counter(draw_targets(targets, seed=1))
    assert counts[1] == 3 * counts[0]
