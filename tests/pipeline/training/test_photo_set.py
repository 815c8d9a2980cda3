import sys

import numpy as np
import pytest
import torch
from full_disk import files_of_at_most
from PIL import Image
from splits import make_split

from pipeline.errors import ColorpipeError
from pipeline.recipes.shared.base import CROPS, FLIPS, JITTER, Augmentation
from pipeline.training.photo_set import (
    BatchSampler,
    PhotoSet,
    read_photos,
    resized,
    to_tensor,
)

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.fixture
def split(tmp_path):
    return make_split(tmp_path / "split")


@pytest.fixture
def photos(split, tmp_path):
    return read_photos(split, "train", tmp_path / "cache")


def test_photos_are_decoded_as_they_are_and_once(split, photos, tmp_path):
    assert photos.pixels.shape == (8, 64, 64, 3)
    first = np.asarray(Image.open(split / "train_y" / photos.names[0]))
    assert np.array_equal(photos.pixels[0], first)
    stored = list((tmp_path / "cache").glob("*.npy"))
    before = stored[0].stat().st_mtime_ns
    again = read_photos(split, "train", tmp_path / "cache")
    assert list((tmp_path / "cache").glob("*.npy")) == stored
    assert stored[0].stat().st_mtime_ns == before
    assert again.fingerprint == photos.fingerprint


def test_a_changed_photo_is_noticed(split, photos, tmp_path):
    path = split / "train_y" / photos.names[0]
    Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    again = read_photos(split, "train", tmp_path / "cache")
    assert again.fingerprint != photos.fingerprint
    assert np.array_equal(again.pixels[0], photos.pixels[0][:, ::-1])


def test_pixels_that_a_crash_left_incomplete_are_decoded_again(split, tmp_path):
    whole = np.array(read_photos(split, "train", tmp_path / "cache").pixels)
    (stored,) = (tmp_path / "cache").glob("*.npy")
    data = stored.read_bytes()
    for left in (200, 10, 0):
        stored.unlink()  # the file that is mapped stays whole
        stored.write_bytes(data[:left])
        assert np.array_equal(read_photos(split, "train", tmp_path / "cache").pixels, whole)


