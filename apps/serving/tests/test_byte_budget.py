"""Who is given up when the bytes under way exceed their budget."""

from functools import partial

from apps.serving.byte_budget import ByteBudget


def test_the_largest_that_is_not_complete_is_given_up():
    budget, dropped = ByteBudget(100), []
    complete, large, small = (budget.hold(partial(dropped.append, name)) for name in ("complete", "large", "small"))
    complete.grow(50)
    complete.complete = True
    large.grow(30)
    small.grow(20)
    assert (budget.held, dropped) == (100, [])
    small.grow(1)
    assert (dropped, large.dropped, small.dropped) == (["large"], True, False)
    assert (budget.held, budget.dropped) == (71, 1)


def test_who_would_exceed_it_beside_what_is_complete_is_given_up_itself():
    budget, dropped = ByteBudget(100), []
    complete = budget.hold(lambda: dropped.append("complete"))
    complete.grow(100)
    complete.complete = True
    new = budget.hold(lambda: dropped.append("new"))
    new.grow(1)
    assert (dropped, budget.held) == (["new"], 100)
    new.grow(5)
    new.release()
    assert budget.held == 100, "what is given up counts no more"
    complete.release()
    complete.release()
    assert budget.held == 0
