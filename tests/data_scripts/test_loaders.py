"""What the scripts leave behind is what the library's loaders read."""

import json

import download_cub200
import download_grocery
import download_inat2017
import download_stanford_cars
import pytest

from tasnlib.data.cub200 import load_cub200
from tasnlib.data.grocery import load_grocery
from tasnlib.data.inat2017 import load_inat2017
from tasnlib.data.stanford import load_stanford_cars
from tests.data.photo_sets import make_cub200, make_grocery, make_inat2017, make_stanford_cars


@pytest.mark.parametrize(
    ("script", "make", "load", "counts"),
    [
        pytest.param(download_cub200, make_cub200, load_cub200, (10, 10, 2), id="cub200"),
        pytest.param(download_inat2017, make_inat2017, load_inat2017, (9, 9, 3), id="inat2017"),
        pytest.param(download_grocery, make_grocery, load_grocery, (12, 12, 6, 5), id="grocery"),
        *(
            pytest.param(
                download_stanford_cars,
                lambda folder, layout=layout: make_stanford_cars(folder, layout),
                load_stanford_cars,
                (9, 9, 3),
                id=layout,
            )
            for layout in ("nested", "car_ims")
        ),
    ],
)
def test_the_loaders_read_what_the_scripts_made(tmp_path, script, make, load, counts):
    source = make(tmp_path / "source")
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(dict(zip(("train", "test", "classes", "val"), counts, strict=False))))
    assert script.main([str(tmp_path / "data"), "--facts", str(facts), "--from", str(source)]) == 0
    result = tmp_path / "data" / script.FACTS.folder
    for split, count in zip(("train", "test"), counts, strict=False):
        loaded, original = load(result, split), load(source, split)
        assert (len(loaded), loaded.classes) == (count, counts[2])
        assert loaded.class_names == original.class_names
        assert loaded.labels.tolist() == original.labels.tolist()
        same = [a.read_bytes() == b.read_bytes() for a, b in zip(loaded.paths, original.paths, strict=True)]
        assert all(same)