def test_photos_of_two_sizes_and_damaged_ones_are_named(split, tmp_path):
    path = split / "train_y" / "rocket-007.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ColorpipeError, match=r"rocket-007\.png cannot be read"):
        read_photos(split, "train", tmp_path / "cache")
    Image.new("RGB", (50, 64)).save(path)
    with pytest.raises(ColorpipeError, match=r"rocket-007\.png is 50x64, but"):
        read_photos(split, "train", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text")
def test_a_category_that_is_not_text_is_one_like_others(split, tmp_path):
    for side in "xy":
        for path in sorted((split / f"train_{side}").glob("rocket-*")):
            path.rename(path.with_name(path.name.replace("rocket", "caf\udce9")))
    photos = read_photos(split, "train", tmp_path / "cache")
    assert "caf\udce9" in photos.categories


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
def test_a_full_disk_is_a_sentence_and_nothing_is_left(split, tmp_path):
    refused = pytest.raises(ColorpipeError, match=r"8 photos, 0\.1 MB, cannot be written to")
    # Eight photos of 64 px have 98,304 bytes.
    with files_of_at_most(50_000), refused:
        read_photos(split, "train", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_an_epoch_shows_every_photo_once_in_another_order(photos):
    sampler = BatchSampler(photos, 64, 4, augmentation=None, seed=1)
    assert sampler.steps_per_epoch == 2

    def seen(epoch):
        batches = [sampler.batch(2 * epoch + place, CPU) for place in range(2)]
        pixels = (torch.cat(batches) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        return [next(i for i in range(8) if np.array_equal(photos.pixels[i], p)) for p in pixels]

    assert sorted(seen(0)) == sorted(seen(1)) == list(range(8))
    assert set(seen(0)[:4]) != set(seen(1)[:4])


def test_a_batch_follows_from_seed_and_step_alone(photos):
    one, other = (BatchSampler(photos, 48, 4, augmentation=CROPS, seed=3) for _ in range(2))
    for step in (0, 1, 2, 3):
        one.batch(step, CPU)
    assert torch.equal(one.batch(5, CPU), other.batch(5, CPU))
    assert not torch.equal(one.batch(5, CPU), one.batch(4, CPU))
    third = BatchSampler(photos, 48, 4, augmentation=CROPS, seed=4)
    assert not torch.equal(one.batch(5, CPU), third.batch(5, CPU))


def test_augmented_pictures_are_crops_of_the_photos(photos):
    sampler = BatchSampler(photos, 32, 8, augmentation=CROPS, seed=0)
    batch = sampler.batch(0, CPU)
    assert batch.shape == (8, 3, 32, 32)
    assert batch.min() >= 0
    assert batch.max() <= 1
    # A crop keeps the photo's mean color roughly; mirrored or not, nothing else is changed.
    means = torch.from_numpy(photos.pixels.mean((1, 2)) / 255).float()
    distance = (batch.mean((2, 3))[:, None] - means[None]).norm(dim=2).min(dim=1).values
    assert distance.max() < 0.25


def test_flips_only_mirror(photos):
    sampler = BatchSampler(photos, 64, 8, augmentation=FLIPS, seed=0)
    batch = (sampler.batch(0, CPU) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    mirrored = [np.array_equal(p, q[:, ::-1]) for p, q in zip(batch, photos.pixels, strict=True)]
    straight = [np.array_equal(p, q) for p, q in zip(batch, photos.pixels, strict=True)]
    assert all(m != s for m, s in zip(mirrored, straight, strict=True))
    assert 0 < sum(mirrored) < 8


def test_jitter_cuts_as_much_as_pix2pix_does(photos):
    sampler = BatchSampler(photos, 64, 8, augmentation=JITTER, seed=0)
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (8, 64, 64, 3))
    sampler.photos = PhotoSet(photos.names, ramp, "")
    batch = sampler.batch(0, CPU) * 255
    spans = (batch[:, 0, -1, 0] - batch[:, 0, 0, 0]).numpy()
    assert np.allclose(spans, 4 * 63 * 256 / 286, atol=5)


@pytest.mark.parametrize(("height", "width"), [(286, 286), (286, 300)])
def test_jitter_cuts_whole_pixels(height, width):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4, height, width, 3), np.uint8)
    noise = PhotoSet(tuple(f"noise-{i}.png" for i in range(4)), pixels, "")
    sampler = BatchSampler(noise, 256, 4, augmentation=JITTER, seed=0)
    seen = set()
    for step in range(4):
        batch = (sampler.batch(step, CPU) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for photo, square in zip(pixels, batch, strict=True):
            seen.update(
                (top, left, mirrored)
                for mirrored, made in enumerate((square, square[:, ::-1]))
                for top, left in np.argwhere((photo == made[0, 0]).all(2))[:, :2].tolist()
                if np.array_equal(photo[top : top + 256, left : left + 256], made)
            )
    assert len(seen) == 16
    assert {mirrored for *_, mirrored in seen} == {0, 1}
    assert max(top for top, *_ in seen) > 20
    assert max(left for _, left, _ in seen) > 20


@pytest.mark.parametrize(("side", "size", "scaled"), [(64, 64, 72), (200, 256, 286)])
def test_jitter_scales_as_validation_does_and_then_cuts(photos, side, size, scaled):
    pixels = np.stack([np.asarray(Image.fromarray(p).resize((side, side))) for p in photos.pixels])
    sampler = BatchSampler(PhotoSet(photos.names, pixels, ""), size, 8, augmentation=JITTER, seed=0)
    whole = resized(to_tensor(pixels, CPU), scaled)
    squares = whole.unfold(2, size, 1).unfold(3, size, 1)
    for photo, made in zip(squares, sampler.batch(0, CPU), strict=True):
        found = [
            torch.equal(square, each)
            for square in photo.permute(1, 2, 0, 3, 4).flatten(0, 1)
            for each in (made, made.flip(2))
        ]
        assert sum(found) == 1


def test_the_parts_of_several_processes_are_the_batch_of_one(photos):
    def sampler(part):
        return BatchSampler(photos, 32, 4, augmentation=CROPS, seed=5, part=part)

    for step in (0, 3):
        for order in (0, 1):
            parts = [sampler((index, 2)).batch(step, CPU, order) for index in range(2)]
            torch.testing.assert_close(torch.cat(parts), sampler((0, 1)).batch(step, CPU, order))
    with pytest.raises(ColorpipeError, match="batch of 4 cannot be shared equally by 3 processes"):
        sampler((0, 3))


def test_another_order_is_another_shuffle_of_the_same_photos(photos):
    sampler = BatchSampler(photos, 64, 4, augmentation=None, seed=0)
    for order in (0, 1):
        seen = [sampler.chosen(step, order) for step in (0, 1)]
        assert sorted(np.concatenate(seen)) == list(range(8))
    assert any(not np.array_equal(sampler.chosen(s, 0), sampler.chosen(s, 1)) for s in range(4))


def test_a_batch_larger_than_the_data_is_refused(photos):
    with pytest.raises(ColorpipeError, match="batch of 9 cannot be drawn from 8"):
        BatchSampler(photos, 64, 9, augmentation=None, seed=0)


def test_resizing_to_the_same_size_is_free():
    rgb = torch.rand(1, 3, 32, 32)
    assert resized(rgb, 32) is rgb


@pytest.mark.parametrize("size", [16, 41, 96])
def test_resizing_is_pillow_s_bicubic(photos, size):
    ours = resized(to_tensor(photos.pixels, CPU), size)
    assert 0 <= ours.min() <= ours.max() <= 1
    for photo, made in zip(photos.pixels, ours, strict=True):
        theirs = Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC)
        levels = made.permute(1, 2, 0).numpy() * 255
        assert np.abs(levels - np.asarray(theirs, np.float32)).max() < 1.6  # Pillow rounds twice.


def test_pixels_of_splits_long_past_are_forgotten(split, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.training.photo_set.KEPT", 2)
    for number in range(4):
        path = split / "train_y" / "rocket-007.png"
        Image.new("RGB", (64, 64), (number, 0, 0)).save(path)
        photos = read_photos(split, "train", tmp_path / "cache")
        assert photos.pixels[photos.names.index("rocket-007.png")][0, 0, 0] == number
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_labels_are_places_among_the_sorted_categories(photos):
    assert photos.categories == tuple(sorted({name.split("-")[0] for name in photos.names}))
    for name, label in zip(photos.names, photos.labels, strict=True):
        assert name.startswith(photos.categories[label] + "-")


def uneven(count):
    names = tuple(f"{'common' if i < 0.9 * count else 'rare'}-{i:03}.png" for i in range(count))
    return PhotoSet(names, np.zeros((count, 8, 8, 3), np.uint8), "")


@pytest.mark.parametrize(("balance", "rare"), [(0.0, 20), (0.5, 50), (1.0, 100)])
def test_balance_draws_rare_categories_more_often(balance, rare):
    photos = uneven(200)
    sampler = BatchSampler(photos, 8, 10, augmentation=None, seed=0, balance=balance)
    drawn = np.concatenate([sampler.chosen(step) for step in range(sampler.steps_per_epoch)])
    assert len(drawn) == len(photos)
    assert photos.labels[drawn].sum() == pytest.approx(rare, abs=2)
    times = np.bincount(drawn, minlength=200)
    for category in (0, 1):
        of_one = times[photos.labels == category]
        assert of_one.max() - of_one.min() <= 1


def test_a_category_is_drawn_as_often_as_asked_for():
    photos = uneven(200)
    sampler = BatchSampler(photos, 8, 10, augmentation=None, seed=0, draw={"rare": 3.0})
    drawn = np.concatenate([sampler.chosen(step) for step in range(sampler.steps_per_epoch)])
    assert photos.labels[drawn].sum() == pytest.approx(200 * 60 / 240, abs=2)


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        ({"Rare": 3.0}, "names 'Rare', but the categories are common, rare"),
        ({"rare": -20.0}, "gives 'rare' -20, but a factor is above 0"),
        ({"rare": 0.0}, "a factor is above 0"),
    ],
)
def test_factors_that_cannot_be_drawn_by_are_refused(draw, sentence):
    with pytest.raises(ColorpipeError, match=sentence):
        BatchSampler(uneven(200), 8, 10, augmentation=None, seed=0, draw=draw)


