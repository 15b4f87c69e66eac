"""Model folders: whole, intact and harmless, or refused in words."""

from __future__ import annotations

import io
import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import DataError, ModelError
from consilience.learning.bundles import FILES, describe_bundle, load_bundle, save_bundle
from consilience.learning.sealed import digest_of, write_sealed
from consilience.learning.tensor_files import shapes_in

TENSORS = {
    "weight": torch.arange(12.0).reshape(3, 4),
    "half": torch.ones(5, dtype=torch.bfloat16),
    "mask": torch.tensor([True, False, True]),
    "number": torch.tensor(7),
    "rows": np.arange(6, dtype=np.int32).reshape(2, 3),
    "none": torch.zeros(0, 3),
}
DESCRIPTION = {"genes": ["BRCA1", "TP53", "GAPDH"], "calibration": {"slope": 0.1 + 0.2}, "preset": "default"}
CARD = "# A model\n\nTrained on nothing, für Tests.\n"


def save(folder, **changes):
    save_bundle(
        folder, **{"kind": "rnagan", "tensors": TENSORS, "description": DESCRIPTION, "card": CARD, **changes}
    )
    return folder


@pytest.fixture
def folder(tmp_path):
    return save(tmp_path / "model")


def reseal(folder, change):
    """What somebody can do who knows the format: change the record and seal it again."""
    record = json.loads((folder / "model.json").read_text())
    record.pop("seal")
    change(record)
    write_sealed(folder / "model.json", record)


def refused(folder, match, **options):
    with pytest.raises(ModelError, match=match) as caught:
        load_bundle(folder, **options)
    assert str(folder.name) in str(caught.value)


class TestWhole:
    def test_what_was_saved_is_loaded(self, folder):
        bundle = load_bundle(folder, kind="rnagan")
        assert set(bundle.tensors) == set(TENSORS)
        for name, tensor in TENSORS.items():
            assert torch.equal(bundle.tensors[name], torch.as_tensor(tensor))
            assert bundle.tensors[name].dtype == torch.as_tensor(tensor).dtype
        assert (bundle.description, bundle.card, bundle.kind) == (DESCRIPTION, CARD, "rnagan")
        assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
        assert describe_bundle(folder)["description"] == DESCRIPTION

    def test_same_model_same_bytes(self, folder, tmp_path):
        other = save(tmp_path / "again", tensors=dict(reversed(TENSORS.items())))
        for name in FILES:
            assert (folder / name).read_bytes() == (other / name).read_bytes()

    def test_views_transposed_and_tied_tensors_are_kept(self, tmp_path):
        base = torch.arange(12.0).reshape(3, 4)
        tensors = {"t": base.T, "view": base[1:], "one": base, "same": base}
        found = load_bundle(save(tmp_path / "m", tensors=tensors)).tensors
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)

    def test_a_new_model_replaces_the_old_one_and_leaves_nothing(self, folder):
        save(folder, kind="vae", tensors={"w": torch.ones(2)})
        assert set(load_bundle(folder, kind="vae").tensors) == {"w"}
        assert [path.name for path in folder.parent.iterdir()] == ["model"]

    def test_a_failure_keeps_the_old_model(self, folder):
        with pytest.raises(ModelError, match="NaN or infinity"):
            save(folder, tensors={"w": torch.tensor([1.0, float("nan")])})
        with pytest.raises(ModelError, match="not finite"):
            save(folder, description={"auc": float("nan")})
        with pytest.raises(ModelError, match="holds no numbers"):
            save(folder, tensors={"names": np.array(["a"])})
        assert load_bundle(folder).description == DESCRIPTION
        assert [path.name for path in folder.parent.iterdir()] == ["model"]

    def test_what_a_killed_run_left_is_removed(self, folder):
        for name in (".tmp-99-model", ".tmp-99-model.old"):
            (folder.parent / name).mkdir()
            (folder.parent / name / "half").write_text("x")
        save(folder)
        assert [path.name for path in folder.parent.iterdir()] == ["model"]

    def test_other_files_are_never_removed(self, tmp_path):
        (tmp_path / "thesis.docx").write_text("years of work")
        with pytest.raises(DataError, match="other files"):
            save(tmp_path)
        (tmp_path / "file").write_text("x")
        with pytest.raises(DataError, match="something else has this name"):
            save(tmp_path / "file")
        (tmp_path / "link").symlink_to(tmp_path)
        with pytest.raises(DataError, match="something else has this name"):
            save(tmp_path / "link")
        assert (tmp_path / "thesis.docx").read_text() == "years of work"

    @given(st.dictionaries(st.text(max_size=9), st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=9),
        lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4))  # fmt: skip
    @settings(max_examples=30)
    def test_any_json_comes_back_and_its_digest_knows_no_order(self, value):
        again = json.loads(json.dumps(value))
        assert digest_of(again) == digest_of(value) == digest_of(dict(reversed(value.items())))


