"""What is audited: class folders, tables and COCO files, the labels that are meant, and what does not fit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from audited import CLASSES, by_photo, flower_model, save_photo

import gradcam_core as gc
from gradcam_core.audits.listing import class_of, listed
from gradcam_core.networks.classifier import Classifier
from gradcam_core.networks.labels import names_of


@pytest.fixture(scope="module")
def network():
    return Classifier("flowers", flower_model(), CLASSES)


@pytest.fixture(scope="module")
def imagenet():
    return gc.load("EfficientNetLite0")


def folder_of(root: Path, *photos: str) -> Path:
    for photo in photos:
        (root / photo).parent.mkdir(parents=True, exist_ok=True)
        (root / photo).write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("golden_retriever", 207),
        ("Golden-Retriever", 207),
        ("n02099601", 207),
        ("n02099601_golden_retriever", 207),
        ("n02099601-whatever", 207),
        ("207", 207),
        (207, 207),
        ("12. golden retriever", 207),
        ("001.golden-retriever", 207),
    ],
)
def test_a_folder_names_a_class_in_the_ways_people_have(imagenet, name, index):
    assert class_of(imagenet, name) == index


@pytest.mark.parametrize("name", ["-1", "-2", -1, "1-2"])
def test_a_number_with_a_sign_is_no_index(imagenet, name):
    with pytest.raises(gc.TargetError):
        class_of(imagenet, name)


def test_a_link_that_leads_back_up_is_not_gone_round(network, tmp_path):
    folder = folder_of(tmp_path / "photos", "tulip/1.jpg", "tulip/red/2.jpg")
    (folder / "tulip" / "again").symlink_to(folder)
    found = listed(network, folder)
    assert [item.photo for item in found] == ["tulip/1.jpg", "tulip/red/2.jpg"]
    assert found.count == 2


@pytest.mark.parametrize("boxes", ['{"a": 1}', f"[[0, 0, 1{'0' * 400}, 1]]", "[[0, 0, 1], [2]]", "[" * 100_000])
def test_boxes_that_are_none_are_a_sentence(network, tmp_path, boxes):
    pd.DataFrame({"path": ["a.png"], "boxes": [boxes]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(gc.SettingError, match="has boxes that are none"):
        listed(network, tmp_path / "t.csv")


def test_json_without_an_end_is_a_sentence(network, tmp_path):
    (tmp_path / "coco.json").write_text("[" * 100_000)
    with pytest.raises(gc.SettingError, match="is not JSON"):
        listed(network, tmp_path / "coco.json")


def test_a_class_folder_that_is_taken_away_meanwhile_is_a_sentence(network, tmp_path):
    folder_of(tmp_path, "daisy/a.png", "tulip/a.png")
    items = iter(listed(network, tmp_path))
    assert next(items).label == 0
    (tmp_path / "tulip/a.png").unlink()
    (tmp_path / "tulip").rmdir()
    with pytest.raises(gc.SettingError, match="tulip' cannot be read: no such file or directory"):
        next(items)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_folder_whose_name_is_no_text_is_a_sentence(network, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "gar") + b"\xe7on"))
    folder_of(folder, "daisy/a.png")
    with pytest.raises(gc.SettingError, match=r"gar\\+udce7on' is no text in UTF-8"):
        listed(network, folder)


def test_the_order_is_always_the_same_and_other_files_are_left_out(network, tmp_path):
    folder_of(
        tmp_path,
        *("tulip/b.JPG", "tulip/a.png", "daisy/deep/er/c.webp", "daisy/a.txt", "z.tif", ".hidden/a.png", "empty/x.csv"),
    )
    listing = listed(network, tmp_path)
    found = [(item.photo, item.label) for item in listing]
    assert found == [("z.tif", None), ("daisy/deep/er/c.webp", 0), ("tulip/a.png", 2), ("tulip/b.JPG", 2)]
    assert listing.count == 4
    assert found == [(item.photo, item.label) for item in listing]
    assert all(Path(item.path).exists() for item in listing)


def test_a_folder_of_an_unknown_class_is_named_with_the_nearest(network, tmp_path):
    folder_of(tmp_path, "daisy/a.png", "tulips/a.png")
    with pytest.raises(gc.SettingError, match=r"The folder 'tulips' is no class .* Nearest: tulip \(2\)\. Call it"):
        listed(network, tmp_path)
    assert [item.label for item in listed(network, tmp_path, labelled=False)] == [None, None]


def test_a_folder_of_an_ambiguous_name_is_refused_with_the_indices(imagenet, tmp_path):
    folder_of(tmp_path, "crane/a.png")
    with pytest.raises(gc.SettingError, match=r"crane \(134\), crane \(517\)"):
        listed(imagenet, tmp_path)


def test_class_names_may_be_those_of_the_folders(tmp_path):
    folder_of(tmp_path, "tulip/a.png", "daisy/a.png", "golden retriever/a.png", ".ipynb_checkpoints/a.png")
    unnamed = Classifier("flowers", flower_model())
    with pytest.raises(gc.SettingError, match="Give the class names: labels="):
        listed(unnamed, tmp_path)
    assert names_of(tmp_path) == CLASSES
    named = Classifier("flowers", flower_model(), tmp_path)
    assert [item.label for item in listed(named, tmp_path)] == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_gives_paths_labels_and_boxes(network, tmp_path, suffix):
    boxes = [[[0.1, 0.2, 0.5, 1.0]], None, [[3, 4, 10, 12], [0, 0, 2, 1]]]
    table = pd.DataFrame({
        "Filename": ["b.png", "sub/a.png", str(tmp_path / "c.png")],
        "class": ["tulip", None, "1"],
        "bbox": [json.dumps(box) if box and suffix != ".parquet" else box for box in boxes],
        "more": [1, 2, 3],
    })  # fmt: skip
    path = tmp_path / f"photos{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ";")
    items = list(listed(network, path))
    assert [(item.photo, item.label, item.boxes, item.in_pixels) for item in items] == [
        ("b.png", 2, boxes[0], False), ("sub/a.png", None, None, False), ("c.png", 1, boxes[2], True),
    ]  # fmt: skip
    assert items[1].path == str(tmp_path / "sub" / "a.png")
    assert next(iter(listed(network, path, root="/photos"))).path == "/photos/b.png"
    assert [item.label for item in listed(network, path, labelled=False)] == [None] * 3


def test_labels_that_pandas_made_floats_are_indices(network, tmp_path):
    table = pd.DataFrame({"path": ["a.png", "b.png"], "label": [2.0, None]})
    table.to_parquet(tmp_path / "a.parquet")
    table.to_csv(tmp_path / "a.csv")
    for suffix in (".parquet", ".csv"):
        assert [item.label for item in listed(network, tmp_path / f"a{suffix}")] == [2, None]


@pytest.mark.parametrize(
    ("content", "photo", "label"),
    [
        ("\ufeffpath,label\na.png,tulip\n", "a.png", 2),
        ("path\na, b.png\n", "a, b.png", None),
        ("img,path,file,y,label\nx.png,a.png,y.png,0,tulip\n", "a.png", 2),
    ],
    ids=["with a mark of its encoding", "a comma in a name", "headings of several kinds"],
)
def test_a_table_is_read_as_people_and_programs_write_them(network, tmp_path, content, photo, label):
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    assert [(item.photo, item.label) for item in listed(network, tmp_path / "t.csv")] == [(photo, label)]


def coco(tmp_path, **changes):
    content = {
        "images": [
            {"id": 7, "file_name": "sub/two.png", "width": 200, "height": 100},
            {"id": 3, "file_name": "none.png", "width": 20, "height": 10},
            {"id": 5, "file_name": "nosize.png"},
        ],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [20, 10, 40, 80]},
            {"image_id": 7, "category_id": 9, "bbox": [100, 50, 50, 50]},
            {"image_id": 7, "category_id": 9, "bbox": [0, 0, 100, 20]},
            {"image_id": 7, "category_id": 1, "bbox": [3, 3, 4, 5]},
            {"image_id": 7, "category_id": 1, "bbox": [5, 3, 4, 6]},
            {"image_id": 5, "category_id": 1, "bbox": [2, 4, 6, 8]},
        ],
        "categories": [{"id": 1, "name": "daisy"}, {"id": 9, "name": "tulip"}, {"id": 4, "name": "nobody uses this"}],
        **changes,
    }
    (tmp_path / "coco.json").write_text(json.dumps(content), encoding="utf-8-sig")
    return tmp_path / "coco.json"


def test_coco_gives_the_category_with_the_largest_boxes_and_these(network, tmp_path):
    items = list(listed(network, coco(tmp_path)))
    assert [item.photo for item in items] == ["sub/two.png", "none.png", "nosize.png"]
    assert [item.label for item in items] == [2, None, 0]
    assert items[0].boxes == [pytest.approx([0.5, 0.5, 0.75, 1]), pytest.approx([0, 0, 0.5, 0.2])]
    assert (items[1].boxes, items[2].boxes, items[2].in_pixels) == (None, [[2, 4, 8, 12]], True)
    (first, *_) = listed(network, coco(tmp_path), labelled=False)
    assert (first.label, len(first.boxes)) == (None, 5)


def test_heat_inside_boxes_is_measured_in_pixels_and_in_shares(network, tmp_path):
    save_photo(tmp_path / "a.png", 3, (40, 20))
    save_photo(tmp_path / "b.png", 3, (40, 20))
    boxes = [json.dumps([4, 2, 30, 20]), json.dumps([0.1, 0.1, 0.75, 1.0])]
    pd.DataFrame({"path": ["a.png", "b.png"], "boxes": boxes}).to_csv(tmp_path / "t.csv")
    some, others = by_photo(gc.audit(network, tmp_path / "t.csv", tmp_path / "out")).values()
    assert some["boxes"] == others["boxes"] == [pytest.approx([0.1, 0.1, 0.75, 1])]
    assert 0 < some["inside"] < 1
    assert some["inside"] == pytest.approx(others["inside"])


def test_a_photo_at_an_address_is_read_from_there(network, tmp_path):
    save_photo(tmp_path / "a.png", 3)
    addresses = [f"file://{tmp_path}/{name}" for name in ("a.png", "gone.png")]
    pd.DataFrame({"path": addresses}).to_csv(tmp_path / "t.csv")
    found = by_photo(gc.audit(network, tmp_path / "t.csv", tmp_path / "out"))
    assert found[addresses[0]]["predicted"] == gc.explain(network, tmp_path / "a.png").target.name
    assert "cannot be read" in found[addresses[1]]["error"]


def test_an_address_of_no_file_system_is_named_as_it_was_given(network, tmp_path):
    pd.DataFrame({"path": ["http://some.org/tulip.jpg"]}).to_csv(tmp_path / "t.csv")
    (row,) = by_photo(gc.audit(network, tmp_path / "t.csv", tmp_path / "out")).values()
    assert row["error"].startswith("'http://some.org/tulip.jpg' is no place that can be reached")
    assert "org/x" not in row["error"]


def test_boxes_beside_the_photo_are_none(network, tmp_path):
    save_photo(tmp_path / "a.png", 3, (40, 20))
    save_photo(tmp_path / "b.png", 3, (40, 20))
    boxes = ["[[50, 2, 60, 9]]", "[[30, 2, 60, 9], [3, 25, 9, 30]]"]
    pd.DataFrame({"path": ["a.png", "b.png"], "boxes": boxes}).to_csv(tmp_path / "t.csv")
    some, others = by_photo(gc.audit(network, tmp_path / "t.csv", tmp_path / "out")).values()
    assert (some["boxes"], some["inside"], some["error"]) == (None, None, None)
    assert others["boxes"] == [pytest.approx([0.75, 0.1, 1, 0.45])]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.csv", "name,label\na.png,tulip\n", r'paths. Call one "path"; it has: name, label'),
        ("t.csv", "path,label\n,tulip\n", "Row 1 of t.csv has no path"),
        ("t.csv", "path,label\na.png,rose\n", "The label 'rose' in t.csv is no class"),
        ("t.csv", "path,label\na.png,3\n", "has the classes 0 to 2; 3 is not one"),
        ("t.csv", "path,label\na.png,tulip\na.png,daisy\n", "t.csv has 'a.png' more than once"),
        ("t.csv", 'path,boxes\na.png,"[[0.5, 0, 0.2, 1]]"\n', "Row 1 of t.csv has boxes that are none"),
        ("t.csv", "path,boxes\na.png,left\n", "Row 1 of t.csv has boxes that are none"),
        ("t.csv", "path,label\n", "There are no photos in"),
        ("t.csv", b"path\n\xff\xfe.png\n", "t.csv is no table in UTF-8 text"),
        ("t.parquet", "path", "t.parquet is no Parquet file, or is damaged"),
        ("t.json", "{", "t.json is not JSON"),
        ("t.json", '{"images": 3}', 'no COCO file: it has no list "images"'),
        ("t.json", '{"images": [{"id": 3}]}', "t.json is no COCO file: KeyError 'file_name'. It needs"),
        ("t.xml", "", "is no folder, no table"),
        ("empty/notes.txt", "", "There are no photos in"),
    ],
)  # fmt: skip
def test_what_cannot_be_audited_is_said_before_anything_is_written(network, tmp_path, name, content, sentence):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(gc.SettingError, match=sentence):
        gc.audit(network, path.parent if path.suffix == ".txt" else path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_category_and_a_missing_source_are_refused(network, tmp_path):
    path = coco(tmp_path, categories=[{"id": 1, "name": "daisy"}, {"id": 9, "name": "dog"}])
    with pytest.raises(gc.SettingError, match=r"The category 'dog' in coco\.json is no class"):
        listed(network, path)
    with pytest.raises(gc.SettingError, match="There is no folder and no file"):
        listed(network, tmp_path / "gone")
    with pytest.raises(gc.SettingError, match="A root goes with a table"):
        listed(network, tmp_path, root=tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody who may not read a folder")
def test_a_folder_that_may_not_be_read_is_a_sentence(tmp_path):
    folder_of(tmp_path, "daisy/a.png", "tulip/a.png")
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/tmp").parent and "pytest" in str(path):
            path.chmod(0o755)
    (tmp_path / "tulip").chmod(0o700)
    code = (
        "import os, sys; sys.path[:] = sys.argv[2:]\n"
        "from gradcam_core.audits import listing; from gradcam_core import SettingError\n"
        "os.setuid(65534)\n"
        "try: listing.listed(None, sys.argv[1], labelled=False)\n"
        "except SettingError as error: print(error)"
    )
    run = [sys.executable, "-c", code, str(tmp_path), *sys.path]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout == f"{str(tmp_path / 'tulip')!r} cannot be read: permission denied.\n"
