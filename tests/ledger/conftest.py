"""The ledger of each test, empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.desk import Desk


@pytest.fixture
def desk(redis_url: str) -> Iterator[Desk]:
    desk = Desk(redis_url)
    yield desk
    desk.close()
