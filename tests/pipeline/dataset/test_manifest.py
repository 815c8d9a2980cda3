import hashlib
from pathlib import Path

from pipeline.dataset.manifest import MANIFEST, RawPhoto, content_name
from pipeline.files.csv_tables import read_table, write_table


def test_a_row_of_the_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    # By the types of its fields, so that a column added to the manifest is covered too.
    examples = {"str": "a,b", "int": 7}
    values = {
        name: examples[str(field.type)] for name, field in RawPhoto.__dataclass_fields__.items()
    }
    photo = RawPhoto(**values)
    write_table(tmp_path / MANIFEST, [photo], RawPhoto)
    assert read_table(tmp_path / MANIFEST, RawPhoto) == [photo]


def test_a_photo_is_named_by_its_bytes() -> None:
    sha256 = hashlib.sha256(b"abc").hexdigest()
    # FIPS 180-2, appendix B.1.
    assert content_name(sha256, ".jpg") == "ba7816bf8f01cfea.jpg"
