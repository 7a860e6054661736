import threading

import pytest

from t5core.training.prefetch import ahead


@pytest.mark.parametrize("depth", [0, 1, 2, 9])
@pytest.mark.parametrize("indices", [range(0), range(3), range(5, 11)])
def test_everything_comes_once_and_in_order(depth, indices):
    assert list(ahead(lambda i: i * i, indices, depth)) == [i * i for i in indices]


def test_what_is_asked_for_next_is_being_made_already_and_no_more():
    made = []
    enough = threading.Event()

    def make(i):
        made.append(i)
        if i == 2:
            enough.set()
        return i

    numbers = ahead(make, range(100), 2)
    assert next(numbers) == 0
    assert enough.wait(10)
    numbers.close()
    assert made == [0, 1, 2]


def test_one_at_a_time_and_none_after_it_is_closed():
    at_once, most = 0, 0

    def make(i):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        at_once -= 1
        return threading.current_thread().name

    numbers = ahead(make, range(8), 3)
    names = {next(numbers) for _ in range(4)}
    numbers.close()
    assert most == 1
    assert len(names) == 1
    assert threading.current_thread().name not in names
    assert not any(thread.name in names for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_comes_where_its_result_would_have(depth):
    def make(i):
        if i == 1:
            raise ValueError("no batch 1")
        return i

    numbers = ahead(make, range(4), depth)
    assert next(numbers) == 0
    with pytest.raises(ValueError, match="no batch 1"):
        next(numbers)
