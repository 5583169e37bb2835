"""The HTTP API, as gradio_client meets it."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from callers import FILE, client_of, photo, upload

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.trust import assess


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return client_of(server.url, download_files=str(tmp_path_factory.mktemp("answers")))


def test_every_argument_has_a_type_a_default_and_a_description(client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    assert described["/predict"]["description"] == "The most probable classes of a photo."
    assert "each layer of a network finds evidence" in described["/explain"]["description"]
    arguments = {
        (endpoint, p["parameter_name"]): (p["python_type"]["type"].split("[")[0], p["parameter_default"])
        for endpoint, about in described.items()
        for p in about["parameters"]
    }
    assert arguments == {
        ("/predict", "image"): ("filepath", None),
        ("/predict", "network"): ("Literal", DEFAULT),
        ("/predict", "top"): ("int", 5),
        ("/explain", "image"): ("filepath", None),
        ("/explain", "network"): ("Literal", DEFAULT),
        ("/explain", "target"): ("str", ""),
        ("/explain", "layers"): ("str | list", "stages"),
        ("/explain", "score"): ("Literal", "logit"),
        ("/explain", "method"): ("Literal", "gradcam"),
        ("/explain", "instead_of"): ("str", ""),
        ("/explain", "weight"): ("float", 1.0),
        ("/explain", "against"): ("bool", False),
        ("/explain", "smoothing"): ("Literal", "none"),
        ("/explain", "threshold"): ("float | None", None),
        ("/test", "image"): ("filepath", None),
        ("/test", "network"): ("Literal", DEFAULT),
        ("/test", "target"): ("str", ""),
        ("/test", "layers"): ("str | list", "stages"),
        ("/test", "score"): ("Literal", "logit"),
        ("/test", "method"): ("Literal", "gradcam"),
        ("/test", "instead_of"): ("str", ""),
        ("/test", "weight"): ("float", 1.0),
        ("/test", "against"): ("bool", False),
        ("/test", "smoothing"): ("Literal", "none"),
        ("/test", "steps"): ("int", 16),
    }
    for about in described.values():
        for parameter in about["parameters"]:
            assert len(parameter["python_type"]["description"]) > 20
        image = about["parameters"][0]
        assert not image["parameter_has_default"]
        assert "uploaded to this server" in image["python_type"]["description"]
    networks = next(p for p in described["/predict"]["parameters"] if p["parameter_name"] == "network")
    assert "VGG16" in networks["type"]["enum"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "sentence"),
    [
        ("/predict", {"network": "vgg"}, "There is no network 'vgg'"),
        ("/predict", {"network": "bundled"}, f"{DEFAULT} took its place"),
        ("/predict", {"network": None}, "The network is given by its name, as text."),
        ("/predict", {"top": 0}, "top is a whole number from 1 to 1000."),
        ("/predict", {"top": "5"}, "top is a whole number from 1 to 1000."),
        ("/predict", {"top": None}, "top is a whole number from 1 to 1000."),
        ("/explain", {"target": "teapto"}, f"{DEFAULT} knows no class 'teapto'. Nearest: teapot"),
        ("/explain", {"target": "1000"}, "the classes 0 to 999; 1000 is not one of them"),
        ("/explain", {"target": 3}, "The target is given as text: a name, an index or a WordNet id."),
        ("/explain", {"layers": "block9"}, "has no layer 'block9'"),
        ("/explain", {"layers": None}, "Layers are given"),
        ("/explain", {"score": None}, "There is no score None. There is: logit, probability."),
        ("/explain", {"method": "gradcan"}, "There is no method 'gradcan'. There is: gradcam, gradcam++"),
        ("/explain", {"target": "teapot", "instead_of": "teapot"}, "teapot cannot be held against itself."),
        ("/explain", {"instead_of": "teapot", "weight": -1}, "a number from 0 to 1000, not -1."),
        ("/explain", {"instead_of": "teapot", "weight": "1"}, "a number from 0 to 1000, not '1'."),
        ("/explain", {"against": None}, "by True or False, not None"),
        ("/explain", {"threshold": 1.5}, "a number above 0 and up to 1, not 1.5."),
        ("/explain", {"threshold": 2.0, "network": "VGG61"}, "not 2.0."),  # before anything is loaded
        ("/explain", {"threshold": "half"}, "a number above 0 and up to 1, not 'half'."),
        ("/test", {"target": "teapto"}, f"{DEFAULT} knows no class 'teapto'. Nearest: teapot"),
        ("/test", {"steps": 0}, "steps is a whole number from 1 to 64."),
        ("/test", {"steps": "many"}, "steps is a whole number from 1 to 64."),
    ],
)
def test_a_refusal_says_what_was_wrong(client, photos, endpoint, arguments, sentence):
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as caught:
        client.predict(image=photo(photos / "landscape.jpg"), api_name=endpoint, **arguments)
    assert sentence in str(caught.value)


def test_predict_gives_every_class_to_who_asks_for_all(client, photos):
    predictions = client.predict(image=photo(photos / "landscape.jpg"), top=1000, api_name="/predict")
    assert {prediction["index"] for prediction in predictions} == set(range(1000))
    assert sum(prediction["probability"] for prediction in predictions) == pytest.approx(1, abs=1e-4)


def test_what_the_client_refuses_itself_names_the_argument(client, photos):
    with pytest.raises(TypeError, match="image"):
        client.predict(api_name="/explain")
    with pytest.raises(TypeError, match="klass"):
        client.predict(image=photo(photos / "landscape.jpg"), klass="teapot", api_name="/explain")


def test_an_uploaded_photo_can_be_named_by_its_address_and_no_other_file_can(server, photos):
    path = upload(server.url, photos / "landscape.jpg")
    cache = str(Path(path).parents[1])

    def predict(address: str) -> str:
        arguments = {"data": [{"path": address, "meta": FILE}, DEFAULT, 5]}
        event = httpx.post(f"{server.url}/gradio_api/call/predict", json=arguments, timeout=30).json()["event_id"]
        return httpx.get(f"{server.url}/gradio_api/call/predict/{event}", timeout=60).text

    assert predict(f"{server.url}/gradio_api/file={path}").startswith("event: complete")
    for other in ("/etc/hostname", f"{cache}/../secret.jpg", f"{cache}-of-others/a.jpg", "", "app.py", "../app.py"):
        assert "Web addresses are not fetched" in predict(f"{server.url}/gradio_api/file={other}")
    for gone in (cache, f"{cache}/gone.jpg"):
        assert "no longer here" in predict(f"{server.url}/gradio_api/file={gone}")


def test_method_and_contrast_reach_the_maps(client, photos):
    settings = {"method": "layercam", "instead_of": "teapot", "weight": 0.5, "against": True, "smoothing": "flips"}
    summary, _, maps = client.predict(
        image=photo(photos / "landscape.jpg"), target="goldfish", threshold=0.7, api_name="/explain", **settings
    )
    assert summary["instead_of"]["name"] == "teapot"
    assert (summary["method"], summary["against"], summary["smoothing"]) == ("layercam", True, "flips")
    expected = gc.explain(gc.load(DEFAULT), photos / "landscape.jpg", "goldfish", **settings)
    with np.load(maps) as found:
        for name, heat_map in expected.maps.items():
            np.testing.assert_allclose(found[name], heat_map.raw, atol=1e-4 * np.abs(heat_map.raw).max())
    for about, heat_map in zip(summary["maps"], expected.maps.values(), strict=True):
        boxes = heat_map.boxes(0.7)
        assert boxes
        assert about["boxes"] == [vars(box) | {"peak": pytest.approx(box.peak, abs=1e-4)} for box in boxes]


def test_the_test_of_the_maps_is_that_of_the_package(client, photos):
    answer = client.predict(image=photo(photos / "landscape.jpg"), layers="last", steps=4, api_name="/test")
    network = gc.load(DEFAULT)
    found = assess(network, gc.explain(network, photos / "landscape.jpg", layers="last"), steps=4)
    assert answer["target"]["name"] == found.target.name
    assert list(answer["maps"]) == list(found.maps)
    for name, test in [*found.maps.items(), (None, found.random), (None, found.centre)]:
        said = answer["maps"][name] if name else answer["random" if test is found.random else "centre"]
        assert said["sentence"] == test.sentence
        np.testing.assert_allclose(said["deletion"], test.curves.deletion, atol=1e-4)
        np.testing.assert_allclose(said["insertion"], test.curves.insertion, atol=1e-4)
        assert said["hidden"] == pytest.approx(test.hidden, abs=1e-4)
