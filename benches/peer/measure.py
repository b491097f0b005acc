"""PyTorch's side of measuring samples: pytorch-fid's network and distance, on arrays in memory."""

from collections.abc import Callable
from typing import Any

import numpy
import torch
from pytorch_fid import inception
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file
from torch import Tensor

# pytorch-fid's own.
BATCH = 50


class Measure:
    """Weights, pictures, and features that are given."""

    def __init__(self, request: dict) -> None:
        # The weights come from a file instead of the network.
        inception.load_state_dict_from_url = lambda *_, **__: load_file(request["weights"])
        self.weights = request["weights"]
        pictures = torch.from_numpy(numpy.load(request["pictures"]))
        self.pictures = pictures.permute(0, 3, 1, 2).contiguous()
        given = load_arrays(request["features"])
        self.given = [given["a"], given["b"]]
        self.networks: dict[bool, torch.nn.Module] = {}

    def network(self, channels_last: bool) -> torch.nn.Module:
        if channels_last not in self.networks:
            net = inception.InceptionV3().eval()
            layout = torch.channels_last if channels_last else torch.contiguous_format
            self.networks[channels_last] = net.to(memory_format=layout)
        return self.networks[channels_last]

    def features(self, pictures: Tensor, channels_last: bool) -> numpy.ndarray:
        net, found = self.network(channels_last), []
        for batch in pictures.split(BATCH):
            x = batch.float() / 255
            with torch.inference_mode():
                found.append(net(x)[0].flatten(1))
        return torch.cat(found).numpy()

    def distance(self, a: numpy.ndarray, b: numpy.ndarray) -> float:
        moments = []
        for features in (a, b):
            features = features.astype(numpy.float64)
            moments += [features.mean(axis=0), numpy.cov(features, rowvar=False)]
        return float(calculate_frechet_distance(*moments))

    def answer(self) -> dict:
        """What both sides must agree on."""
        features = self.features(self.pictures[:4], channels_last=False)
        return {"features": features.ravel().tolist(), "distance": self.distance(*self.given)}

    def work(self, what: str, batch: int, channels_last: bool) -> Callable[[], Any]:
        match what:
            case "features":
                return lambda: self.features(self.pictures[:batch], channels_last)
            case "frechet":
                return lambda: self.distance(*self.given)
            case "fid":
                half = len(self.pictures) // 2
                parts = self.pictures[:half], self.pictures[half:]
                return lambda: self.distance(*(self.features(p, channels_last) for p in parts))
            case unknown:
                raise ValueError(f"what = {unknown}: no such work")
