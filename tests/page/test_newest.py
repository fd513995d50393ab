import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from stdet.page.newest import Newest


def test_value_that_is_there_is_returned_at_once():
    newest = Newest[str]()
    newest.put("a")
    newest.put("b")
    found = asyncio.run(newest.after(0, 60))
    assert (found.number, found.value) == (2, "b")
    # A viewer of another run has a number that this one has not reached.
    assert asyncio.run(newest.after(7, 60)).value == "b"


def test_waiting_ends_with_a_value_from_another_thread():
    newest = Newest[int]()

    async def wait():
        waiting = asyncio.create_task(newest.after(0, 60))
        while not newest.num_waiting:
            await asyncio.sleep(0)
        threading.Thread(target=newest.put, args=(5,)).start()
        return await waiting

    assert asyncio.run(wait()).value == 5


def test_waiting_ends_without_a_value_after_its_time():
    newest = Newest[int]()
    assert asyncio.run(newest.after(0, 0.01)) is None
    newest.put(1)
    assert asyncio.run(newest.after(1, 0.01)).value == 1
    assert newest.num_waiting == 0


def test_who_goes_away_while_waiting_leaves_nothing():
    newest = Newest[int]()

    async def give_up():
        tasks = [asyncio.create_task(newest.after(0, 60)) for _ in range(50)]
        while newest.num_waiting < 50:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(give_up())
    assert newest.num_waiting == 0


def test_value_can_be_put_when_the_loop_of_a_reader_is_gone():
    newest = Newest[int]()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(newest.after(0, 60))
    loop.run_until_complete(asyncio.sleep(0))
    assert newest.num_waiting == 1
    loop.close()
    newest.put(1)
    assert newest.num_waiting == 0
    assert newest.get().value == 1
    del waiting


@given(st.lists(st.booleans(), max_size=30))
def test_slow_reader_gets_the_newest_and_numbers_grow(steps):
    """True puts a value, False reads."""
    newest, last, num_put = Newest[int](), 0, 0
    for is_put in steps:
        if is_put:
            num_put += 1
            newest.put(num_put)
            continue
        found = asyncio.run(newest.after(last, 0.001))
        assert (found is None) == (num_put == 0)
        if found is not None:
            assert found.number == found.value == num_put >= last
            last = found.number
