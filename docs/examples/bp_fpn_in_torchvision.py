"""Put BP-FPN into torchvision's RetinaNet: one training step and one inference.

    python docs/examples/bp_fpn_in_torchvision.py

`BPFPN` takes the place of `FeaturePyramidNetwork`. It wants one level more, the shallowest: its
detail joins the finest returned level through the shortcut, and no gradient flows back into it.
"""

import torch
from torchvision.models import resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator

from stdet import BPFPN


class ResNetWithBPFPN(torch.nn.Module):
    """ResNet-18 and BP-FPN; the levels returned have strides 8, 16 and 32."""

    def __init__(self, out_channels: int = 64) -> None:
        """Take the outputs of the four stages, strides 4 to 32, with 64 to 512 channels."""
        super().__init__()
        stages = {f"layer{n}": str(n) for n in (1, 2, 3, 4)}
        self.body = IntermediateLayerGetter(resnet18(weights=None), stages)
        self.neck = BPFPN(
            in_channels=[64, 128, 256, 512], out_channels=out_channels, dgr="straight_through"
        )
        self.out_channels = out_channels

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map (N, 3, H, W) to the levels by name."""
        return self.neck(self.body(images))


def main() -> None:
    """Train one step on noise with one target, then detect."""
    torch.manual_seed(0)
    anchors = AnchorGenerator(sizes=((8,), (16,), (32,)), aspect_ratios=((1.0,),) * 3)
    model = RetinaNet(
        ResNetWithBPFPN(), num_classes=2, anchor_generator=anchors, min_size=128, max_size=128
    )
    images = [torch.rand(3, 128, 128)]
    targets = [{"boxes": torch.tensor([[40.0, 50, 48, 58]]), "labels": torch.tensor([1])}]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = model(images, targets)
    sum(losses.values()).backward()
    optimizer.step()
    print("losses:", {name: round(loss.item(), 3) for name, loss in losses.items()})
    with torch.inference_mode():
        (found,) = model.eval()(images)
    print("detections:", len(found["boxes"]))


if __name__ == "__main__":
    main()
