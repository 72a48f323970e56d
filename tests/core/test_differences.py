"""What differs between two descriptions of a run."""

from prune_kit.differences import differences


def test_what_differs_is_named_with_its_place():
    before = {"a": 1, "b": {"c": [1, 2], "d": None}, "gone": "x"}
    now = {"a": 1, "b": {"c": [1, 3], "d": None}, "new": True}
    assert list(differences(before, now)) == [
        "b.c was [1, 2], is now [1, 3]",
        'gone was "x", is now null',
        "new was null, is now true",
    ]
    assert list(differences(before, before)) == []


def test_what_belongs_to_a_seed_may_come_and_change_until_it_has_results():
    before = {"of": {"seed=0": "a", "seed=1": "b"}}
    now = {"of": {"seed=0": "x", "seed=2": "c"}}
    assert list(differences(before, now)) == []
    assert list(differences(before, now, {"seed=1", "seed=2"})) == []
    assert list(differences(before, now, {"seed=0"})) == ['of.seed=0 was "a", is now "x"']
