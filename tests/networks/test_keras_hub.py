"""Image classifiers of KerasHub as they are: their layers, their preprocessing, their files."""

import sys

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded

import gradcam_core as gc

hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed")
M = hub.models


def preprocessor(of, size):
    """Scales as those of ImageNet do, another way for each colour, and crops photos of another form to the size."""
    converter = getattr(hub.layers, f"{of}ImageConverter")(image_size=size, scale=[0.1, 0.2, 0.3], offset=[-1, 0, 1])
    return getattr(M, f"{of}ImageClassifierPreprocessor")(converter)


def vit(size=(32, 48), **settings):
    backbone = M.ViTBackbone((*size, 3), 8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16)
    return M.ViTImageClassifier(backbone, 4, preprocessor=preprocessor("ViT", size), **settings)


def deit():
    backbone = M.DeiTBackbone((32, 48, 3), 8, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16)
    return M.DeiTImageClassifier(backbone, 4, preprocessor=preprocessor("DeiT", (32, 48)))


def swin():
    backbone = M.SwinTransformerBackbone((32, 64, 3), embed_dim=8, depths=(2, 1), num_heads=(2, 2), window_size=4)
    return M.SwinTransformerImageClassifier(backbone, 4)


def mit():
    backbone = M.MiTBackbone(
        layerwise_depths=[1, 1], num_layers=2, layerwise_num_heads=[1, 2], layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1, layerwise_patch_sizes=[7, 3], layerwise_strides=[4, 2], hidden_dims=[4, 8],
        image_shape=(64, 64, 3),
    )  # fmt: skip
    return M.MiTImageClassifier(backbone, 4)


def resnet():
    backbone = M.ResNetBackbone([64], [7], [64, 64], [1, 1], [1, 2], "basic_block", image_shape=(None, None, 3))
    return M.ResNetImageClassifier(backbone, 4, preprocessor=preprocessor("ResNet", (40, 56)))


