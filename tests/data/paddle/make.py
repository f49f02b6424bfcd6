"""Make small PaddleSpeech exports with PaddleSpeech's own model code: `make.py paddle FOLDER`.

`tests.exports` runs it in an environment of its own (`requirements/paddle.txt` and
`paddlespeech.txt`), for nothing else of the farm needs Paddle.

What is genuine: the networks (`FastSpeech2`, `HiFiGANGenerator`, `MelGANGenerator`, `ZScore` and
their `...Inference` wrappers), `jit.to_static` with the input specifications of
`t2s/exps/syn_utils.py` (`am_to_static`, `voc_to_static`) and `t2s/exps/synthesize_streaming.py`
(encoder, decoder, postnet), paddle2onnx, and CSMSC's symbols, which stand for AISHELL-3's, too.
What is not: the sizes are small, the weights random, and PaddleSpeech's front ends and trainers,
which want half a gigabyte of packages, are not loaded (its packages' `__init__` files are passed
over).

`golden.npz` holds what Paddle itself, not the ONNX files, gives for two id sequences.
"""

from __future__ import annotations

import copy
import importlib.util
import shutil
import sys
import types
from pathlib import Path

import maps
import numpy as np
import paddle
import paddle2onnx
from paddle import jit
from paddle.static import InputSpec

PACKAGES = ("", ".models", ".models.fastspeech2", ".models.hifigan", ".models.melgan", ".modules")
MELS, WIDTH, POSITIONS = 80, 16, 800
IDS = ([3, 9, 14, 5, 22, 7, 2], [2, 30, 11, 8, 40, 17, 6, 6, 25, 33, 19, 4, 12, 2])
SPEAKERS = ("SSB0005", "SSB0009", "SSB0011")
MODEL = {
    "adim": WIDTH,
    "aheads": 2,
    "elayers": 1,
    "eunits": WIDTH,
    "dlayers": 1,
    "dunits": WIDTH,
    "postnet_layers": 2,
    "postnet_chans": 16,
    "positionwise_conv_kernel_size": 3,
    "duration_predictor_chans": 16,
    "energy_predictor_chans": 16,
    "pitch_predictor_chans": 16,
    "pitch_embed_kernel_size": 1,
    "energy_embed_kernel_size": 1,
    "cnn_postnet_resblock_kernel_sizes": [16],
}
CONFIG = """fs: 24000
n_fft: 2048
n_shift: 300
win_length: 1200
window: "hann"
fmin: 80
fmax: 7600
n_mels: 80
"""


def skip_packages() -> None:
    """Let modules of PaddleSpeech be imported without their packages' `__init__`."""
    root = Path(str(importlib.util.find_spec("paddlespeech").origin)).parent
    for name in PACKAGES:
        package = types.ModuleType(f"paddlespeech.t2s{name}")
        package.__path__ = [str(root / "t2s" / name.replace(".", "/").lstrip("/"))]
        sys.modules[package.__name__] = package


def fastspeech(**options: object) -> tuple[paddle.nn.Layer, paddle.nn.Layer]:
    """Return a FastSpeech2 to be frozen and its twin to be run.

    Attention keeps what its last run saw, and freezing would keep that too: what is frozen must
    not have run before. Durations lie between 0 and about 20 frames.
    """
    from paddlespeech.t2s.models.fastspeech2.fastspeech2 import FastSpeech2

    model, twin = (
        FastSpeech2(idim=len(maps.csmsc()), odim=MELS, **copy.deepcopy({**MODEL, **options}))
        for _ in range(2)
    )
    model.eval()
    twin.eval()
    linear = model.duration_predictor.linear
    linear.weight.set_value(linear.weight * 1.4)
    linear.bias.set_value(np.array([1.6], "float32"))
    twin.set_state_dict(model.state_dict())
    return model, twin


def shorten(model: paddle.nn.Layer) -> None:
    """Set the tables of positions, which freezing keeps as they are, to what a test needs.

    They have 5,000 rows in a new model.
    """
    for layer in model.sublayers():
        if hasattr(layer, "extend_pe"):
            layer.extend_pe(paddle.zeros([1, POSITIONS]))


def encoder(model: paddle.nn.Layer) -> paddle.nn.Layer:
    """Return `FastSpeech2.encoder_infer` as a layer.

    Its body is repeated, because its `paddle.shape(x)[0]` has no axes since Paddle 2.5 and cannot
    be frozen; PaddleSpeech itself changed the same line of `inference` to `[0:1]`.
    """

    class Encoder(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, text: paddle.Tensor) -> paddle.Tensor:
            x = paddle.cast(text, "int64")
            hidden, *_ = self.model._forward(
                x.unsqueeze(0), paddle.shape(x)[0:1], is_inference=True, return_after_enc=True
            )
            return hidden

    return Encoder()


