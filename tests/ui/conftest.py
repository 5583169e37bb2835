"""What several tests of the page need."""

import pytest


@pytest.fixture(scope="session")
def stages() -> list:
    import gradcam_core as gc
    from gradcam_core.networks.zoo import DEFAULT

    return list(gc.select(gc.load(DEFAULT), "stages"))
