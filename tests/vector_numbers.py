"""The numbers of the vectors that stay within a version: ``python tests/vector_numbers.py``.

Inputs and cotangents are drawn and rounded, and some results are only moved: they are held bit for
bit. What is calculated is held to within two roundings, since processors differ there.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from numixology.verify.conformance import FORMATS, STAGES, make_case, truth_of, write_vectors
from numixology.verify.conformance.cases import cases_of
from numixology.verify.conformance.packing import packed
from numixology.verify.conformance.scales import scales_of
from numixology.verify.conformance.vectors import SPEC

FILE = Path(__file__).with_suffix(".json")

TENSORS = (
    "silu.plain.0.input.x",
    "silu.saturated.1.cotangent",
    "embedding.padded.1.input.ids",
    "embedding.plain.1.output",
    "token_mix.tiny.0.output",
    "token_mix.huge.1.gradient.x",
)
#: Stage, kind and tensor.
RESULTS = (
    "silu plain output",
    "silu saturated x",
    "gelu plain x",
    "layer_norm plain output",
    "linear plain weight",
    "softmax plain output",
)


def digest_of_inputs(stage: str) -> str:
    """Of all inputs and cotangents of a stage on its own, three cases of a kind in every format."""
    digest = hashlib.sha256()
    for dtype in FORMATS:
        for case in cases_of(stage, dtype):
            arrays = [one for one in case.inputs.values() if isinstance(one, np.ndarray)]
            for value in (*arrays, case.cotangent):
                digest.update(packed(value, "int64" if value.dtype.kind == "i" else dtype))
    return digest.hexdigest()


def result(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The first numbers of a result, and by what differences in float64 are measured there."""
    stage, kind, tensor = name.split()
    case = make_case(stage, kind, 1, "float32")
    truth = truth_of(case)
    value = truth.output if tensor == "output" else truth.gradients[tensor]
    scale = scales_of(case._replace(dtype="float64"), truth)[tensor]
    return value.ravel()[:4], scale.ravel()[:4]


def now() -> dict[str, object]:
    """What this machine has for all of them."""
    stages = sorted({key.partition(".")[0] for key in TENSORS})
    with tempfile.TemporaryDirectory() as folder:
        write_vectors(folder, dtype="float32", stages=stages, seeds=2)
        cases = json.loads(Path(folder, "manifest.json").read_text("utf-8"))["cases"]
    digests = {one["key"]: one["sha256"] for case in cases for one in case["tensors"]}
    return {
        "spec": SPEC,
        "inputs": {stage: digest_of_inputs(stage) for stage in STAGES},
        "tensors": {key: digests[key] for key in TENSORS},
        "results": {name: result(name)[0].tolist() for name in RESULTS},
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(now(), indent=1) + "\n", "utf-8")
