"""Which hold is dropped when the bytes under way exceed their budget."""

from functools import partial

from apps.serving.byte_budget import ByteBudget


def test_the_largest_incomplete_hold_is_dropped():
    budget, dropped = ByteBudget(100), list[str]()
    complete, large, small = (budget.hold(partial(dropped.append, name)) for name in ("complete", "large", "small"))
    complete.grow(50)
    complete.complete = True
    large.grow(30)
    small.grow(20)
    assert (budget.held, dropped) == (100, [])
    small.grow(1)
    assert (dropped, large.dropped, small.dropped) == (["large"], True, False)
    assert (budget.held, budget.dropped) == (71, 1)


def test_a_new_hold_is_dropped_if_complete_holds_use_up_the_budget():
    budget, dropped = ByteBudget(100), list[str]()
    complete = budget.hold(lambda: dropped.append("complete"))
    complete.grow(100)
    complete.complete = True
    new = budget.hold(lambda: dropped.append("new"))
    new.grow(1)
    assert (dropped, budget.held) == (["new"], 100)
    new.grow(5)
    new.release()
    assert budget.held == 100, "a dropped hold does not count"
    complete.release()
    complete.release()
    assert budget.held == 0
