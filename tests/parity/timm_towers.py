"""timm's towers and the job-file settings that are the same tower here; needs torch and timm."""
import json

import timm
import torch
from safetensors.torch import save_file

ENCODER = {"norm": "layer", "qk_norm": False, "attention_bias": True, "gelu": "erf"}
# model.image of a job file, without the sizes.
IMAGE = {
    "naflexvit_base_patch16_siglip": {
        "position_interpolation": "linear_antialias", "pooling": "map",
        "encoder": dict(ENCODER, gelu="tanh", map_bias=True)},
    "naflexvit_base_patch16_gap": {
        "position_interpolation": "cubic_antialias", "pooling": "mean", "prefix_tokens": 4,
        "encoder": dict(ENCODER, layer_scale=1e-5, norm_after_pooling=True)},
    "naflexvit_base_patch16_map": {
        "position_interpolation": "cubic_antialias", "pooling": "map", "prefix_tokens": 1,
        "encoder": dict(ENCODER, layer_scale=1e-5, map_bias=True)},
    "naflexvit_base_patch16_par_gap": {
        "position_interpolation": "cubic_antialias", "position_coordinates": "aspect_fractional",
        "pooling": "mean", "prefix_tokens": 4,
        "encoder": dict(ENCODER, layer_scale=1e-5, norm_after_pooling=True)},
    "naflexvit_base_patch16_parfac_gap": {
        "position_embedding": "factorized_sum", "position_coordinates": "aspect_fractional",
        "pooling": "mean", "prefix_tokens": 4,
        "encoder": dict(ENCODER, layer_scale=1e-5, norm_after_pooling=True)},
    "vit_base_patch16_224": {
        "position_interpolation": "cubic_antialias", "pooling": "token", "prefix_tokens": 1,
        "encoder": ENCODER},
}


def image_spec(name, width, depth, heads, patch, rows):
    spec = {"position_embedding": "joint", "position_coordinates": "fractional"}
    spec.update(IMAGE[name])
    spec.update(size={"width": width, "depth": depth, "mlp_dim": 4 * width, "heads": heads},
                patch_size=patch, position_rows=rows)
    return spec


def randomize(model, seed):
    """Values far from the initial ones, which hide mistakes (a LayerScale of 1e-5)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.ndim == 1 and name.endswith(("weight", "gamma")):
                tensor.copy_(1 + 0.2 * noise)
            elif tensor.ndim > 1 and name.endswith("weight"):
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
            else:
                tensor.copy_(0.2 * noise)


def create(name, **changes):
    if name.startswith("vit_"):
        changes["dynamic_img_size"] = True
    return timm.create_model(name, pretrained=False, num_classes=0, **changes).eval()


def save(model, name, arguments, weights, config):
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, weights,
              {"format": "pt"})
    pretrained = {key: model.pretrained_cfg[key] for key in ("mean", "std")}
    with open(config, "w") as file:
        json.dump({"architecture": name, "num_classes": 0, "pretrained_cfg": pretrained,
                   "model_args": arguments}, file, indent=1)


def features(model, pixels):
    """Pooled features before any classifier of one image, uint8 [height, width, 3]."""
    mean, std = (torch.tensor(model.pretrained_cfg[key]) for key in ("mean", "std"))
    x = ((torch.as_tensor(pixels) / 255 - mean) / std).permute(2, 0, 1)[None]
    with torch.no_grad():
        return model.forward_head(model.forward_features(x), pre_logits=True)[0].numpy()