def vocoder(kind: str, mean: np.ndarray, std: np.ndarray) -> paddle.nn.Layer:
    """Return a vocoder that sounds: its weights are drawn for an even level from layer to layer."""
    from paddlespeech.t2s.models.hifigan.hifigan import HiFiGANGenerator, HiFiGANInference
    from paddlespeech.t2s.models.melgan.melgan import MelGANGenerator, MelGANInference
    from paddlespeech.t2s.modules.normalizer import ZScore

    if kind == "hifigan":
        model = HiFiGANGenerator(
            channels=32, resblock_kernel_sizes=(3, 7), resblock_dilations=[(1, 3), (1, 3)]
        )
    else:
        model = MelGANGenerator(out_channels=4, channels=80, upsample_scales=[5, 5, 3], stacks=1)
    model.remove_weight_norm()
    for parameter in model.parameters():
        fan = int(np.prod(parameter.shape[1:])) if len(parameter.shape) > 1 else 0
        spread = (1.2 / fan**0.5) if fan else 0.05
        parameter.set_value(
            np.random.default_rng(fan).normal(0, spread, parameter.shape).astype("float32")
        )
    model.eval()
    wrap = HiFiGANInference if kind == "hifigan" else MelGANInference
    inference = wrap(ZScore(paddle.to_tensor(mean), paddle.to_tensor(std)), model)
    inference.eval()
    return inference


def export(layer: paddle.nn.Layer, spec: list[InputSpec], name: str, out: Path) -> None:
    """Freeze a layer and write `<name>.onnx`."""
    work = out / ".work" / name
    layer.eval()
    shorten(layer)
    jit.save(jit.to_static(layer, input_spec=spec), str(work))
    paddle2onnx.export(
        f"{work}.json", f"{work}.pdiparams", str(out / f"{name}.onnx"), opset_version=11
    )


def main(out: Path) -> None:
    """Write every file of the folder."""
    skip_packages()
    from paddlespeech.t2s.models.fastspeech2.fastspeech2 import FastSpeech2Inference
    from paddlespeech.t2s.modules.normalizer import ZScore

    paddle.seed(20261129)
    rng = np.random.default_rng(20261122)
    mean = rng.normal(-3, 0.3, MELS).astype("float32")
    std = rng.uniform(0.5, 0.8, MELS).astype("float32")
    text, speaker = InputSpec([-1], dtype=paddle.int64), InputSpec([1], dtype=paddle.int64)
    golden: dict[str, np.ndarray] = {}
    sequences = [paddle.to_tensor(ids, dtype="int64") for ids in IDS]
    scale = ZScore(paddle.to_tensor(mean), paddle.to_tensor(std))

    vocoders = {kind: vocoder(kind, mean, std) for kind in ("hifigan", "mb_melgan")}
    frozen, twin = fastspeech()
    csmsc = FastSpeech2Inference(scale, twin)
    csmsc.eval()
    for number, ids in enumerate(sequences):
        mel = csmsc(ids)
        golden[f"csmsc_mel_{number}"] = mel.numpy()
        for kind, model in vocoders.items():
            golden[f"csmsc_{kind}_{number}"] = model(mel).numpy().reshape(-1)
    export(FastSpeech2Inference(scale, frozen), [text], "fastspeech2_csmsc", out)
    for kind, model in vocoders.items():
        export(model, [InputSpec([-1, MELS], dtype=paddle.float32)], kind, out)

    frozen, twin = fastspeech(
        spk_num=len(SPEAKERS) + 1, spk_embed_dim=16, spk_embed_integration_type="concat"
    )
    aishell = FastSpeech2Inference(scale, twin)
    aishell.eval()
    for number in (1, 2):
        spk = paddle.to_tensor([number], dtype="int64")
        golden[f"aishell3_mel_{number}"] = aishell(sequences[1], spk_id=spk).numpy()
    export(FastSpeech2Inference(scale, frozen), [text, speaker], "fastspeech2_aishell3", out)

    stream, twin = fastspeech(decoder_type="cnndecoder")
    for number, ids in enumerate(sequences):
        golden[f"stream_mel_{number}"] = scale.inverse(twin.inference(ids)[0]).numpy()
    export(encoder(stream), [text], "cnndecoder_encoder", out)
    export(
        stream.decoder, [InputSpec([1, -1, WIDTH], dtype=paddle.float32)], "cnndecoder_decoder", out
    )
    export(
        stream.postnet, [InputSpec([1, MELS, -1], dtype=paddle.float32)], "cnndecoder_postnet", out
    )

    write_tables(out, mean, std, golden)
    shutil.rmtree(out / ".work")


def write_tables(out: Path, mean: np.ndarray, std: np.ndarray, golden: dict) -> None:
    """Write statistics, symbol and speaker maps and the config, in PaddleSpeech's layouts."""
    np.save(out / "speech_stats.npy", np.stack([mean, std]))
    np.save(out / "pitch_stats.npy", np.array([[5.4], [0.3]], "float32"))
    np.save(out / "energy_stats.npy", np.array([[60.0], [40.0]], "float32"))
    (out / "phone_id_map.txt").write_text(maps.text(maps.csmsc()), "utf-8")
    names = "".join(f"{name} {number}\n" for number, name in enumerate(SPEAKERS, 1))
    (out / "speaker_id_map.txt").write_text(names, "utf-8")
    (out / "default.yaml").write_text(CONFIG, "utf-8")
    np.savez_compressed(out / "golden.npz", **golden)


if __name__ == "__main__":
    main(Path(sys.argv[2]))
