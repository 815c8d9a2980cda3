"""The Inception file: loaded, fetched and refused, with a stand-in that is called the same way."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import stand_ins
import torch

from pipeline.errors import ColorpipeError
from pipeline.evaluation.inception import INCEPTION_SHA256, fetch_inception, load_inception

CPU = torch.device("cpu")

# TorchScript is out of favor, but the file is what everyone's FID is made with.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture
def server():
    """A server of one file; every other path is missing. Yields its address and the file."""
    content = b"the published file"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/inception-2015-12-05.pt"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(content if found else b"")

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", content
        http.shutdown()
        thread.join()


def test_features_are_those_of_the_file(tmp_path):
    path = stand_ins.inception(tmp_path / "mine.pt")
    network = load_inception(path, CPU)
    photos = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3)).astype(np.uint8)
    features = network.features(list(photos))
    assert features.shape == (3, 6)
    assert features[:, :3] == pytest.approx(photos.mean(axis=(1, 2)), rel=1e-5)


def test_another_file_is_named_as_not_the_published_one(tmp_path):
    path = stand_ins.inception(tmp_path / "mine.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = load_inception(path, CPU).file
    assert "mine.pt" in file
    assert digest[:12] in file
    assert "not the published file" in file
    assert str(tmp_path) not in file


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(ColorpipeError, match=r"FID and KID need .*none\.pt cannot be read .*http"):
        load_inception(tmp_path / "none.pt", CPU)


def test_a_file_that_is_no_such_network_is_refused(tmp_path):
    noise = tmp_path / "noise.pt"
    noise.write_bytes(b"not a network")
    other = tmp_path / "other.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 4)), other)
    for path in (noise, other):
        with pytest.raises(ColorpipeError, match=f"{path.name} is not the TorchScript file"):
            load_inception(path, CPU)


def test_the_file_is_fetched_once_and_checked(server, tmp_path):
    address, content = server
    url, digest = f"{address}/inception-2015-12-05.pt", hashlib.sha256(content).hexdigest()
    path = fetch_inception(tmp_path, url, digest)
    assert path.read_bytes() == content
    assert fetch_inception(tmp_path, "http://127.0.0.1:9/inception-2015-12-05.pt", digest) == path


def test_another_file_in_its_place_is_refused_and_not_kept(server, tmp_path):
    address, _ = server
    with pytest.raises(ColorpipeError, match="the server sent another file"):
        fetch_inception(tmp_path, f"{address}/inception-2015-12-05.pt", INCEPTION_SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_had_is_a_sentence(server, tmp_path):
    address, _ = server
    with pytest.raises(ColorpipeError, match=r"the server answers 404.*--inception PATH"):
        fetch_inception(tmp_path, f"{address}/gone.pt")
    with pytest.raises(ColorpipeError, match=r"no connection.*--inception PATH"):
        fetch_inception(tmp_path, "http://127.0.0.1:9/inception-2015-12-05.pt")