def test_stretched_crops_lie_within_the_photo_and_vary_in_shape():
    ramp = np.zeros((64, 64, 64, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(64) * 4, np.arange(64)[:, None] * 4
    photos = PhotoSet(tuple(f"ramp-{i}.png" for i in range(64)), ramp, "")
    augmentation = Augmentation(0.5, 1.0, stretch=1.5)
    batch = BatchSampler(photos, 32, 64, augmentation=augmentation, seed=0).batch(0, CPU) * 255
    across = (batch[:, 0, 0, -1] - batch[:, 0, 0, 0]).abs()
    down = batch[:, 1, -1, 0] - batch[:, 1, 0, 0]
    ratios = across / down
    assert 1.3 < ratios.max() < 1.6
    assert 1 / 1.6 < ratios.min() < 1 / 1.3
    assert across.max() <= 253


def test_collages_show_four_photos_at_half_the_size(photos):
    plain = Augmentation(1.0, 1.0)
    collages = Augmentation(1.0, 1.0, collages=0.5)
    whole, mixed = (
        BatchSampler(photos, 64, 8, augmentation=each, seed=0).batch(0, CPU)
        for each in (plain, collages)
    )
    changed = [place for place in range(8) if not torch.equal(whole[place], mixed[place])]
    assert len(changed) == 4
    small = torch.nn.functional.avg_pool2d(whole, 2)
    for place in changed:
        for top in (0, 32):
            for left in (0, 32):
                tile = mixed[place, :, top : top + 32, left : left + 32]
                assert any(torch.allclose(tile, each) for each in small)


def test_batches_are_made_where_the_network_is(photos):
    # No CPU's tensor may come in: "meta" refuses that as a GPU does.
    for augmentation in (None, Augmentation(0.5, 1.0, stretch=1.5, collages=0.5)):
        batch = BatchSampler(photos, 32, 8, augmentation=augmentation, seed=0).batch(0, META)
        assert batch.device == META
        assert batch.shape == (8, 3, 32, 32)


def test_small_crops_of_large_photos_do_not_alias(photos):
    checkers = np.zeros((1, 128, 128, 3), np.uint8)
    checkers[:, ::2, ::2] = checkers[:, 1::2, 1::2] = 255
    board = PhotoSet(("checkers-0.png",), checkers, "")
    sampler = BatchSampler(board, 128, 1, augmentation=CROPS, seed=0)
    small = sampler.batch(0, CPU, size=32)
    assert small.shape == (1, 3, 32, 32)
    # Evenly gray, as from afar, and no pattern of its own.
    assert float((small - 0.5).abs().max()) < 0.1
