"""sam_tiny's parts: what they promise to each other, whatever the weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sam_ros.model.layers import crop
from sam_ros.model.tiny import CHANNELS, build_sam_tiny, set_image_size
from sam_ros.model.tiny_image_encoder import Attention, ConvBlock
from sam_ros.model.tiny_mask_decoder import RARE, affinity


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return build_sam_tiny(128).eval()


def unfold(embedding):
    """An embedding as the maps (B, C, h, w) at strides 16, 8 and 4 that were folded into it."""
    sizes = [CHANNELS.coarse, 4 * CHANNELS.stride8, 16 * CHANNELS.stride4]
    coarse, stride8, stride4 = embedding.split(sizes, dim=1)
    return coarse, F.pixel_shuffle(stride8, 2), F.pixel_shuffle(stride4, 4)


def likelihood(bins, weights):
    """Of (B, N, h, w) logits of bins: how much likelier under each of (B, K, h, w) weights."""
    shares = bins.softmax(1)
    mass = weights.sum((2, 3))[..., None]
    filled = torch.einsum("bkhw,bnhw->bkn", weights, shares) / mass.clamp(min=1e-6)
    ratios = ((filled + RARE) / (shares.mean((2, 3))[:, None] + RARE)).log() * (mass > 0)
    return torch.einsum("bkn,bnhw->bkhw", ratios, shares)


def test_unfold_is_the_inverse_of_fold():
    """Features of three strides survive the journey inside one tensor."""
    maps = [torch.randn(2, c, 4 * s, 4 * s) for c, s in ((128, 1), (32, 2), (16, 4))]
    embedding = CHANNELS.fold(*maps)
    assert embedding.shape == (2, CHANNELS.total, 4, 4)
    for before, after in zip(maps, unfold(embedding), strict=True):
        assert torch.equal(before, after)


@torch.no_grad()
def test_parts_are_called_as_the_papers(sam):
    """Points, a box and a mask go through the paper's calls and give masks at stride 4."""
    embedding = sam.image_encoder(torch.randn(1, 3, 128, 128))
    points = (torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]]))
    for prompt in (
        {"points": points, "boxes": None, "masks": None},
        {"points": None, "boxes": torch.tensor([[5.0, 6, 70, 80]]), "masks": None},
        {"points": None, "boxes": None, "masks": torch.randn(1, 1, 32, 32)},
    ):
        sparse, dense = sam.prompt_encoder(**prompt)
        for multimask, count in ((True, 3), (False, 1)):
            logits, iou = sam.mask_decoder(
                image_embeddings=embedding,
                image_pe=sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
            assert logits.shape == (1, count, 32, 32)
            assert iou.shape == (1, count)


@torch.no_grad()
def test_prompts_on_one_image_equal_prompts_on_its_copies(sam):
    """One embedding for all prompts gives what a copy for each gives."""
    embedding = sam.image_encoder(torch.randn(1, 3, 128, 128))
    coords = torch.tensor([[[20.0, 30.0]], [[90.0, 64.0]]])
    sparse, dense = sam.prompt_encoder((coords, torch.ones(2, 1)), None, None)
    pe = sam.prompt_encoder.get_dense_pe()
    shared = sam.mask_decoder(embedding, pe, sparse, dense, True)
    copied = sam.mask_decoder(embedding.expand(2, -1, -1, -1), pe, sparse, dense, True)
    for a, b in zip(shared, copied, strict=True):
        torch.testing.assert_close(a, b)


@torch.no_grad()
@pytest.mark.parametrize("size", [(128, 128), (80, 128)])
@pytest.mark.parametrize("clicks_alone", [False, True])
def test_the_decoder_reads_cells_as_the_papers_layers_read_maps(sam, size, clicks_alone):
    """Its products of matrices against convolutions of maps in picture order.

    Clicks on the foreground alone vouch for no background: that map is empty.
    """
    decoder = sam.mask_decoder
    embedding = sam.image_encoder(torch.randn(1, 3, *size))
    points = (torch.tensor([[[20.0, 30.0]], [[90.0, 64.0]]]), torch.ones(2, 1))
    boxes = torch.tensor([[5.0, 6, 70, 60], [40, 30, 120, 70]])
    more = (None, None) if clicks_alone else (boxes, torch.randn(2, 1, 32, 32))
    _, dense = sam.prompt_encoder(points, *more)
    seen, near = decoder.prepare(embedding), crop(dense, embedding)
    coarse, stride8, stride4 = unfold(embedding)
    drawn, weights = near.split((CHANNELS.coarse, 32), dim=1)
    pooled = weights.unflatten(1, (2, 16)).sum(2)
    image = coarse + drawn + decoder.coarse_affinity(affinity(coarse, pooled))
    torch.testing.assert_close(decoder.image_tokens(seen, dense), image)

    weights = F.pixel_shuffle(weights, 4)
    alike = decoder.fine_affinity(affinity(stride4, weights))
    bins = decoder.bins(stride4).expand(2, -1, -1, -1)
    alike = alike + decoder.fine_likelihood(likelihood(bins, weights))
    to8, norm, act, to4, last_act = decoder.output_upscaling
    kernels = torch.randn(2, 3, CHANNELS.stride4)
    x = act(norm(to8(image) + stride8))
    masks = torch.einsum("bmc,bchw->bmhw", kernels, last_act(to4(x) + stride4 + alike))
    found = decoder.read_masks(image.permute(0, 2, 3, 1), kernels, seen, dense)
    torch.testing.assert_close(found[:, :, : masks.shape[2]], masks, atol=1e-5, rtol=1e-4)


def test_strips_of_a_map_are_the_map():
    """What inference does strip by strip, and training at once."""
    block = ConvBlock(16)
    x = torch.randn(1, 96, 128, 16)
    with torch.inference_mode():
        strips = block(x)
    torch.testing.assert_close(strips, block(x).detach())


@torch.no_grad()
def test_padding_points_change_nothing_in_the_maps(sam):
    """A padded prompt is drawn as the same prompt without padding."""
    coords, labels = torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]])
    padded = torch.cat([coords, torch.zeros(1, 2, 2)], dim=1), torch.tensor([[1, -1, -1]])
    _, alone = sam.prompt_encoder((coords, labels), None, None)
    _, dense = sam.prompt_encoder(padded, None, None)
    torch.testing.assert_close(alone, dense)


