import numpy as np


class Mine:
    name, dtype, stages = "mine", "float32", ["silu", "layer_norm"]

    def forward(self, stage, inputs):
        x = inputs["x"]
        if stage == "silu":
            return x * np.exp(-np.logaddexp(0, -x))
        centered = x - x.mean(-1, keepdims=True)
        variance = np.square(centered).sum(-1, keepdims=True) / max(x.shape[-1] - 1, 1)
        scale = inputs["weight"] / np.sqrt(variance + inputs["eps"])
        return centered * scale + inputs["bias"]


adapter = Mine()
