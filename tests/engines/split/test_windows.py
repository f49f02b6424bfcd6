"""Plans of windows: whatever the lengths, every frame is kept once, with its context."""

from __future__ import annotations

import pytest

from farm.engines.split.windows import Window, plan


@pytest.mark.parametrize(("size", "context"), [(32, 7), (64, 12), (25, 12), (100, 0)])
def test_every_frame_is_kept_once_with_its_context_around(size: int, context: int) -> None:
    for frames in range(1, 5 * size):
        windows = plan(frames, size, context)
        kept = [frame for each in windows for frame in range(each.first, each.last)]
        assert kept == list(range(frames))
        for each in windows:
            assert each.stop - each.start == windows[0].stop <= size
            assert each.start == 0 or each.first - each.start >= context
            assert each.stop == frames or each.stop - each.last >= context


def test_the_frames_are_shared_out_evenly() -> None:
    assert plan(100, 64, 10) == [Window(0, 60, 0, 50), Window(40, 100, 50, 100)]
    assert plan(99, 64, 10) == [Window(0, 60, 0, 50), Window(39, 99, 50, 99)]


def test_no_more_windows_are_made_than_needed() -> None:
    assert len(plan(64, 64, 10)) == 1
    assert len(plan(65, 64, 10)) == len(plan(108, 64, 10)) == 2
    assert len(plan(109, 64, 10)) == 3


def test_windows_that_would_keep_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="20 frames keep nothing between contexts of 10"):
        plan(100, 20, 10)
