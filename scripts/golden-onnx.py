"""Golden data of the ONNX feature space and of resizing: small networks whose weights are a
formula, what onnxruntime makes of them, and what Pillow and PyTorch make of an image.

    pip install onnx onnxruntime torch pillow numpy safetensors
    python scripts/golden-onnx.py           # writes crates/tweedie/tests/golden/onnx

Written with onnx 1.23.2, onnxruntime 1.32.0, torch 2.15.0, Pillow 13.0.0.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parent.parent / "crates/tweedie/tests/golden/onnx"
OPSET = 17


def formula(*shape, phase=0.0, scale=1.0):
    """Numbers in [-scale, scale] that any language can make."""
    k = np.arange(np.prod(shape), dtype=np.float64)
    return (scale * np.sin(1.7 * k + phase)).reshape(shape).astype(np.float32)


def images(*shape):
    """Numbers in [0, 1]."""
    return 0.5 + 0.5 * formula(*shape, phase=0.3)


def tensor(name, array):
    return numpy_helper.from_array(array, name)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(name, nodes, inputs, outputs, weights, domains=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, [tensor(k, v) for k, v in weights.items()])
    imports = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(d, 1) for d in domains]
    made = helper.make_model(graph, opset_imports=imports, producer_name="golden-onnx.py")
    made.ir_version = 8
    if not domains:
        onnx.checker.check_model(made)
    (OUT / f"{name}.onnx").write_bytes(made.SerializeToString())


def network(channels):
    """Two convolutions, global average pooling: [N, C, H, W] to [N, 6]."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w1", "b1"], ["c1"], name="conv1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], name="relu1"),
        node("Conv", ["r1", "w2", "b2"], ["map"], name="conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["map"], ["pooled"], name="pool"),
        node("Flatten", ["pooled"], ["features"], name="flatten", axis=1),
    ]
    weights = {
        "w1": formula(4, channels, 3, 3, phase=0.1, scale=0.4),
        "b1": formula(4, phase=0.2, scale=0.1),
        "w2": formula(6, 4, 3, 3, phase=0.5, scale=0.3),
        "b2": formula(6, phase=0.7, scale=0.1),
    }
    return nodes, weights


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    golden = {}

    # Grey and colour, any batch and size.
    for name, channels in [("grey", 1), ("colour", 3)]:
        nodes, weights = network(channels)
        inputs = [value("image", ["N", channels, "H", "W"])]
        model(name, nodes, inputs, [value("features", ["N", 6])], weights)
    # The feature map as a second output, a fixed batch and a fixed size.
    nodes, weights = network(3)
    outputs = [value("features", [4, 6]), value("map", [4, 6, 4, 4])]
    model("fixed", nodes, [value("image", [4, 3, 8, 8])], outputs, weights)
    # Channels last.
    turned = [helper.make_node("Transpose", ["pixels"], ["image"], name="turn", perm=[0, 3, 1, 2])]
    outputs = [value("features", ["N", 6])]
    model("nhwc", turned + nodes, [value("pixels", ["N", 8, 8, 3])], outputs, weights)

    # What cannot be run.
    y = [value("y", None)]
    model("unknown-operator", [helper.make_node("Warp", ["x"], ["y"], domain="elsewhere")], [value("x", ["N", 1, 8, 8])], y, {}, ["elsewhere"])
    model("vectors", [helper.make_node("Relu", ["x"], ["y"])], [value("x", ["N", 10])], [value("y", ["N", 10])], {})
    add = helper.make_node("Add", ["x", "z"], ["y"])
    two = [value(name, ["N", 1, 8, 8]) for name in "xz"]
    model("two-inputs", [add], two, [value("y", ["N", 1, 8, 8])], {})
    cast = [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), helper.make_node("Flatten", ["f"], ["y"], axis=1)]
    model("bytes", cast, [value("x", ["N", 1, 8, 8], TensorProto.UINT8)], [value("y", ["N", 64])], {})

    # By onnxruntime.
    def run(name, x, outputs=None):
        session = onnxruntime.InferenceSession(str(OUT / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        return session.run(outputs, {session.get_inputs()[0].name: x})

    x = images(6, 3, 8, 8)
    golden["images"] = x
    golden["colour"] = run("colour", x)[0]
    golden["grey"] = run("grey", x[:, :1])[0]
    golden["repeated"] = run("colour", np.repeat(x[:, :1], 3, axis=1))[0]
    golden["nhwc"] = run("nhwc", np.ascontiguousarray(x.transpose(0, 2, 3, 1)))[0]
    features, feature_map = run("fixed", x[:4])
    assert np.allclose(features, golden["colour"][:4], atol=1e-6)
    golden["map"] = feature_map
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    scaled = (x - mean[:, None, None]) / std[:, None, None]
    golden["scaled"] = run("colour", scaled.astype(np.float32))[0]
    resized = torch.nn.functional.interpolate(torch.from_numpy(x), (12, 10), mode="bicubic").numpy()
    golden["resized"] = run("colour", resized)[0]

    # Resizing, of one plane of floats.
    plane = images(7, 9)
    golden["plane"] = plane
    pil = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    for height, width in [(7, 9), (3, 5), (20, 13), (16, 4), (1, 1)]:
        for mode, filter in pil.items():
            size = f"{mode}-{height}x{width}"
            golden[f"pil-{size}"] = np.asarray(Image.fromarray(plane).resize((width, height), filter))
            batch = torch.from_numpy(plane)[None, None]
            found = torch.nn.functional.interpolate(batch, (height, width), mode=mode, antialias=False)
            golden[f"torch-{size}"] = found[0, 0].numpy()

    save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in golden.items()}, OUT / "golden.safetensors")
    for path in sorted(OUT.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
