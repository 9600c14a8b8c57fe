"""What a training leaves on the way costs little, however many epochs there are."""

import time

from metaux.training.pace import REST, Pace


def test_writing_is_due_at_first_and_after_ten_times_as_long_as_it_took() -> None:
    pace = Pace()
    assert pace.is_due
    start = time.perf_counter()
    with pace.writing():
        time.sleep(0.1)
    took = time.perf_counter() - start  # on a busy machine longer than it sleeps
    assert not pace.is_due
    time.sleep(took * REST)
    assert pace.is_due
