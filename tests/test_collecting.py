"""Python's collector of garbage rests while a network is traced, and goes on as before."""

import gc

import pytest
from tiny_networks import SIDE, cam_network

from gradcam_core.capture.recording import record
from gradcam_core.collecting import uncollected


def test_it_is_as_before_after_a_trace_even_after_one_that_fails():
    model = cam_network().model
    assert gc.isenabled()
    record(model, (None, SIDE, SIDE, 3))
    assert gc.isenabled()
    with pytest.raises(Exception, match=r"shape|incompatible"):
        record(model, (None, SIDE, SIDE, 7))
    assert gc.isenabled()
    gc.disable()
    try:
        record(model, (None, SIDE, SIDE, 3))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_rests_until_the_last_of_two_has_ended():
    first, second = uncollected(), uncollected()
    with first:
        second.__enter__()
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()
