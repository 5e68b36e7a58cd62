"""A burn uses CPU time, one thread at a time, and stops when it is told to."""

import threading
import time

from apps.serving.machine.burn import Burner, burn


def test_a_burn_uses_the_requested_cpu_time():
    all_used = []
    for _ in range(5):
        before = time.thread_time()
        reported = burn(0.05)
        all_used.append(time.thread_time() - before)
        assert 0.05 <= reported <= all_used[-1]
    assert min(all_used) < 0.08, "a busy machine makes some slices longer, not all"


def test_a_burn_ends_as_soon_as_stop_returns_true():
    calls = iter([False, False, True])
    assert burn(3, lambda: next(calls, True)) < 1


def test_burns_run_one_after_another():
    running, most = [], []
    burner = Burner(0.02)

    def stop() -> bool:
        name = threading.current_thread().name
        if name not in running:
            running.append(name)
            most.append(len(running))
        return False

    def work() -> None:
        burner(stop)
        running.remove(threading.current_thread().name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 4
    assert max(most) <= 2, "one may be returning while the next one starts"


def test_other_threads_run_during_a_burn():
    """Hashing releases the interpreter lock; a loop in Python would hold it for 5 ms at a time."""
    burning = threading.Thread(target=burn, args=(0.3,))
    burning.start()
    turns = 0
    while burning.is_alive():
        time.sleep(0)
        turns += 1
    assert turns > 200


def test_a_burner_of_0_seconds_uses_no_cpu_time():
    def used() -> float:
        before = time.thread_time()
        Burner(0)(lambda: False)
        return time.thread_time() - before

    assert min(used() for _ in range(5)) < 0.01
