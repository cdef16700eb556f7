"""Which worker gets which room."""

import pytest

from sfu.plane.groups import Groups


def test_a_group_stays_and_new_ones_go_where_there_is_least_to_do() -> None:
    groups = Groups(3)
    assert [groups.join(name) for name in ("a", "b", "c", "a", "b")] == [0, 1, 2, 0, 1]
    assert groups.load == (2, 2, 1)
    groups.weigh(2, 10)
    assert groups.where("d") == 0
    assert groups.join("c") == 2
    groups.leave("a")
    assert groups.where("a") == 0
    groups.leave("a")
    groups.weigh(0, 5)
    assert groups.join("a") == 1
    assert groups.load == (5, 3, 12)


def test_nothing_is_left_of_a_group_that_has_gone() -> None:
    groups = Groups(2)
    for _ in range(3):
        groups.join("a")
    for _ in range(3):
        groups.leave("a")
    assert groups.load == (0, 0)
    with pytest.raises(KeyError):
        groups.leave("a")