@torch.no_grad()
@settings(max_examples=25)
@given(x=st.floats(0, 127), y=st.floats(0, 127))
def test_a_click_is_drawn_where_it_is(x: float, y: float):
    """The heaviest cell of the foreground weights holds the click, anywhere in the image."""
    encoder = build_sam_tiny(128).prompt_encoder
    clicks, weights = encoder._draw_clicks(torch.tensor([[[x, y]]]), torch.tensor([[1]]))
    assert clicks.shape == (1, 4, 32, 32)
    row, column = divmod(int(weights[0, 0].argmax()), 32)
    assert abs((column + 0.5) * 4 - 0.5 - x) <= 2.01
    assert abs((row + 0.5) * 4 - 0.5 - y) <= 2.01
    assert not weights[0, 1].any()


def test_a_box_is_drawn_inside_out():
    """Inside, core and rim of a box lie where they should."""
    encoder = build_sam_tiny(128).prompt_encoder
    maps, weights = encoder._draw_boxes(torch.tensor([[32.0, 16.0, 95.0, 79.0]]))
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[4:20, 8:24] = True
    assert torch.equal(maps[0, 0] > 0, inside)
    assert torch.equal(maps[0, 1] > 0, inside)
    assert not (weights[0, 0].bool() & ~inside).any()
    assert not (weights[0, 1].bool() & inside).any()
    assert weights[0, 0, 12, 16] > weights[0, 0, 12, 9]


def test_affinity_finds_what_is_alike():
    """Cells with the prompted cell's feature have cosine one, others less; no weights, none."""
    features = torch.zeros(1, 2, 4, 4)
    features[:, 0, :2] = 3.0
    features[:, 1, 2:] = 5.0
    weights = torch.zeros(1, 2, 4, 4)
    weights[0, 0, 0, 0] = 0.3
    found = affinity(features, weights)
    torch.testing.assert_close(found[0, 0, :2], torch.ones(2, 4))
    torch.testing.assert_close(found[0, 0, 2:], torch.zeros(2, 4))
    assert not found[0, 1].any()


@torch.no_grad()
def test_weights_fit_every_resolution(sam):
    """Another input size needs no other weights; one that is no number of cells is refused."""
    set_image_size(sam, 208)
    try:
        embedding = sam.image_encoder(torch.randn(1, 3, 208, 208))
        assert embedding.shape[2:] == sam.prompt_encoder.image_embedding_size == (13, 13)
    finally:
        set_image_size(sam, 128)
    with pytest.raises(ValueError, match="image_size: 200, expected a multiple of 16"):
        set_image_size(sam, 200)


@torch.no_grad()
def test_a_wide_picture_is_not_padded_to_a_square(sam):
    """Logits cover the prompt's whole maps; below the picture they repeat its last row."""
    pixels = sam.preprocess(torch.rand(1, 3, 70, 128) * 255)
    assert pixels.shape[2:] == (80, 128)
    embedding = sam.image_encoder(pixels)
    assert embedding.shape[2:] == (5, 8)
    prompt = sam.prompt_encoder((torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]])), None, None)
    logits, _ = sam.mask_decoder(embedding, sam.prompt_encoder.get_dense_pe(), *prompt, True)
    assert logits.shape[2:] == sam.prompt_encoder.mask_input_size
    assert torch.equal(logits[:, :, 20:], logits[:, :, 19:20].expand(-1, -1, 12, -1))
    assert not torch.equal(logits[:, :, 18], logits[:, :, 19])


@torch.no_grad()
def test_windows_at_the_edge_see_nothing_beyond_it():
    """A window filled up with zeros gives what attention with zero keys and values gives."""
    torch.manual_seed(0)
    attention = Attention(12, num_heads=2, window_size=4)
    x = torch.randn(1, 3, 5, 12)
    found = attention(x)
    assert found.shape == x.shape
    q, k, v = attention.qkv(x[:, :, 4:]).reshape(1, 3, 3, 2, 6).permute(2, 0, 3, 1, 4)
    k, v = (torch.cat([t, torch.zeros(1, 2, 13, 6)], dim=2) for t in (k, v))
    edge = (q @ k.transpose(2, 3) / 6**0.5).softmax(3) @ v  # the second window: one column
    expected = attention.proj(edge.transpose(1, 2).reshape(1, 3, 12))
    torch.testing.assert_close(found[:, :, 4], expected)
