"""The command `export_backbone`: weights and card in a folder of their own, on request ONNX and torch.export."""

from __future__ import annotations

import json

from pretrain.backbones import load_backbone
from pretrain.backbones.storage import card_of, copy_backbone, save_backbone
from pretrain.export import export_onnx, export_program
from pretrain.export_config import ExportConfig, output_folder
from pretrain.reading import refuse_link_out


def export_backbone(config: ExportConfig) -> None:
    """Write what is asked for and print each path with its size; UserError where the run holds no whole backbone."""
    backbone, card = load_backbone(config.run)
    folder = output_folder(config)
    if config.out is None:
        refuse_link_out(config.run, folder, "the folder of exports")
    if config.half:
        own = {key: value for key, value in card.items() if key not in card_of(backbone, {}, {})}
        paths = save_backbone(backbone, folder, own, half=True)
    else:
        paths = copy_backbone(config.run, folder)
    if config.onnx:
        paths.append(folder / "backbone.onnx")
        print(f"ONNX: largest difference to PyTorch {export_onnx(backbone, paths[-1]):.1e}")
    if config.torch_export:
        paths.append(folder / "backbone.pt2")
        print(f"torch.export: largest difference to PyTorch {export_program(backbone, paths[-1]):.1e}")
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1000:,.0f} kB")
    print(f"{card['architecture']}, {card['feature_dim']} features, clip {json.dumps(card['clip'])}")
    print(f"To load it, in {folder}:")
    print("\n".join(f"    {line}" for line in card["how_to_load"]))
