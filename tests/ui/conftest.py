"""What several tests of the page need."""

import pytest


@pytest.fixture(scope="session")
def stages() -> list:
    import gradcam_core as gc
    from gradcam_core.networks.zoo import DEFAULT

    return list(gc.select(gc.load(DEFAULT), "stages"))


@pytest.fixture
def _late_frames(visitor):
    """A camera's frame that comes after its stream's end is refused, which Chromium counts as a complaint."""
    yield
    visitor.page.close()
    visitor.complaints[:] = [line for line in visitor.complaints if "status of 410" not in line]


@pytest.fixture(scope="module")
def network():
    """A network of four classes, as one from a file."""
    from tiny_networks import deep_network

    import gradcam_core as gc

    return gc.Classifier("own", deep_network().model, ["ape", "Bee", "cow_calf", "dog"])


@pytest.fixture(scope="module")
def steps(network, tmp_path_factory):
    """The page's steps over that network."""
    from ui.choices import Networks
    from ui.visit import Steps

    return Steps(Networks(started=network), str(tmp_path_factory.mktemp("cache")))
