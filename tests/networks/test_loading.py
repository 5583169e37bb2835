"""A network from a file: what it may hold, when it is read again, and which one is forgotten first."""

import gc as garbage
import json
import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded, small_model

import gradcam_core as gc
from gradcam_core.errors import SettingError
from gradcam_core.networks import loading
from gradcam_core.networks.classifier import Classifier


def model(seed: int, filters: int = 4) -> keras.Model:
    inputs = keras.Input((12, 20, 3))
    x = keras.layers.Conv2D(filters, 3, activation="relu", name="conv")(inputs)
    return seeded(keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))), seed)


def probabilities(network: gc.Classifier) -> list[float]:
    return [found.probability for found in network.predict(noise(12, width=20), 3)]


def save(path: Path, network: keras.Model, moment: int) -> int:
    """Save a network as if at this nanosecond; the size of the file."""
    network.save(path)
    os.utime(path, ns=(moment, moment))
    return path.stat().st_size


def test_a_file_that_changed_but_kept_its_size_is_loaded_anew(tmp_path):
    path, moment = tmp_path / "mine.keras", 1_700_000_000_000_000_000
    trained = model(seed=1)
    sizes = [save(path, trained, moment)]
    before = gc.load(path)
    first = probabilities(before)
    sizes.append(save(path, seeded(trained, seed=2), moment + 1000))  # within the same second
    assert sizes[0] == sizes[1]
    after = gc.load(path)
    assert after is not before
    assert probabilities(after) != first
    assert gc.load(path) is after


def test_a_file_that_changed_but_kept_its_time_is_loaded_anew(tmp_path):
    path, moment = tmp_path / "mine.keras", 1_700_000_000_000_000_000
    sizes = [save(path, model(seed=1), moment)]
    before = gc.load(path)
    sizes.append(save(path, model(seed=1, filters=90), moment))
    assert sizes[0] != sizes[1]
    assert gc.load(path).parameters > before.parameters


def test_a_file_by_another_way_is_the_same_network(tmp_path, monkeypatch):
    save(tmp_path / "mine.keras", model(seed=1), 1_700_000_000_000_000_000)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert gc.load("mine.keras") is gc.load(tmp_path / "folder" / ".." / "mine.keras")


def test_files_of_one_name_are_networks_of_their_own(tmp_path):
    paths, trained = [tmp_path / name / "best.keras" for name in ("first", "second")], model(seed=1)
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        save(path, seeded(trained, seed), 1_700_000_000_000_000_000)
    assert paths[0].stat().st_size == paths[1].stat().st_size
    first, second = map(gc.load, paths)
    assert probabilities(first) != probabilities(second)


def test_settings_of_a_file_make_networks_of_their_own(tmp_path):
    path = tmp_path / "mine.keras"
    save(path, model(seed=1), 1_700_000_000_000_000_000)
    plain = gc.load(path)
    named, prepared = gc.load(path, labels=["a", "b", "c"]), gc.load(path, preprocess="VGG16")
    assert len({id(plain), id(named), id(prepared)}) == 3
    assert gc.load(path, preprocess="VGG16") is prepared
    assert probabilities(prepared) != probabilities(plain)
    assert [found.index for found in named.predict(noise(12, width=20))] == [
        found.index for found in plain.predict(noise(12, width=20))
    ]


def test_outputs_of_a_file_are_networks_of_their_own(tmp_path):
    inputs = keras.Input((12, 20, 3))
    seen = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs))
    outputs = [keras.layers.Dense(count, name=f"of{count}")(seen) for count in (3, 4)]
    save(tmp_path / "two.keras", keras.Model(inputs, outputs), 1_700_000_000_000_000_000)
    assert [len(gc.load(tmp_path / "two.keras", output=f"of{count}").labels) for count in (3, 4)] == [3, 4]


def test_each_input_size_is_a_network_of_its_own_be_it_a_list_or_a_tuple(tmp_path):
    inputs = keras.Input((None, None, 3))
    seen = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(seen)))
    save(tmp_path / "any.keras", model, 1_700_000_000_000_000_000)
    listed, other = (gc.load(tmp_path / "any.keras", input_size=size) for size in ([12, 20], [20, 12]))
    assert (listed.input_size, other.input_size) == ((12, 20), (20, 12))
    assert gc.load(tmp_path / "any.keras", input_size=(12, 20)) is listed


def own_loss(truth, found):
    return keras.ops.mean(keras.ops.abs(truth - found))


def test_a_network_compiled_with_a_loss_of_its_own_is_explained(tmp_path):
    """What it was trained with is of no matter here, and Keras does not know it."""
    trained = model(seed=1)
    trained.compile(keras.optimizers.SGD(0.1), loss=own_loss, metrics=[own_loss])
    trained.fit(noise(12, width=20)[None].astype(np.float32), np.zeros((1, 3)), verbose=0)
    trained.save(tmp_path / "mine.keras")
    with pytest.raises(TypeError, match="own_loss"):
        keras.saving.load_model(tmp_path / "mine.keras")
    network = gc.load(tmp_path / "mine.keras")
    logits = network.predict_logits(network.to_input(noise(12, width=20)))
    np.testing.assert_allclose(logits, trained(noise(12, width=20)[None].astype(np.float32)), atol=1e-4)
    assert gc.explain(network, noise(12, width=20)).maps["conv"].raw.shape == (10, 18)


