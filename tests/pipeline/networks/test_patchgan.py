import torch

from pipeline.networks.patchgan import PatchGAN


def test_it_has_the_size_of_pix2pix():
    # Isola et al. 2017, with three input channels: the count of the authors' 70x70 PatchGAN.
    assert sum(weight.numel() for weight in PatchGAN(3).parameters()) == 2_765_633


def test_a_patch_sees_seventy_pixels():
    network = PatchGAN(1, width=4).eval()
    picture = torch.zeros(1, 1, 256, 256, requires_grad=True)
    logits = network(picture)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    rows = picture.grad[0, 0].abs().sum(dim=1).nonzero()
    assert rows.max() - rows.min() + 1 == 70


def test_spectral_norm_keeps_layers_from_amplifying():
    torch.manual_seed(0)
    network = PatchGAN(3, width=8, norm="spectral").train()
    for _ in range(20):
        network(torch.randn(1, 3, 64, 64))
    layer = network.layers[2]
    largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
    assert abs(float(largest.detach()) - 1) < 0.1


def test_with_instance_norm_the_batch_does_not_matter():
    torch.manual_seed(0)
    network = PatchGAN(2, width=8, norm="instance").train()
    pictures = torch.randn(2, 2, 64, 64)
    torch.testing.assert_close(network(pictures)[:1], network(pictures[:1]))