class TestRefused:
    def test_a_pickle_is_not_opened(self, folder, tmp_path):
        marker = tmp_path / "marker"

        class Evil:
            def __reduce__(self):
                return (os.system, (f"touch {marker}",))

        content = io.BytesIO()
        torch.save({"weight": Evil()}, content)
        for data in (content.getvalue(), b"\x80\x04" + content.getvalue()):
            (folder / "model.safetensors").write_bytes(data)
            size = len(data)
            reseal(folder, lambda record, size=size: record["tensors"].update(bytes=size))
            refused(folder, "is a pickle.*was not opened")
        assert not marker.exists()

    @pytest.mark.parametrize("name", FILES)
    def test_missing_files(self, folder, name):
        (folder / name).unlink()
        refused(folder, rf"files are missing; found '{name}'")

    @pytest.mark.parametrize("name", FILES)
    def test_links_and_special_files(self, folder, tmp_path, name):
        outside = tmp_path / "outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)
        refused(folder, "plain files only; found 'a link to another place'")
        (folder / name).unlink()
        os.mkfifo(folder / name)
        refused(folder, "plain files only; found 'a special file'")

    def test_no_folder(self, tmp_path):
        refused(tmp_path / "nothing", "no model folder")

    def test_other_kind(self, folder):
        refused(folder, "another kind of model; found 'rnagan'; allowed: vae", kind="vae")

    def test_other_version_or_format(self, folder):
        reseal(folder, lambda record: record.update(format_version=2))
        refused(folder, "of this version; found '2'; allowed: 1")
        reseal(folder, lambda record: record.update(format="something"))
        refused(folder, "not the record of a model")

    def test_a_changed_description(self, folder):
        text = (folder / "model.json").read_text()
        (folder / "model.json").write_text(text.replace("TP53", "TP63"))
        refused(folder, "its seal does not fit")
        (folder / "model.json").write_text(text.replace("BRCA1", "BRCA1").replace("\n", "\n "))
        assert load_bundle(folder).description == DESCRIPTION  # white space is nobody's number

    @pytest.mark.parametrize(
        "text",
        ["", "[]", "{", "null", '{"seal": 3}', "[" * 100_000, '{"x": NaN, "seal": ""}', "\x00", '{"x": 1}'],
    )
    def test_a_record_that_is_none(self, folder, text):
        (folder / "model.json").write_text(text)
        refused(folder, "not valid JSON|has no seal|seal does not fit")

    @pytest.mark.parametrize("record", [None, 3, {}, {"bytes": 1}, {"bytes": "1", "sha256": "", "shapes": {}},
                                        {"bytes": 1, "sha256": "", "shapes": []}])  # fmt: skip
    def test_a_record_of_tensors_that_is_none(self, folder, record):
        reseal(folder, lambda whole: whole.update(tensors=record))
        refused(folder, "record of the tensors is not what it should be")

    def test_poison(self, folder, tmp_path):
        """A whole and well-sealed folder whose weights are NaN."""
        from safetensors.torch import save as raw

        data = raw({"w": torch.tensor([1.0, float("inf")])})
        (folder / "model.safetensors").write_bytes(data)
        import hashlib

        declared = {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "shapes": {"w": ["F32", 2]},
        }
        reseal(folder, lambda record: record.update(tensors=declared))
        refused(folder, "hold NaN or infinity.*found 'w'")

    @pytest.mark.parametrize("shape", [[50_000, 50_000], [2**62, 4], [-1, 4], [True, 12], ["3", 4], [1e9]])
    def test_declared_shapes_that_are_huge_or_absurd(self, folder, shape):
        """No memory is asked for on the word of a header."""
        header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 10**10]}}).encode()
        data = struct.pack("<Q", len(header)) + header + bytes(64)
        (folder / "model.safetensors").write_bytes(data)
        reseal(
            folder, lambda record: record["tensors"].update(bytes=len(data), shapes={"w": ["F32", *shape]})
        )
        tracemalloc.start()
        refused(folder, "declares a size that it has not|do not fill the file|kind or shape")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()

    def test_a_header_that_is_longer_than_the_file(self, folder):
        data = struct.pack("<Q", 2**60) + bytes(100)
        (folder / "model.safetensors").write_bytes(data)
        reseal(folder, lambda record: record["tensors"].update(bytes=len(data)))
        refused(folder, "not a safetensors file, or cut short")

    @pytest.mark.parametrize(
        "entries",
        [
            {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
            {"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
            {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
            {"a": {"dtype": "XX", "shape": [3], "data_offsets": [0, 12]}},
            {"a": {"dtype": "F32", "shape": [3]}},
            {"a": 3},
            [],
            3,
        ],
    )  # fmt: skip
    def test_headers_that_overlap_leave_holes_or_are_none(self, entries):
        header = json.dumps(entries).encode()
        with pytest.raises(ModelError):
            shapes_in(header, 8 + len(header) + 12, where="x")

    def test_other_tensors_than_declared(self, folder):
        reseal(folder, lambda record: record["tensors"]["shapes"].update(weight=["F32", 4, 3]))
        refused(folder, "not those of the record")

    @pytest.mark.parametrize("name", FILES)
    def test_truncated_anywhere(self, folder, name):
        whole = (folder / name).read_bytes()
        for length in np.unique(np.linspace(0, len(whole) - 1, 50).astype(int)):
            (folder / name).write_bytes(whole[:length])
            if name == "model.json" and whole[:length].strip() == whole.strip():
                continue  # only the last line break is gone
            refused(folder, "model")
        (folder / name).write_bytes(whole + b"x")
        refused(folder, "model")

    @pytest.mark.parametrize("name", FILES)
    def test_a_flipped_bit_anywhere_is_never_a_silent_difference(self, folder, name):
        whole = (folder / name).read_bytes()
        rng = np.random.default_rng(1)
        refusals = 0
        for place in rng.choice(len(whole), min(50, len(whole)), replace=False):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << int(rng.integers(8))
            (folder / name).write_bytes(bytes(damaged))
            try:
                bundle = load_bundle(folder)
            except ModelError:
                refusals += 1
            else:  # white space of the JSON may change
                assert name == "model.json"
                assert bundle.description == DESCRIPTION
        assert refusals >= min(50, len(whole)) - (25 if name == "model.json" else 0)