def test_so_is_one_in_an_old_file(tmp_path):
    trained = model(seed=1)
    trained.compile(keras.optimizers.SGD(0.1), loss=own_loss)
    trained.save(tmp_path / "mine.h5")
    assert len(probabilities(gc.load(tmp_path / "mine.h5"))) == 3


def test_a_file_that_does_not_say_whether_it_was_compiled_is_loaded(tmp_path):
    model(seed=1).save(tmp_path / "full.keras")
    with zipfile.ZipFile(tmp_path / "full.keras") as full, zipfile.ZipFile(tmp_path / "bare.keras", "w") as bare:
        for name in full.namelist():
            described = json.loads(full.read(name)) if name == "config.json" else {}
            described.pop("compile_config", None)  # as a model of one's own may leave it out
            bare.writestr(name, json.dumps(described) if described else full.read(name))
    assert probabilities(gc.load(tmp_path / "bare.keras")) == probabilities(gc.load(tmp_path / "full.keras"))


class Loads(list):
    """A progress that collects what is read from a file."""

    def __call__(self, stage, done, total):
        if done == 0:
            self.append(stage)


@pytest.fixture
def memory_for():
    """Sets the memory for so many networks of ``model(filters=100)``, and sets it back."""
    before = loading.MEMORY
    yield lambda count: loading.keep_in_memory(count * model(0, 100).count_params() * 4e-6)
    loading.keep_in_memory(before)


def test_the_network_that_was_used_least_lately_goes_first_and_not_the_oldest(tmp_path, memory_for):
    paths = [tmp_path / f"{name}.keras" for name in ("first", "second", "third")]
    for seed, path in enumerate(paths):
        save(path, model(seed, filters=100), 1_700_000_000_000_000_000)
    memory_for(2.5)
    for path in (paths[0], paths[1], paths[0], paths[2]):  # the first one is used again before the third comes
        gc.load(path)
    garbage.collect()
    loads = Loads()
    gc.load(paths[0], progress=loads)
    gc.load(paths[2], progress=loads)
    assert loads == []
    gc.load(paths[1], progress=loads)
    assert loads == ["load"]


def test_a_network_in_use_is_the_same_for_all_even_when_it_is_the_least_lately_used(tmp_path, memory_for):
    paths = [tmp_path / f"{name}.keras" for name in ("held", "second", "third")]
    for seed, path in enumerate(paths):
        save(path, model(seed, filters=100), 1_700_000_000_000_000_000)
    memory_for(1.5)
    held = gc.load(paths[0])
    for path in paths[1:]:
        gc.load(path)
    garbage.collect()
    assert gc.load(paths[0]) is held
    loads = Loads()
    gc.load(paths[1], progress=loads)
    assert loads == ["load"]  # nobody held that one


def test_a_failed_loading_is_tried_again(tmp_path):
    path = tmp_path / "mine.keras"
    moment = 1_700_000_000_000_000_000
    save(path, model(seed=1), moment)
    content = path.read_bytes()
    path.write_bytes(content[:-50] + bytes(50))
    os.utime(path, ns=(moment, moment))
    with pytest.raises(gc.NetworkError, match=r"mine\.keras is damaged"):
        gc.load(path)
    path.write_bytes(content)
    os.utime(path, ns=(moment, moment))
    assert len(gc.load(path).labels) == 3


def test_two_threads_load_once(model_file, loads):
    at_once = threading.Barrier(4)

    def load(_):
        at_once.wait()
        return loading.load(model_file, progress=loads)

    with ThreadPoolExecutor(4) as threads:
        networks = list(threads.map(load, range(4)))
    assert all(network is networks[0] for network in networks)
    assert len(loads) == 1


def test_what_progress_raises_ends_the_loading_and_is_not_kept(model_file):
    def cancel(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loading.load(model_file, progress=cancel)
    assert isinstance(loading.load(model_file), Classifier)


def test_only_the_last_networks_stay_when_nobody_holds_them(tmp_path, monkeypatch, loads):
    paths = [tmp_path / name for name in ("one.keras", "two.keras", "three.keras")]
    for path in paths:
        small_model().save(path)
    monkeypatch.setattr(loading, "_recent", type(loading._recent)())
    monkeypatch.setattr(loading, "MEMORY", 8e-6 * small_model().count_params())
    held = loading.load(paths[0])
    for path in paths[1:]:
        loading.load(path)
    assert [network.name for network in loading._recent.values()] == ["two", "three"]
    assert loading.load(paths[0], progress=loads) is held  # still in use, so still the same
    assert loads == []
    loading.keep_in_memory(0)
    assert [network.name for network in loading._recent.values()] == ["one"]  # the last one stays in any case
    with pytest.raises(SettingError, match="a number of megabytes, 0 or more, not -1"):
        loading.keep_in_memory(-1)
