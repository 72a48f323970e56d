import random

import numpy as np
import pytest

from prune_kit.global_streams import streams_put_back


def draws():
    return random.random(), float(np.random.random())  # noqa: NPY002 - the global stream is meant


def reseed_and_fail():
    with streams_put_back():
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - the global stream is meant
        draws()
        raise KeyError


def test_the_streams_go_on_where_they_were_also_after_an_exception():
    with streams_put_back():
        expected = draws()
    with pytest.raises(KeyError):
        reseed_and_fail()
    assert draws() == expected