ENCODER = "backbone/vit_encoder"
TASKS = {
    "ViT": (vit, [f"{ENCODER}/transformer_block_1/add", f"{ENCODER}/transformer_block_1"], (4, 6)),
    "ViT of all tokens": (lambda: vit(pooling="gap"), [f"{ENCODER}/transformer_block_2", ENCODER], (4, 6)),
    "DeiT": (deit, ["backbone/deit_encoder/transformer_block_1"], (4, 6)),
    "Swin": (swin, ["backbone/stage_0", "backbone/stage_1"], (4, 8)),
    "MiT": (mit, ["backbone/hierarchical_encoder_1_0"], (8, 8)),
    "ResNet": (resnet, ["backbone/stack0_block0_out", "backbone/stack1_block0_out"], (5, 7)),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_explained_with_the_layers_that_stand_for_its_depth(name):
    make, last, grid = TASKS[name]
    task = seeded(make())
    network = gc.Classifier("task", task)
    presets = [layer.name for layer in network.layers if layer.preset]
    assert [name.partition("/")[2] for name in presets[-len(last) :]] == [name.partition("/")[2] for name in last]
    assert all(layer.place is not None for layer in network.layers)
    batch = network.to_input(noise(50, width=90))
    np.testing.assert_allclose(network.predict_logits(batch), task(batch), atol=1e-4)
    maps = gc.explain(network, noise(50, width=90), 2, presets[-len(last) :]).maps
    assert maps[presets[-1]].raw.shape == grid
    assert all(np.ptp(heat_map.raw) > 0 for heat_map in maps.values())


def test_a_task_is_loaded_as_it_is():
    """With its own preprocessing; what is given besides takes its place."""
    task = seeded(vit())
    photo = noise(50, width=90)
    network = gc.load(task, labels=["a", "b", "c", "d"])
    assert network.predict(photo) == gc.Classifier("task", task, ["a", "b", "c", "d"]).predict(photo)
    assert gc.explain(task, photo, 2).target.probability == pytest.approx(
        network.predict(photo, 4)[[one.index for one in network.predict(photo, 4)].index(2)].probability
    )
    assert gc.load(task, preprocess="none").predict(photo) != network.predict(photo)


def test_the_file_of_a_task_gives_the_same(tmp_path):
    task = seeded(vit())
    task.save(tmp_path / "task.keras")
    network = gc.load(tmp_path / "task.keras", labels=["a", "b", "c", "d"])
    assert network.input_size == (32, 48)
    maps = gc.explain(gc.Classifier("task", task), noise(50, width=90), 2).maps
    for name, heat_map in gc.explain(network, noise(50, width=90), "c").maps.items():
        np.testing.assert_allclose(heat_map.raw, maps[name].raw, atol=1e-5 * np.abs(maps[name].raw).max())


def test_photos_are_scaled_as_the_task_does_and_nothing_is_cropped():
    photo = np.zeros((32, 96, 3), np.uint8)
    photo[:, :8] = (10, 20, 30)  # at the left, where the task itself would crop it away
    network = gc.Classifier("task", vit())
    batch = network.to_input(photo)
    assert batch.shape == (1, 32, 48, 3)
    np.testing.assert_allclose(batch[0, 5, 0], [0, 4, 10], atol=1e-5)
    np.testing.assert_allclose(batch[0, 5, 20], [-1, 0, 1], atol=1e-5)
    same = noise(32, width=48)
    np.testing.assert_allclose(network.to_input(same), network.model.preprocessor(same[None]), atol=1e-5)


def test_a_task_of_any_size_takes_the_size_of_its_preprocessor_or_the_one_asked_for():
    task = resnet()
    assert gc.Classifier("task", task).input_size == (40, 56)
    network = gc.Classifier("task", task, input_size=(64, 72))
    batch = network.to_input(np.full((64, 72, 3), 10, np.uint8))
    assert batch.shape == (1, 64, 72, 3)
    np.testing.assert_allclose(batch[0, 0, 0], [0, 2, 4], atol=1e-5)
    assert task.preprocessor.image_converter.image_size == (40, 56)  # the task stays as it was


def test_a_task_may_have_any_function_as_its_preprocessing_or_none():
    photo = np.full((32, 48, 3), 51, np.uint8)
    for own, expected in ((lambda x: x / 255, 0.2), (None, 51), (M.ViTImageClassifierPreprocessor(), 51)):
        task = vit()
        task.preprocessor = own
        np.testing.assert_allclose(gc.Classifier("task", task).to_input(photo), expected, atol=1e-6)


def test_a_model_of_ones_own_that_calls_something_its_preprocessor_is_no_task():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.preprocessor = keras.layers.Rescaling(1 / 255)
            self.conv, self.head = keras.layers.Conv2D(3, 3), keras.layers.Dense(2)

        def call(self, x):
            return self.head(keras.ops.mean(self.conv(self.preprocessor(x)), (1, 2)))

    model = Own()
    model(np.zeros((1, 8, 12, 3), np.float32))
    network = gc.Classifier("own", model, input_size=(8, 12))
    np.testing.assert_array_equal(network.to_input(np.full((8, 12, 3), 51, np.uint8)), 51)


def test_a_preprocessing_that_is_given_takes_the_place_of_the_tasks_own():
    network = gc.Classifier("task", vit(), preprocess=lambda x: x / 255)
    np.testing.assert_allclose(network.to_input(np.full((32, 48, 3), 51, np.uint8)), 0.2, atol=1e-6)


def test_a_file_that_needs_kerashub_says_so_where_it_is_not_installed(tmp_path, monkeypatch):
    vit().save(tmp_path / "vit.keras")
    for name in [name for name in sys.modules if name.partition(".")[0] == "keras_hub"]:
        monkeypatch.setitem(sys.modules, name, None)
    with monkeypatch.context() as patch:
        registered = keras.saving.get_custom_objects()
        for name in [name for name in registered if name.startswith("keras_hub>")]:
            patch.delitem(registered, name)
        with pytest.raises(gc.NetworkError, match=r"vit.keras is a network of KerasHub.*pip install keras-hub"):
            gc.load(tmp_path / "vit.keras")
